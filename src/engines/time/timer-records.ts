// Timers as replicated state, in Time's key range. Stored formats:
//
//   t <id>  u8 format = 1, varint generation, varint delay in ms, varint count, (string server id)* of votes, payload: the rest
//   n       u8 format = 1, u64 count of the timers
//
// Not here: when a vote counts (time-engine.ts).

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import { type Key, keyAfterPrefix } from '../../base/key.ts'
import type { TimerId } from '../../engine/timer-service.ts'
import type { KeyRange, ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { rangeOfPrefix } from '../../store/sub-store.ts'

/** Timers of one database: the same for all servers, since apply refuses one more. */
export const TIMERS_MAX = 1_000_000

const FORMAT = 1

/** A timer as it is armed. */
export interface StoredTimer {
  /** Position of the entry that armed it. */
  readonly generation: number
  readonly delayMs: number
  /** Servers that have measured the delay of this generation. */
  readonly votes: readonly string[]
  readonly payload: Uint8Array
}

export class TimerRecords {
  private readonly timers: Key
  private readonly countKey: Key
  private readonly everything: KeyRange

  /** `prefix`: Time's key range, whose first key holds its flags. */
  constructor(prefix: Key) {
    this.timers = `${prefix}t`
    this.countKey = `${prefix}n`
    this.everything = { from: `${prefix}\x01`, to: keyAfterPrefix(prefix) }
  }

  count(tx: ReadTx): number {
    const stored = tx.get(this.countKey)
    if (stored === undefined) return 0
    const reader = new ByteReader(stored)
    requireFormat(reader)
    return reader.u64()
  }

  get(tx: ReadTx, id: TimerId): StoredTimer | undefined {
    const stored = tx.get(this.timers + id)
    return stored === undefined ? undefined : decode(stored)
  }

  /** All timers by id. */
  *all(tx: ReadTx): Iterable<readonly [TimerId, StoredTimer]> {
    for (const [key, stored] of tx.scan(rangeOfPrefix(this.timers))) {
      yield [key.slice(this.timers.length), decode(stored)]
    }
  }

  /** Throws LIMIT_EXCEEDED, before anything is written, if one more is too many. */
  put(tx: ReadWriteTx, id: TimerId, timer: StoredTimer): void {
    const key = this.timers + id
    if (tx.get(key) === undefined) {
      const count = this.count(tx)
      if (count >= TIMERS_MAX) throw new DelosError('LIMIT_EXCEEDED', `timersMax is ${TIMERS_MAX}, all are armed`)
      this.writeCount(tx, count + 1)
    }
    tx.put(key, encode(timer))
  }

  /** Unknown ones are ignored. */
  delete(tx: ReadWriteTx, id: TimerId): void {
    const key = this.timers + id
    if (tx.get(key) === undefined) return
    tx.delete(key)
    this.writeCount(tx, this.count(tx) - 1)
  }

  /** Everything of Time but its flags. */
  clear(tx: ReadWriteTx): void {
    const keys: Key[] = []
    for (const [key] of tx.scan(this.everything)) keys.push(key)
    for (const key of keys) tx.delete(key)
  }

  private writeCount(tx: ReadWriteTx, count: number): void {
    const writer = new ByteWriter(16)
    writer.u8(FORMAT)
    writer.u64(count)
    tx.put(this.countKey, writer.toBytes())
  }
}

function encode({ generation, delayMs, votes, payload }: StoredTimer): Uint8Array {
  const writer = new ByteWriter(32 + payload.length)
  writer.u8(FORMAT)
  writer.varint(generation)
  writer.varint(delayMs)
  writer.varint(votes.length)
  for (const vote of votes) writer.string(vote)
  writer.raw(payload)
  return writer.toBytes()
}

function decode(stored: Uint8Array): StoredTimer {
  const reader = new ByteReader(stored)
  requireFormat(reader)
  const generation = reader.varint()
  const delayMs = reader.varint()
  const votes: string[] = []
  for (let left = reader.varint(); left > 0; left--) votes.push(reader.string())
  return { generation, delayMs, votes, payload: reader.raw(reader.remaining) }
}

function requireFormat(reader: ByteReader): void {
  const format = reader.u8()
  if (format !== FORMAT) throw new DelosError('FORMAT', `a record of Time has format ${format}`)
}
