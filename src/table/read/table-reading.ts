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
import { countPage, countRange, readPage, readRow, readRows, tooManyCounted } from './table-reads.ts'

export interface ReadingParts {
  readonly clock: Clock
  readonly leasedReads: LeasedReads | undefined
  readonly levels: ReadLevels
  /** LocalStore.prefetch, if scans shall fetch rows ahead. */
  readonly prefetch: ((keys: readonly Key[]) => Promise<void>) | undefined
  readonly limits: TableLimits
  readonly state: TableState
  readonly stats: TableRequestStats
  readonly timers: Timers
  readonly store: { read(): ReadTx }
  /** Throws UNKNOWN_TABLE. */
  table(name: string): CompiledTable
}

const COUNT_MEMBERS: ReadonlySet<string> = new Set(['table', 'index', 'prefix', 'filter', 'level'])
/** Rows or entries that a read of the past looks at in one turn. */
const PAST_PIECE = 2000
const UNTIMED = -1

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

  scan(request: ScanRequest): Promise<ScanAnswer> {
    const { level = 'linearizable', table } = request
    if (isOfThePast(level) && request.evidence !== true) return this.scanPast(request, level)
    const read = (): Promise<ScanAnswer> =>
      this.counted('scan', level, (source) => {
        this.requirePage(request)
        return readPage(this.tableAt(table, source), request, source, this.parts.limits)
      })
    // If that fails the read itself says why.
    return this.prefetch(request)?.then(read, read) ?? read()
  }

  scanOver(request: ScanRequest, own: OwnWrites): ScanAnswer {
    const { levels, limits, table } = this.parts
    this.requirePage(request)
    const plan = planScan(table(request.table), request, limits)
    const source = new OwnRows(levels.now(), own, plan.covered !== undefined, examinedMaxOf(limits, true))
    return runScan(plan, source, limits, true)
  }

  /** A page in turns: what it shows does not change meanwhile. */
  private async scanPast(request: ScanRequest, level: ReadLevel): Promise<ScanAnswer> {
    const { limits, stats, timers } = this.parts
    const counts = stats.requests.scan
    let page: Page | undefined
    const look = (source: RowSource): ScanAnswer | undefined => {
      this.requirePage(request)
      const table = this.tableAt(request.table, source)
      // Under another schema it begins anew.
      if (page?.plan.table !== table) page = new Page(planScan(table, request, limits), limits, false)
      page.look(source, PAST_PIECE)
      return page.isOver ? page.answer(source) : undefined
    }
    for (;;) {
      await this.prefetch(request, page?.rest)?.catch(() => undefined)
      const answer = await this.read(level, look, counts)
      if (answer !== undefined) {
        counts.answered++
        return answer
      }
      await new Promise<void>((resolve) => timers.soon(resolve))
    }
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

  count(request: CountRequest): Promise<number> {
    const { filter, index, level = 'linearizable', prefix, table: name } = request
    const isWhole = filter === undefined && index === undefined && prefix === undefined
    if (isOfThePast(level)) return this.countPast(request, level)
    return this.counted('count', level, (source) => {
      requireKnown(request, COUNT_MEMBERS, 'a count')
      const table = this.parts.table(name)
      if (isWhole) return this.parts.state.rowCount(this.parts.store.read(), table)
      return countRange(table, request, source, this.parts.limits)
    })
  }

  /** In turns, page by page: each needs a part of the past of its own. */
  private async countPast(request: CountRequest, level: ReadLevel): Promise<number> {
    requireKnown(request, COUNT_MEMBERS, 'a count')
    const { limits, stats, timers } = this.parts
    const counts = stats.requests.count
    let count = 0
    let examined = 0
    let page: string | undefined
    while (examined <= limits.countedMax) {
      const look = (source: RowSource) => countPage(this.tableAt(request.table, source), request, page, source, limits)
      const counted = await this.read(level, look, counts)
      count += counted.count
      examined += counted.examined
      page = counted.page
      if (page === undefined) {
        counts.answered++
        return count
      }
      await new Promise<void>((resolve) => timers.soon(resolve))
    }
    counts.refused++
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
