// DelosTable as a program uses it: typed by the definitions of its tables. A thin face: everything goes through as plain data.

import { assert } from '../base/assert.ts'
import { DelosError } from '../base/delos-error.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { requireKnown, tableName } from './codec/check-request.ts'
import type {
  ChangesRequest,
  CountRequest,
  KeptChanges,
  KeyData,
  Position,
  ReadLevel,
  RejectionReason,
  ScanRequest,
  TableDescription,
  TransactionAnswer,
} from './messages.ts'
import type { AnyTable } from './schema/define-table.ts'
import type { MigrationHints } from './schema/migration-plan.ts'
import type {
  BoundOf,
  ColumnName,
  IndexName,
  KeyOf,
  NewRowOf,
  PatchOf,
  RowFilter,
  RowOf,
  ScanOf,
} from './schema/row-types.ts'
import { SchemaClient } from './schema-client.ts'
import type { TableDatabase } from './table-database.ts'
import type { TableTransaction, Versioned } from './table-transaction.ts'
import {
  rejectedResult,
  runTransaction,
  type TransactionOptions,
  type TransactionResult,
} from './transaction-runner.ts'
import { type ConditionalWrite, WriteBatch } from './write-batch.ts'

export interface ReadOptions {
  /** Default: linearizable. */
  readonly level?: ReadLevel
}

export interface WriteOptions {
  /** Of all writes with this token one is applied. */
  readonly token?: string
}

/** What became of one write. */
export type WriteResult<Row> =
  | {
      readonly ok: true
      readonly position: Position
      /** The row as it is now; after a delete the row that was there. Undefined if `repeated`. */
      readonly row: Row | undefined
      readonly repeated: boolean
    }
  | {
      readonly ok: false
      readonly position: Position
      readonly reason: RejectionReason
      readonly index?: string
      readonly detail: string
      /** The row that is in the way, or that did not meet the condition. */
      readonly current: Row | undefined
      /** Its version; 0: there is none. */
      readonly version: number
    }

export interface Page<Row> {
  readonly rows: readonly Row[]
  /** Where the next page begins; undefined: this was the last one. */
  readonly page: string | undefined
  readonly position: Position
}

/** One row that a transaction changed. */
export interface RowChange<Row, Key> {
  readonly position: Position
  readonly table: string
  readonly key: Key
  /** Undefined: there was none. */
  readonly before: Row | undefined
  /** Undefined: it was deleted. */
  readonly after: Row | undefined
}

export interface ChangesOptions<T extends AnyTable> {
  /** Changes after this position. Default: those from now on. */
  readonly after?: Position
  /** Only rows whose primary key begins with these. */
  readonly prefix?: BoundOf<T, undefined>
  /** Only rows from this primary key on, and up to this one, both inclusive; `before`: exclusive. Leading columns, as in a scan. */
  readonly from?: BoundOf<T, undefined>
  readonly to?: BoundOf<T, undefined>
  readonly before?: BoundOf<T, undefined>
  /** Ends the iteration. */
  readonly signal?: AbortSignal
}

type KeyBounds = Pick<ChangesRequest, 'prefix' | 'from' | 'to' | 'before'>

const READ_MEMBERS: ReadonlySet<string> = new Set(['level'])
const WRITE_MEMBERS: ReadonlySet<string> = new Set(['token'])
const CONDITIONAL_MEMBERS: ReadonlySet<string> = new Set(['token', 'if'])
const CHANGES_MEMBERS: ReadonlySet<string> = new Set(['after', 'before', 'from', 'prefix', 'signal', 'to'])
const NO_CONDITION = {}

type Columns<T extends AnyTable, S extends string> = Pick<RowOf<T>, S & keyof RowOf<T>>

export class Tables {
  readonly schema: SchemaClient
  private readonly database: TableDatabase
  private readonly runtime: Pick<Runtime, 'timers' | 'random'>

  constructor(database: TableDatabase, runtime: Pick<Runtime, 'timers' | 'random'>) {
    this.database = database
    this.runtime = runtime
    this.schema = new SchemaClient(database)
  }

  /** Of what this server has applied: what a session hands to its next read. */
  get position(): Position {
    return this.database.position
  }

  /**
   * Makes the table what its definition says: creates it, or changes it step by step. Rejects with SCHEMA_FORBIDDEN if that would
   * lose or reinterpret data that `hints` don't name. New indexes are readable once they are built: see `schema.ready`.
   */
  migrate(table: AnyTable, hints: MigrationHints = {}): Promise<TableDescription> {
    return this.schema.migrate(table, hints)
  }

