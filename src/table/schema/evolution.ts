// How a table may change: each step as data, and the one pure function that takes it, run by whoever asks and again in apply. A
// step that would lose or reinterpret what is stored is refused with what to do instead.

import { unreachable } from '../../base/assert.ts'
import { toTaggedJson } from '../codec/tagged-json.ts'
import type { ColumnSpec } from './columns.ts'
import {
  type ColumnDescriptor,
  columnNamed,
  currentColumns,
  type IndexDescriptor,
  type IndexShape,
  type OneFilterData,
  type PartShape,
  type TableDescriptor,
  type TableShape,
  type TtlDescriptor,
} from './descriptor.ts'
import { checkColumn, checkIndex, checkName, checkTtl } from './table-shape.ts'

export type SchemaChange =
  | { readonly kind: 'createTable'; readonly shape: TableShape }
  | { readonly kind: 'dropTable' }
  | { readonly kind: 'renameTable'; readonly to: string }
  | { readonly kind: 'addColumn'; readonly name: string; readonly spec: ColumnSpec }
  | { readonly kind: 'dropColumn'; readonly name: string }
  | { readonly kind: 'renameColumn'; readonly from: string; readonly to: string }
  | { readonly kind: 'changeColumn'; readonly name: string; readonly spec: ColumnSpec }
  | { readonly kind: 'addIndex'; readonly index: IndexShape }
  | { readonly kind: 'dropIndex'; readonly name: string }
  /** Begins anew with an index whose building found duplicates. */
  | { readonly kind: 'rebuildIndex'; readonly name: string }
  | { readonly kind: 'setTtl'; readonly ttl: TtlDescriptor | null }

/** Why a change is refused, and what to do instead. */
export class Forbidden {
  readonly reason: string

  constructor(reason: string) {
    this.reason = reason
  }
}

/** A new table. */
export function createdTable(id: number, shape: TableShape): TableDescriptor {
  const columns = shape.columns.map(({ name, spec }, i): ColumnDescriptor => ({ id: i + 1, name, spec, since: 1 }))
  const bare: TableDescriptor = {
    id,
    name: shape.name,
    version: 1,
    columns,
    key: [],
    indexes: [],
    nextIndexId: 1,
    ...(shape.ttl !== undefined && { ttl: shape.ttl }),
  }
  const table = { ...bare, key: partIds(bare, shape.key) }
  // Nothing is there that an index would have to be built from.
  return shape.indexes.reduce((made, index) => withIndex(made, index, 'ready'), table)
}

/** The table after one step, at the version that it will have; `hasRows`: an index is built from what is there. */
export function changedTable(
  table: TableDescriptor,
  change: Exclude<SchemaChange, { kind: 'createTable' | 'dropTable' }>,
  version: number,
  hasRows: boolean,
): TableDescriptor | Forbidden {
  switch (change.kind) {
    case 'renameTable':
      checkName('table', change.to)
      return { ...table, name: change.to }
    case 'addColumn':
      return addColumn(table, change.name, change.spec, version)
    case 'dropColumn':
      return dropColumn(table, change.name, version)
    case 'renameColumn':
      return renameColumn(table, change.from, change.to)
    case 'changeColumn':
      return changeColumn(table, change.name, change.spec)
    case 'addIndex':
      if (table.indexes.some(({ name }) => name === change.index.name)) {
        return new Forbidden(`there is an index ${change.index.name}: drop it first, or use another name`)
      }
      checkIndex(change.index, specsOf(table))
      return withIndex(table, change.index, hasRows ? 'building' : 'ready')
    case 'dropIndex':
      if (!table.indexes.some(({ name }) => name === change.name))
        return new Forbidden(`there is no index ${change.name}`)
      return { ...table, indexes: table.indexes.filter(({ name }) => name !== change.name) }
    case 'rebuildIndex': {
      const index = table.indexes.find(({ name }) => name === change.name)
      if (index?.state !== 'failed') return new Forbidden(`index ${change.name} has not failed`)
      return {
        ...table,
        indexes: table.indexes.map((one) =>
          one === index ? { ...index, id: table.nextIndexId, state: 'building' } : one,
        ),
        nextIndexId: table.nextIndexId + 1,
      }
    }
    case 'setTtl': {
      if (change.ttl !== null) checkTtl(change.ttl, specsOf(table))
      const { ttl: _, ...rest } = table
      return change.ttl === null ? rest : { ...rest, ttl: change.ttl }
    }
    default:
      return unreachable(change)
  }
}

function addColumn(
  table: TableDescriptor,
  name: string,
  spec: ColumnSpec,
  version: number,
): TableDescriptor | Forbidden {
  checkName('column', name)
  checkColumn(name, spec)
  if (columnNamed(table, name) !== undefined) return new Forbidden(`there is a column ${name}: rename or drop it first`)
  if (spec.fallback === undefined) {
    const what = 'the rows that are there have no value for it'
    return new Forbidden(`column ${name} can't be added as it is: ${what}; make it nullable or give it a default`)
  }
  const column: ColumnDescriptor = { id: table.columns.length + 1, name, spec, since: version }
  return { ...table, columns: [...table.columns, column] }
}

