// Reads of one server: each at its level, in one synchronous section, counted. What a read does is table-reads.ts's, what a level
// means read-levels.ts's.

import { DelosError } from '../../base/delos-error.ts'
import type { Key } from '../../base/key.ts'
import type { LeasedReads } from '../../engine/leased-reads.ts'
import type { Clock, Timers } from '../../runtime/runtime.ts'
import type { ReadTx } from '../../store/local-store.ts'
import type { TableState } from '../apply/table-state.ts'
import { requireKnown } from '../codec/check-request.ts'
import type { CompiledTable } from '../codec/compiled-table.ts'
import type { RowData } from '../codec/row-codec.ts'
import type {
  CountRequest,
  GetManyRequest,
  GetRequest,
  KeyData,
  Position,
  ReadLevel,
  RowAnswer,
  ScanAnswer,
  ScanRequest,
} from '../messages.ts'
import type { TableLimits } from '../table-limits.ts'
import type { ReadKind, TableRequestStats } from '../table-stats.ts'
import { coldRows } from './cold-rows.ts'
import { OwnRows, type OwnWrites } from './own-rows.ts'
import { decodePageToken } from './page-token.ts'
import type { ReadLevels } from './read-levels.ts'
import { examinedMaxOf, Page, runScan } from './row-scan.ts'
import type { RowSource } from './row-source.ts'
import { planScan, type ScanPlan } from './scan-plan.ts'
import { countKeys, countPage, readRow, readRows, tooManyCounted } from './table-reads.ts'

export interface ReadingParts {
  readonly clock: Clock
  readonly leasedReads: LeasedReads | undefined
  readonly levels: ReadLevels
  /** LocalStore.prefetch, if scans shall fetch rows ahead. */
  readonly prefetch: ((keys: readonly Key[]) => Promise<void>) | undefined
  readonly limits: TableLimits
  /** Rows that a read looks at in one turn. */
  readonly pieceRows: number | undefined
  readonly state: TableState
  readonly stats: TableRequestStats
  readonly timers: Timers
  readonly store: { read(): ReadTx }
  /** Throws UNKNOWN_TABLE. */
  table(name: string): CompiledTable
}

const COUNT_MEMBERS: ReadonlySet<string> = new Set(['table', 'index', 'prefix', 'filter', 'level'])
/** Rows or entries that a read looks at in one turn: some ms. Of the past each costs more; of now a full page is one. */
const NOW_ROWS = 10_000
const PAST_ROWS = 1000
const UNTIMED = -1

/** How many rows a turn looks at, at a level. */
type PieceOf = (level: ReadLevel) => number

interface Refusals {
  refused: number
}

/** Reads that are a part of something else. */
const UNCOUNTED: Refusals = { refused: 0 }

export class TableReading {
  private readonly parts: ReadingParts

  constructor(parts: ReadingParts) {
    this.parts = parts
  }

  get({ key, level = 'linearizable', table }: GetRequest): Promise<RowAnswer> {
    return this.counted('get', level, (source) => readRow(this.tableAt(table, source), key, source))
  }

  /** The row alone: the hot path. */
  getRow(table: string, key: KeyData, level: ReadLevel): Promise<RowData | undefined> {
    return this.counted('get', level, (source) => readRow(this.tableAt(table, source), key, source).row)
  }

  /** What this server has, in the current synchronous section. */
  getNow(table: string, key: KeyData): RowAnswer {
    return readRow(this.parts.table(table), key, this.parts.levels.now())
  }

  getMany({ keys, level = 'linearizable', table }: GetManyRequest): Promise<readonly RowAnswer[]> {
    return this.counted('get_many', level, (source) =>
      readRows(this.tableAt(table, source), keys, source, this.parts.limits),
    )
  }

  /**
   * One page, in turns where it looks at much: the first one says at which position, and those that follow show just that, so it is as
   * if all had been one. If so little of the past is kept that this is gone, it is one.
   */
  async scan(request: ScanRequest): Promise<ScanAnswer> {
    const { level = 'linearizable' } = request
    const { clock, stats } = this.parts
    const startMs = stats.sampled() ? clock.monotonicMs() : UNTIMED
    const counts = stats.requests.scan
    try {
      const answer = await this.orAtOnce(level, (piece) => this.scanInTurns(request, level, piece))
      counts.answered++
      if (startMs !== UNTIMED) stats.times.scan.record(clock.monotonicMs() - startMs)
      return answer
    } catch (error) {
      counts.refused++
      throw error
    }
  }

  private async scanInTurns(request: ScanRequest, level: ReadLevel, piece: PieceOf): Promise<ScanAnswer> {
    const { limits, timers } = this.parts
    let page: Page | undefined
    let now = level
    const look = (source: RowSource): ScanAnswer | Position => {
      this.requirePage(request)
      const table = this.tableAt(request.table, source)
      // Under another schema it begins anew.
      if (page?.plan.table !== table) {
        page = new Page(planScan(table, request, limits), limits, request.evidence === true)
      }
      page.look(source, piece(now))
      return page.isOver ? page.answer(source) : source.position
    }
    for (;;) {
      // If that fails the read itself says why.
      await this.prefetch(request, page?.rest)?.catch(() => undefined)
      const answer = await this.read(now, look)
      if (typeof answer !== 'number') return answer
      now = { snapshot: answer }
      await new Promise<void>((resolve) => timers.soon(resolve))
    }
  }

