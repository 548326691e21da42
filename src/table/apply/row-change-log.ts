// What every transaction changed, kept for the newest of them: the change feed and reads of the past come from here. Written
// and trimmed in apply, so it is the same on every server. A stored format:
//
//   count as varint, then for each row: table id as varint, primary key, stored row before, stored row after (empty: none)
//
// A table that loses its name, dropped or renamed, is told by an empty key and that name in the place of the row after.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import type { Key } from '../../base/key.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import type { StoredRow } from '../codec/stored-row.ts'
import { changeKey, changeRange, positionOfChange, segmentKey } from '../codec/table-keys.ts'
import type { KeptChanges } from '../messages.ts'
import type { Histories } from './histories.ts'
import type { TableCounters } from './table-counters.ts'

/** Positions whose bytes are counted together. */
const SEGMENT = 1024
/** Positions that one transaction forgets at most: more than come, so that the feed shrinks where its bytes are too many. */
const TRIM_STEP = 3

/** One changed row, as it is kept. */
export interface RowChange {
  readonly table: number
  /** The key fragment behind the prefix of the table. */
  readonly key: Key
  readonly before: Uint8Array | undefined
  readonly after: Uint8Array | undefined
}

/** The name that a table had up to this change, if it is not one of a row. */
export function lostName({ after, key }: RowChange): string | undefined {
  return key === '' && after !== undefined ? Buffer.from(after).toString('utf8') : undefined
}

const writer = new ByteWriter(4096)
const NOTHING = new Uint8Array(0)

export class ChangeLog {
  private readonly pending: RowChange[] = []
  private readonly histories: Histories
  private readonly retention: KeptChanges

  constructor(histories: Histories, retention: KeptChanges) {
    this.histories = histories
    this.retention = retention
  }

  /** In the order of the operations. */
  add(table: number, key: Key, before: StoredRow | undefined, after: StoredRow | undefined): void {
    this.pending.push({ table, key, before: before?.bytes, after: after?.bytes })
  }

  /** A table is not called so any more. */
  addLostName(table: number, name: string): void {
    this.pending.push({ table, key: '', before: undefined, after: Buffer.from(name) })
  }

  get isEmpty(): boolean {
    return this.pending.length === 0
  }

  /** The transaction was rejected: it changes nothing. */
  clear(): void {
    this.pending.length = 0
  }

  /** Writes what was added as the transaction at `counters.position`, and forgets what is too old. */
  write(tx: ReadWriteTx, counters: TableCounters): void {
    writer.reset()
    writer.varint(this.pending.length)
    for (const { after, before, key, table } of this.pending) {
      writer.varint(table)
      writer.key(key)
      writer.bytes(before ?? NOTHING)
      writer.bytes(after ?? NOTHING)
    }
    this.pending.length = 0
    tx.put(changeKey(counters.position), writer.toBytes())
    counters.segmentBytes += writer.size
    counters.changeBytes += writer.size
    if (counters.position % SEGMENT === SEGMENT - 1) endSegment(tx, counters)
    trim(tx, counters, this.histories, this.retention)
  }

  /** The positions that follow are not those behind the present one. */
  interrupt(tx: ReadWriteTx, counters: TableCounters): void {
    if (counters.position % SEGMENT !== SEGMENT - 1) endSegment(tx, counters)
  }
}

function endSegment(tx: ReadWriteTx, counters: TableCounters): void {
  writer.reset()
  writer.varint(counters.segmentBytes)
  tx.put(segmentKey(Math.floor(counters.position / SEGMENT)), writer.toBytes())
  counters.segmentBytes = 0
}

function trim(tx: ReadWriteTx, counters: TableCounters, histories: Histories, most: KeptChanges): void {
  for (let step = 0; step < TRIM_STEP; step++) {
    const kept = histories.count(counters.oldestChange, counters.position)
    const tooMany = kept >= most.transactions
    // The newest segments stay, however large: their bytes are not known one by one.
    const tooLarge = counters.changeBytes > most.bytes && kept > 2 * SEGMENT
    if (!tooMany && !tooLarge) return
    tx.delete(changeKey(counters.oldestChange))
    const next = counters.oldestChange + 1
    counters.oldestChange = histories.from(next)
    if (counters.oldestChange === next && next % SEGMENT !== 0) continue
    const ended = segmentKey(Math.floor((next - 1) / SEGMENT))
    const bytes = tx.get(ended)
    if (bytes === undefined) continue
    counters.changeBytes -= new ByteReader(bytes).varint()
    tx.delete(ended)
  }
}

/** Transactions at the positions [from, to), in order. */
export function* readChanges(
  reader: ReadTx,
  from: number,
  to: number,
  limit?: number,
): Iterable<{ readonly position: number; readonly changes: readonly RowChange[] }> {
  if (to <= from) return
  for (const [key, bytes] of reader.scan(changeRange(from, to), limit === undefined ? {} : { limit })) {
    yield { position: positionOfChange(key), changes: decodeChanges(bytes) }
  }
}

function decodeChanges(bytes: Uint8Array): readonly RowChange[] {
  const reader = new ByteReader(bytes)
  const changes: RowChange[] = []
  for (let left = reader.varint(); left > 0; left--) {
    const table = reader.varint()
    const key = reader.key()
    const before = reader.bytes()
    const after = reader.bytes()
    changes.push({
      table,
      key,
      before: before.length === 0 ? undefined : before,
      after: after.length === 0 ? undefined : after,
    })
  }
  return changes
}

/** What a row was before the transaction at a position, which must be there: by what it was first of all its changes in it. */
export function rowBefore(reader: ReadTx, position: number, table: number, key: Key): Uint8Array | undefined {
  const bytes = reader.get(changeKey(position))
  if (bytes === undefined) throw new DelosError('CORRUPT', `the change log lacks position ${position}`)
  const changes = new ByteReader(bytes)
  for (let left = changes.varint(); left > 0; left--) {
    const isTable = changes.varint() === table
    const chars = changes.varint()
    // Most are others: no text is made of them.
    if (isTable && chars === key.length && changes.raw(chars).latin1Slice(0, chars) === key) {
      const before = changes.bytes()
      return before.length === 0 ? undefined : before
    }
    if (!isTable || chars !== key.length) changes.skip(chars)
    changes.skip(changes.varint())
    changes.skip(changes.varint())
  }
  return undefined
}