function dropColumn(table: TableDescriptor, name: string, version: number): TableDescriptor | Forbidden {
  const column = columnNamed(table, name)
  if (column === undefined) return new Forbidden(`there is no column ${name}`)
  if (table.key.some((part) => part.column === column.id)) {
    return new Forbidden(`column ${name} is in the primary key: copy the rows to a new table instead`)
  }
  const user = table.indexes.find((index) => usesColumn(index, column))
  if (user !== undefined) return new Forbidden(`index ${user.name} uses column ${name}: drop the index first`)
  if (table.ttl !== undefined && 'column' in table.ttl && table.ttl.column === name) {
    return new Forbidden(`rows expire by column ${name}: change the ttl first`)
  }
  return { ...table, columns: table.columns.map((one) => (one === column ? { ...one, until: version } : one)) }
}

function usesColumn(index: IndexDescriptor, { id, name }: ColumnDescriptor): boolean {
  const filters = index.where === undefined ? [] : ([index.where].flat() as OneFilterData[])
  return (
    index.parts.some((part) => part.column === id) ||
    index.include.includes(id) ||
    filters.some((filter) => filter[name] !== undefined)
  )
}

function renameColumn(table: TableDescriptor, from: string, to: string): TableDescriptor | Forbidden {
  const column = columnNamed(table, from)
  if (column === undefined) return new Forbidden(`there is no column ${from}`)
  checkName('column', to)
  if (columnNamed(table, to) !== undefined) return new Forbidden(`there is a column ${to} already`)
  const renamed = (filter: OneFilterData): OneFilterData =>
    Object.fromEntries(Object.entries(filter).map(([name, wanted]) => [name === from ? to : name, wanted]))
  const { ttl } = table
  return {
    ...table,
    columns: table.columns.map((one) => (one === column ? { ...one, name: to } : one)),
    indexes: table.indexes.map((index) => {
      const { where } = index
      if (where === undefined) return index
      return { ...index, where: Array.isArray(where) ? where.map(renamed) : renamed(where as OneFilterData) }
    }),
    ...(ttl !== undefined && { ttl: 'column' in ttl && ttl.column === from ? { column: to } : ttl }),
  }
}

/** What may change: null becomes allowed outside of keys and indexes, the default, values of an enum at the end, Date to bigint. */
function changeColumn(table: TableDescriptor, name: string, spec: ColumnSpec): TableDescriptor | Forbidden {
  const column = columnNamed(table, name)
  if (column === undefined) return new Forbidden(`there is no column ${name}`)
  const before = column.spec
  checkColumn(name, spec)
  const instead = 'add a new column, copy the values, drop this one'
  if (spec.kind !== before.kind) {
    return new Forbidden(`column ${name} is of type ${before.kind} and can't become ${spec.kind}: ${instead}`)
  }
  if (spec.items?.kind !== before.items?.kind)
    return new Forbidden(`items of column ${name} have another type: ${instead}`)
  const old = [...(before.values ?? []), ...(before.items?.values ?? [])]
  const values = [...(spec.values ?? []), ...(spec.items?.values ?? [])]
  if (old.some((value, i) => values[i] !== value)) {
    return new Forbidden(
      `values of the enum ${name} can only be added at the end, since rows hold their places: ${instead}`,
    )
  }
  if ((before.micros && !spec.micros) || (before.items?.micros && !spec.items?.micros)) {
    return new Forbidden(`column ${name} holds microseconds, which a Date has no place for: ${instead}`)
  }
  if (before.nullable && !spec.nullable) {
    return new Forbidden(`column ${name} may hold null already: keep it nullable, or ${instead}`)
  }
  if (spec.nullable && !before.nullable) {
    const index = table.indexes.find(
      (one) => one.parts.some((part) => part.column === column.id) || one.include.includes(column.id),
    )
    if (table.key.some((part) => part.column === column.id))
      return new Forbidden(`column ${name} is in the primary key`)
    if (index !== undefined) {
      return new Forbidden(
        `index ${index.name} has no place for null in column ${name}: drop it, change the column, add it again`,
      )
    }
  }
  // Rows from before the column was added have the default of then.
  if (column.since > 1 && sameFallback(before, spec) === false) {
    return new Forbidden(`rows from before column ${name} was added show its default, so that stays: ${instead}`)
  }
  return { ...table, columns: table.columns.map((one) => (one === column ? { ...one, spec } : one)) }
}

function sameFallback(a: ColumnSpec, b: ColumnSpec): boolean {
  return toTaggedJson(a.fallback) === toTaggedJson(b.fallback)
}

function withIndex(table: TableDescriptor, index: IndexShape, state: 'building' | 'ready'): TableDescriptor {
  const descriptor: IndexDescriptor = {
    id: table.nextIndexId,
    name: index.name,
    parts: partIds(table, index.parts),
    unique: index.unique,
    include: index.include.map((name) => columnNamed(table, name)?.id ?? 0),
    ...(index.where !== undefined && { where: index.where }),
    state,
  }
  return { ...table, indexes: [...table.indexes, descriptor], nextIndexId: table.nextIndexId + 1 }
}

function partIds(table: TableDescriptor, parts: readonly PartShape[]): TableDescriptor['key'] {
  return parts.map(({ column, descending }) => ({ column: columnNamed(table, column)?.id ?? 0, descending }))
}

function specsOf(table: TableDescriptor): ReadonlyMap<string, ColumnSpec> {
  return new Map(currentColumns(table).map(({ name, spec }) => [name, spec]))
}
