// One attempt of an optimistic transaction: reads are noted, writes are gathered; what was read must still be so when the writes
// are applied. Not here: attempts and answers (transaction-runner.ts).

import type { Key } from '../base/key.ts'
import { tableName } from './codec/check-request.ts'
import type { CompiledTable } from './codec/compiled-table.ts'
import type { RowData } from './codec/row-codec.ts'
import type { StoredRow } from './codec/stored-row.ts'
import type { KeyData, RangeRead, RowRead, ScanRequest, TransactionRequest } from './messages.ts'
import type { OwnWriteRows } from './own-writes.ts'
import type { AnyTable } from './schema/define-table.ts'
import type { ColumnName, IndexName, KeyOf, RowOf, ScanOf } from './schema/row-types.ts'
import type { TableDatabase } from './table-database.ts'
import { WriteBatch } from './write-batch.ts'

/** A row with the position of the transaction that wrote it; version 0: there is none. */
export interface Versioned<Row> {
  readonly row: Row | undefined
  readonly version: number
}

/**
 * Reads show what is committed, with the transaction's own writes so far in its place, as if none of them were rejected. What was
 * committed is what must be so still when it is applied.
 */
export class TableTransaction extends WriteBatch {
  private readonly database: TableDatabase
  private readonly reads: RowRead[] = []
  private readonly ranges: RangeRead[] = []
  private readonly own: OwnWriteRows

  /** @internal Made by the runner. */
  constructor(database: TableDatabase) {
    super()
    this.database = database
    this.own = database.ownWrites((table, key) => this.committed(table, key).row)
  }

  /** The row, or undefined. The transaction conflicts if it changes before the writes are applied, or between two reads of it. */
  async get<T extends AnyTable>(table: T, key: KeyOf<T>): Promise<RowOf<T> | undefined> {
    return this.look<T>(tableName(table), key as KeyData).row
  }

  /** With the version that the row had before this transaction. */
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
    const request = { ...(scan as object), table: name, level: 'local', evidence: true } as ScanRequest
    const { page, range, rows } = this.hasWritten(name)
      ? this.database.scanOver(request, this.written(name))
      : await this.database.scan(request)
    if (range !== undefined) this.ranges.push(range)
    return { rows: rows as readonly Pick<RowOf<T>, S & keyof RowOf<T>>[], page }
  }

  /** @internal What is sent. */
  request(token: string | undefined): TransactionRequest {
    return { operations: this.operations, reads: this.reads, ranges: this.ranges, token }
  }

  private look<T extends AnyTable>(table: string, key: KeyData): Versioned<RowOf<T>> {
    const answer = this.committed(table, key)
    if (!this.hasWritten(table)) return answer as Versioned<RowOf<T>>
    const { compiled, stored } = this.storedKey(table, key)
    const written = this.written(table)
    if (!written.has(stored)) return answer as Versioned<RowOf<T>>
    const row = written.get(stored)?.row(compiled)
    return { row: row && compiled.rows.copy(row), version: answer.version } as Versioned<RowOf<T>>
  }

  private storedKey(table: string, key: KeyData): { readonly compiled: CompiledTable; readonly stored: Key } {
    const compiled = this.database.table(table)
    return { compiled, stored: compiled.prefix + compiled.checkedKey(key) }
  }

  private committed(table: string, key: KeyData): Versioned<RowData> {
    const answer = this.database.getNow(table, key)
    this.reads.push({ table, key, version: answer.version, schema: this.database.table(table).mark })
    return answer
  }

  private hasWritten(table: string): boolean {
    return this.operations.some((operation) => operation.table === table)
  }

  private written(table: string): ReadonlyMap<Key, StoredRow | undefined> {
    return this.own.after(this.operations, table)
  }
}
