// Rows as they were at a position of the recent past: those of now that are no newer, and in the place of the others what the change
// log tells. Nothing is kept for it at writes.

import { DelosError } from '../../base/delos-error.ts'
import { type Key, keyAfterPrefix } from '../../base/key.ts'
import type { KeyRange, ReadTx, Row, ScanOptions } from '../../store/local-store.ts'
import { rowBefore } from '../apply/row-change-log.ts'
import type { TableState } from '../apply/table-state.ts'
import type { CompiledIndex } from '../codec/compiled-index.ts'
import type { CompiledTable } from '../codec/compiled-table.ts'
import { type StoredRow, storedRow, versionOfStored } from '../codec/stored-row.ts'
import { rowPrefix, tableOfRow } from '../codec/table-keys.ts'
import { snapshotGone } from './kept-past.ts'
import type { PastEntry, PastRange } from './past-range.ts'
import type { PastRanges } from './past-ranges.ts'
import type { RowSource } from './row-source.ts'

/** Changes of rows that are followed back one by one, in one section. */
const FOLLOWED_MAX = 1000
/** Rows, and entries whose rows must be looked at, that are passed over in one section because they are newer. */
const NEWER_ROWS_MAX = 10_000
const NEWER_ENTRIES_MAX = 2000
/** Entries whose rows are looked at together: few at first, since few may be asked for. */
const LOOKED_MIN = 16
const LOOKED_MAX = 128

export interface SnapshotParts {
  readonly state: TableState
  readonly reader: ReadTx
  readonly ranges: PastRanges
}

/** For the current synchronous section. All reads throw PastMissing where the change log must be walked through first. */
export class SnapshotRows implements RowSource {
  readonly position: number
  cutAt: Key | undefined
  private readonly parts: SnapshotParts
  /** Rows behind entries that a scan has shown: where the change log has them. */
  private readonly shown = new Map<Key, number>()
  private followed = 0

  constructor(position: number, parts: SnapshotParts) {
    this.position = position
    this.parts = parts
  }

  row(key: Key): StoredRow | undefined {
    return this.rows([key])[0]
  }

  rows(keys: readonly Key[]): readonly (StoredRow | undefined)[] {
    const { ranges, reader, state } = this.parts
    const now = state.committedRows(reader, keys)
    const found = keys.map((key, i) => this.follow(key, now[i]))
    if (!found.includes(null)) return found as readonly (StoredRow | undefined)[]
    // One walk for all of them.
    const sorted = keys.toSorted((a, b) => (a < b ? -1 : 1))
    const [from, to] = [sorted[0] as Key, `${sorted.at(-1)}\x00`]
    const wanted = { position: this.position, table: tableOfRow(from), index: 0, from, to, reverse: false }
    const past = ranges.of({ ...wanted, rows: new Set(keys) }).entries(from, to)
    const replacedAt = new Map(past.map((entry) => [entry.key, entry.replacedAt]))
    return keys.map((key, i) => {
      const row = found[i]
      if (row !== null) return row
      const at = replacedAt.get(key)
      return at === undefined ? undefined : this.before(at, key)
    })
  }

  /** From change to change; null: it was not there for a while, or changes all the time. */
  private follow(key: Key, now: StoredRow | undefined): StoredRow | undefined | null {
    const shown = this.shown.get(key)
    if (shown !== undefined) return this.before(shown, key)
    let row = now
    while (row !== undefined) {
      if (row.version <= this.position) return row
      if (this.followed++ >= FOLLOWED_MAX) return null
      row = this.before(row.version, key)
    }
    return null
  }

  *scan(table: CompiledTable, index: CompiledIndex | undefined, range: KeyRange, options: ScanOptions): Iterable<Row> {
    const { limit = Number.POSITIVE_INFINITY, reverse = false } = options
    const { from, to = keyAfterPrefix(table.prefixOf(index?.descriptor.id ?? 0)) as Key } = range
    const wanted = { position: this.position, table: table.id, index: index?.descriptor.id ?? 0, from, to, reverse }
    const past = this.parts.ranges.of(wanted)
    this.cutAt = past.cutIn(from, to)
    let given = 0
    for (const row of this.merged(past, from, to, table, index, options.keysOnly === true)) {
      if (given++ >= limit) return
      yield row
    }
  }

