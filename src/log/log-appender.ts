// Appending to the virtual log: across seals until the entry is in or the time is up, and in chunks what is too large for the
// loglet. What an append is answered is decided here.

import { DelosError } from '../base/delos-error.ts'
import type { ActiveLoglet, OpenEnd } from './active-loglet.ts'
import {
  CHUNK_COUNT_MAX,
  CHUNK_OVERHEAD_BYTES,
  CHUNK_SPAN_MAX,
  encodeChunk,
  escapeEntry,
  isMarked,
} from './chunk-codec.ts'
import { Deadlines, sleep } from './deadline.ts'
import type { ResolvedLogOptions } from './log-options.ts'
import type { LogletAppendOutcome } from './loglet.ts'
import { isGone } from './loglet-handles.ts'
import type { LogletOffset, LogPos } from './position.ts'
import type { AppendOutcome } from './shared-log.ts'

const CHUNKS_IN_FLIGHT = 8
const RETRY_MS = 20
/** So often the chunks of an entry may come to lie too far apart before its append is refused. */
const CROWDED_MAX = 8

/** `again`: nothing is in the log, try again. `crowded`: likewise, since too much came between the chunks. */
type Attempt = AppendOutcome | 'again' | 'crowded'

export class LogAppender {
  private readonly active: ActiveLoglet
  private readonly options: ResolvedLogOptions
  private readonly deadlines: Deadlines
  /** While set, a crowded set of chunks is appended alone; every other append waits for it. */
  private alone: Promise<unknown> | undefined

  constructor(active: ActiveLoglet, options: ResolvedLogOptions) {
    this.active = active
    this.options = options
    this.deadlines = new Deadlines(options, options.appendLimitMs)
  }

  append(bytes: Uint8Array): Promise<AppendOutcome> {
    const { maxEntryBytes, appendLimitMs } = this.options
    if (bytes.length > maxEntryBytes) {
      const message = `entry of ${bytes.length} bytes, maxEntryBytes is ${maxEntryBytes}`
      return Promise.resolve(refused('LIMIT_EXCEEDED', message))
    }
    const appending = this.alone ? this.appendInTurn(bytes) : this.appendWhole(bytes)
    return this.deadlines.limit(appending, () => {
      const message = `no answer from the log within ${appendLimitMs} ms`
      return this.indeterminate(new DelosError('INDETERMINATE', message))
    })
  }

  /** No append begins any more. */
  close(): void {
    this.deadlines.close()
  }

  private async appendInTurn(bytes: Uint8Array): Promise<AppendOutcome> {
    while (this.alone) await this.alone
    return this.appendWhole(bytes)
  }

  private appendWhole(bytes: Uint8Array): Promise<AppendOutcome> {
    const { end } = this.active
    const stored = storedForm(bytes)
    // The usual append: straight into the open loglet.
    if (end && stored.length <= end.loglet.maxEntryBytes) {
      return end.loglet
        .append(stored)
        .then((outcome) => this.settle(end, outcome) ?? this.appendAgain(end, outcome, bytes))
    }
    return this.appendAcross(bytes)
  }

  private appendAgain(end: OpenEnd, outcome: LogletAppendOutcome, bytes: Uint8Array): Promise<AppendOutcome> {
    this.options.onEvent('append retried')
    return this.movedOn(end, outcome).then((stop) => stop ?? this.appendAcross(bytes))
  }

  /** Retries until there is an answer. Everything before that answer is definitely not in the log. */
  private async appendAcross(bytes: Uint8Array): Promise<AppendOutcome> {
    const endMs = this.options.clock.monotonicMs() + this.options.appendLimitMs
    for (let crowded = 0; this.options.clock.monotonicMs() < endMs; ) {
      const answer = await (crowded > 0 ? this.appendAlone(bytes) : this.appendOnce(bytes))
      if (answer === 'crowded') crowded++
      else if (answer !== 'again') return answer
      if (crowded >= CROWDED_MAX) {
        const message = `the chunks of an entry of ${bytes.length} bytes lay more than ${CHUNK_SPAN_MAX} positions apart`
        return refused('OVERLOADED', `${message}, ${CROWDED_MAX} times: others append too much meanwhile`)
      }
    }
    return refused('TIMEOUT', `the log could not be appended to within ${this.options.appendLimitMs} ms`)
  }

  /** This server's other appends wait: those of other servers alone can still come between the chunks. */
  private async appendAlone(bytes: Uint8Array): Promise<Attempt> {
    while (this.alone) await this.alone
    const attempt = this.appendOnce(bytes)
    // Those who wait go on however it ends.
    this.alone = attempt.catch(() => undefined)
    try {
      return await attempt
    } finally {
      this.alone = undefined
    }
  }

