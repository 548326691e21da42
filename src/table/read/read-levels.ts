// What a read level means at this server: what must have been applied before the read, and where it finds its rows.

import { DelosError } from '../../base/delos-error.ts'
import type { Clock } from '../../runtime/runtime.ts'
import type { ReadTx } from '../../store/local-store.ts'
import type { TableState } from '../apply/table-state.ts'
import type { ReadLevel } from '../messages.ts'
import type { TableLimits } from '../table-limits.ts'
import { CommittedRows, PastRows, type RowSource } from './row-source.ts'

const LEVELS: ReadonlySet<string> = new Set(['session', 'staleMs', 'snapshot'])

export interface ReadLevelParts {
  readonly clock: Clock
  readonly state: TableState
  readonly limits: TableLimits
  readonly store: { read(): ReadTx }
  sync(): Promise<unknown>
}

export class ReadLevels {
  private readonly parts: ReadLevelParts
  /** Everything that was acknowledged before this moment has been applied here. */
  private freshMs = Number.NEGATIVE_INFINITY
  /** The newest snapshot that was read: the next page wants it again. */
  private past: PastRows | undefined

  constructor(parts: ReadLevelParts) {
    this.parts = parts
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
    if (state.position >= wanted) return undefined
    return this.parts.sync().then(() => {
      if (state.position >= wanted) return
      throw new DelosError('MISMATCH', `position ${wanted} is not of this history, which ends at ${state.position}`)
    })
  }

  /** Where the read finds its rows, once `before` is over. Throws SNAPSHOT_GONE. */
  source(level: ReadLevel): RowSource {
    const now = this.now()
    return typeof level === 'object' && 'snapshot' in level ? this.at(level.snapshot, now) : now
  }

  private at(position: number, now: RowSource): RowSource {
    const { limits, state, store } = this.parts
    if (position === now.position) return now
    const { oldestChange } = state.counters
    if (position < oldestChange - 1) {
      throw new DelosError('SNAPSHOT_GONE', `position ${position} is gone: what is kept begins at ${oldestChange - 1}`)
    }
    const past = this.past?.position === position ? this.past : new PastRows(position)
    if (!past.catchUp(state, store.read(), limits.snapshotChangesMax)) {
      this.past = undefined
      const { snapshotChangesMax } = limits
      throw new DelosError(
        'SNAPSHOT_GONE',
        `more than ${snapshotChangesMax} rows have changed since position ${position}`,
      )
    }
    this.past = past
    return past.source(now)
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
