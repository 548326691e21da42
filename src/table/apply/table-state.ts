// The transaction that is being applied, as all parts of DelosTable see it: counters, catalog, rows in memory, row counts. It
// finds out itself when a transaction was dropped, so that nothing uncommitted survives in memory.

import { assert } from '../../base/assert.ts'
import type { Key } from '../../base/key.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import type { CompiledTable } from '../codec/compiled-table.ts'
import { type StoredRow, storedRow } from '../codec/stored-row.ts'
import { COUNTERS_RECORD, countKey } from '../codec/table-keys.ts'
import { REPLICATED_LIMITS, type StepLimits } from '../table-limits.ts'
import { Catalog } from './catalog.ts'
import { Retention } from './change-retention.ts'
import { Histories } from './histories.ts'
import { RowCache, type RowCacheLimits } from './row-cache.ts'
import { readCounters, type TableCounters, writeCounters } from './table-counters.ts'

const POWER_32 = 0x1_0000_0000

interface RowCount {
  rows: number
  /** The record in the open transaction: put once, written anew by each entry. */
  record: Buffer | undefined
}

export class TableState {
  readonly catalog = new Catalog()
  readonly histories = new Histories()
  readonly retention = new Retention()
  readonly rows: RowCache
  readonly steps: StepLimits
  private current: TableCounters | undefined
  private committedAt = 0
  private open: ReadWriteTx | undefined
  private record: Buffer | undefined
  private readonly counts = new Map<number, RowCount>()
  private lastPos = -1
  private lastIndex = -1
  private dirty = false

  constructor(limits: RowCacheLimits, steps: StepLimits = REPLICATED_LIMITS) {
    this.rows = new RowCache(limits)
    this.steps = steps
  }

  /** The open transaction; only inside apply. */
  get tx(): ReadWriteTx {
    assert(this.open, 'outside of apply')
    return this.open
  }

  /** As the open transaction sees them; after `load` or `begin`. */
  get counters(): TableCounters {
    assert(this.current, 'counters before load')
    return this.current
  }

  /** Of the last committed transaction; after `load`. */
  get position(): number {
    return this.committedAt
  }

  load(reader: ReadTx): void {
    if (this.current !== undefined) return
    this.catalog.load(reader)
    this.histories.load(reader)
    this.retention.load(reader)
    this.current = readCounters(reader)
    this.committedAt = this.current.position
  }

  /** Starts the apply of one entry. Positions ascend: if this one does not, the transaction before it was dropped. */
  begin(tx: ReadWriteTx, pos: number, index: number): void {
    const again = pos < this.lastPos || (pos === this.lastPos && index <= this.lastIndex)
    if (again && this.dirty) {
      this.forget()
      this.dirty = false
    }
    this.load(tx)
    this.open = tx
    this.lastPos = pos
    this.lastIndex = index
    this.dirty = true
  }

  /** Ends it: the counters go into the transaction. */
  end(): void {
    const { record } = this
    this.record = writeCounters(this.counters, record)
    if (record === undefined) this.tx.put(COUNTERS_RECORD, this.record)
    this.open = undefined
  }

  /** The transaction was committed. False if that is known already. */
  commit(): boolean {
    if (!this.dirty) return false
    this.rows.commit()
    if (this.current !== undefined) this.committedAt = this.current.position
    this.record = undefined
    for (const count of this.counts.values()) count.record = undefined
    this.dirty = false
    return true
  }

  /** Forgets all that memory holds of the store. */
  forget(): void {
    this.catalog.clear()
    this.rows.clear()
    this.counts.clear()
    this.current = undefined
    this.record = undefined
  }

  /** A row as the open transaction sees it. */
  row(key: Key): StoredRow | undefined {
    const cached = this.rows.get(key)
    if (cached !== undefined) return cached ?? undefined
    const bytes = this.tx.get(key)
    if (bytes === undefined) return undefined
    // Not written in this transaction, or it would be staged: it is committed.
    const row = storedRow(bytes)
    this.rows.admit(key, row)
    return row
  }

  /** A committed row; outside of apply. */
  committedRow(reader: ReadTx, key: Key): StoredRow | undefined {
    const cached = this.rows.committed(key)
    if (cached !== undefined) return cached
    const bytes = reader.get(key)
    if (bytes === undefined) return undefined
    const row = storedRow(bytes)
    this.rows.admit(key, row)
    return row
  }

  /** Committed rows, those that are not in memory all at once. */
  committedRows(reader: ReadTx, keys: readonly Key[]): (StoredRow | undefined)[] {
    const found: (StoredRow | undefined)[] = keys.map((key) => this.rows.committed(key))
    const missing = keys.filter((_, i) => found[i] === undefined)
    if (missing.length === 0) return found
    const read = reader.getMany(missing)
    let next = 0
    for (let i = 0; i < keys.length; i++) {
      if (found[i] !== undefined) continue
      const bytes = read[next++]
      if (bytes === undefined) continue
      const row = storedRow(bytes)
      this.rows.admit(keys[i] as Key, row)
      found[i] = row
    }
    return found
  }

  putRow(key: Key, row: StoredRow): void {
    this.tx.put(key, row.bytes)
    this.rows.stage(key, row)
  }

  deleteRow(key: Key): void {
    this.tx.delete(key)
    this.rows.stage(key, null)
  }

  /** Rows of a table, as the open transaction or, outside of apply, the committed state has them. */
  rowCount(reader: ReadTx, table: CompiledTable): number {
    return this.count(reader, table.id).rows
  }

  addToCount(table: number, by: number): void {
    if (by === 0) return
    const count = this.count(this.tx, table)
    count.rows += by
    const isNew = count.record === undefined
    count.record ??= Buffer.allocUnsafeSlow(8)
    count.record.writeUInt32BE(Math.floor(count.rows / POWER_32), 0)
    count.record.writeUInt32BE(count.rows % POWER_32, 4)
    if (isNew) this.tx.put(countKey(table), count.record)
  }

  /** The table is gone. */
  dropCount(table: number): void {
    this.counts.delete(table)
    this.tx.delete(countKey(table))
  }

  private count(reader: ReadTx, table: number): RowCount {
    let count = this.counts.get(table)
    if (count === undefined) {
      const bytes = reader.get(countKey(table))
      const stored = bytes === undefined ? undefined : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      const rows = stored === undefined ? 0 : stored.readUInt32BE(0) * POWER_32 + stored.readUInt32BE(4)
      count = { rows, record: undefined }
      this.counts.set(table, count)
    }
    return count
  }
}
