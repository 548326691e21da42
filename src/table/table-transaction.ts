// One attempt of an optimistic transaction: reads are noted, writes are gathered; what was read must still be so when the writes
// are applied. Not here: attempts and answers (transaction-runner.ts).

import { DelosError } from '../base/delos-error.ts'
import { tableName } from './codec/check-request.ts'
import type { KeyData, RangeRead, RowRead, ScanRequest, TransactionRequest } from './messages.ts'
import type { AnyTable } from './schema/define-table.ts'
import type { ColumnName, IndexName, KeyOf, RowOf, ScanOf } from './schema/row-types.ts'
import type { TableDatabase } from './table-database.ts'
import { WriteBatch } from './write-batch.ts'

/** A row with the position of the transaction that wrote it; version 0: there is none. */
export interface Versioned<Row> {
  readonly row: Row | undefined
  readonly version: number
}

/** Reads show what was there before the transaction: its own writes can't be read, and a read after a write of a table is refused. */
export class TableTransaction extends WriteBatch {
  private readonly database: TableDatabase
  private readonly reads: RowRead[] = []
  private readonly ranges: RangeRead[] = []

  /** @internal Made by the runner. */
  constructor(database: TableDatabase) {
    super()
    this.database = database
  }

  /** The row, or undefined. The transaction conflicts if it changes before the writes are applied, or between two reads of it. */
  async get<T extends AnyTable>(table: T, key: KeyOf<T>): Promise<RowOf<T> | undefined> {
    return this.look<T>(tableName(table), key as KeyData).row
  }

  async read<T extends AnyTable>(table: T, key: KeyOf<T>): Promise<Versioned<RowOf<T>>> {
    return this.look<T>(tableName(table), key as KeyData)
  }

  /** A page of a scan. The transaction conflicts if the range would show anything else before the writes are applied. */
  async scan<
    T extends AnyTable,
    I extends IndexName<T> | undefined = undefined,
    S extends ColumnName<T> = ColumnName<T>,
  >(
    table: T,
    scan: ScanOf<T, I, S> = {},
  ): Promise<{ readonly rows: readonly Pick<RowOf<T>, S & keyof RowOf<T>>[]; readonly page: string | undefined }> {
    const name = tableName(table)
    this.requireUnwritten(name)
    const request = { ...(scan as object), table: name, level: 'local', evidence: true } as ScanRequest
    const { page, range, rows } = await this.database.scan(request)
    if (range !== undefined) this.ranges.push(range)
    return { rows: rows as readonly Pick<RowOf<T>, S & keyof RowOf<T>>[], page }
  }

  /** @internal What is sent. */
  request(token: string | undefined): TransactionRequest {
    return { operations: this.operations, reads: this.reads, ranges: this.ranges, token }
  }

  private look<T extends AnyTable>(table: string, key: KeyData): Versioned<RowOf<T>> {
    this.requireUnwritten(table)
    const answer = this.database.getNow(table, key)
    this.reads.push({ table, key, version: answer.version, schema: this.database.table(table).mark })
    return answer as Versioned<RowOf<T>>
  }

  private requireUnwritten(table: string): void {
    if (!this.operations.some((operation) => operation.table === table)) return
    const advice = 'read what you need of a table first, then write'
    throw new DelosError(
      'UNSUPPORTED',
      `table ${table} was written in this transaction, and its writes can't be read: ${advice}`,
    )
  }
}
