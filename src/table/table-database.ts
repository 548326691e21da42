// The wrapper half of DelosTable at one server, put together: reads (read/table-reading.ts), transactions on their way into the log
// (transaction-submitter.ts), schema changes, the feed, background work. What it takes and gives is plain data (messages.ts); the typed face is tables.ts.

import { ByteWriter } from '../base/byte-writer.ts'
import { DelosError } from '../base/delos-error.ts'
import type { Key } from '../base/key.ts'
import type { Completion } from '../engine/engine.ts'
import { entryOf } from '../engine/entry.ts'
import type { LeasedReads } from '../engine/leased-reads.ts'
import type { Runtime } from '../runtime/runtime.ts'
import type { ReadTx } from '../store/local-store.ts'
import { requireKnown } from './codec/check-request.ts'
import type { CompiledTable } from './codec/compiled-table.ts'
import type { RowData } from './codec/row-codec.ts'
import { toTaggedJson } from './codec/tagged-json.ts'
import { ENTRY_FORMAT, ENTRY_KINDS, encodeRetention, TransactionEncoder } from './codec/transaction-codec.ts'
import { Maintenance } from './maintenance.ts'
import type {
  ChangesAnswer,
  ChangesRequest,
  CountRequest,
  GetManyRequest,
  GetRequest,
  KeptChanges,
  KeyData,
  Position,
  ReadLevel,
  RowAnswer,
  ScanAnswer,
  ScanRequest,
  SchemaAnswer,
  SchemaRequest,
  TableDescription,
  TransactionAnswer,
  TransactionRequest,
} from './messages.ts'
import { type BaseRow, OwnWriteRows } from './own-writes.ts'
import { readFeed } from './read/change-feed.ts'
import type { OwnWrites } from './read/own-rows.ts'
import { ReadLevels } from './read/read-levels.ts'
import type { RowSource } from './read/row-source.ts'
import { TableReading } from './read/table-reading.ts'
import { RowDefaultsMaker } from './row-defaults.ts'
import type { TableDescriptor } from './schema/descriptor.ts'
import type { TableApplicator, TableListener } from './table-applicator.ts'
import { describeTable, tableFigures } from './table-description.ts'
import { type TableLimits, tableLimits } from './table-limits.ts'
import { TableRequestStats, type TableStats } from './table-stats.ts'
import { type TableLog, TransactionSubmitter } from './transaction-submitter.ts'

export type { TableLog }

const KEPT_MEMBERS: ReadonlySet<string> = new Set(['transactions', 'bytes'])
/** From, to. */
const KEPT_TRANSACTIONS = [1, 1e9] as const
const KEPT_BYTES = [1, 2 ** 45] as const

export interface TableDatabaseOptions {
  readonly runtime: Pick<Runtime, 'clock' | 'timers' | 'random'>
  /** The applicator that the stack below `log` calls. */
  readonly applicator: TableApplicator
  readonly log: TableLog
  readonly store: { read(): ReadTx }
  /** LocalStore.prefetch, if scans shall fetch rows ahead. */
  readonly prefetch?: (keys: readonly Key[]) => Promise<void>
  readonly limits?: Partial<TableLimits>
  /** Rows that a scan or count looks at in one turn, where a simulation wants few. */
  readonly pieceRows?: number
  /** Of the engine Lease, if the stack has it: for reads at the level `lease`. */
  readonly leasedReads?: LeasedReads | undefined
}

export class TableDatabase implements TableListener {
  readonly limits: TableLimits
  private readonly options: TableDatabaseOptions
  private readonly applicator: TableApplicator
  private readonly log: TableLog
  private readonly levels: ReadLevels
  private readonly reading: TableReading
  private readonly defaults: RowDefaultsMaker
  private readonly encoder: TransactionEncoder
  private readonly submitter: TransactionSubmitter
  private readonly requestStats = new TableRequestStats()
  private readonly maintenance: Maintenance
  private waiters: (() => void)[] = []
  private hasStopped = false
  private catalogSeen = 0

