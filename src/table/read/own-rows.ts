// The committed state with what a transaction has written and not sent yet in its place: for its own reads. What must be so still when
// it is applied is the committed part of it: that is noted here, row by row, as a scan comes past it.

import { type Key, keyAfterPrefix } from '../../base/key.ts'
import type { KeyRange, Row, ScanOptions } from '../../store/local-store.ts'
import type { CompiledIndex } from '../codec/compiled-index.ts'
import type { CompiledTable } from '../codec/compiled-table.ts'
import { RangeDigest } from '../codec/range-digest.ts'
import { type StoredRow, versionOfStored } from '../codec/stored-row.ts'
import type { RowSource } from './row-source.ts'

/** By stored key; undefined: deleted. */
export type OwnWrites = ReadonlyMap<Key, StoredRow | undefined>

interface Passed {
  readonly key: Key
  readonly value: Uint8Array
  /** Undefined: the scan shows nothing that is not in the entry. */
  readonly version: number | undefined
}

/** Of one scan. */
export class OwnRows implements RowSource {
  cutAt: Key | undefined
  readonly position: number
  private readonly committed: RowSource
  private readonly own: OwnWrites
  private readonly isCovered: boolean
  private readonly passedMax: number
  private reverse = false
  private readonly passed: Passed[] = []

  /**
   * `isCovered`: the entries of the index show everything that is asked for. `passedMax`: after so many of the committed state the scan
   * ends, also if what was written hides them all.
   */
  constructor(committed: RowSource, own: OwnWrites, isCovered: boolean, passedMax: number) {
    this.committed = committed
    this.own = own
    this.isCovered = isCovered
    this.passedMax = passedMax
    this.position = committed.position
  }

  row(key: Key): StoredRow | undefined {
    return this.own.has(key) ? this.own.get(key) : this.committed.row(key)
  }

  rows(keys: readonly Key[]): readonly (StoredRow | undefined)[] {
    const committed = this.committed.rows(keys)
    return keys.map((key, i) => (this.own.has(key) ? this.own.get(key) : committed[i]))
  }

  *scan(table: CompiledTable, index: CompiledIndex | undefined, range: KeyRange, options: ScanOptions): Iterable<Row> {
    const { reverse = false } = options
    this.reverse = reverse
    const own = this.ownRows(table, index, range)
    let next = 0
    for (const row of this.committed.scan(table, index, range, options)) {
      const [key, value] = row
      for (; next < own.length && this.isBefore((own[next] as Row)[0], key); next++) yield own[next] as Row
      const stored = index === undefined ? key : table.prefix + index.primaryKeyOf(key, value)
      this.passed.push({ key, value, version: this.versionOf(index, stored, value) })
      if (!this.own.has(stored)) yield row
      if (this.passed.length < this.passedMax) continue
      this.cutAt = key
      return
    }
    for (; next < own.length; next++) yield own[next] as Row
  }

  /** What of the committed state the scan has shown, or not shown because it was written to, up to `last`; undefined: all of it. */
  evidence(last: Key | undefined): RangeDigest {
    const digest = new RangeDigest()
    for (const { key, value, version } of this.passed) {
      if (last !== undefined && this.isBefore(last, key)) break
      if (version === undefined) digest.addEntry(key, value)
      else digest.addRow(key, version)
    }
    return digest
  }

  private versionOf(index: CompiledIndex | undefined, stored: Key, value: Uint8Array): number | undefined {
    if (index === undefined) return versionOfStored(value)
    return this.isCovered ? undefined : (this.committed.row(stored)?.version ?? 0)
  }

  private ownRows(table: CompiledTable, index: CompiledIndex | undefined, { from, to }: KeyRange): readonly Row[] {
    const rows: Row[] = []
    const end = keyAfterPrefix(table.prefix) as Key
    for (const [stored, row] of this.own) {
      if (row === undefined || stored < table.prefix || stored >= end) continue
      const entry = index?.entryOf(row.row(table), stored.slice(table.prefix.length))
      if (index !== undefined && entry === undefined) continue
      const key = entry?.key ?? stored
      if (key >= from && (to === undefined || key < to)) rows.push([key, entry?.value ?? row.bytes])
    }
    return rows.sort(([a], [b]) => (this.isBefore(a, b) ? -1 : 1))
  }

  private isBefore(a: Key, b: Key): boolean {
    return this.reverse ? a > b : a < b
  }
}
