// Types of filters over columns. Types only; what a filter does is codec/filter.ts's.

import type { Column, ColumnKind } from './columns.ts'

// biome-ignore lint/suspicious/noExplicitAny: any column, whatever its type.
export type AnyColumn = Column<ColumnKind, any, boolean>

export type Columns = Readonly<Record<string, AnyColumn>>

/** Kinds that have an order. */
export type OrderedKind = Exclude<ColumnKind, 'json' | 'list'>

/** Comparisons of one column; all of them must hold. A comparison with null is only true for `eq: null` and `ne`. */
export interface Comparison<V> {
  readonly eq?: V
  readonly ne?: V
  readonly lt?: NonNullable<V>
  readonly lte?: NonNullable<V>
  readonly gt?: NonNullable<V>
  readonly gte?: NonNullable<V>
  readonly in?: readonly V[]
  /** Texts that begin so. */
  readonly prefix?: V extends string ? string : never
}

type OneFilter<C extends Columns> = {
  readonly [N in keyof C]?: C[N]['kind'] extends OrderedKind
    ? C[N]['type'] | Comparison<C[N]['type']>
    : null | { readonly ne: null }
}

/** Columns that must all match; of a list, one must match as a whole. */
export type FilterOf<C extends Columns> = OneFilter<C> | readonly OneFilter<C>[]