  /** What was replaced since and what stands, up to where the section has to end: `cutAt`. */
  private *merged(
    range: PastRange,
    from: Key,
    to: Key,
    table: CompiledTable,
    index: CompiledIndex | undefined,
    keysOnly: boolean,
  ): Iterable<Row> {
    const { reverse } = range.wanted
    const past = range.entries(from, to)
    const { cutAt } = this
    const known = cutAt === undefined ? { from, to } : reverse ? { from: cutAt, to } : { from, to: `${cutAt}\x00` }
    let next = 0
    // A row says how new it is, an entry does not.
    const now = this.parts.reader.scan(known, { reverse, keysOnly: keysOnly && index !== undefined })
    for (const row of index === undefined ? this.standing(now) : this.standingEntries(now, table, index)) {
      const [key] = row
      for (; next < past.length && range.isBefore((past[next] as PastEntry).key, key); next++) {
        yield this.replaced(past, next, index)
      }
      if (past[next]?.key === key) throw this.notUnique(index)
      yield row
    }
    const end = this.cutAt
    for (; next < past.length; next++) {
      if (end !== undefined && range.isBefore(end, (past[next] as PastEntry).key)) return
      yield this.replaced(past, next, index)
    }
  }

  /** Rows that are no newer. */
  private *standing(rows: Iterable<Row>): Iterable<Row> {
    let newer = 0
    for (const row of rows) {
      const [key, value] = row
      if (versionOfStored(value) <= this.position) yield row
      else if (++newer === NEWER_ROWS_MAX) {
        this.cutAt = key
        return
      }
    }
  }

  /** Entries whose rows are no newer. */
  private *standingEntries(entries: Iterable<Row>, table: CompiledTable, index: CompiledIndex): Iterable<Row> {
    let newer = 0
    let looked: Row[] = []
    let together = LOOKED_MIN
    for (const entry of entries) {
      looked.push(entry)
      if (looked.length < together) continue
      const standing = this.standingOf(looked, table, index)
      yield* standing
      newer += looked.length - standing.length
      if (newer >= NEWER_ENTRIES_MAX) {
        this.cutAt = entry[0]
        return
      }
      looked = []
      together = Math.min(LOOKED_MAX, together * 2)
    }
    yield* this.standingOf(looked, table, index)
  }

  private standingOf(entries: readonly Row[], table: CompiledTable, index: CompiledIndex): readonly Row[] {
    const { reader, state } = this.parts
    const keys = entries.map(([key, value]) => table.prefix + index.primaryKeyOf(key, value))
    const rows = state.committedRows(reader, keys)
    return entries.filter((_, i) => (rows[i]?.version ?? Number.POSITIVE_INFINITY) <= this.position)
  }

  private replaced(past: readonly PastEntry[], at: number, index: CompiledIndex | undefined): Row {
    const { key, replacedAt, row, value } = past[at] as PastEntry
    if (past[at + 1]?.key === key) throw this.notUnique(index)
    this.shown.set(row, replacedAt)
    return [key, index === undefined ? (this.before(replacedAt, row) as StoredRow).bytes : value]
  }

  private before(replacedAt: number, key: Key): StoredRow | undefined {
    const { reader, state } = this.parts
    const { oldestChange } = state.counters
    if (replacedAt < oldestChange) throw snapshotGone(state, this.position, oldestChange - 1)
    const table = tableOfRow(key)
    const bytes = rowBefore(reader, replacedAt, table, key.slice(rowPrefix(table).length))
    return bytes === undefined ? undefined : storedRow(bytes)
  }

  // A page can't end between two rows of one entry.
  private notUnique(index: CompiledIndex | undefined): DelosError {
    const advice = 'it was not there yet, and rows had the same values: read by the primary key'
    return new DelosError('INDEX_NOT_READY', `index ${index?.descriptor.name} at position ${this.position}: ${advice}`)
  }
}
