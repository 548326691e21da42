// Writes gathered for one transaction, with the types of their tables. Not here: what they are sent with (tables.ts).

import { requireKnown, requireRecord, tableName } from './codec/check-request.ts'
import type { Condition, KeyData, PatchData, WriteOperation } from './messages.ts'
import type { AnyTable } from './schema/define-table.ts'
import type { ConditionOf, KeyOf, NewRowOf, PatchOf } from './schema/row-types.ts'

const OPTIONS: ReadonlySet<string> = new Set(['if'])

export interface ConditionalWrite<T extends AnyTable> {
  /** Rejected unless it holds. */
  readonly if?: ConditionOf<T>
}

/** Operations in the order in which they are applied; a later one sees what earlier ones did. */
export class WriteBatch {
  /** Plain data. */
  readonly operations: WriteOperation[] = []

  /** A new row; rejected if there is one with its key. */
  insert<T extends AnyTable>(table: T, row: NewRowOf<T>): this {
    return this.add({ op: 'insert', table: tableName(table), row: row as KeyData })
  }

  /** A new row, or another in its place: columns that are left out get their defaults. */
  upsert<T extends AnyTable>(table: T, row: NewRowOf<T>, options: ConditionalWrite<T> = {}): this {
    return this.add({ op: 'upsert', table: tableName(table), row: row as KeyData, ...conditionOf(options) })
  }

  /** Changes a row; rejected if there is none. */
  update<T extends AnyTable>(table: T, key: KeyOf<T>, patch: PatchOf<T>, options: ConditionalWrite<T> = {}): this {
    const data = patch as PatchData
    return this.add({
      op: 'update',
      table: tableName(table),
      key: key as KeyData,
      patch: data,
      ...conditionOf(options),
    })
  }

  /** No row of that key is there afterwards. */
  delete<T extends AnyTable>(table: T, key: KeyOf<T>, options: ConditionalWrite<T> = {}): this {
    return this.add({ op: 'delete', table: tableName(table), key: key as KeyData, ...conditionOf(options) })
  }

  /** Changes nothing; all is rejected unless the condition holds. */
  check<T extends AnyTable>(table: T, key: KeyOf<T>, condition: ConditionOf<T>): this {
    return this.add({ op: 'check', table: tableName(table), key: key as KeyData, if: condition as Condition })
  }

  private add(operation: WriteOperation): this {
    this.operations.push(operation)
    return this
  }
}

function conditionOf<T extends AnyTable>(options: ConditionalWrite<T>): { readonly if?: Condition } {
  requireRecord(options, 'what a write is given behind the row or patch')
  requireKnown(options, OPTIONS, 'a write in a batch')
  const { if: condition } = options as ConditionalWrite<T>
  return condition === undefined ? {} : { if: condition as Condition }
}
