// What a read level means at this server: what must have been applied before the read, and where it finds its rows.

import { DelosError } from '../../base/delos-error.ts'
import type { Clock, Timers } from '../../runtime/runtime.ts'
import type { ReadTx } from '../../store/local-store.ts'
import type { TableState } from '../apply/table-state.ts'
import type { ReadLevel } from '../messages.ts'
import type { TableLimits } from '../table-limits.ts'
import { snapshotGone } from './kept-past.ts'
import { PastMissing, PastRanges } from './past-ranges.ts'
import { CommittedRows, type RowSource } from './row-source.ts'
import { SnapshotRows } from './snapshot-rows.ts'

/** How often a read begins again when the past that it needs was walked through. */
const WALKS_MAX = 1000
const LEVELS: ReadonlySet<string> = new Set(['session', 'staleMs', 'snapshot'])

export interface ReadLevelParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly state: TableState
  readonly limits: TableLimits
  readonly store: { read(): ReadTx }
  sync(): Promise<unknown>
}

export class ReadLevels {
  private readonly parts: ReadLevelParts
  /** Everything that was acknowledged before this moment has been applied here. */
  private freshMs = Number.NEGATIVE_INFINITY
  /** For metrics. */
  pastWalks = 0
  private readonly ranges: PastRanges

  constructor(parts: ReadLevelParts) {
    this.parts = parts
    const { limits, state, store, timers } = parts
    this.ranges = new PastRanges({ state, store, timers, bytesMax: limits.snapshotBytesMax })
  }

  /** Transactions that reads of the past have looked at. */
  get pastTransactions(): number {
    return this.ranges.transactions
  }

  /** What was kept for pages that follow. */
  forget(): void {
    this.ranges.forget()
  }

  /** What this server has now; for the current synchronous section. */
  now(): RowSource {
    const { state, store } = this.parts
    const reader = store.read()
    state.load(reader)
    return new CommittedRows(state, reader)
  }

  /** What must happen before the read can be done; undefined: nothing. Rejects with what sync does, and UNSUPPORTED. */
  before(level: ReadLevel): Promise<unknown> | undefined {
    const { clock, state, store } = this.parts
    if (level === 'linearizable') return this.parts.sync()
    if (level === 'local') return undefined
    if (level === 'lease') {
      const advice = 'this stack has no engine Lease: read linearizable instead'
      return Promise.reject(new DelosError('UNSUPPORTED', `read level lease: ${advice}`))
    }
    const wrong = wrongLevel(level)
    if (wrong !== undefined) return Promise.reject(wrong)
    if ('staleMs' in level) {
      const nowMs = clock.monotonicMs()
      if (nowMs - this.freshMs <= level.staleMs) return undefined
      return this.parts.sync().then(() => {
        this.freshMs = Math.max(this.freshMs, nowMs)
      })
    }
    state.load(store.read())
    const wanted = 'session' in level ? level.session : level.snapshot
    state.histories.require(wanted)
    if (state.position >= wanted) return undefined
    return this.parts.sync().then(() => {
      state.histories.require(wanted)
      if (state.position >= wanted) return
      throw new DelosError('MISMATCH', `position ${wanted} is not of this history, which ends at ${state.position}`)
    })
  }

  /** Does the read, once `before` is over. Throws, or rejects with, SNAPSHOT_GONE and what `look` throws. */
  look<A>(level: ReadLevel, look: (source: RowSource) => A): A | Promise<A> {
    const now = this.now()
    if (typeof level !== 'object' || !('snapshot' in level) || level.snapshot === now.position) return look(now)
    return this.lookBack(level.snapshot, look)
  }

  private async lookBack<A>(position: number, look: (source: RowSource) => A): Promise<A> {
    const { ranges } = this
    const { state, store } = this.parts
    for (let left = WALKS_MAX; left > 0; left--) {
      const reader = store.read()
      state.load(reader)
      // What was before a restore is not walked back to: between the two lie all positions that were skipped.
      const keptFrom = Math.max(state.counters.oldestChange - 1, state.histories.begins)
      if (position < keptFrom) {
        throw snapshotGone(state, position, keptFrom)
      }
      try {
        return look(new SnapshotRows(position, { state, reader, ranges }))
      } catch (error) {
        if (!(error instanceof PastMissing)) throw error
        this.pastWalks++
        await error.walk()
      }
    }
    throw new DelosError('OVERLOADED', `position ${position}: more changes than can be followed back`)
  }
}

/** What is wrong with a read level that is not one of the texts. */
function wrongLevel(level: Exclude<ReadLevel, string>): DelosError | undefined {
  const all = 'linearizable, lease, local, { session }, { staleMs }, { snapshot }'
  const wrong = (reason: string): DelosError => new DelosError('INVALID_ARGUMENT', `level: ${reason}; there are ${all}`)
  if (typeof level !== 'object' || level === null) return wrong(`${String(level)} is not one`)
  const [name = '', ...more] = Object.keys(level)
  const value = (level as Readonly<Record<string, unknown>>)[name]
  if (!LEVELS.has(name) || more.length > 0) return wrong('this is not one')
  if (name === 'staleMs') return typeof value === 'number' && value >= 0 ? undefined : wrong('staleMs is from 0 on')
  return Number.isSafeInteger(value) && (value as number) >= 0 ? undefined : wrong(`${name} is a position`)
}
