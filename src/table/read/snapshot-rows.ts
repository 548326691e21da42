// Rows as they were at a position of the recent past: those of now that are no newer, and in the place of the others what the change
// log tells. Nothing is kept for it at writes.

import { DelosError } from '../../base/delos-error.ts'
import { type Key, keyAfterPrefix } from '../../base/key.ts'
import type { KeyRange, ReadTx, Row, ScanOptions } from '../../store/local-store.ts'
import { type RowsBefore, rowsBefore } from '../apply/row-change-log.ts'
import type { TableState } from '../apply/table-state.ts'
import type { CompiledIndex } from '../codec/compiled-index.ts'
import type { CompiledTable } from '../codec/compiled-table.ts'
import { type StoredRow, storedRow, versionOfStored } from '../codec/stored-row.ts'
import { tableOfRow } from '../codec/table-keys.ts'
import type { PastEntry, PastRange, PastRanges } from './past-ranges.ts'
import type { RowSource } from './row-source.ts'

/** Changes of one row that are followed back one by one. */
const FOLLOWED_MAX = 1000

export interface SnapshotParts {
  readonly state: TableState
  readonly reader: ReadTx
  readonly ranges: PastRanges
}

/** For the current synchronous section. All reads throw PastMissing where the change log must be walked through first. */
export class SnapshotRows implements RowSource {
  readonly position: number
  isCut = false
  private readonly parts: SnapshotParts
  /** Rows behind entries that a scan has shown: where the change log has them. */
  private readonly shown = new Map<Key, number>()
  /** The transaction read last: many rows may be of one. */
  private last: RowsBefore | undefined

  constructor(position: number, parts: SnapshotParts) {
    this.position = position
    this.parts = parts
  }

  row(key: Key): StoredRow | undefined {
    return this.rows([key])[0]
  }

  rows(keys: readonly Key[]): readonly (StoredRow | undefined)[] {
    const found = keys.map((key) => this.followed(key))
    if (!found.includes(null)) return found as readonly (StoredRow | undefined)[]
    // One walk for all of them.
    const sorted = keys.toSorted((a, b) => (a < b ? -1 : 1))
    const [from, to] = [sorted[0] as Key, `${sorted.at(-1)}\x00`]
    const wanted = { position: this.position, table: tableOfRow(from), index: 0, from, to, reverse: false }
    const past = this.parts.ranges.of({ ...wanted, rows: new Set(keys) }).entries(from, to)
    const replacedAt = new Map(past.map((entry) => [entry.key, entry.replacedAt]))
    return keys.map((key, i) => {
      const row = found[i]
      if (row !== null) return row
      const at = replacedAt.get(key)
      return at === undefined ? undefined : this.before(at, key)
    })
  }

  /** From change to change; null: it was not there for a while, or changes all the time. */
  private followed(key: Key): StoredRow | undefined | null {
    const { reader, state } = this.parts
    const shown = this.shown.get(key)
    if (shown !== undefined) return this.before(shown, key)
    let row = state.committedRow(reader, key)
    for (let left = FOLLOWED_MAX; row !== undefined && left > 0; left--) {
      if (row.version <= this.position) return row
      row = this.before(row.version, key)
    }
    return null
  }

  *scan(table: CompiledTable, index: CompiledIndex | undefined, range: KeyRange, options: ScanOptions): Iterable<Row> {
    const { limit = Number.POSITIVE_INFINITY, reverse = false } = options
    const { ranges, reader } = this.parts
    const { from, to = keyAfterPrefix(table.prefixOf(index?.descriptor.id ?? 0)) as Key } = range
    const wanted = { position: this.position, table: table.id, index: index?.descriptor.id ?? 0, from, to, reverse }
    const past = ranges.of(wanted)
    // A row says how new it is, an entry does not.
    const keysOnly = index !== undefined && options.keysOnly === true
    const now = reader.scan({ from, to }, { reverse, keysOnly })
    let given = 0
    this.isCut = false
    for (const row of this.merged(past, past.entries(from, to), now, table, index)) {
      if (given++ >= limit) return
      yield row
    }
    if (this.isCut && given === 0) throw ranges.beyond(wanted)
  }

  private *merged(
    range: PastRange,
    past: readonly PastEntry[],
    now: Iterable<Row>,
    table: CompiledTable,
    index: CompiledIndex | undefined,
  ): Iterable<Row> {
    let next = 0
    for (const row of now) {
      const [key] = row
      for (; next < past.length && range.isFirst((past[next] as PastEntry).key, key); next++) {
        yield this.shownEntry(past, next, index)
      }
      if (range.isBehind(key)) {
        this.isCut = true
        return
      }
      if (this.isNewer(row, table, index)) continue
      if (past[next]?.key === key) throw this.notUnique(index)
      yield row
    }
    for (; next < past.length; next++) yield this.shownEntry(past, next, index)
    this.isCut = range.isCut
  }

  private shownEntry(past: readonly PastEntry[], at: number, index: CompiledIndex | undefined): Row {
    const { key, replacedAt, row, value } = past[at] as PastEntry
    if (past[at + 1]?.key === key) throw this.notUnique(index)
    this.shown.set(row, replacedAt)
    return [key, index === undefined ? (this.before(replacedAt, row) as StoredRow).bytes : value]
  }

  private isNewer([key, value]: Row, table: CompiledTable, index: CompiledIndex | undefined): boolean {
    if (index === undefined) return versionOfStored(value) > this.position
    const { reader, state } = this.parts
    const row = state.committedRow(reader, table.prefix + index.primaryKeyOf(key, value))
    return row === undefined || row.version > this.position
  }

  private before(replacedAt: number, key: Key): StoredRow | undefined {
    const { reader, state } = this.parts
    if (replacedAt < state.counters.oldestChange) {
      throw new DelosError('SNAPSHOT_GONE', `position ${this.position} is gone: too much has changed since`)
    }
    if (this.last?.position !== replacedAt) this.last = rowsBefore(reader, replacedAt)
    const bytes = this.last.rows.get(key)
    return bytes === undefined ? undefined : storedRow(bytes)
  }

  // A page can't end between two rows of one entry.
  private notUnique(index: CompiledIndex | undefined): DelosError {
    const advice = 'it was not there yet, and rows had the same values: read by the primary key'
    return new DelosError('INDEX_NOT_READY', `index ${index?.descriptor.name} at position ${this.position}: ${advice}`)
  }
}
