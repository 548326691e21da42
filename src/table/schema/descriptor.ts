// A table as it is stored: everything has an id that never changes and is never used again, so names can change and old rows
// stay readable. Pure data. Not here: which changes are allowed (evolution.ts).

import type { ColumnSpec, Value } from './columns.ts'

export interface ColumnDescriptor {
  readonly id: number
  readonly name: string
  readonly spec: ColumnSpec
  /** The first schema version whose rows hold it; `until`: the first that don't any more. */
  readonly since: number
  readonly until?: number
}

export interface PartDescriptor {
  /** Column id. */
  readonly column: number
  readonly descending: boolean
}

/**
 * building: every write keeps it, older rows are being added, nobody reads it. ready: in use. failed: a unique index found
 * duplicates; it is kept, but not read, until it is dropped or built again.
 */
export type IndexState = 'building' | 'ready' | 'failed'

export interface IndexDescriptor {
  readonly id: number
  readonly name: string
  readonly parts: readonly PartDescriptor[]
  readonly unique: boolean
  /** Column ids. */
  readonly include: readonly number[]
  readonly where?: FilterData
  readonly state: IndexState
}

/** A filter as data; column names as they are now. */
export type FilterData = OneFilterData | readonly OneFilterData[]
export type OneFilterData = { readonly [column: string]: unknown }

export type TtlDescriptor = { readonly afterMs: number } | { readonly column: string }

export interface TableDescriptor {
  readonly id: number
  readonly name: string
  /** Grows by one with every change. */
  readonly version: number
  /** In the order of their ids, dropped ones included. */
  readonly columns: readonly ColumnDescriptor[]
  readonly key: readonly PartDescriptor[]
  readonly indexes: readonly IndexDescriptor[]
  readonly nextIndexId: number
  readonly ttl?: TtlDescriptor
  /** The first position at which it had its name. Absent: a build that did not note it made or renamed it. */
  readonly namedAt?: number
}

/** A table as its user wants it, as plain data: what a definition becomes before it is compared with what is there. */
export interface TableShape {
  readonly name: string
  readonly columns: readonly { readonly name: string; readonly spec: ColumnSpec }[]
  readonly key: readonly PartShape[]
  readonly indexes: readonly IndexShape[]
  readonly ttl?: TtlDescriptor
}

export interface PartShape {
  readonly column: string
  readonly descending: boolean
}

export interface IndexShape {
  readonly name: string
  readonly parts: readonly PartShape[]
  readonly unique: boolean
  readonly include: readonly string[]
  readonly where?: FilterData
}

/** Columns that rows of `version` hold, in the order in which they are stored. */
export function columnsAt(table: TableDescriptor, version: number): readonly ColumnDescriptor[] {
  return table.columns.filter(({ since, until }) => since <= version && (until === undefined || version < until))
}

/** Columns of the table as it is. */
export function currentColumns(table: TableDescriptor): readonly ColumnDescriptor[] {
  return table.columns.filter(({ until }) => until === undefined)
}

export function columnNamed(table: TableDescriptor, name: string): ColumnDescriptor | undefined {
  return table.columns.find((column) => column.until === undefined && column.name === name)
}

export function columnName(table: TableDescriptor, id: number): string {
  return table.columns.find((column) => column.id === id)?.name ?? `#${id}`
}

/** A value that a definition gave, for messages. */
export function shown(value: Value | undefined): string {
  if (typeof value === 'bigint') return `${value}n`
  const text = value instanceof Uint8Array ? `${value.length} bytes` : (JSON.stringify(value) ?? 'undefined')
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}
