// The ranges of the past that reads look at (past-range.ts): kept for the pages that follow, and filled by one walk through the change
// log for all of them. However many reads there are, at however many positions, a transaction is decoded once for all that wait for
// it; and all ranges together are bounded by bytes: where that ends the largest one is cut, and its page ends there.

import { DelosError } from '../../base/delos-error.ts'
import type { Timers } from '../../runtime/runtime.ts'
import type { ReadTx } from '../../store/local-store.ts'
import { readChanges } from '../apply/row-change-log.ts'
import type { TableState } from '../apply/table-state.ts'
import { snapshotGone } from './kept-past.ts'
import { PastRange, type PastWanted } from './past-range.ts'

export interface PastParts {
  readonly state: TableState
  readonly store: { read(): ReadTx }
  readonly timers: Timers
  /** That all ranges hold together, about. */
  readonly bytesMax: number
}

/** Transactions looked at in one turn, by the walk or by a read itself: some ms. */
const PIECE = 1000
/** The same of rows before and after them, with the transaction at hand; a change costs as much as so many bytes. */
const PIECE_BYTES = 4 << 20
const CHANGE_BYTES = 1 << 10
/** As many reads can walk at a time. */
const RANGES_MAX = 256

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
  private ranges: PastRange[] = []
  /** Where the walk stands: it goes on to the end, then to whoever is left. */
  private place = 0
  private piece: Promise<void> | undefined

  constructor(parts: PastParts) {
    this.parts = parts
  }

  /** What is wanted, as of now; maybe cut. Throws PastMissing, SNAPSHOT_GONE; OVERLOADED if too many reads walk at a time. */
  of(wanted: PastWanted): PastRange {
    const range = this.ranges.findLast((one) => one.covers(wanted)) ?? this.begin(wanted)
    this.used(range)
    this.requireKept(range)
    // So little is not worth a turn.
    if (this.parts.state.position - range.upTo <= PIECE) this.look([range], range.upTo)
    if (!this.isComplete(range)) throw new PastMissing(() => this.walkTo(range))
    return range
  }

  /** Reads that walk begin again. */
  forget(): void {
    this.ranges = []
  }

  private begin(wanted: PastWanted): PastRange {
    this.ranges = this.ranges.filter((range) => range.readers > 0 || this.isKept(range))
    if (this.ranges.length >= RANGES_MAX && !this.dropIdle()) {
      throw new DelosError('OVERLOADED', `${RANGES_MAX} reads of the past are under way: wait, and try again`)
    }
    const range = new PastRange(wanted)
    this.ranges.push(range)
    return range
  }

  private used(range: PastRange): void {
    const at = this.ranges.indexOf(range)
    if (at >= 0) this.ranges.push(...this.ranges.splice(at, 1))
  }

  /** Of those for which nobody waits the one that was not used for longest. */
  private dropIdle(): boolean {
    const idle = this.ranges.findIndex(({ readers }) => readers === 0)
    if (idle >= 0) this.ranges.splice(idle, 1)
    return idle >= 0
  }

  private isComplete({ upTo }: PastRange): boolean {
    return upTo === this.parts.state.position
  }

  private isKept({ upTo }: PastRange): boolean {
    return upTo >= this.parts.state.counters.oldestChange - 1
  }

  private requireKept(range: PastRange): void {
    if (this.isKept(range)) return
    const { state } = this.parts
    throw snapshotGone(state, range.wanted.position, state.counters.oldestChange - 1)
  }

  private async walkTo(range: PastRange): Promise<void> {
    if (!this.ranges.includes(range)) this.ranges.push(range)
    range.readers++
    try {
      // Forgotten: the read begins anew.
      while (!this.isComplete(range) && this.ranges.includes(range)) {
        await this.nextPiece()
        this.requireKept(range)
      }
    } finally {
      range.readers--
      this.used(range)
    }
  }

  private nextPiece(): Promise<void> {
    const { timers } = this.parts
    this.piece ??= new Promise<void>((resolve) => timers.soon(resolve)).then(() => {
      this.piece = undefined
      this.walkOn()
    })
    return this.piece
  }

  /** One piece for all that wait, the next of those ahead of the walk: whoever comes later does not turn it back. */
  private walkOn(): void {
    const { state, store } = this.parts
    state.load(store.read())
    const waiting = this.ranges.filter((range) => range.readers > 0 && this.isKept(range) && !this.isComplete(range))
    if (waiting.length === 0) return
    const ahead = waiting.filter(({ upTo }) => upTo >= this.place)
    const from = Math.min(...(ahead.length > 0 ? ahead : waiting).map(({ upTo }) => upTo))
    this.place = this.look(
      waiting.filter(({ upTo }) => upTo >= from),
      from,
    )
  }

  /** What some ranges, all at `from` or ahead of it, have to know of a piece behind it. Answers how far that went. */
  private look(ranges: readonly PastRange[], from: number): number {
    const { bytesMax, state, store } = this.parts
    const looking = ranges.flatMap((range) => {
      const table = state.catalog.byIdOf(range.wanted.table)
      return table === undefined ? [] : [{ range, table }]
    })
    let reached = Math.min(state.position, from + PIECE)
    let bytes = 0
    let added = 0
    for (const { changes, position } of readChanges(store.read(), from + 1, reached + 1)) {
      for (const { range, table } of looking) {
        if (position > range.upTo) added += range.look(table, changes, position)
      }
      if (added > bytesMax) added = this.shrink()
      for (const { after, before } of changes) bytes += CHANGE_BYTES + (before?.length ?? 0) + (after?.length ?? 0)
      if (bytes < PIECE_BYTES) continue
      reached = position
      break
    }
    this.shrink()
    for (const range of ranges) range.upTo = Math.max(range.upTo, reached)
    this.transactions += reached - from
    return reached
  }

  /** The largest one gives way, half by half; it goes where it can't and nobody waits for it, or all others would come to nothing. */
  private shrink(): 0 {
    const { bytesMax } = this.parts
    while (this.ranges.reduce((sum, { bytes }) => sum + bytes, 0) > bytesMax) {
      const bySize = this.ranges.toSorted((a, b) => b.bytes - a.bytes)
      if (!bySize.some((range) => range.halve() || this.drop(range))) break
    }
    return 0
  }

  /** False: somebody waits for it. */
  private drop(range: PastRange): boolean {
    if (range.readers > 0) return false
    this.ranges = this.ranges.filter((one) => one !== range)
    return true
  }
}
