// What a transaction's writes make of the rows that they are about, as if all of them were applied: for the reads that follow them.
// Columns that are made by the server are made here already, so that what is read is what will be written.

import type { Key } from '../base/key.ts'
import type { CompiledTable } from './codec/compiled-table.ts'
import type { RowData } from './codec/row-codec.ts'
import { StoredRow } from './codec/stored-row.ts'
import type { TransactionEncoder } from './codec/transaction-codec.ts'
import type { KeyData, WriteOperation } from './messages.ts'

/** Of the table's columns whatever an update leaves as it is. */
export type BaseRow = (table: string, key: KeyData) => RowData | undefined

export class OwnWriteRows {
  /** By stored key. */
  private readonly rows = new Map<Key, StoredRow | undefined>()
  /** Operations looked at, by table. */
  private readonly done = new Map<string, number>()
  private readonly encoder: TransactionEncoder
  private readonly tableOf: (name: string) => CompiledTable
  private readonly base: BaseRow

  /** `base`: a committed row, noted as read. */
  constructor(encoder: TransactionEncoder, tableOf: (name: string) => CompiledTable, base: BaseRow) {
    this.encoder = encoder
    this.tableOf = tableOf
    this.base = base
  }

  /**
   * After these operations, as far as they are about this table; those of before are known. Throws what is wrong with one of them.
   * Rows of other tables stay as they were given: of those nothing was read, so they may have another schema when they are sent.
   */
  after(operations: WriteOperation[], name: string): ReadonlyMap<Key, StoredRow | undefined> {
    const table = this.tableOf(name)
    for (let i = this.done.get(name) ?? 0; i < operations.length; i++) {
      const operation = operations[i] as WriteOperation
      if (operation.table === name) operations[i] = this.apply(operation, table)
      this.done.set(name, i + 1)
    }
    return this.rows
  }

  private apply(operation: WriteOperation, table: CompiledTable): WriteOperation {
    switch (operation.op) {
      case 'insert':
      case 'upsert': {
        const row = this.encoder.complete(table, operation.row)
        // Decoded again: JSON may have members that are not kept, and belongs to the caller.
        return { ...operation, row: this.put(table, table.prefix + table.primaryKeyOf(row), row) }
      }
      case 'delete':
        this.rows.set(table.prefix + table.checkedKey(operation.key), undefined)
        return operation
      case 'update': {
        const key = table.prefix + table.checkedKey(operation.key)
        const before = this.rows.has(key) ? this.rows.get(key)?.row(table) : this.base(table.name, operation.key)
        // Where there is none, or where it can't be, the transaction will be rejected.
        const row = before === undefined ? undefined : this.encoder.patchedRow(table, before, operation.patch)
        if (typeof row === 'object') this.put(table, key, row)
        return operation
      }
      case 'check':
        return operation
    }
  }

  private put(table: CompiledTable, key: Key, row: RowData): RowData {
    const stored = new StoredRow(this.encoder.storedRowOf(table, row))
    this.rows.set(key, stored)
    return stored.row(table)
  }
}
