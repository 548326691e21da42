// What DelosTable is asked and what it answers, as plain data: the same for a client in this process and, later, far away. The
// typed client (tables.ts) makes and reads them. What goes through the log is another matter: codec/transaction-codec.ts.

import type { RowData } from './codec/row-codec.ts'
import type { FilterData, TableDescriptor, TableShape } from './schema/descriptor.ts'
import type { SchemaChange } from './schema/evolution.ts'

/** How many changing transactions have been applied: the order of everything. The same on every server. */
export type Position = number

/**
 * linearizable: everything that was acknowledged anywhere before. session: everything that the caller has seen (`position`).
 * lease: linearizable without a round trip, where a lease is held. staleMs: what was there at most so long ago. snapshot: exactly
 * what was there at a position of the recent past, or SNAPSHOT_GONE.
 */
export type ReadLevel =
  | 'linearizable'
  | 'lease'
  | { readonly session: Position }
  | { readonly staleMs: number }
  | { readonly snapshot: Position }
  /** What this server has. Never behind what the same server has answered before. */
  | 'local'

/** Values of the primary key's columns, by name. */
export type KeyData = Readonly<Record<string, unknown>>

/** When a write happens at all. */
export interface Condition {
  readonly version?: number
  readonly exists?: boolean
  readonly where?: FilterData
}

export interface PatchData {
  readonly set?: Readonly<Record<string, unknown>>
  readonly increment?: Readonly<Record<string, unknown>>
  readonly append?: Readonly<Record<string, unknown>>
  readonly merge?: Readonly<Record<string, unknown>>
}

export type WriteOperation =
  | { readonly op: 'insert'; readonly table: string; readonly row: Readonly<Record<string, unknown>> }
  | {
      readonly op: 'upsert'
      readonly table: string
      readonly row: Readonly<Record<string, unknown>>
      readonly if?: Condition
    }
  | {
      readonly op: 'update'
      readonly table: string
      readonly key: KeyData
      readonly patch: PatchData
      readonly if?: Condition
    }
  | { readonly op: 'delete'; readonly table: string; readonly key: KeyData; readonly if?: Condition }
  /** Changes nothing; the transaction is rejected unless the condition holds. */
  | { readonly op: 'check'; readonly table: string; readonly key: KeyData; readonly if: Condition }

/** A row that was read: it must have this version still. 0: it must not be there. */
export interface RowRead {
  readonly table: string
  readonly key: KeyData
  readonly version: number
  /** See RangeRead. */
  readonly schema?: string | undefined
}

/** A range that was scanned: it must hold the same rows, or index entries, still. */
export interface RangeRead {
  readonly table: string
  /** Undefined: the rows in the order of the primary key. */
  readonly index: string | undefined
  /** Parts of keys behind the prefix of table or index; half-open. */
  readonly from: string
  readonly to: string | undefined
  readonly rows: number
  /** The rows behind the entries of the index were looked at too: their versions are in the digest. */
  readonly rowsToo: boolean
  /** Looked at from the end: the digest depends on the order. */
  readonly reverse: boolean
  readonly digest: number
  /** The table and the version of its schema: what was read under another one says nothing, so the transaction conflicts. */
  readonly schema?: string | undefined
}

export interface TransactionRequest {
  readonly operations: readonly WriteOperation[]
  readonly reads?: readonly RowRead[]
  readonly ranges?: readonly RangeRead[]
  /** Of all transactions with this token one is applied. Remembered for the newest 500 000 tokens. 1 to 64 characters. */
  readonly token?: string | undefined
}

export type RejectionReason =
  /** insert: there is a row of that key. */
  | 'exists'
  /** update, delete with a condition: there is none. */
  | 'missing'
  | 'condition'
  /** Another row has the same values in a unique index. */
  | 'unique'
  /** An increment leaves the range of its column. */
  | 'range'
  /** The row, its key or an entry of an index would be too large, or what the transaction replaces is. */
  | 'size'

/** What one operation left: the row after it, for a delete the row before it. */
export interface RowAnswer {
  readonly row: RowData | undefined
  /** 0: no row. */
  readonly version: number
}

