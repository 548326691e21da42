// What rows of a range, or entries of an index, were at a position of the past: found by one walk through the change log since then,
// in pieces between turns of the event loop. Kept for the pages that follow, a few at a time, each of bounded size.
//
// A change tells of the past if the row before it is at most as new as that position: then it was the first since. So what a walk
// keeps are the rows of its range that were replaced or deleted since, however much else has changed. What a row was is not kept,
// but where the change log tells it.

import { DelosError } from '../../base/delos-error.ts'
import type { Key } from '../../base/key.ts'
import type { Timers } from '../../runtime/runtime.ts'
import type { ReadTx } from '../../store/local-store.ts'
import { readChanges } from '../apply/row-change-log.ts'
import type { TableState } from '../apply/table-state.ts'
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

export interface PastParts {
  readonly state: TableState
  readonly store: { read(): ReadTx }
  readonly timers: Timers
  /** Entries that one range holds: twice as many for a moment. */
  readonly entriesMax: number
}

/** Transactions looked at in one turn, by a walk or by the read itself: some ms. */
const PIECE = 1000
/** The same of rows before and after them, with the transaction at hand. */
const PIECE_BYTES = 4 << 20
const RANGES_MAX = 8
const NOTHING = new Uint8Array(0)

function atOnce({ entriesMax }: PastParts): number {
  return Math.min(PIECE, entriesMax)
}

/** Thrown inside of a read that has to wait: look again when `walk` has resolved. */
export class PastMissing extends Error {
  override readonly name = 'PastMissing'
  readonly walk: () => Promise<void>

  constructor(walk: () => Promise<void>) {
    super('the past has to be walked through first')
    this.walk = walk
  }
}

export class PastRanges {
  private readonly parts: PastParts
  /** Looked at so far. */
  transactions = 0
  /** The one used last comes last. */
  private readonly ranges: PastRange[] = []

  constructor(parts: PastParts) {
    this.parts = parts
  }

  /** What is wanted, as of now. Throws PastMissing, SNAPSHOT_GONE; OVERLOADED if too many reads walk at a time. */
  of(wanted: PastWanted): PastRange {
    const at = this.ranges.findLastIndex((range) => range.covers(wanted))
    const range = this.ranges[at] ?? this.begin(wanted)
    if (at >= 0) this.ranges.push(...this.ranges.splice(at, 1))
    if (!range.catchUp(atOnce(this.parts))) throw new PastMissing(() => range.walk())
    return range
  }

  /** Reads that walk begin again. */
  forget(): void {
    this.ranges.length = 0
  }

  /** What is known ends where this begins. */
  beyond(wanted: PastWanted): PastMissing {
    const range = this.begin(wanted)
    return new PastMissing(() => range.walk())
  }

  private begin(wanted: PastWanted): PastRange {
    if (this.ranges.length >= RANGES_MAX) this.makeRoom()
    const range = new PastRange(this.parts, wanted, (transactions) => {
      this.transactions += transactions
    })
    this.ranges.push(range)
    return range
  }

  private makeRoom(): void {
    const idle = this.ranges.findIndex(({ isWalking }) => !isWalking)
    if (idle < 0)
      throw new DelosError('OVERLOADED', `${RANGES_MAX} reads of the past are under way: wait, and try again`)
    this.ranges.splice(idle, 1)
  }
}

export class PastRange {
  private readonly parts: PastParts
  private readonly wanted: PastWanted
  private readonly looked: (transactions: number) => void
  private found: PastEntry[] = []
  private sorted = true
  /** Behind it, in the order of the scan, something may be missing. */
  private end: Key | undefined
  private upTo: number
  private walking: Promise<void> | undefined

  /** `looked`: told how many transactions were looked at. */
  constructor(parts: PastParts, wanted: PastWanted, looked: (transactions: number) => void) {
    this.parts = parts
    this.wanted = wanted
    this.looked = looked
    this.upTo = wanted.position
  }

