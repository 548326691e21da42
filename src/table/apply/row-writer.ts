// One row is put or deleted, with its index entries, its expiry and its record in the change log: everything that must always
// agree is written here and nowhere else. In apply only.

import type { Key } from '../../base/key.ts'
import type { CompiledIndex, IndexEntry } from '../codec/compiled-index.ts'
import type { CompiledTable } from '../codec/compiled-table.ts'
import type { RowData } from '../codec/row-codec.ts'
import { StoredRow, storedBytes } from '../codec/stored-row.ts'
import type { RejectionReason } from '../messages.ts'
import { REPLICATED_LIMITS } from '../table-limits.ts'
import type { Expiry } from './expiry.ts'
import type { ChangeLog } from './row-change-log.ts'
import type { TableState } from './table-state.ts'

/** Why a row can't be written. */
export interface WriteRefusal {
  readonly reason: RejectionReason
  readonly detail: string
  /** unique: the index, and the row that is there. */
  readonly index?: string
  readonly current?: StoredRow | undefined
}

/** Where something is written, and what is there. */
export interface RowPlace {
  readonly table: CompiledTable
  /** The primary key, and the same behind the prefix of the table. */
  readonly key: Key
  readonly storedKey: Key
  readonly old: StoredRow | undefined
}

/** A row to be written. */
export interface NewRow {
  readonly bytes: Uint8Array
  readonly row: RowData | undefined
}

export class RowWriter {
  private readonly state: TableState
  private readonly changes: ChangeLog
  private readonly expiry: Expiry
  // Entries of the row at hand, by place of the index; none where they stay as they are.
  private readonly before: (IndexEntry | undefined)[] = []
  private readonly after: (IndexEntry | undefined)[] = []

  constructor(state: TableState, changes: ChangeLog, expiry: Expiry) {
    this.state = state
    this.changes = changes
    this.expiry = expiry
  }

  /**
   * Puts a row at `version`, over the old one or where there is none. Nothing is written if it is refused. `wallMs`: of the
   * proposer.
   */
  put(
    { key, old, storedKey, table }: RowPlace,
    { bytes, row: known }: NewRow,
    version: number,
    wallMs: number,
  ): StoredRow | WriteRefusal {
    const { state } = this
    const { tx } = state
    const { indexes } = table
    const hasTtl = table.descriptor.ttl !== undefined
    const row = known ?? (indexes.length > 0 || hasTtl ? table.rows.read(bytes) : undefined)
    if (indexes.length > 0) {
      const refusal = this.planEntries(table, key, old, row as RowData)
      if (refusal !== undefined) return refusal
    }
    const tick = hasTtl ? this.expiry.tickFor(tx, table, row as RowData, wallMs) : 0
    const stored = new StoredRow(storedBytes(version, tick, bytes), row)
    if (tick !== 0 || (old !== undefined && old.expiryTick !== 0)) {
      this.expiry.moved(tx, storedKey, old?.expiryTick ?? 0, tick)
    }
    if (indexes.length > 0) this.writeEntries(table, key)
    state.putRow(storedKey, stored)
    this.changes.add(table.id, key, old, stored)
    return stored
  }

  /** `old` must be there. */
  delete({ key, storedKey, table }: RowPlace, old: StoredRow): void {
    const { state } = this
    const { indexes } = table
    if (indexes.length > 0) {
      const row = old.row(table)
      for (let i = 0; i < indexes.length; i++) {
        this.before[i] = (indexes[i] as CompiledIndex).entryOf(row, key)
        this.after[i] = undefined
      }
      this.writeEntries(table, key)
    }
    if (old.expiryTick !== 0) this.expiry.moved(state.tx, storedKey, old.expiryTick, 0)
    state.deleteRow(storedKey)
    this.changes.add(table.id, key, old, undefined)
  }

  private planEntries(
    table: CompiledTable,
    key: Key,
    old: StoredRow | undefined,
    row: RowData,
  ): WriteRefusal | undefined {
    const { indexes } = table
    const oldRow = old?.row(table)
    for (let i = 0; i < indexes.length; i++) {
      const index = indexes[i] as CompiledIndex
      if (oldRow !== undefined && index.isSameEntry(oldRow, row)) {
        this.before[i] = undefined
        this.after[i] = undefined
        continue
      }
      const before = oldRow === undefined ? undefined : index.entryOf(oldRow, key)
      const after = index.entryOf(row, key)
      this.before[i] = before
      this.after[i] = after
      if (after === undefined || after.key === before?.key) continue
      const { indexEntryBytesMax } = REPLICATED_LIMITS
      const bytes = after.key.length + after.value.length
      if (bytes > indexEntryBytesMax) {
        const { name } = index.descriptor
        const detail = `indexEntryBytesMax is ${indexEntryBytesMax}, the entry of index ${name} would be ${bytes}`
        return { reason: 'size', detail }
      }
      if (!index.descriptor.unique) continue
      const holder = this.state.tx.get(after.key)
      if (holder !== undefined) return this.duplicate(table, index, after.key, holder)
    }
    return undefined
  }

  private duplicate(table: CompiledTable, index: CompiledIndex, entry: Key, holder: Uint8Array): WriteRefusal {
    const current = this.state.row(table.prefix + index.primaryKeyOf(entry, holder))
    const { name } = index.descriptor
    return { reason: 'unique', index: name, current, detail: `another row has the same values in unique index ${name}` }
  }

  private writeEntries(table: CompiledTable, key: Key): void {
    const { tx } = this.state
    const { indexes } = table
    for (let i = 0; i < indexes.length; i++) {
      const before = this.before[i]
      const after = this.after[i]
      if (before !== undefined && before.key !== after?.key) {
        if (this.owns(indexes[i] as CompiledIndex, key, before)) tx.delete(before.key)
      }
      if (after === undefined) continue
      if (before?.key === after.key) {
        if (sameBytes(before.value, after.value) || !this.owns(indexes[i] as CompiledIndex, key, before)) continue
      }
      tx.put(after.key, after.value)
    }
  }

  /** While a unique index is being built, or has failed, an entry may be that of another row with the same values. */
  private owns(index: CompiledIndex, key: Key, entry: IndexEntry): boolean {
    if (!index.descriptor.unique || index.descriptor.state === 'ready') return true
    const holder = this.state.tx.get(entry.key)
    return holder !== undefined && index.primaryKeyOf(entry.key, holder) === key
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || (a.length === b.length && (a.length === 0 || Buffer.compare(a, b) === 0))
}
