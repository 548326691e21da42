// The public entry `delos/table`: how tables are defined, and how a program reads and writes them. A server with tables is
// opened by `delos` (openServer); nothing here needs Node.

export { DelosError, type ErrorCode } from '../base/delos-error.ts'
export type { KeptChanges, Position, ReadLevel, RejectionReason, TableDescription } from './messages.ts'
export {
  bool,
  bytes,
  type Column,
  type ColumnKind,
  createdAt,
  double,
  enumOf,
  int64,
  type JsonValue,
  json,
  list,
  string,
  timestamp,
  uuid,
  type Value,
} from './schema/columns.ts'
export {
  type AnyTable,
  defineTable,
  desc,
  type IndexDefinition,
  type Part,
  type Table,
  type Ttl,
} from './schema/define-table.ts'
export type { Columns, Comparison, FilterOf } from './schema/filter-types.ts'
export type { MigrationHints } from './schema/migration-plan.ts'
export type {
  BoundOf,
  ConditionOf,
  IndexName,
  KeyOf,
  NewRowOf,
  PatchOf,
  RowFilter,
  RowOf,
  ScanOf,
} from './schema/row-types.ts'
export type { SchemaClient } from './schema-client.ts'
export type { TableLimits } from './table-limits.ts'
export type { TableTransaction, Versioned } from './table-transaction.ts'
export type { ChangesOptions, Page, ReadOptions, RowChange, Tables, WriteOptions, WriteResult } from './tables.ts'
export type { TransactionOptions, TransactionResult } from './transaction-runner.ts'
export type { WriteBatch } from './write-batch.ts'