  // ── reads ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  get<T extends AnyTable>(table: T, key: KeyOf<T>, options?: ReadOptions): Promise<RowOf<T> | undefined> {
    const row = rejecting(() => this.database.getRow(tableName(table), key as KeyData, levelOf(options)))
    return row as Promise<RowOf<T> | undefined>
  }

  /** The row with its version. */
  read<T extends AnyTable>(table: T, key: KeyOf<T>, options?: ReadOptions): Promise<Versioned<RowOf<T>>> {
    const read = rejecting(() =>
      this.database.get({ table: tableName(table), key: key as KeyData, level: levelOf(options) }),
    )
    return read as Promise<Versioned<RowOf<T>>>
  }

  /** In the order of the keys, all as of one position. */
  getMany<T extends AnyTable>(
    table: T,
    keys: readonly KeyOf<T>[],
    options?: ReadOptions,
  ): Promise<readonly Versioned<RowOf<T>>[]> {
    const read = rejecting(() => {
      const request = { table: tableName(table), keys: keys as readonly KeyData[], level: levelOf(options) }
      return this.database.getMany(request)
    })
    return read as Promise<readonly Versioned<RowOf<T>>[]>
  }

  /** One page. */
  scan<T extends AnyTable, I extends IndexName<T> | undefined = undefined, S extends ColumnName<T> = ColumnName<T>>(
    table: T,
    scan: ScanOf<T, I, S> = {},
    options: ReadOptions = {},
  ): Promise<Page<Columns<T, S>>> {
    const read = rejecting(() =>
      this.database.scan({ ...(scan as object), table: tableName(table), ...options } as ScanRequest),
    )
    return read as Promise<Page<unknown>> as Promise<Page<Columns<T, S>>>
  }

  /** All rows, page by page; each page is as of a moment of its own unless the level is a snapshot. */
  async *rows<
    T extends AnyTable,
    I extends IndexName<T> | undefined = undefined,
    S extends ColumnName<T> = ColumnName<T>,
  >(table: T, scan: ScanOf<T, I, S> = {}, options: ReadOptions = {}): AsyncGenerator<Columns<T, S>, void, undefined> {
    let { page } = scan
    do {
      const answer: Page<Columns<T, S>> = await this.scan<T, I, S>(table, { ...scan, page }, options)
      yield* answer.rows
      page = answer.page
      // Where nothing is asked of the log, pages would follow each other without a turn for anybody else.
      if (page !== undefined) await this.turn()
    } while (page !== undefined)
  }

  /** Without filter, index and prefix: of the whole table, at no cost. Otherwise of at most 200 000 keys. */
  count<T extends AnyTable, I extends IndexName<T> | undefined = undefined>(
    table: T,
    scope: { readonly index?: I; readonly prefix?: BoundOf<T, I>; readonly filter?: RowFilter<T> } = {},
    options: ReadOptions = {},
  ): Promise<number> {
    return rejecting(() =>
      this.database.count({ ...(scope as object), table: tableName(table), ...options } as CountRequest),
    )
  }

  // ── writes ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A new row; rejected if there is one with its key. */
  insert<T extends AnyTable>(table: T, row: NewRowOf<T>, options: WriteOptions = {}): Promise<WriteResult<RowOf<T>>> {
    return this.one((batch) => batch.insert(table, row), options, WRITE_MEMBERS)
  }

  /** A new row, or another in the place of the one that is there. */
  upsert<T extends AnyTable>(
    table: T,
    row: NewRowOf<T>,
    options: WriteOptions & ConditionalWrite<T> = {},
  ): Promise<WriteResult<RowOf<T>>> {
    return this.one((batch) => batch.upsert(table, row, ifOf(options)), options)
  }

  /** Changes a row; rejected if there is none. */
  update<T extends AnyTable>(
    table: T,
    key: KeyOf<T>,
    patch: PatchOf<T>,
    options: WriteOptions & ConditionalWrite<T> = {},
  ): Promise<WriteResult<RowOf<T>>> {
    return this.one((batch) => batch.update(table, key, patch, ifOf(options)), options)
  }

  /** No row of that key is there afterwards. */
  delete<T extends AnyTable>(
    table: T,
    key: KeyOf<T>,
    options: WriteOptions & ConditionalWrite<T> = {},
  ): Promise<WriteResult<RowOf<T>>> {
    return this.one((batch) => batch.delete(table, key, ifOf(options)), options)
  }

  /** Several writes, all or nothing, without reads. `fill` may be asynchronous. */
  async batch(fill: (batch: WriteBatch) => unknown, options: WriteOptions = {}): Promise<TransactionResult<undefined>> {
    requireKnown(options, WRITE_MEMBERS, 'a batch')
    const batch = new WriteBatch()
    await fill(batch)
    const answer = await this.database.transact({ operations: batch.operations, token: options.token })
    if (answer.kind === 'rejected') return rejectedResult(answer)
    return { ok: true, position: answer.position, value: undefined, repeated: answer.kind === 'repeated' }
  }

  /** Reads and writes as if nobody else were there (strictly serializable). `body` is run again after a conflict. */
  transaction<R>(
    body: (tx: TableTransaction) => Promise<R> | R,
    options: TransactionOptions = {},
  ): Promise<TransactionResult<R>> {
    const parts = {
      database: this.database,
      ...this.runtime,
      sync: () => this.database.read('linearizable', () => undefined),
    }
    return runTransaction(parts, body, options)
  }

  // ── changes ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * What transactions change in a table, in their order, for as long as somebody asks. To go on later, keep the position of the
   * last change that was dealt with; a transaction may have several. TRIMMED if what follows is not kept any more.
   */
  async *changes<T extends AnyTable>(
    table: T,
    options: ChangesOptions<T> = {},
  ): AsyncGenerator<RowChange<RowOf<T>, KeyOf<T>>, void, undefined> {
    const { database } = this
    requireKnown(options, CHANGES_MEMBERS, 'a change feed')
    const { after, signal, ...bounds } = options
    const name = tableName(table)
    // From another server, or of another history: then MISMATCH.
    if (after !== undefined && after > database.position) await database.read({ session: after }, () => undefined)
    let position = after ?? database.position
    const wake = (): void => database.wake()
    const isOver = (): boolean => signal?.aborted === true
    signal?.addEventListener('abort', wake)
    try {
      while (!isOver()) {
        const answer = database.changes({ after: position, table: name, ...(bounds as KeyBounds) })
        for (const change of answer.changes) yield change as unknown as RowChange<RowOf<T>, KeyOf<T>>
        position = answer.position
        if (!answer.caughtUp) await this.turn()
        else if (!isOver()) await database.changed(position)
        if (database.stopped) throw new DelosError('CLOSED', 'the database is closed')
      }
    } finally {
      signal?.removeEventListener('abort', wake)
    }
  }

  /**
   * How much of the past the database keeps for the feed and for snapshots, on all servers: the newest transactions, at most so many,
   * and at most so many bytes of rows before and after. What is left out stays as it is. Default: 6 000 000 and 1 GiB.
   */
  keepChanges(kept: Partial<KeptChanges>): Promise<void> {
    return this.database.keepChanges(kept)
  }

  private turn(): Promise<void> {
    return new Promise((resolve) => this.runtime.timers.soon(resolve))
  }

  private one<Row>(
    fill: (batch: WriteBatch) => WriteBatch,
    options: WriteOptions,
    members = CONDITIONAL_MEMBERS,
  ): Promise<WriteResult<Row>> {
    return new Promise((resolve, reject) => {
      requireKnown(options, members, 'a write')
      const { token } = options
      const { operations } = fill(new WriteBatch())
      const request = token === undefined ? { operations } : { operations, token }
      this.database.submit(request, { resolve: (answer) => resolve(writeResult<Row>(answer)), reject })
    })
  }
}

