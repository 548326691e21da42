// The wrapper half of DelosTable at one server: turns requests into entries for the log and answers reads from the committed
// state. What it takes and gives is plain data (messages.ts); the typed face is tables.ts.

import { ByteWriter } from '../base/byte-writer.ts'
import { DelosError } from '../base/delos-error.ts'
import { type Key, keyOfBytes } from '../base/key.ts'
import type { Completion } from '../engine/engine.ts'
import { type Entry, entryOf } from '../engine/entry.ts'
import type { LeasedReads } from '../engine/leased-reads.ts'
import type { Runtime } from '../runtime/runtime.ts'
import type { ReadTx } from '../store/local-store.ts'
import { readProgress } from './apply/index-builder.ts'
import { requireKnown } from './codec/check-request.ts'
import type { CompiledTable } from './codec/compiled-table.ts'
import type { RowData } from './codec/row-codec.ts'
import { violationRange } from './codec/table-keys.ts'
import { toTaggedJson } from './codec/tagged-json.ts'
import { ENTRY_FORMAT, ENTRY_KINDS, TransactionEncoder } from './codec/transaction-codec.ts'
import { Maintenance } from './maintenance.ts'
import type {
  ChangesAnswer,
  ChangesRequest,
  CountRequest,
  GetManyRequest,
  GetRequest,
  IndexProgress,
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
import { PendingWrite, type PendingWriteOwner } from './pending-write.ts'
import { readFeed } from './read/change-feed.ts'
import { coldRows } from './read/cold-rows.ts'
import { decodePageToken } from './read/page-token.ts'
import { ReadLevels } from './read/read-levels.ts'
import type { RowSource } from './read/row-source.ts'
import { planScan } from './read/scan-plan.ts'
import { countPage, countRange, readPage, readRow, readRows, tooManyCounted } from './read/table-reads.ts'
import { RowDefaultsMaker } from './row-defaults.ts'
import type { TableDescriptor } from './schema/descriptor.ts'
import { shapeOfDescriptor } from './schema/table-shape.ts'
import type { TableApplicator, TableListener, TableResult } from './table-applicator.ts'
import { DEFAULT_TABLE_LIMITS, type TableLimits } from './table-limits.ts'

/** The top of a stack of engines, as a database sees it. */
export interface TableLog {
  submit(entry: Entry, completion: Completion<TableResult>): void
  sync(): Promise<unknown>
}

export interface TableDatabaseOptions {
  readonly runtime: Pick<Runtime, 'clock' | 'timers' | 'random'>
  /** The applicator that the stack below `log` calls. */
  readonly applicator: TableApplicator
  readonly log: TableLog
  readonly store: { read(): ReadTx }
  /** LocalStore.prefetch, if scans shall fetch rows ahead. */
  readonly prefetch?: (keys: readonly Key[]) => Promise<void>
  readonly limits?: Partial<TableLimits>
  /** Of the engine Lease, if the stack has it: for reads at the level `lease`. */
  readonly leasedReads?: LeasedReads | undefined
}

/** How often an entry is made anew because a schema changed under it. */
const SCHEMA_TRIES = 5
const COUNT_MEMBERS: ReadonlySet<string> = new Set(['table', 'index', 'prefix', 'filter', 'level'])

export class TableDatabase implements TableListener, PendingWriteOwner {
  readonly limits: TableLimits
  private readonly options: TableDatabaseOptions
  private readonly applicator: TableApplicator
  private readonly log: TableLog
  private readonly levels: ReadLevels
  private readonly defaults: RowDefaultsMaker
  private readonly encoder: TransactionEncoder
  private readonly maintenance: Maintenance
  private pendingCount = 0
  private pendingBytes = 0
  private waiters: (() => void)[] = []
  private hasStopped = false
  private catalogSeen = 0

  constructor(options: TableDatabaseOptions) {
    const { applicator, log, runtime, store } = options
    this.options = options
    this.applicator = applicator
    this.log = log
    this.limits = { ...DEFAULT_TABLE_LIMITS, ...options.limits }
    const { limits } = this
    const { clock, random, timers } = runtime
    this.levels = new ReadLevels({
      clock,
      timers,
      state: applicator.state,
      limits,
      store,
      sync: () => log.sync(),
    })
    this.defaults = new RowDefaultsMaker(clock, random)
    this.encoder = new TransactionEncoder({
      defaults: this.defaults,
      limits,
      table: (name) => this.table(name),
      wallMs: () => Math.max(0, Math.floor(clock.wallMs())),
    })
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
    this.wake()
  }

  /** Of what has been applied here. */
  get position(): Position {
    this.applicator.load(this.options.store.read())
    return this.applicator.state.position
  }

  // ── reads ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  get({ key, level = 'linearizable', table }: GetRequest): Promise<RowAnswer> {
    return this.read(level, (source) => readRow(this.table(table), key, source))
  }

  /** The row alone: the hot path. */
  getRow(table: string, key: KeyData, level: ReadLevel): Promise<RowData | undefined> {
    return this.read(level, (source) => readRow(this.table(table), key, source).row)
  }

  /** What this server has, in the current synchronous section. */
  getNow(table: string, key: KeyData): RowAnswer {
    return readRow(this.table(table), key, this.levels.now())
  }

  getMany({ keys, level = 'linearizable', table }: GetManyRequest): Promise<readonly RowAnswer[]> {
    return this.read(level, (source) => readRows(this.table(table), keys, source, this.limits))
  }

  scan(request: ScanRequest): Promise<ScanAnswer> {
    const { level = 'linearizable', table } = request
    const read = (): Promise<ScanAnswer> =>
      this.read(level, (source) => {
        if (request.page !== undefined) this.applicator.state.histories.require(decodePageToken(request.page).position)
        return readPage(this.table(table), request, source, this.limits)
      })
    // If that fails the read itself says why.
    return this.prefetch(request)?.then(read, read) ?? read()
  }

  private prefetch(request: ScanRequest): Promise<void> | undefined {
    const { prefetch, store } = this.options
    if (prefetch === undefined || request.index === undefined) return undefined
    try {
      const plan = planScan(this.table(request.table), request, this.limits)
      const cold = coldRows(plan, store.read(), this.applicator.state.rows)
      return cold.length === 0 ? undefined : prefetch(cold)
    } catch {
      return undefined // What is wrong with the request, or not known here yet, the read tells.
    }
  }

  count(request: CountRequest): Promise<number> {
    const { filter, index, level = 'linearizable', prefix, table: name } = request
    const isWhole = filter === undefined && index === undefined && prefix === undefined
    if (typeof level === 'object' && 'snapshot' in level) return this.countPast(request, level)
    return this.read(level, (source) => {
      requireKnown(request, COUNT_MEMBERS, 'a count')
      const table = this.table(name)
      if (isWhole) return this.applicator.state.rowCount(this.options.store.read(), table)
      return countRange(table, request, source, this.limits)
    })
  }

  /** Page by page: each needs a part of the past of its own. */
  private async countPast(request: CountRequest, level: ReadLevel): Promise<number> {
    requireKnown(request, COUNT_MEMBERS, 'a count')
    const { limits } = this
    let count = 0
    let page: string | undefined
    while (count <= limits.countedMax) {
      const look = (source: RowSource) => countPage(this.table(request.table), request, page, source, limits)
      const counted = await this.read(level, look)
      count += counted.count
      page = counted.page
      if (page === undefined) return count
    }
    throw tooManyCounted(limits)
  }

  /** One read at a level, as `look` does it in one synchronous section. */
  read<A>(level: ReadLevel, look: (source: RowSource) => A): Promise<A> {
    const { leasedReads } = this.options
    if (level === 'lease' && leasedReads !== undefined) return byLease(leasedReads, () => look(this.levels.now()))
    const ready = this.levels.before(level)
    if (ready !== undefined) return ready.then(() => this.levels.look(level, look))
    try {
      return Promise.resolve(this.levels.look(level, look))
    } catch (error) {
      return Promise.reject(error)
    }
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
    this.applicator.load(reader)
    return readFeed(this.applicator.state, reader, request)
  }

  /** Resolves when something was committed after `position`, or when this server stops serving. */
  changed(position: Position): Promise<void> {
    return this.applicator.state.position > position ? Promise.resolve() : this.nextCommit()
  }

  /** Resolves with the next commit of anything, or when this server stops serving. */
  nextCommit(): Promise<void> {
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
    this.tryToSubmit(request, 0, completion)
  }

  /** Called by PendingWrite alone. */
  settled(bytes: number): void {
    this.pendingCount--
    this.pendingBytes -= bytes
  }

  /** Called by PendingWrite alone. */
  again(request: TransactionRequest, tries: number, completion: Completion<TransactionAnswer>): void {
    if (tries < SCHEMA_TRIES) this.tryToSubmit(request, tries, completion)
    else completion.reject(new DelosError('SCHEMA_CHANGED', `a schema changed ${tries} times under the transaction`))
  }

  private tryToSubmit(request: TransactionRequest, tries: number, completion: Completion<TransactionAnswer>): void {
    let payload: Buffer
    try {
      payload = this.encoder.encode(request)
    } catch (thrown) {
      this.notEncoded(thrown, request, tries, completion)
      return
    }
    const bytes = payload.length
    const refusal = this.overload(bytes)
    if (refusal !== undefined) return completion.reject(refusal)
    this.pendingCount++
    this.pendingBytes += bytes
    this.log.submit(entryOf(payload), new PendingWrite(this, bytes, request, tries, completion))
  }

  /** A table or column that is not known here may have been made at another server a moment ago. */
  private notEncoded(
    thrown: unknown,
    request: TransactionRequest,
    tries: number,
    completion: Completion<TransactionAnswer>,
  ): void {
    const error = DelosError.from(thrown, 'INVALID_ARGUMENT', 'the transaction')
    const isNews = error.code === 'UNKNOWN_TABLE' || error.code === 'UNKNOWN_COLUMN' || error.code === 'INDEX_NOT_READY'
    if (tries > 0 || !isNews) return completion.reject(error)
    this.log.sync().then(
      () => this.tryToSubmit(request, tries + 1, completion),
      (failure: unknown) => completion.reject(DelosError.from(failure, 'STOPPED', 'sync')),
    )
  }

  private overload(bytes: number): DelosError | undefined {
    const { pendingBytesMax, pendingMax } = this.limits
    if (this.pendingCount >= pendingMax) {
      return new DelosError('OVERLOADED', `pendingMax: ${pendingMax} transactions are in the log's hands`)
    }
    if (this.pendingBytes + bytes <= pendingBytesMax || this.pendingCount === 0) return undefined
    return new DelosError('OVERLOADED', `pendingBytesMax: ${this.pendingBytes} bytes are in the log's hands`)
  }

  // ── schemas ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  changeSchema(request: SchemaRequest): Promise<SchemaAnswer> {
    const writer = new ByteWriter(1024)
    writer.u8(ENTRY_FORMAT)
    writer.u8(ENTRY_KINDS.schema)
    writer.string(toTaggedJson(request))
    return new Promise((resolve, reject) => {
      this.log.submit(entryOf(writer.take()), {
        resolve: (result) => resolve(result as SchemaAnswer),
        reject,
      })
    })
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
    const reader = this.options.store.read()
    const { descriptor, version } = table
    return {
      name,
      version,
      rows: this.applicator.state.rowCount(reader, table),
      shape: shapeOfDescriptor(descriptor),
      indexes: table.indexes.map((index) => progressOf(reader, table, index.descriptor)),
    }
  }
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

function progressOf(
  reader: ReadTx,
  table: CompiledTable,
  { id, name, state }: TableDescriptor['indexes'][number],
): IndexProgress {
  const violations: RowData[] = []
  for (const [, bytes] of reader.scan(violationRange(table.id, id))) violations.push(table.keyData(keyOfBytes(bytes)))
  return { index: name, state, rowsDone: readProgress(reader, table.id, id)?.rowsDone ?? 0, violations }
}
