// Where reads find rows: the committed state, or the past that the change log gives back. The same two questions either way.

import { DelosError } from '../../base/delos-error.ts'
import { type Key, keyAfterPrefix } from '../../base/key.ts'
import type { KeyRange, ReadTx, Row, ScanOptions } from '../../store/local-store.ts'
import { readChanges } from '../apply/row-change-log.ts'
import type { TableState } from '../apply/table-state.ts'
import type { CompiledIndex } from '../codec/compiled-index.ts'
import type { CompiledTable } from '../codec/compiled-table.ts'
import { type StoredRow, storedRow } from '../codec/stored-row.ts'

export interface RowSource {
  readonly position: number
  /** Rows by their stored keys. */
  row(key: Key): StoredRow | undefined
  rows(keys: readonly Key[]): readonly (StoredRow | undefined)[]
  /** Rows of a table, or entries of an index, in order. */
  scan(table: CompiledTable, index: CompiledIndex | undefined, range: KeyRange, options: ScanOptions): Iterable<Row>
}

export class CommittedRows implements RowSource {
  readonly position: number
  private readonly state: TableState
  private readonly reader: ReadTx

  constructor(state: TableState, reader: ReadTx) {
    this.state = state
    this.reader = reader
    this.position = state.position
  }

  row(key: Key): StoredRow | undefined {
    return this.state.committedRow(this.reader, key)
  }

  rows(keys: readonly Key[]): readonly (StoredRow | undefined)[] {
    return this.state.committedRows(this.reader, keys)
  }

  scan(_table: CompiledTable, _index: CompiledIndex | undefined, range: KeyRange, options: ScanOptions): Iterable<Row> {
    return this.reader.scan(range, options)
  }
}

/** What has changed since a position: the rows as they were there. */
export class PastRows {
  readonly position: number
  /** By stored key; undefined: there was none. */
  private readonly before = new Map<Key, Uint8Array | undefined>()
  private upTo: number
  private changes = 0

  constructor(position: number) {
    this.position = position
    this.upTo = position
  }

  /** Takes in what was committed since. False if that is more than `changesMax`. */
  catchUp(state: TableState, reader: ReadTx, changesMax: number): boolean {
    for (const { changes, position } of readChanges(reader, this.upTo + 1, state.position + 1)) {
      for (const change of changes) {
        const prefix = state.catalog.byIdOf(change.table)?.prefix
        const key = prefix === undefined ? undefined : prefix + change.key
        // The first change since then replaced what was there.
        if (key !== undefined && !this.before.has(key)) this.before.set(key, change.before)
        if (++this.changes > changesMax) return false
      }
      this.upTo = position
    }
    return true
  }

  source(current: RowSource): RowSource {
    return new SnapshotRows(this.position, this.before, current)
  }
}

class SnapshotRows implements RowSource {
  readonly position: number
  private readonly before: ReadonlyMap<Key, Uint8Array | undefined>
  private readonly current: RowSource

  constructor(position: number, before: ReadonlyMap<Key, Uint8Array | undefined>, current: RowSource) {
    this.position = position
    this.before = before
    this.current = current
  }

  row(key: Key): StoredRow | undefined {
    return this.rows([key])[0]
  }

  rows(keys: readonly Key[]): readonly (StoredRow | undefined)[] {
    const current = this.current.rows(keys)
    return keys.map((key, i) => {
      if (!this.before.has(key)) return current[i]
      const bytes = this.before.get(key)
      return bytes === undefined ? undefined : storedRow(bytes)
    })
  }

  *scan(table: CompiledTable, index: CompiledIndex | undefined, range: KeyRange, options: ScanOptions): Iterable<Row> {
    const { limit = Number.POSITIVE_INFINITY, reverse = false } = options
    const past = this.pastEntries(table, index, range, reverse)
    let next = 0
    let left = limit
    const isFirst = (a: Key, b: Key): boolean => (reverse ? a > b : a < b)
    for (const row of this.current.scan(table, index, range, { reverse })) {
      const [key, value] = row
      for (; next < past.length && isFirst((past[next] as Row)[0], key); next++) {
        if (left-- <= 0) return
        yield past[next] as Row
      }
      const changed = index === undefined ? key : table.prefix + index.primaryKeyOf(key, value)
      if (this.before.has(changed)) continue
      if (next < past.length && (past[next] as Row)[0] === key) throw this.notUnique(index)
      if (left-- <= 0) return
      yield row
    }
    for (; next < past.length; next++) {
      if (left-- <= 0) return
      yield past[next] as Row
    }
  }

  /** Rows, or index entries, that are there no more, or are others now. */
  private pastEntries(
    table: CompiledTable,
    index: CompiledIndex | undefined,
    { from, to }: KeyRange,
    reverse: boolean,
  ): readonly Row[] {
    const rows: Row[] = []
    const end = keyAfterPrefix(table.prefix) as Key
    for (const [key, bytes] of this.before) {
      if (bytes === undefined || key < table.prefix || key >= end) continue
      const entry =
        index === undefined
          ? { key, value: bytes }
          : index.entryOf(storedRow(bytes).row(table), key.slice(table.prefix.length))
      if (entry === undefined || entry.key < from || (to !== undefined && entry.key >= to)) continue
      rows.push([entry.key, entry.value])
    }
    rows.sort(([a], [b]) => (a < b === reverse ? 1 : -1))
    for (let i = 1; i < rows.length; i++)
      if ((rows[i] as Row)[0] === (rows[i - 1] as Row)[0]) throw this.notUnique(index)
    return rows
  }

  // A page can't end between two rows of one entry.
  private notUnique(index: CompiledIndex | undefined): DelosError {
    const advice = 'it was not there yet, and rows had the same values: read by the primary key'
    return new DelosError('INDEX_NOT_READY', `index ${index?.descriptor.name} at position ${this.position}: ${advice}`)
  }
}