  constructor(options: TableDatabaseOptions) {
    const { applicator, log, runtime, store } = options
    this.options = options
    this.applicator = applicator
    this.log = log
    this.limits = tableLimits(options.limits)
    const { limits } = this
    const { clock, random, timers } = runtime
    const { state } = applicator
    this.levels = new ReadLevels({ clock, timers, state, limits, store, sync: () => log.sync() })
    const { leasedReads } = options
    const { requestStats: stats, levels } = this
    const table = (name: string) => this.table(name)
    this.reading = new TableReading({
      clock,
      leasedReads,
      prefetch: options.prefetch,
      levels,
      limits,
      pieceRows: options.pieceRows,
      state,
      stats,
      store,
      table,
      timers,
    })
    this.defaults = new RowDefaultsMaker(clock, random)
    this.encoder = new TransactionEncoder({
      defaults: this.defaults,
      limits,
      table,
      wallMs: () => Math.max(0, Math.floor(clock.wallMs())),
    })
    this.submitter = new TransactionSubmitter({ clock, encoder: this.encoder, limits, log, stats: this.requestStats })
    this.maintenance = new Maintenance({
      timers,
      store,
      propose: (payload, { reject, resolve }) => log.submit(entryOf(payload), { resolve: () => resolve(), reject }),
    })
    applicator.listen(this)
  }

  /** Call when caught up: background work may begin. */
  startServing(): void {
    this.applicator.load(this.options.store.read())
    this.hasStopped = false
    this.maintenance.start()
  }

  /** No background work any more. What is in flight is still completed by the log. */
  stopServing(): void {
    this.maintenance.stop()
    this.hasStopped = true
    // Whoever keeps a closed database keeps no more than that.
    this.applicator.state.rows.clear()
    this.levels.forget()
    this.wake()
  }

  /** Of what has been applied here. */
  get position(): Position {
    this.applicator.load(this.options.store.read())
    return this.applicator.state.position
  }