export type TransactionAnswer =
  | { readonly kind: 'committed'; readonly position: Position; readonly rows: readonly RowAnswer[] }
  /** Its token was used before: that transaction was applied, this one was not. */
  | { readonly kind: 'repeated'; readonly position: Position }
  /** Nothing was changed. */
  | {
      readonly kind: 'rejected'
      readonly position: Position
      /** Which of the operations. */
      readonly operation: number
      readonly reason: RejectionReason
      /** The index, for `unique`. */
      readonly index?: string
      readonly detail: string
      /** The row that is there, or that has the same values in the unique index. */
      readonly current: RowAnswer
    }
  /** What was read has changed since. Nothing was changed. */
  | { readonly kind: 'conflict'; readonly position: Position; readonly detail: string }

export interface GetRequest {
  readonly table: string
  readonly key: KeyData
  readonly level?: ReadLevel
}

export interface GetManyRequest {
  readonly table: string
  readonly keys: readonly KeyData[]
  readonly level?: ReadLevel
}

export interface ScanRequest {
  readonly table: string
  readonly index?: string | undefined
  readonly prefix?: Readonly<Record<string, unknown>> | undefined
  readonly from?: Readonly<Record<string, unknown>> | undefined
  readonly after?: Readonly<Record<string, unknown>> | undefined
  readonly to?: Readonly<Record<string, unknown>> | undefined
  readonly before?: Readonly<Record<string, unknown>> | undefined
  readonly reverse?: boolean | undefined
  readonly filter?: FilterData | undefined
  readonly select?: readonly string[] | undefined
  readonly limit?: number | undefined
  readonly page?: string | undefined
  readonly level?: ReadLevel | undefined
  /** For a transaction: also what must stay as it is. */
  readonly evidence?: boolean | undefined
}

export interface ScanAnswer {
  readonly rows: readonly RowData[]
  /** Where the next page begins; undefined: this was the last. A page can be short, or empty, before that. */
  readonly page: string | undefined
  readonly position: Position
  readonly range?: RangeRead
}

export interface CountRequest {
  readonly table: string
  readonly index?: string | undefined
  readonly prefix?: Readonly<Record<string, unknown>> | undefined
  readonly filter?: FilterData | undefined
  readonly level?: ReadLevel | undefined
}

/** Schema changes of one table. All or nothing. */
export interface SchemaRequest {
  readonly table: string
  /** The version that the changes were made for; 0: there is no such table yet. */
  readonly version: number
  readonly changes: readonly SchemaChange[]
}

export type SchemaAnswer =
  | { readonly kind: 'changed'; readonly table: TableDescriptor | undefined; readonly position: Position }
  /** The table has another version. */
  | { readonly kind: 'conflict'; readonly version: number }
  | { readonly kind: 'forbidden'; readonly reason: string }

/** How much of the past is kept, in the change log of the whole database: the newest transactions, until either is too much. */
export interface KeptChanges {
  readonly transactions: number
  readonly bytes: number
}

/** How far the building of an index is. */
export interface IndexProgress {
  readonly index: string
  readonly state: 'building' | 'ready' | 'failed'
  readonly rowsDone: number
  /** Primary keys of rows that have the same values as another; the first 100. */
  readonly violations: readonly RowData[]
}

export interface TableDescription {
  readonly name: string
  readonly version: number
  readonly rows: number
  readonly shape: TableShape
  readonly indexes: readonly IndexProgress[]
}

/** One row that a transaction changed. */
export interface Change {
  readonly position: Position
  readonly table: string
  readonly key: RowData
  /** Undefined: it was not there before. */
  readonly before: RowData | undefined
  /** Undefined: it was deleted. */
  readonly after: RowData | undefined
}

export interface ChangesRequest {
  /** Changes after this position. */
  readonly after: Position
  readonly table?: string | undefined
  /** Only rows whose primary key begins with these, and lies within bounds: `from` and `to` inclusive, `before` exclusive. */
  readonly prefix?: Readonly<Record<string, unknown>> | undefined
  readonly from?: Readonly<Record<string, unknown>> | undefined
  readonly to?: Readonly<Record<string, unknown>> | undefined
  readonly before?: Readonly<Record<string, unknown>> | undefined
  readonly limit?: number | undefined
}

export interface ChangesAnswer {
  readonly changes: readonly Change[]
  /** Everything up to here was looked at: what to ask for next. */
  readonly position: Position
  /** Nothing newer is there yet. */
  readonly caughtUp: boolean
}
