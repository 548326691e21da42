// What a table is, as its user writes it: one object from which row, key, index and patch types are inferred (row-types.ts).

import type { Columns, FilterOf, OrderedKind } from './filter-types.ts'

/** Columns that an index may have. */
export type OrderedColumn<C extends Columns> = {
  [N in keyof C]: C[N]['kind'] extends OrderedKind ? N : never
}[keyof C] &
  string

/** Columns that the primary key may have: those that are never null. */
export type PrimaryColumn<C extends Columns> = {
  [N in OrderedColumn<C>]: null extends C[N]['type'] ? never : N
}[OrderedColumn<C>]

/** A column of a key or index, ascending unless it says otherwise. */
export type Part<N extends string = string> = N | { readonly column: N; readonly order: 'asc' | 'desc' }

/** The name in a part. */
export type PartName<P> = P extends string ? P : P extends { readonly column: infer N extends string } ? N : never

/** A column in descending order: null comes last then. */
export function desc<const N extends string>(column: N): { readonly column: N; readonly order: 'desc' } {
  return { column, order: 'desc' }
}

export interface IndexDefinition<C extends Columns> {
  readonly columns: readonly Part<OrderedColumn<C>>[]
  /** No two rows with the same values in all of them. Rows with a null among them are never the same. */
  readonly unique?: boolean
  /** Further columns that the index holds a copy of, so that scans that need no others don't look at the rows. */
  readonly include?: readonly OrderedColumn<C>[]
  /** Only rows that match are in the index. */
  readonly where?: FilterOf<C>
}

/** When rows disappear: so long after they were last written, or when the time in a column has come. Through the engine Time. */
export type Ttl<C extends Columns> =
  | { readonly afterMs: number }
  | { readonly column: { [N in keyof C]: C[N]['kind'] extends 'timestamp' ? N : never }[keyof C] & string }

export interface Table<
  C extends Columns = Columns,
  K extends readonly Part[] = readonly Part[],
  // biome-ignore lint/complexity/noBannedTypes: no index is the empty object.
  I extends Readonly<Record<string, unknown>> = {},
> {
  readonly name: string
  readonly columns: C
  /** The primary key: at least one column, in this order. */
  readonly key: K
  readonly indexes: I
  readonly ttl: Ttl<C> | undefined
}

/** Any table; what functions that don't care take. */
// biome-ignore lint/suspicious/noExplicitAny: any table, whatever its columns.
export type AnyTable = Table<any, readonly Part[], any>

/** Checked by the compiler; what it can't see (names, sizes) is checked when the table is created. */
export function defineTable<
  const C extends Columns,
  const K extends readonly Part<PrimaryColumn<C>>[],
  // biome-ignore lint/complexity/noBannedTypes: no index is the empty object.
  const I extends Readonly<Record<string, IndexDefinition<C>>> = {},
>(definition: {
  readonly name: string
  readonly columns: C
  readonly key: K
  readonly indexes?: I | undefined
  readonly ttl?: Ttl<C> | undefined
}): Table<C, K, I> {
  const { name, columns, key, ttl } = definition
  return { name, columns, key, indexes: definition.indexes ?? ({} as I), ttl }
}