  // ── reads ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  get(request: GetRequest): Promise<RowAnswer> {
    return this.reading.get(request)
  }

  /** The row alone: the hot path. */
  getRow(table: string, key: KeyData, level: ReadLevel): Promise<RowData | undefined> {
    return this.reading.getRow(table, key, level)
  }

  /** What this server has, in the current synchronous section. */
  getNow(table: string, key: KeyData): RowAnswer {
    return this.reading.getNow(table, key)
  }

  getMany(request: GetManyRequest): Promise<readonly RowAnswer[]> {
    return this.reading.getMany(request)
  }

  scan(request: ScanRequest): Promise<ScanAnswer> {
    return this.reading.scan(request)
  }

  count(request: CountRequest): Promise<number> {
    return this.reading.count(request)
  }

  /** A page for a transaction that has written: with that in its place, and what must be so still. */
  scanOver(request: ScanRequest, own: OwnWrites): ScanAnswer {
    return this.reading.scanOver(request, own)
  }

  /** What a transaction's writes make of its rows. `base`: see OwnWriteRows. */
  ownWrites(base: BaseRow): OwnWriteRows {
    return new OwnWriteRows(this.encoder, (name) => this.table(name), base)
  }

  /** One read at a level, as `look` does it in one synchronous section. */
  read<A>(level: ReadLevel, look: (source: RowSource) => A): Promise<A> {
    return this.reading.read(level, look)
  }

  /** The table of that name as this server knows it. Throws UNKNOWN_TABLE. */
  table(name: string): CompiledTable {
    const { state } = this.applicator
    state.load(this.options.store.read())
    return state.catalog.table(name)
  }

  // ── changes ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** As this server has applied them. Throws TRIMMED. */
  changes(request: ChangesRequest): ChangesAnswer {
    const reader = this.options.store.read()
    const { changes } = this.requestStats.requests
    this.applicator.load(reader)
    try {
      const answer = readFeed(this.applicator.state, reader, request)
      changes.answered++
      return answer
    } catch (error) {
      changes.refused++
      throw error
    }
  }

  /** Resolves when something was committed after `position`, or when this server stops serving. */
  changed(position: Position): Promise<void> {
    return this.applicator.state.position > position ? Promise.resolve() : this.nextCommit()
  }

  /** Resolves with the next commit of anything, or when this server stops serving. */
  nextCommit(): Promise<void> {
    if (this.hasStopped) return Promise.resolve()
    return new Promise((resolve) => this.waiters.push(resolve))
  }

  /** It served, and does not any more. */
  get stopped(): boolean {
    return this.hasStopped
  }

  /** Called by the applicator. */
  committed(): void {
    const { changes } = this.applicator.state.catalog
    if (changes !== this.catalogSeen) {
      // Whoever asked for it may be gone before it is done.
      this.catalogSeen = changes
      this.maintenance.lookSoon()
    }
    if (this.waiters.length > 0) this.wake()
  }

  /** Everybody who waits for a change looks again. */
  wake(): void {
    for (const waiter of this.waiters.splice(0)) waiter()
  }

  // ── writes ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A token that nobody has used. */
  newToken(): string {
    return this.defaults.token()
  }

  transact(request: TransactionRequest): Promise<TransactionAnswer> {
    return new Promise((resolve, reject) => this.submit(request, { resolve, reject }))
  }

  /** The same without a promise. Never throws. */
  submit(request: TransactionRequest, completion: Completion<TransactionAnswer>): void {
    this.submitter.submit(request, completion)
  }

  // ── schemas ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  changeSchema(request: SchemaRequest): Promise<SchemaAnswer> {
    const writer = new ByteWriter(1024)
    writer.u8(ENTRY_FORMAT)
    writer.u8(ENTRY_KINDS.schema)
    writer.string(toTaggedJson(request))
    const { schema } = this.requestStats.requests
    return new Promise((resolve, reject) => {
      this.log.submit(entryOf(writer.take()), {
        resolve: (result) => {
          const answer = result as SchemaAnswer
          schema[answer.kind]++
          resolve(answer)
        },
        reject: (error) => {
          schema.refused++
          reject(error)
        },
      })
    })
  }

  /** Resolves when it holds on this server; all go by it from the same position on. Rejects with INVALID_ARGUMENT. */
  async keepChanges(kept: Partial<KeptChanges>): Promise<void> {
    requireKnown(kept, KEPT_MEMBERS, 'what is kept')
    await this.log.sync()
    const { state } = this.applicator
    state.load(this.options.store.read())
    const { bytes = state.retention.bytes, transactions = state.retention.transactions } = kept
    requireWithin('transactions', transactions, KEPT_TRANSACTIONS)
    requireWithin('bytes', bytes, KEPT_BYTES)
    const entry = entryOf(encodeRetention({ transactions, bytes }))
    await new Promise<unknown>((resolve, reject) => this.log.submit(entry, { resolve, reject }))
  }

  /** What is stored of a table, as this server knows it. */
  descriptor(name: string): TableDescriptor | undefined {
    const { state } = this.applicator
    state.load(this.options.store.read())
    return state.catalog.find(name)?.descriptor
  }

  /** Names of all tables, sorted. */
  tableNames(): readonly string[] {
    const { state } = this.applicator
    state.load(this.options.store.read())
    return [...state.catalog.tables()].map(({ name }) => name).sort()
  }

  /** As this server knows it. Throws UNKNOWN_TABLE. */
  describe(name: string): TableDescription {
    const table = this.table(name)
    return describeTable(this.applicator.state, this.options.store.read(), table)
  }

  /** For metrics: everything that there is to tell. */
  stats(): TableStats {
    const { applicator, levels, submitter } = this
    const reader = this.options.store.read()
    applicator.load(reader)
    const { state } = applicator
    const { changeBytes, oldestChange, tokens, tokensForgotten } = state.counters
    const { requests, times } = this.requestStats
    return {
      requests,
      times,
      pending: submitter.count,
      pendingBytes: submitter.bytes,
      position: state.position,
      oldestChange,
      changeBytes,
      tokens: tokens - tokensForgotten,
      cachedRows: state.rows.rows,
      cachedBytes: state.rows.bytes,
      expiredRows: applicator.expiredRows,
      pastWalks: levels.pastWalks,
      pastTransactions: levels.pastTransactions,
      ...tableFigures(state, reader),
    }
  }
}

function requireWithin(name: string, value: number, [from, to]: readonly [number, number]): void {
  if (Number.isSafeInteger(value) && value >= from && value <= to) return
  throw new DelosError('INVALID_ARGUMENT', `${name} that are kept: a whole number from ${from} to ${to}, not ${value}`)
}
