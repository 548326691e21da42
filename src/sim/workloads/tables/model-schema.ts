// Tables as a naive model has them: columns and indexes with numbers of their own, rows that hold values by column, and which
// changes of a schema are allowed. Written from the documentation, not from the product's code: it is the oracle.

import type { ColumnSpec, Value } from '../../../table/schema/columns.ts'
import type { IndexShape, OneFilterData, TableShape, TtlDescriptor } from '../../../table/schema/descriptor.ts'
import type { SchemaChange } from '../../../table/schema/evolution.ts'

export interface ModelColumn {
  readonly id: number
  readonly name: string
  readonly spec: ColumnSpec
  /** What rows have that were there before it. */
  readonly added: Value
}

export interface ModelPart {
  readonly column: number
  readonly descending: boolean
}

export interface ModelIndex {
  readonly id: number
  readonly name: string
  readonly parts: readonly ModelPart[]
  readonly unique: boolean
  readonly include: readonly number[]
  /** Column to value, all of which must be equal. */
  readonly where: ReadonlyMap<number, Value>
  readonly state: 'building' | 'ready' | 'failed'
  /** Of a unique one that is not ready: who has which values. */
  readonly holders: ReadonlyMap<string, string>
  /** The last row that its building has reached. */
  readonly reached: ModelRow | undefined
  readonly duplicates: number
}

export interface ModelRow {
  /** By column. */
  readonly values: Readonly<Record<number, Value>>
  readonly version: number
  /** The tick that ends it; 0: none. */
  readonly endsAt: number
  /** True time at which it ends, at the earliest. */
  readonly endsMs: number
}

export interface ModelTable {
  readonly id: number
  readonly name: string
  /** The first position at which it had its name. */
  readonly namedAt: number
  readonly version: number
  readonly columns: readonly ModelColumn[]
  readonly columnsMade: number
  readonly key: readonly ModelPart[]
  readonly indexes: readonly ModelIndex[]
  readonly indexesMade: number
  readonly ttl: { readonly afterMs: number } | { readonly column: number } | undefined
  /** By the text of their keys. */
  readonly rows: ReadonlyMap<string, ModelRow>
}

export function columnNamed(table: ModelTable, name: string): ModelColumn | undefined {
  return table.columns.find((column) => column.name === name)
}

export function columnOf(table: ModelTable, id: number): ModelColumn {
  return table.columns.find((column) => column.id === id) as ModelColumn
}

export function createTable(id: number, shape: TableShape, namedAt: number): ModelTable {
  const columns = shape.columns.map(({ name, spec }, i) => ({ id: i + 1, name, spec, added: spec.fallback ?? null }))
  const bare: ModelTable = {
    id,
    name: shape.name,
    namedAt,
    version: 1,
    columns,
    columnsMade: columns.length,
    key: [],
    indexes: [],
    indexesMade: 0,
    ttl: undefined,
    rows: new Map(),
  }
  const table = { ...bare, key: partsOf(bare, shape.key), ttl: ttlOf(bare, shape.ttl) }
  return shape.indexes.reduce<ModelTable>((made, index) => withIndex(made, index), table)
}

type Step = Exclude<SchemaChange, { kind: 'createTable' | 'dropTable' | 'renameTable' }>

/** The table after one step; undefined: it is forbidden. */
export function changeTable(table: ModelTable, change: Step): ModelTable | undefined {
  switch (change.kind) {
    case 'addColumn': {
      const { name, spec } = change
      if (columnNamed(table, name) !== undefined || spec.fallback === undefined) return undefined
      const id = table.columnsMade + 1
      return { ...table, columns: [...table.columns, { id, name, spec, added: spec.fallback }], columnsMade: id }
    }
    case 'dropColumn': {
      const column = columnNamed(table, change.name)
      if (column === undefined || isUsed(table, column.id)) return undefined
      return { ...table, columns: table.columns.filter((one) => one !== column) }
    }
    case 'renameColumn': {
      const column = columnNamed(table, change.from)
      if (column === undefined || columnNamed(table, change.to) !== undefined) return undefined
      return { ...table, columns: table.columns.map((one) => (one === column ? { ...one, name: change.to } : one)) }
    }
    case 'changeColumn': {
      const column = columnNamed(table, change.name)
      if (column === undefined || !mayBecome(table, column, change.spec)) return undefined
      const changed = { ...column, spec: change.spec }
      return { ...table, columns: table.columns.map((one) => (one === column ? changed : one)) }
    }
    case 'addIndex': {
      const { include, name, parts, where } = change.index
      const names = [...parts.map(({ column }) => column), ...include, ...Object.keys(where ?? {})]
      if (table.indexes.some((index) => index.name === name)) return undefined
      if (names.some((column) => columnNamed(table, column) === undefined)) return undefined
      return withIndex(table, change.index)
    }
    case 'dropIndex': {
      const left = table.indexes.filter(({ name }) => name !== change.name)
      return left.length === table.indexes.length ? undefined : { ...table, indexes: left }
    }
    case 'rebuildIndex': {
      const index = table.indexes.find(({ name }) => name === change.name)
      if (index?.state !== 'failed') return undefined
      const id = table.indexesMade + 1
      const anew: ModelIndex = {
        ...index,
        id,
        state: 'building',
        holders: new Map(),
        reached: undefined,
        duplicates: 0,
      }
      return { ...table, indexes: table.indexes.map((one) => (one === index ? anew : one)), indexesMade: id }
    }
    case 'setTtl': {
      const { ttl } = change
      if (ttl !== null && 'column' in ttl && columnNamed(table, ttl.column)?.spec.kind !== 'timestamp') return undefined
      return { ...table, ttl: ttl === null ? undefined : ttlOf(table, ttl) }
    }
  }
}

