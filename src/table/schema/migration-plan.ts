// From what a table is to what its definition says: the steps in between, or why there is no way. What would lose data is only
// done if the caller names it.

import { DelosError } from '../../base/delos-error.ts'
import type { TableDescriptor, TableShape } from './descriptor.ts'
import type { SchemaChange } from './evolution.ts'
import { canonical, sameSpec, shapeOfDescriptor } from './table-shape.ts'

export interface MigrationHints {
  /** Columns that have a new name: old name → new name. */
  readonly rename?: Readonly<Record<string, string>>
  /** The table's own former name. */
  readonly renamedFrom?: string
  /** Columns whose content may be lost. Indexes go without being named. */
  readonly drop?: readonly string[]
}

/** Steps from `current` to `wanted`, empty if nothing differs. Throws SCHEMA_FORBIDDEN. */
export function planMigration(
  current: TableDescriptor | undefined,
  wanted: TableShape,
  hints: MigrationHints = {},
): readonly SchemaChange[] {
  if (current === undefined) return [{ kind: 'createTable', shape: wanted }]
  const changes: SchemaChange[] = []
  const rename = hints.rename ?? {}
  const shape = shapeOfDescriptor(current)
  if (shape.name !== wanted.name) changes.push({ kind: 'renameTable', to: wanted.name })
  const renamed = (name: string): string => rename[name] ?? name
  for (const { name } of shape.columns) {
    if (renamed(name) !== name) changes.push({ kind: 'renameColumn', from: name, to: renamed(name) })
  }
  requireSameKey(shape, wanted, renamed)
  const indexChanges = planIndexes(shape, wanted, renamed)
  // Columns of an index that goes may go too, or change.
  changes.push(...indexChanges.filter(({ kind }) => kind === 'dropIndex'))
  changes.push(...planTtl(shape, wanted, renamed))
  changes.push(...planColumns(shape, wanted, renamed, new Set(hints.drop)))
  changes.push(...indexChanges.filter(({ kind }) => kind === 'addIndex'))
  // The time of expiry may be in a new column.
  return [...changes.filter(({ kind }) => kind !== 'setTtl'), ...changes.filter(({ kind }) => kind === 'setTtl')]
}

function planColumns(
  shape: TableShape,
  wanted: TableShape,
  renamed: (name: string) => string,
  drop: ReadonlySet<string>,
): SchemaChange[] {
  const before = new Map(shape.columns.map(({ name, spec }) => [renamed(name), spec]))
  const after = new Map(wanted.columns.map(({ name, spec }) => [name, spec]))
  const gone = [...before.keys()].filter((name) => !after.has(name))
  const lost = gone.find((name) => !drop.has(name))
  if (lost !== undefined) {
    const advice = `name it in \`drop\`, or its new name in \`rename\``
    throw new DelosError(
      'SCHEMA_FORBIDDEN',
      `the definition of ${wanted.name} has no column ${lost}: to lose it, ${advice}`,
    )
  }
  return [
    ...gone.map((name): SchemaChange => ({ kind: 'dropColumn', name })),
    ...[...after].flatMap(([name, spec]): SchemaChange[] => {
      const old = before.get(name)
      if (old === undefined) return [{ kind: 'addColumn', name, spec }]
      return sameSpec(old, spec) ? [] : [{ kind: 'changeColumn', name, spec }]
    }),
  ]
}

function planIndexes(shape: TableShape, wanted: TableShape, renamed: (name: string) => string): SchemaChange[] {
  const before = new Map(shape.indexes.map((index) => [index.name, canonical(renameIn(index, renamed))]))
  const after = new Map(wanted.indexes.map((index) => [index.name, canonical(index)]))
  const stays = (name: string): boolean => before.get(name) === after.get(name)
  return [
    ...shape.indexes.flatMap(({ name }): SchemaChange[] => (stays(name) ? [] : [{ kind: 'dropIndex', name }])),
    ...wanted.indexes.flatMap((index): SchemaChange[] => (stays(index.name) ? [] : [{ kind: 'addIndex', index }])),
  ]
}

function renameIn(
  index: TableShape['indexes'][number],
  renamed: (name: string) => string,
): TableShape['indexes'][number] {
  const { include, parts, where } = index
  const inFilter = (filter: object): object =>
    Object.fromEntries(Object.entries(filter).map(([name, value]) => [renamed(name), value]))
  return {
    ...index,
    parts: parts.map(({ column, descending }) => ({ column: renamed(column), descending })),
    include: include.map(renamed),
    ...(where !== undefined && {
      where: (Array.isArray(where) ? where.map(inFilter) : inFilter(where)) as NonNullable<typeof where>,
    }),
  }
}

function planTtl(shape: TableShape, wanted: TableShape, renamed: (name: string) => string): SchemaChange[] {
  const { ttl } = shape
  const before = ttl !== undefined && 'column' in ttl ? { column: renamed(ttl.column) } : ttl
  return canonical(before ?? null) === canonical(wanted.ttl ?? null)
    ? []
    : [{ kind: 'setTtl', ttl: wanted.ttl ?? null }]
}

function requireSameKey(shape: TableShape, wanted: TableShape, renamed: (name: string) => string): void {
  const before = shape.key.map(({ column, descending }) => ({ column: renamed(column), descending }))
  if (canonical(before) === canonical(wanted.key)) return
  throw new DelosError(
    'SCHEMA_FORBIDDEN',
    `the primary key of table ${shape.name} can't change, since rows are stored by it: create another table and copy the rows`,
  )
}