  private async appendOnce(bytes: Uint8Array): Promise<Attempt> {
    let end: OpenEnd
    try {
      end = await this.active.open()
    } catch (error) {
      return (await this.retryable(error)) ?? 'again'
    }
    const stored = storedForm(bytes)
    // Chunks carry the entry as it is: what is put together again is not looked at for a mark.
    if (stored.length > end.loglet.maxEntryBytes) return this.appendChunked(end, bytes)
    const outcome = await end.loglet.append(stored)
    return this.settle(end, outcome) ?? (await this.movedOn(end, outcome)) ?? 'again'
  }

  /** The answer to the caller, or undefined if the append goes on in another loglet. */
  private settle({ segment }: OpenEnd, outcome: LogletAppendOutcome): AppendOutcome | undefined {
    if (outcome.kind === 'appended') {
      this.active.noteTail(segment, (outcome.offset + 1) as LogletOffset)
      return { kind: 'appended', pos: (segment.start + outcome.offset) as LogPos }
    }
    if (outcome.kind === 'indeterminate') return this.indeterminate(outcome.cause)
    return outcome.kind === 'refused' && !isGone(outcome.cause) ? outcome : undefined
  }

  /** Waits until the chain may have moved past `end`; an answer if it never will. */
  private async movedOn(end: OpenEnd, outcome: LogletAppendOutcome): Promise<AppendOutcome | undefined> {
    try {
      await this.active.moveOn(end.segment)
      if (this.active.end === end && outcome.kind === 'refused') return outcome
      return undefined
    } catch (error) {
      return this.retryable(error)
    }
  }

  /** After a pause undefined, so that the caller tries again, or a refusal if that is pointless. */
  private async retryable(thrown: unknown): Promise<AppendOutcome | undefined> {
    const cause = DelosError.from(thrown, 'IO_ERROR', 'append to the log')
    if (!cause.retryable && cause.code !== 'INDETERMINATE') return { kind: 'refused', cause }
    await sleep(this.options.timers, RETRY_MS)
    return undefined
  }

  private indeterminate(cause: DelosError): AppendOutcome {
    this.options.onEvent('indeterminate append')
    return { kind: 'indeterminate', cause }
  }

  /**
   * Appends the first chunk, then those in the middle, then the last, which names the first: only that one makes an entry.
   * So until the last is appended, a set that fails is simply not there.
   */
  private async appendChunked(end: OpenEnd, bytes: Uint8Array): Promise<Attempt> {
    const { loglet, segment } = end
    const sizeMax = loglet.maxEntryBytes - CHUNK_OVERHEAD_BYTES
    const count = Math.ceil(bytes.length / sizeMax)
    if (count > CHUNK_COUNT_MAX) {
      return refused(
        'LIMIT_EXCEEDED',
        `entry of ${bytes.length} bytes in chunks of ${sizeMax}, at most ${CHUNK_COUNT_MAX}`,
      )
    }
    this.options.onEvent('chunked append')
    const set = this.options.random.bytes(16)
    const part = (i: number, first?: LogPos) =>
      loglet.append(encodeChunk(set, i, bytes.subarray(i * sizeMax, (i + 1) * sizeMax), first))
    const head = await part(0)
    if (head.kind !== 'appended') return this.restartSet(end, head)
    const first = (segment.start + head.offset) as LogPos
    for (let i = 1; i < count - 1; i += CHUNKS_IN_FLIGHT) {
      const width = Math.min(CHUNKS_IN_FLIGHT, count - 1 - i)
      const outcomes = await Promise.all(Array.from({ length: width }, (_, k) => part(i + k)))
      const failed = outcomes.find(({ kind }) => kind !== 'appended')
      if (failed) return this.restartSet(end, failed)
    }
    const last = await part(count - 1, first)
    if (last.kind === 'sealed') return this.restartSet(end, last)
    const outcome = this.settle(end, last)
    if (outcome?.kind === 'appended' && outcome.pos - first > CHUNK_SPAN_MAX) {
      this.options.onEvent('chunk set restarted')
      return 'crowded'
    }
    return outcome ?? this.restartSet(end, last)
  }

  /** The set so far is nothing. Tries again from its start, unless the loglet refuses for good. */
  private async restartSet(end: OpenEnd, outcome: LogletAppendOutcome): Promise<AppendOutcome | 'again'> {
    if (outcome.kind === 'refused' && !isGone(outcome.cause)) return outcome
    this.options.onEvent('chunk set restarted')
    if (outcome.kind === 'sealed' || outcome.kind === 'refused') return (await this.movedOn(end, outcome)) ?? 'again'
    await sleep(this.options.timers, RETRY_MS)
    return 'again'
  }
}

/** What lies in the loglet for an entry that fits into it. */
function storedForm(bytes: Uint8Array): Uint8Array {
  return isMarked(bytes) ? escapeEntry(bytes) : bytes
}

function refused(code: 'LIMIT_EXCEEDED' | 'OVERLOADED' | 'TIMEOUT', message: string): AppendOutcome {
  return { kind: 'refused', cause: new DelosError(code, message) }
}