  get isWalking(): boolean {
    return this.walking !== undefined
  }

  /** In the order of the scan; those of [from, to), as far as they are known. */
  entries(from: Key, to: Key): readonly PastEntry[] {
    const { reverse } = this.wanted
    if (!this.sorted) this.found.sort((a, b) => (a.key < b.key === reverse ? 1 : -1))
    this.sorted = true
    return this.found.filter(({ key }) => key >= from && key < to)
  }

  /** Something may be missing at the end. */
  get isCut(): boolean {
    return this.end !== undefined
  }

  /** In the order of the scan. */
  isFirst(a: Key, b: Key): boolean {
    return this.wanted.reverse ? a > b : a < b
  }

  /** Does the scan go on past what is known here? Then it ends before `key`, and its next page has a range of its own. */
  isBehind(key: Key): boolean {
    const { end } = this
    return end !== undefined && (this.wanted.reverse ? key <= end : key >= end)
  }

  covers({ from, index, position, reverse, rows, table, to }: PastWanted): boolean {
    const { wanted } = this
    // One that holds whatever it comes to first may end before them.
    const hasRows = rows === undefined ? wanted.rows === undefined : [...rows].every((key) => wanted.rows?.has(key))
    return (
      hasRows &&
      table === wanted.table &&
      index === wanted.index &&
      position === wanted.position &&
      reverse === wanted.reverse &&
      from >= wanted.from &&
      to <= wanted.to &&
      // The scan must have something to begin with.
      !this.isBehind(reverse ? to : from)
    )
  }

  /** Looks at one piece, at most so many transactions. True once that was everything that is committed. Throws SNAPSHOT_GONE. */
  catchUp(transactionsMax: number): boolean {
    const { state, store } = this.parts
    const reader = store.read()
    const { oldestChange } = state.counters
    if (this.upTo < oldestChange - 1) {
      const gone = `position ${this.wanted.position} is gone: what is kept begins at ${oldestChange - 1}`
      throw new DelosError('SNAPSHOT_GONE', gone)
    }
    const table = state.catalog.byIdOf(this.wanted.table)
    const most = Math.min(state.position, this.upTo + transactionsMax)
    const to = table === undefined ? most : this.look(reader, table, most)
    this.looked(to - this.upTo)
    this.upTo = to
    return to === state.position
  }

  /** The same in pieces, however much it is. */
  walk(): Promise<void> {
    this.walking ??= this.walkOn().finally(() => {
      this.walking = undefined
    })
    return this.walking
  }

  private async walkOn(): Promise<void> {
    const { timers } = this.parts
    const piece = atOnce(this.parts)
    for (let done = false; !done; ) {
      done = this.catchUp(piece)
      await new Promise<void>((resolve) => timers.soon(resolve))
    }
  }

  /** Answers how far it came. */
  private look(reader: ReadTx, table: CompiledTable, to: number): number {
    const { position, table: id } = this.wanted
    let bytes = 0
    for (const { changes, position: replacedAt } of readChanges(reader, this.upTo + 1, to + 1)) {
      for (const { after, before, key, table: changed } of changes) {
        bytes += (before?.length ?? 0) + (after?.length ?? 0)
        if (changed !== id || before === undefined || versionOfStored(before) > position) continue
        this.take(table, table.prefix + key, before, replacedAt)
      }
      if (bytes >= PIECE_BYTES) return replacedAt
    }
    return to
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
    if (key < from || key >= to || this.isBehind(key)) return
    this.found.push({ key, value, row, replacedAt })
    this.sorted = false
    if (rows === undefined && this.found.length > 2 * this.parts.entriesMax) this.cut()
  }

  /** Only those that the scan comes to first. */
  private cut(): void {
    const { entriesMax } = this.parts
    const sorted = this.entries(this.wanted.from, this.wanted.to)
    const end = (sorted[entriesMax] as PastEntry).key
    this.end = end
    this.found = sorted.filter(({ key }) => this.isFirst(key, end))
  }
}
