// Types that follow from a table's definition: rows, keys, patches, filters, scans. Types only.

import type { AnyTable, PartName } from './define-table.ts'
import type { Columns, FilterOf } from './filter-types.ts'

type Flat<T> = { [N in keyof T]: T[N] } & {}

type ColumnsOf<T extends AnyTable> = T['columns']

type Rows<C extends Columns> = { -readonly [N in keyof C]: C[N]['type'] }

/** A row as it is read. */
export type RowOf<T extends AnyTable> = Flat<Rows<ColumnsOf<T>>>

type Required_<C extends Columns> = {
  -readonly [N in keyof C as C[N]['optional'] extends true ? never : N]: C[N]['type']
}
type Optional_<C extends Columns> = {
  -readonly [N in keyof C as C[N]['optional'] extends true ? N : never]?: C[N]['type'] | undefined
}

/** A row as it is written: what has a default may be left out. */
export type NewRowOf<T extends AnyTable> = Flat<Required_<ColumnsOf<T>> & Optional_<ColumnsOf<T>>>

/** Names of the primary key's columns. */
export type KeyName<T extends AnyTable> = PartName<T['key'][number]> & keyof ColumnsOf<T>

/** All columns of the primary key. */
export type KeyOf<T extends AnyTable> = Flat<Pick<Rows<ColumnsOf<T>>, KeyName<T>>>

export type IndexName<T extends AnyTable> = keyof T['indexes'] & string

type IndexParts<X> = X extends { readonly columns: readonly (infer P)[] } ? PartName<P> : never

/** The columns of an index, or of the primary key if none is named; leading ones suffice for a bound. */
export type BoundOf<T extends AnyTable, I extends IndexName<T> | undefined> = Flat<
  Partial<
    Pick<
      Rows<ColumnsOf<T>>,
      (I extends IndexName<T> ? IndexParts<T['indexes'][I]> | KeyName<T> : KeyName<T>) & keyof ColumnsOf<T>
    >
  >
>

export type RowFilter<T extends AnyTable> = FilterOf<ColumnsOf<T>>

type Settable<T extends AnyTable> = Exclude<keyof ColumnsOf<T>, KeyName<T>>

type OfKind<T extends AnyTable, Kind extends string> = {
  [N in Settable<T>]: ColumnsOf<T>[N]['kind'] extends Kind ? N : never
}[Settable<T>]

/** What an update does to a row. The primary key stays. */
export interface PatchOf<T extends AnyTable> {
  readonly set?: Flat<Partial<Pick<Rows<ColumnsOf<T>>, Settable<T>>>>
  /** Adds; null counts as 0. Beyond the range of the column: OUT_OF_RANGE. */
  readonly increment?: Flat<{
    readonly [N in OfKind<T, 'int64' | 'double'>]?: NonNullable<ColumnsOf<T>[N]['type']>
  }>
  /** Puts these behind: to a text, bytes or a list. Null counts as empty. */
  readonly append?: Flat<{
    readonly [N in OfKind<T, 'string' | 'bytes' | 'list'>]?: NonNullable<ColumnsOf<T>[N]['type']>
  }>
  /** JSON merge patch (RFC 7396): null removes a member. */
  readonly merge?: Flat<{ readonly [N in OfKind<T, 'json'>]?: unknown }>
}

/** When a write happens at all; otherwise it is rejected with the row that is there. */
export interface ConditionOf<T extends AnyTable> {
  /** The row has this version; 0: there is no row. */
  readonly version?: number
  readonly exists?: boolean
  /** There is a row, and it matches. */
  readonly where?: RowFilter<T>
}

/** Names of all columns. */
export type ColumnName<T extends AnyTable> = keyof ColumnsOf<T> & string

/** What a scan looks at, in the order of the index. */
export interface ScanOf<
  T extends AnyTable,
  I extends IndexName<T> | undefined,
  S extends ColumnName<T> = ColumnName<T>,
> {
  /** Default: the primary key. */
  readonly index?: I
  /** Leading columns with these values. */
  readonly prefix?: BoundOf<T, I>
  /** From this on, inclusive; `after`: exclusive. Leading columns; in the order of the index, so for `desc` downwards. */
  readonly from?: BoundOf<T, I>
  readonly after?: BoundOf<T, I>
  /** Up to this, inclusive; `before`: exclusive. */
  readonly to?: BoundOf<T, I>
  readonly before?: BoundOf<T, I>
  readonly reverse?: boolean
  readonly filter?: RowFilter<T>
  /** Only these columns. Without others, and with a filter on no others, an index that has them all answers alone. */
  readonly select?: readonly S[]
  /** Rows of one page: 1 to 10 000. Default 1 000. */
  readonly limit?: number
  /** Where the page before ended. */
  readonly page?: string | undefined
}