  private async orAtOnce<A>(level: ReadLevel, read: (piece: PieceOf) => Promise<A>): Promise<A> {
    const piece = (now: ReadLevel): number => this.parts.pieceRows ?? (isOfThePast(now) ? PAST_ROWS : NOW_ROWS)
    try {
      return await read(piece)
    } catch (error) {
      const isGone = error instanceof DelosError && error.code === 'SNAPSHOT_GONE'
      if (!isGone || isOfThePast(level)) throw error
      return await read(() => Number.POSITIVE_INFINITY)
    }
  }

  scanOver(request: ScanRequest, own: OwnWrites): ScanAnswer {
    const { levels, limits, table } = this.parts
    this.requirePage(request)
    const plan = planScan(table(request.table), request, limits)
    const source = new OwnRows(levels.now(), own, plan.covered !== undefined, examinedMaxOf(limits, true))
    return runScan(plan, source, limits, true)
  }

  /** Throws UNKNOWN_TABLE, and SNAPSHOT_GONE at positions where the name was another table's, or nobody's. */
  private tableAt(name: string, { position }: RowSource): CompiledTable {
    const table = this.parts.table(name)
    if (position >= table.namedAt) return table
    const why = `table ${name} has this name since position ${table.namedAt}, and is not read as it was before`
    throw new DelosError('SNAPSHOT_GONE', why)
  }

  /** Of a history that a restore has left it may be a page of another table. */
  private requirePage({ page }: ScanRequest): void {
    if (page !== undefined) this.parts.state.histories.require(decodePageToken(page).position)
  }

  /** `rest`: of the plan, if a part of it was done. */
  private prefetch(request: ScanRequest, rest?: ScanPlan): Promise<void> | undefined {
    const { prefetch, store } = this.parts
    if (prefetch === undefined || request.index === undefined) return undefined
    try {
      const plan = rest ?? planScan(this.parts.table(request.table), request, this.parts.limits)
      const cold = coldRows(plan, store.read(), this.parts.state.rows)
      return cold.length === 0 ? undefined : prefetch(cold)
    } catch {
      return undefined // What is wrong with the request, or not known here yet, the read tells.
    }
  }

  async count(request: CountRequest): Promise<number> {
    const { filter, index, level = 'linearizable', prefix, table: name } = request
    const counts = this.parts.stats.requests.count
    if (isOfThePast(level) || filter !== undefined) {
      try {
        const count = await this.orAtOnce(level, (piece) => this.countInTurns(request, level, piece))
        counts.answered++
        return count
      } catch (error) {
        counts.refused++
        throw error
      }
    }
    return this.counted('count', level, (source) => {
      requireKnown(request, COUNT_MEMBERS, 'a count')
      const table = this.parts.table(name)
      const isWhole = index === undefined && prefix === undefined
      if (isWhole) return this.parts.state.rowCount(this.parts.store.read(), table)
      return countKeys(table, request, source, this.parts.limits)
    })
  }

  /** Page by page, all at one position. */
  private async countInTurns(request: CountRequest, level: ReadLevel, piece: PieceOf): Promise<number> {
    requireKnown(request, COUNT_MEMBERS, 'a count')
    const { limits, timers } = this.parts
    let count = 0
    let examined = 0
    let page: string | undefined
    let now = level
    const look = (source: RowSource) => ({
      ...countPage(this.tableAt(request.table, source), request, page, source, limits, piece(now)),
      position: source.position,
    })
    while (examined <= limits.countedMax) {
      const counted = await this.read(now, look)
      count += counted.count
      examined += counted.examined
      page = counted.page
      if (page === undefined) return count
      now = { snapshot: counted.position }
      await new Promise<void>((resolve) => timers.soon(resolve))
    }
    throw tooManyCounted(limits)
  }

  /** The same, with what becomes of it. No promise more than the read itself has, where it is of now. */
  private counted<A>(kind: ReadKind, level: ReadLevel, look: (source: RowSource) => A): Promise<A> {
    const { clock } = this.parts
    const counts = this.parts.stats.requests[kind]
    const startMs = this.parts.stats.sampled() ? clock.monotonicMs() : UNTIMED
    const looked = (source: RowSource): A => {
      const answer = look(source)
      counts.answered++
      if (startMs !== UNTIMED) this.parts.stats.times[kind].record(clock.monotonicMs() - startMs)
      return answer
    }
    return this.read(level, looked, counts)
  }

  /** One read at a level, as `look` does it in one synchronous section. */
  read<A>(level: ReadLevel, look: (source: RowSource) => A, counts: Refusals = UNCOUNTED): Promise<A> {
    const { leasedReads } = this.parts
    const refused = (error: unknown): never => {
      counts.refused++
      throw error
    }
    if (level === 'lease' && leasedReads !== undefined) {
      return byLease(leasedReads, () => look(this.parts.levels.now())).catch(refused)
    }
    const ready = this.parts.levels.before(level)
    if (ready !== undefined) return ready.then(() => this.look(level, look, refused), refused)
    try {
      return Promise.resolve(this.look(level, look, refused))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  private look<A>(
    level: ReadLevel,
    look: (source: RowSource) => A,
    refused: (error: unknown) => never,
  ): A | Promise<A> {
    let answer: A | Promise<A>
    try {
      answer = this.parts.levels.look(level, look)
    } catch (error) {
      return refused(error)
    }
    return answer instanceof Promise ? answer.catch(refused) : answer
  }
}

function isOfThePast(level: ReadLevel): boolean {
  return typeof level === 'object' && level !== null && 'snapshot' in level
}

/** What `look` throws is the caller's, not the engine's. */
async function byLease<A>(leasedReads: LeasedReads, look: () => A): Promise<A> {
  const seen = await leasedReads.read((): { readonly value: A } | { readonly error: unknown } => {
    try {
      return { value: look() }
    } catch (error) {
      return { error }
    }
  })
  if ('error' in seen) throw seen.error
  return seen.value
}
