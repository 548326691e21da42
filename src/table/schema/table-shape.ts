// A definition as plain data, and back out of what is stored; with the checks that the compiler can't make: names, sizes, what
// needs what.

import { DelosError } from '../../base/delos-error.ts'
import { requireKnown, requireRecord } from '../codec/check-request.ts'
import { checkValue } from '../codec/check-value.ts'
import { compileFilter } from '../codec/filter.ts'
import { toTaggedJson } from '../codec/tagged-json.ts'
import { limitExceeded, REPLICATED_LIMITS } from '../table-limits.ts'
import type { ColumnSpec } from './columns.ts'
import type { AnyTable, IndexDefinition, Part } from './define-table.ts'
import {
  columnName,
  currentColumns,
  type FilterData,
  type IndexShape,
  type PartDescriptor,
  type PartShape,
  type TableDescriptor,
  type TableShape,
  type TtlDescriptor,
} from './descriptor.ts'
import type { AnyColumn, Columns } from './filter-types.ts'

const INDEX_MEMBERS: ReadonlySet<string> = new Set(['columns', 'include', 'unique', 'where'])
const PART_MEMBERS: ReadonlySet<string> = new Set(['column', 'order'])
const NAME = /^[A-Za-z][A-Za-z0-9_]*$/

/** Throws INVALID_ARGUMENT, LIMIT_EXCEEDED, UNKNOWN_COLUMN and what a wrong default is. */
export function shapeOf(table: AnyTable): TableShape {
  const { columns, indexes, key, name, ttl } = table
  const shape: TableShape = {
    name,
    columns: Object.entries(columns as Columns).map(([column, { spec }]: [string, AnyColumn]) => ({
      name: column,
      spec,
    })),
    key: key.map(partShape),
    indexes: Object.entries(indexes as Record<string, IndexDefinition<Columns>>).map(([index, definition]) =>
      indexShape(index, definition),
    ),
    ...(ttl !== undefined && { ttl: ttl as TtlDescriptor }),
  }
  checkShape(shape)
  return shape
}

/** What a table is now, as a definition would say it. */
export function shapeOfDescriptor(table: TableDescriptor): TableShape {
  const parts = (list: readonly PartDescriptor[]): PartShape[] =>
    list.map(({ column, descending }) => ({ column: columnName(table, column), descending }))
  return {
    name: table.name,
    columns: currentColumns(table).map(({ name, spec }) => ({ name, spec })),
    key: parts(table.key),
    indexes: table.indexes.map(({ include, name, parts: columns, unique, where }) => ({
      name,
      parts: parts(columns),
      unique,
      include: include.map((column) => columnName(table, column)),
      ...(where !== undefined && { where }),
    })),
    ...(table.ttl !== undefined && { ttl: table.ttl }),
  }
}

export function checkShape(shape: TableShape): void {
  const { columns, indexes, key, name, ttl } = shape
  const { columnsMax, indexesMax } = REPLICATED_LIMITS
  checkName('table', name)
  if (columns.length > columnsMax) throw limitExceeded('columnsMax', columnsMax, columns.length, 'use a column of JSON')
  if (indexes.length > indexesMax) throw limitExceeded('indexesMax', indexesMax, indexes.length, 'drop some')
  const specs = new Map(columns.map((column) => [column.name, column.spec]))
  if (specs.size < columns.length) throw invalid(`table ${name} has two columns of one name`)
  for (const column of columns) {
    checkName('column', column.name)
    checkColumn(column.name, column.spec)
  }
  if (key.length === 0) throw invalid(`table ${name} has no primary key: name at least one column`)
  checkParts(`the primary key of table ${name}`, key, specs)
  for (const { column } of key) {
    if (specs.get(column)?.nullable) throw invalid(`column ${column} is in the primary key: it can't be nullable`)
  }
  for (const index of indexes) checkIndex(index, specs)
  checkTtl(ttl, specs)
}