function levelOf(options: ReadOptions | undefined): ReadLevel {
  if (options === undefined) return 'linearizable'
  requireKnown(options, READ_MEMBERS, 'a read')
  return options.level ?? 'linearizable'
}

function ifOf<T extends AnyTable>({ if: condition }: ConditionalWrite<T>): ConditionalWrite<T> {
  return condition === undefined ? NO_CONDITION : { if: condition }
}

/** What is wrong with a call is told as everything else is. */
function rejecting<R>(call: () => Promise<R>): Promise<R> {
  try {
    return call()
  } catch (error) {
    return Promise.reject(error)
  }
}

function writeResult<Row>(answer: TransactionAnswer): WriteResult<Row> {
  if (answer.kind === 'committed') return new Written<Row>(answer)
  if (answer.kind === 'repeated') return { ok: true, position: answer.position, row: undefined, repeated: true }
  // Nothing was read that could conflict.
  assert(answer.kind === 'rejected', 'a conflict of a write without reads')
  const { operation: _, ...rest } = rejectedResult(answer)
  return rest as WriteResult<Row>
}

/** The row is decoded if somebody looks at it. */
class Written<Row> {
  readonly ok = true
  readonly repeated = false
  readonly position: Position
  private readonly answer: Extract<TransactionAnswer, { kind: 'committed' }>

  constructor(answer: Extract<TransactionAnswer, { kind: 'committed' }>) {
    this.position = answer.position
    this.answer = answer
  }

  get row(): Row | undefined {
    return this.answer.rows[0]?.row as Row | undefined
  }
}
