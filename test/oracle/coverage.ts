// Counts what the reference showed, and says what a full run has met too rarely.

import { ERR, errName } from '../../src/zookeeper/codec/error-codes.ts'
import { isMet } from './left-out.ts'
import type { SeenBySlot } from './side.ts'
import { OPCODES } from './steps.ts'

export const OCCURRENCES_MIN = 50

export const EVENT_TYPES: { readonly [type: number]: string } = {
  1: 'created',
  2: 'deleted',
  3: 'dataChanged',
  4: 'childrenChanged',
}

/** What a full run must have met, by the names that it is counted by: all that there is but what left-out.ts lists. */
const WANTED: readonly string[] = [
  ...Object.keys(OPCODES).map((op) => `op ${op}`),
  ...Object.keys(ERR)
    .filter(isMet)
    .map((name) => `error ${name}`),
  ...Object.values(EVENT_TYPES).map((name) => `event ${name}`),
]

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
      if (code !== 0) this.count(`error ${errName(code)}`)
    }
  }

  of(what: string): number {
    return this.counts.get(what) ?? 0
  }

  /** What a full run has met too rarely. */
  missing(): string[] {
    return WANTED.filter((what) => this.of(what) < OCCURRENCES_MIN).map((what) => `${what}: ${this.of(what)}`)
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
