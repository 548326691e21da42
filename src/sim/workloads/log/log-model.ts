// What a shared log has promised so far, and the check of every answer against it: one value a position for ever, nothing
// acknowledged lost or misplaced, order in real time, no trim past what was asked. Not here: who calls the log (log-clients.ts).

import { assert } from '../../../base/assert.ts'
import type { LogPos } from '../../../log/position.ts'
import type { LogRead } from '../../../log/shared-log.ts'
import { check } from '../../workload.ts'

/** Unknown: no answer yet, or `indeterminate`, or the process died first. */
export type Fate = 'unknown' | 'acknowledged' | 'refused'

/** One entry that a client gave to the log. */
export interface AppendRecord {
  readonly id: number
  readonly bytes: Uint8Array
  /** Positions below were settled before the append began: it can't land there. */
  readonly floor: number
  fate: Fate
  /** Where it was acknowledged or seen first. */
  pos: number | undefined
}

// A complete read found no entry there.
const HOLE = 'nothing'
const MARK = Buffer.from([0xf5, 0x44, 0x43, 0x01])

export class LogModel {
  /** Every position below is settled: an acknowledged append, a tail or a complete read has shown it. */
  floor = 0
  /** The highest position up to which somebody asked to trim. */
  trimAsked = 0
  /** Entries found at a second position. */
  duplicates = 0
  private readonly mayDuplicate: boolean
  private readonly records: AppendRecord[] = []
  private readonly values = new Map<number, AppendRecord | typeof HOLE>()
  /** Positions that an operator has tried to void. */
  private readonly voided = new Set<number>()

  /** `mayDuplicate`: loglets below may store an entry twice. */
  constructor(mayDuplicate: boolean) {
    this.mayDuplicate = mayDuplicate
  }

  /** A new entry of `length` bytes or a few more. `marked`: it begins like a chunk and has to be escaped. */
  begin(length: number, marked: boolean): AppendRecord {
    const id = this.records.length
    const text = Buffer.from(`${id}:`.padEnd(length, String.fromCharCode(97 + (id % 26))))
    const bytes = marked ? Buffer.concat([MARK, text]) : text
    const record: AppendRecord = { id, bytes, floor: this.floor, fate: 'unknown', pos: undefined }
    this.records.push(record)
    return record
  }

  acknowledged(record: AppendRecord, pos: LogPos): void {
    const { id, floor } = record
    check(pos >= floor, `entry ${id} was acknowledged at ${pos}, though everything below ${floor} was settled before`)
    record.fate = 'acknowledged'
    this.settle(pos, record)
    this.raise(pos + 1)
  }

  refused(record: AppendRecord): void {
    check(record.pos === undefined, `entry ${record.id} was refused and is in the log at ${record.pos}`)
    record.fate = 'refused'
  }

  /** An answer to checkTail that was asked when `floor` was `asked`. */
  tail(asked: number, tail: LogPos): void {
    check(tail >= asked, `checkTail answered ${tail}, though everything below ${asked} was settled before`)
    this.raise(tail)
  }

  /** The log said by itself that it reaches to `tail`. */
  tailMoved(tail: LogPos): void {
    this.raise(tail)
  }

  /** An answer to readNext, asked when the reader's log knew that `voidedThen` are void. */
  read(from: LogPos, to: LogPos, voidedThen: readonly LogPos[], read: LogRead): void {
    const { entries, next, trimmedTo } = read
    const start = trimmedTo ?? from
    if (trimmedTo !== undefined) {
      check(trimmedTo > from, `a read from ${from} says that it was trimmed to ${trimmedTo}`)
      check(trimmedTo <= this.trimAsked, `trimmed to ${trimmedTo}, though asked for no more than ${this.trimAsked}`)
    }
    check(next >= start, `a read from ${start} goes on at ${next}`)
    check(next <= Math.max(to, start), `a read up to ${to} goes on at ${next}`)
    let at: number = start
    for (const { bytes, pos, voided } of entries) {
      check(pos >= at && pos < next, `a read of [${start}, ${next}) holds an entry at ${pos}, where ${at} comes next`)
      while (at < pos) this.settle(at++, HOLE)
      this.settle(at++, this.recordOf(bytes, pos))
      if (voided) check(this.voided.has(pos), `position ${pos} is void, though nobody asked for it`)
      else check(!voidedThen.includes(pos), `position ${pos} is not void any more`)
    }
    while (at < next) this.settle(at++, HOLE)
    this.raise(next)
  }

  /** The oldest readable position, as the log tells. */
  oldest(pos: LogPos): void {
    check(
      pos <= this.trimAsked,
      `the log begins at ${pos}, though trimming was asked for no more than ${this.trimAsked}`,
    )
  }

  askTrim(to: number): void {
    this.trimAsked = Math.max(this.trimAsked, to)
  }

  /** An operator is about to void `pos`. */
  askVoid(pos: LogPos): void {
    this.voided.add(pos)
  }

  /** An operator gave up everything at or past `end`: what was there is gone, and its positions are used again. */
  giveUp(end: number): void {
    for (const [pos, value] of this.values) {
      if (pos < end) continue
      this.values.delete(pos)
      if (value !== HOLE && value.pos === pos) value.pos = undefined
    }
    this.floor = Math.min(this.floor, end)
  }

  private raise(floor: number): void {
    if (floor > this.floor) this.floor = floor
  }

  private settle(pos: number, value: AppendRecord | typeof HOLE): void {
    const known = this.values.get(pos)
    if (known === value) return
    check(known === undefined, `position ${pos} held ${nameOf(known)} and now holds ${nameOf(value)}`)
    this.values.set(pos, value)
    if (value === HOLE) return
    check(value.fate !== 'refused', `entry ${value.id} was refused and is at ${pos}`)
    check(pos >= value.floor, `entry ${value.id} is at ${pos}, below ${value.floor}, where nothing was free any more`)
    if (value.pos === undefined) value.pos = pos
    else {
      check(this.mayDuplicate, `entry ${value.id} is at ${value.pos} and at ${pos}`)
      this.duplicates++
    }
  }

  private recordOf(bytes: Uint8Array, pos: LogPos): AppendRecord {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    const start = buffer.subarray(0, MARK.length).equals(MARK) ? MARK.length : 0
    const record = this.records[Number.parseInt(buffer.toString('latin1', start, start + 12), 10)]
    check(record !== undefined && buffer.equals(record.bytes), `the entry at ${pos} is none that was appended`)
    assert(record, 'checked above')
    return record
  }
}

function nameOf(value: AppendRecord | typeof HOLE | undefined): string {
  return typeof value === 'object' ? `entry ${value.id}` : String(value)
}
