// Counts what the reference showed, and says what a full run must have met at least so often. What can't be met has its reason here.

import type { SeenBySlot } from './side.ts'
import { OPCODES } from './steps.ts'

export const OCCURRENCES_MIN = 50

export const ERROR_CODES: { readonly [code: number]: string } = {
  [-2]: 'runtimeInconsistency',
  [-5]: 'marshallingError',
  [-6]: 'unimplemented',
  [-8]: 'badArguments',
  [-101]: 'noNode',
  [-102]: 'noAuth',
  [-103]: 'badVersion',
  [-108]: 'noChildrenForEphemerals',
  [-110]: 'nodeExists',
  [-111]: 'notEmpty',
  [-114]: 'invalidACL',
  [-115]: 'authFailed',
  [-121]: 'noWatcher',
  [-123]: 'reconfigDisabled',
  [-125]: 'quotaExceeded',
}

export const EVENT_TYPES: { readonly [type: number]: string } = {
  1: 'created',
  2: 'deleted',
  3: 'dataChanged',
  4: 'childrenChanged',
}

/**
 * Not counted: ZooKeeper answers createSession with a second handshake, which is no reply. Errors that no step can bring about on a
 * single 3.8: -1, -3, -4, -7, -13, -14, -100, -112, -113, -118, -119, -122, -127 (not sent, or of ensembles, read-only mode, throttles and
 * the client itself); -12 and -112 close the connection; -120 needs local sessions; -124 needs enforced authentication.
 */
const NOT_COUNTED: ReadonlySet<string> = new Set(['createSession'])

export class Coverage {
  operations = 0
  succeeded = 0
  events = 0
  private readonly counts = new Map<string, number>()

  add(seen: SeenBySlot): void {
    for (const one of [...seen.values()].flat()) {
      if (one.kind === 'event') {
        this.events++
        this.count(`event ${EVENT_TYPES[one.type] ?? one.type}`)
      } else if (one.kind === 'reply')
        this.addReply(one.request.opcode === undefined ? one.request.op : 'unknown', one.err, one.fields)
      else this.count(one.kind === 'session' && one.fields.timeoutMs === 0 ? 'session refused' : one.kind)
    }
  }

  private addReply(op: string, err: number, fields: { readonly [name: string]: unknown }): void {
    this.operations++
    const results = (fields.results ?? []) as readonly {
      readonly err: number
      readonly type: number
      readonly done: boolean
    }[]
    const isFailed = err !== 0 || results.some(({ type, err: own }) => type === -1 && own !== -1 && own !== 0)
    if (!isFailed) this.succeeded++
    this.count(`op ${op}`)
    this.count(`op ${op} ${isFailed ? 'failed' : 'ok'}`)
    for (const code of err === 0
      ? results.filter(({ type, done }) => type === -1 && !done).map((result) => result.err)
      : [err]) {
      if (code !== 0) this.count(`error ${ERROR_CODES[code] ?? code}`)
    }
  }

  of(what: string): number {
    return this.counts.get(what) ?? 0
  }

  /** What a full run has met too rarely. */
  missing(without: ReadonlySet<string>): string[] {
    const wanted = [
      ...Object.keys(OPCODES)
        .filter((op) => !without.has(op) && !NOT_COUNTED.has(op))
        .map((op) => `op ${op}`),
      ...Object.values(ERROR_CODES).map((name) => `error ${name}`),
      ...Object.values(EVENT_TYPES).map((name) => `event ${name}`),
    ]
    return wanted.filter((what) => this.of(what) < OCCURRENCES_MIN).map((what) => `${what}: ${this.of(what)}`)
  }

  table(): string {
    const lines = [...this.counts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([what, count]) => `${what.padEnd(40)} ${count}`)
    return [`${this.operations} operations, ${this.succeeded} succeeded, ${this.events} events`, ...lines].join('\n')
  }

  private count(what: string): void {
    this.counts.set(what, this.of(what) + 1)
  }
}
