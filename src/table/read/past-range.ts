// What rows of a range, or entries of an index, were at a position of the past, as far as the change log has been walked through for
// it. Who walks, and how much all ranges hold together, is past-ranges.ts's.
//
// A change tells of the past if the row before it is at most as new as that position: then it was the first since. So what is kept
// are the rows of the range that were replaced or deleted since, however much else has changed. What a row was is not kept, but where
// the change log tells it.

import type { Key } from '../../base/key.ts'
import type { RowChange } from '../apply/row-change-log.ts'
import type { CompiledTable } from '../codec/compiled-table.ts'
import { storedRow, versionOfStored } from '../codec/stored-row.ts'

/** Which rows: those with keys in [from, to) of a table, or those whose entries in an index are. */
export interface PastWanted {
  readonly position: number
  readonly table: number
  /** 0: rows by their keys. */
  readonly index: number
  readonly from: Key
  readonly to: Key
  readonly reverse: boolean
  /** Of the rows in that range these alone: so many are held, however many others have changed. */
  readonly rows?: ReadonlySet<Key>
}

/** A row, or an entry, that was there. */
export interface PastEntry {
  readonly key: Key
  /** Of an entry. */
  readonly value: Uint8Array
  readonly row: Key
  /** Of the change that replaced it. */
  readonly replacedAt: number
}

/** What an entry holds beside its keys, about. */
const ENTRY_BYTES = 150
/** And what a row that is asked for does. */
const ROW_BYTES = 50
/** So many that are in no order yet are put into it, at least. */
const UNSORTED = 1024
const NOTHING = new Uint8Array(0)

export class PastRange {
  readonly wanted: PastWanted
  /** Everything up to this position was looked at. */
  upTo: number
  /** Reads that wait for more. */
  readers = 0
  /** What it holds, about. */
  bytes = 0
  private readonly found: PastEntry[] = []
  /** So many of them are in the order of the scan; the others come behind. */
  private sorted = 0
  /** Behind it, in the order of the scan, something may be missing; undefined: nowhere. */
  private through: Key | undefined

  constructor(wanted: PastWanted) {
    this.wanted = wanted
    this.upTo = wanted.position
    for (const key of wanted.rows ?? []) this.bytes += ROW_BYTES + key.length
  }

  /** Of [from, to), in the order of the scan. */
  entries(from: Key, to: Key): readonly PastEntry[] {
    this.sort()
    const { reverse } = this.wanted
    const [first, end] = reverse ? [to, from] : [from, to]
    const inOrder = reverse ? (key: Key) => key < first : (key: Key) => key >= first
    const isOver = reverse ? (key: Key) => key < end : (key: Key) => key >= end
    return this.found.slice(this.place(inOrder), this.place(isOver))
  }

  /** The last key of [from, to) up to which that is all; undefined: all of it. */
  cutIn(from: Key, to: Key): Key | undefined {
    const { through } = this
    if (through === undefined) return undefined
    return (this.wanted.reverse ? through <= from : through >= to) ? undefined : through
  }

  /** In the order of the scan. */
  isBefore(a: Key, b: Key): boolean {
    return this.wanted.reverse ? a > b : a < b
  }

  /** Does it know what is wanted, or at least what a scan of that begins with? */
  covers({ from, index, position, reverse, rows, table, to }: PastWanted): boolean {
    const { through, wanted } = this
    const hasRows = rows === undefined ? wanted.rows === undefined : [...rows].every((key) => wanted.rows?.has(key))
    return (
      hasRows &&
      table === wanted.table &&
      index === wanted.index &&
      position === wanted.position &&
      reverse === wanted.reverse &&
      from >= wanted.from &&
      to <= wanted.to &&
      (through === undefined || (reverse ? through < to : through >= from))
    )
  }

  /** Takes what a transaction tells, in their order. Answers how many bytes more it holds. `table`: the one that is wanted. */
  look(table: CompiledTable, changes: readonly RowChange[], replacedAt: number): number {
    const { position, table: id } = this.wanted
    const held = this.bytes
    for (const { before, key, table: changed } of changes) {
      if (changed !== id || before === undefined || versionOfStored(before) > position) continue
      this.take(table, table.prefix + key, before, replacedAt)
    }
    if (this.found.length - this.sorted > Math.max(UNSORTED, this.sorted >> 2)) this.sort()
    return this.bytes - held
  }

  /** Forgets about half of it: what the scan comes to last. False if that can't be. */
  halve(): boolean {
    if (this.wanted.rows !== undefined) return false
    this.sort()
    const { found } = this
    let kept = found.length >> 1
    // A scan can't end between two entries with one key.
    while (kept > 0 && kept < found.length && found[kept]?.key === found[kept - 1]?.key) kept++
    if (kept === 0 || kept === found.length) return false
    this.through = (found[kept - 1] as PastEntry).key
    for (let i = kept; i < found.length; i++) this.bytes -= bytesOf(found[i] as PastEntry)
    found.length = kept
    this.sorted = kept
    return true
  }

  private take(table: CompiledTable, row: Key, before: Uint8Array, replacedAt: number): void {
    const { from, index: id, rows, to } = this.wanted
    if (rows !== undefined && !rows.has(row)) return
    let key = row
    let value: Uint8Array = NOTHING
    if (id !== 0) {
      const index = table.indexes.find(({ descriptor }) => descriptor.id === id)
      const entry = index?.entryOf(storedRow(before).row(table), row.slice(table.prefix.length))
      if (entry === undefined) return
      key = entry.key
      value = entry.value
    }
    if (key < from || key >= to || (this.through !== undefined && this.isBefore(this.through, key))) return
    const entry = { key, value, row, replacedAt }
    this.found.push(entry)
    this.bytes += bytesOf(entry)
  }

  private sort(): void {
    if (this.sorted === this.found.length) return
    // Nearly all are in order already: that costs a look at each.
    this.found.sort((a, b) => (a.key === b.key ? 0 : this.isBefore(a.key, b.key) ? -1 : 1))
    this.sorted = this.found.length
  }

  /** Of the first entry of which that is so; it is so of all behind it. */
  private place(isSo: (key: Key) => boolean): number {
    let low = 0
    let high = this.found.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isSo((this.found[middle] as PastEntry).key)) high = middle
      else low = middle + 1
    }
    return low
  }
}

function bytesOf({ key, row, value }: PastEntry): number {
  return ENTRY_BYTES + key.length + value.length + (row === key ? 0 : row.length)
}