function isUsed({ indexes, key, ttl }: ModelTable, column: number): boolean {
  return (
    key.some((part) => part.column === column) ||
    (ttl !== undefined && 'column' in ttl && ttl.column === column) ||
    indexes.some(({ include, parts, where }) => {
      return parts.some((part) => part.column === column) || include.includes(column) || where.has(column)
    })
  )
}

function mayBecome(table: ModelTable, { id, spec: before }: ModelColumn, after: ColumnSpec): boolean {
  if (after.kind !== before.kind || (before.nullable && !after.nullable)) return false
  if ((before.values ?? []).some((value, i) => after.values?.[i] !== value)) return false
  const isNewlyNull = after.nullable && !before.nullable
  const inKeys = [table.key, ...table.indexes.map(({ parts }) => parts)].flat().some(({ column }) => column === id)
  if (isNewlyNull && (inKeys || table.indexes.some(({ include }) => include.includes(id)))) return false
  // Rows from before a column that was added show its default of then.
  return id <= FIRST_COLUMNS || textOf(before.fallback ?? null) === textOf(after.fallback ?? null)
}

/** Every table of the workload begins with so many. */
export const FIRST_COLUMNS = 5

function withIndex(table: ModelTable, shape: IndexShape): ModelTable {
  const id = table.indexesMade + 1
  const idOf = (name: string): number => columnNamed(table, name)?.id as number
  const index: ModelIndex = {
    id,
    name: shape.name,
    parts: partsOf(table, shape.parts),
    unique: shape.unique,
    include: shape.include.map(idOf),
    where: new Map(Object.entries((shape.where ?? {}) as OneFilterData).map(([name, v]) => [idOf(name), v as Value])),
    state: table.rows.size > 0 ? 'building' : 'ready',
    holders: new Map(),
    reached: undefined,
    duplicates: 0,
  }
  return { ...table, indexes: [...table.indexes, index], indexesMade: id }
}

function partsOf(table: ModelTable, parts: TableShape['key']): ModelPart[] {
  return parts.map(({ column, descending }) => ({ column: columnNamed(table, column)?.id as number, descending }))
}

function ttlOf(table: ModelTable, ttl: TtlDescriptor | undefined): ModelTable['ttl'] {
  if (ttl === undefined || 'afterMs' in ttl) return ttl
  return { column: columnNamed(table, ttl.column)?.id as number }
}

/** The definition that says what the table is. */
export function shapeOfModel(table: ModelTable): TableShape {
  const nameOf = (id: number): string => columnOf(table, id).name
  const parts = (list: readonly ModelPart[]): TableShape['key'] =>
    list.map(({ column, descending }) => ({ column: nameOf(column), descending }))
  const { ttl } = table
  return {
    name: table.name,
    columns: table.columns.map(({ name, spec }) => ({ name, spec })),
    key: parts(table.key),
    indexes: table.indexes.map((index) => ({
      name: index.name,
      parts: parts(index.parts),
      unique: index.unique,
      include: index.include.map(nameOf),
      ...(index.where.size > 0 && { where: Object.fromEntries([...index.where].map(([id, v]) => [nameOf(id), v])) }),
    })),
    ...(ttl !== undefined && { ttl: 'column' in ttl ? { column: nameOf(ttl.column) } : ttl }),
  }
}

/** Equal values have equal texts. */
export function textOf(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`
  if (value instanceof Date) return `@${value.getTime()}`
  return JSON.stringify(value)
}