export function checkColumn(name: string, spec: ColumnSpec): void {
  if (spec.kind === 'enum') {
    const values = spec.values ?? []
    if (values.length === 0 || values.length > 65_535 || new Set(values).size < values.length) {
      throw invalid(`column ${name}: an enum has 1 to 65 535 values, each once`)
    }
  }
  if (spec.kind === 'list' && (spec.items === undefined || ['json', 'list'].includes(spec.items.kind))) {
    throw invalid(`column ${name}: a list holds values of one simple type`)
  }
  if (spec.items?.nullable) throw invalid(`column ${name}: items of a list are never null`)
  if (spec.fallback !== undefined) checkValue(spec, spec.fallback, `the default of column ${name}`)
}

export function checkName(what: string, name: string): void {
  const { nameCharsMax } = REPLICATED_LIMITS
  // Rows are objects: such a member they have without being given one.
  if (what === 'column' && name in Object.prototype)
    throw invalid(`${name} is no name of a column: every object has that`)
  if (!NAME.test(name) || name.length > nameCharsMax) {
    throw invalid(
      `${JSON.stringify(name)} is no name of a ${what}: a letter, then letters, digits, _; at most ${nameCharsMax}`,
    )
  }
}

export function checkIndex(index: IndexShape, specs: ReadonlyMap<string, ColumnSpec>): void {
  checkName('index', index.name)
  if (index.parts.length === 0) throw invalid(`index ${index.name} has no columns`)
  checkParts(`index ${index.name}`, index.parts, specs)
  checkParts(
    `what index ${index.name} includes`,
    index.include.map((column) => ({ column, descending: false })),
    specs,
  )
  compileFilter(index.where, (column) => specOf(specs, column, `the filter of index ${index.name}`))
}

export function checkTtl(ttl: TtlDescriptor | undefined, specs: ReadonlyMap<string, ColumnSpec>): void {
  if (ttl === undefined) return
  if ('afterMs' in ttl) {
    if (!Number.isInteger(ttl.afterMs) || ttl.afterMs < 1)
      throw invalid('ttl.afterMs is a whole number of ms from 1 on')
  } else if (specOf(specs, ttl.column, 'ttl').kind !== 'timestamp') {
    throw invalid(`ttl: column ${ttl.column} is no timestamp`)
  }
}

function checkParts(what: string, parts: readonly PartShape[], specs: ReadonlyMap<string, ColumnSpec>): void {
  for (const { column } of parts) {
    const { kind } = specOf(specs, column, what)
    if (kind === 'json' || kind === 'list')
      throw invalid(`${what}: column ${column} is of type ${kind}, which has no order`)
  }
  if (new Set(parts.map(({ column }) => column)).size < parts.length) throw invalid(`${what} names a column twice`)
}

function specOf(specs: ReadonlyMap<string, ColumnSpec>, column: string, what: string): ColumnSpec {
  const spec = specs.get(column)
  if (spec !== undefined) return spec
  throw new DelosError('UNKNOWN_COLUMN', `${what} names ${column}; there are ${[...specs.keys()].join(', ')}`)
}

function indexShape(name: string, definition: IndexDefinition<Columns>): IndexShape {
  requireRecord(definition, `index ${name}`)
  requireKnown(definition, INDEX_MEMBERS, `index ${name}`)
  const { columns, include = [], unique = false, where } = definition as IndexDefinition<Columns>
  const filter = where as FilterData | undefined
  return { name, parts: columns.map(partShape), unique, include, ...(filter !== undefined && { where: filter }) }
}

function partShape(part: Part): PartShape {
  if (typeof part !== 'string') {
    requireRecord(part, 'a column of a key or an index')
    requireKnown(part, PART_MEMBERS, 'a column of a key or an index')
  }
  return typeof part === 'string'
    ? { column: part, descending: false }
    : { column: part.column, descending: part.order === 'desc' }
}

/** Values as they are compared: same bytes, same value. */
export function sameSpec(a: ColumnSpec, b: ColumnSpec): boolean {
  return canonical(a) === canonical(b)
}

/** Equal values have equal texts, whatever the order of members. */
export function canonical(value: unknown): string {
  return toTaggedJson(inOrder(value))
}

function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder)
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || value instanceof Date) return value
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(members.map(([name, member]) => [name, inOrder(member)]))
}

function invalid(message: string): DelosError {
  return new DelosError('INVALID_ARGUMENT', message)
}
