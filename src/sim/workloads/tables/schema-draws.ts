// Random tables, changes of their schemas, rows, writes and scans: what fits the model's table most of the time, and what does not
// now and then.

import type { Condition, KeyData, ScanRequest, WriteOperation } from '../../../table/messages.ts'
import type { Value } from '../../../table/schema/columns.ts'
import { Column, type ColumnSpec } from '../../../table/schema/columns.ts'
import type { AnyTable } from '../../../table/schema/define-table.ts'
import type { IndexShape, TableShape, TtlDescriptor } from '../../../table/schema/descriptor.ts'
import type { SchemaChange } from '../../../table/schema/evolution.ts'
import type { SeededRandom } from '../../seeded-random.ts'
import { columnOf, type ModelTable } from './model-schema.ts'

const TABLES = ['t', 'u', 'v']
const ADDED = ['d', 'e', 'f']
const INDEXES = ['i', 'j', 'k']
const TEXTS = ['x', 'y', 'z']
const KINDS = ['int64', 'string', 'bool', 'enum'] as const
const IDS = 5

export class SchemaDraws {
  private readonly random: SeededRandom
  private readonly wallMs: () => number

  /** `wallMs`: about what the servers' clocks say. */
  constructor(random: SeededRandom, wallMs: () => number) {
    this.random = random
    this.wallMs = wallMs
  }

  tableName(): string {
    return this.random.pick(TABLES)
  }

  /** A new table. */
  shape(name: string): TableShape {
    const { random } = this
    const key = random.pick([['group', 'id'], ['id', 'group'], ['id']]).map((column) => this.part(column))
    const columns = [
      { name: 'group', spec: { kind: 'string', nullable: false } as const },
      { name: 'id', spec: { kind: 'int64', nullable: false } as const },
      { name: 'a', spec: { kind: 'int64', nullable: random.chance(0.5) } as const },
      { name: 'b', spec: this.spec() },
      { name: 'until', spec: { kind: 'timestamp', nullable: true, fallback: null } as const },
    ]
    const shape = { name, columns, key, indexes: [] as IndexShape[] }
    const names = columns.map((column) => column.name)
    for (const index of INDEXES.slice(0, random.below(3))) shape.indexes.push(this.index(index, names))
    const ttl = random.chance(0.4) ? this.ttl() : undefined
    return ttl === undefined ? shape : { ...shape, ttl }
  }

  /** One or two steps. */
  changes(table: ModelTable): SchemaChange[] {
    return Array.from({ length: this.random.pick([1, 1, 2]) }, () => this.change(table))
  }

  private change(table: ModelTable): SchemaChange {
    const { random } = this
    const names = table.columns.map(({ name }) => name)
    const other = random.pick(table.columns)
    const index = random.pick([...table.indexes.map(({ name }) => name), ...INDEXES])
    switch (random.below(12)) {
      case 0:
        return { kind: 'renameTable', to: this.tableName() }
      case 1:
      case 2:
        return { kind: 'addColumn', name: random.pick(ADDED), spec: this.spec() }
      case 3:
        return { kind: 'dropColumn', name: random.pick(names) }
      case 4:
        return { kind: 'renameColumn', from: random.pick(names), to: random.pick(ADDED) }
      case 5:
        return {
          kind: 'changeColumn',
          name: other.name,
          spec: random.chance(0.3) ? this.spec() : this.wider(other.spec),
        }
      case 6:
        return { kind: 'dropIndex', name: index }
      case 7:
        return { kind: 'rebuildIndex', name: index }
      case 8:
        return { kind: 'setTtl', ttl: random.chance(0.4) ? null : this.ttl() }
      default:
        return { kind: 'addIndex', index: this.index(random.pick(INDEXES), names) }
    }
  }

  private spec(): ColumnSpec {
    const { random } = this
    const kind = random.pick(KINDS)
    const bare: ColumnSpec = { kind, nullable: random.chance(0.5), ...(kind === 'enum' && { values: ['p', 'q'] }) }
    if (!random.chance(0.8)) return bare
    return { ...bare, fallback: this.value({ ...bare, nullable: false }) }
  }

  private wider(spec: ColumnSpec): ColumnSpec {
    if (spec.kind === 'enum' && this.random.chance(0.5)) return { ...spec, values: ['p', 'q', 'r'] }
    return { ...spec, nullable: true }
  }

  private index(name: string, columns: readonly string[]): IndexShape {
    const { random } = this
    const drawn = columns.filter((column) => column !== 'until' && random.chance(0.35))
    const parts = (drawn.length === 0 ? ['a'] : drawn.slice(0, 2)).map((column) => this.part(column))
    const include = columns.filter((column) => !parts.some((part) => part.column === column) && random.chance(0.3))
    const where = random.chance(0.2) ? { where: { a: BigInt(random.below(3)) } } : {}
    return { name, parts, unique: random.chance(0.35), include, ...where }
  }

  private part(column: string): TableShape['key'][number] {
    return { column, descending: this.random.chance(0.3) }
  }

  private ttl(): TtlDescriptor {
    return this.random.chance(0.5) ? { afterMs: this.random.pick([300, 1000, 2500]) } : { column: 'until' }
  }

  value(spec: ColumnSpec): Value {
    const { random } = this
    if (spec.nullable && random.chance(0.25)) return null
    switch (spec.kind) {
      case 'int64':
        return BigInt(random.below(4))
      case 'bool':
        return random.chance(0.5)
      case 'enum':
        return random.pick(spec.values as readonly string[])
      case 'timestamp':
        return new Date(Math.floor(this.wallMs()) + random.below(4_000))
      default:
        return random.pick(TEXTS)
    }
  }

  key(table: ModelTable): KeyData {
    const given = { group: this.random.pick(['g', 'h']), id: BigInt(this.random.below(IDS)) }
    const names: Readonly<Record<number, keyof typeof given>> = { 1: 'group', 2: 'id' }
    return Object.fromEntries(
      table.key.map(({ column }) => [columnOf(table, column).name, given[names[column] ?? 'id']]),
    )
  }

  write(table: ModelTable): WriteOperation {
    const { random } = this
    const key = this.key(table)
    const base = { table: table.name, key }
    const condition = random.chance(0.15) ? { if: this.condition(table, key) } : {}
    const drawn = random.fraction()
    if (drawn < 0.18) return { op: 'delete', ...base, ...condition }
    if (drawn < 0.22) return { op: 'check', ...base, if: this.condition(table, key) }
    const others = table.columns.filter(({ name }) => !(name in key))
    if (drawn < 0.5) {
      const numbers = others.filter(({ spec }) => spec.kind === 'int64')
      const increment = Object.fromEntries(numbers.slice(0, 1).map(({ name }) => [name, BigInt(random.below(3)) - 1n]))
      const set = Object.fromEntries(
        others.flatMap(({ name, spec }) => {
          return name in increment || !random.chance(0.4) ? [] : [[name, this.value(spec)]]
        }),
      )
      return { op: 'update', ...base, patch: { set, increment }, ...condition }
    }
    const row: Record<string, unknown> = { ...key }
    for (const { name, spec } of others) {
      const isNeeded = spec.fallback === undefined && !spec.nullable
      if (isNeeded || random.chance(0.8)) row[name] = this.value(spec)
    }
    if (random.chance(0.5)) return { op: 'insert', table: table.name, row }
    return { op: 'upsert', table: table.name, row, ...condition }
  }

  private condition(table: ModelTable, key: KeyData): Condition {
    const { random } = this
    if (random.chance(0.3)) return { exists: random.chance(0.5) }
    const column = random.pick(table.columns)
    if (random.chance(0.5) || column.name in key) return { version: random.below(3) }
    return { where: { [column.name]: this.value({ ...column.spec, nullable: false }) } }
  }

  scan(table: ModelTable): ScanRequest {
    const { random } = this
    const ready = table.indexes.filter(({ state }) => state === 'ready')
    const index = ready.length > 0 && random.chance(0.6) ? random.pick(ready) : undefined
    const [first] = index?.parts ?? table.key
    const leading = columnOf(table, first?.column ?? 0)
    const select = index !== undefined && random.chance(0.5) ? this.held(table, index) : undefined
    const filtered = random.chance(0.2) ? random.pick(table.columns) : undefined
    return {
      table: table.name,
      ...(index !== undefined && { index: index.name }),
      ...(random.chance(0.6) && { prefix: { [leading.name]: this.leadingValue(leading) } }),
      reverse: random.chance(0.4),
      ...(select !== undefined && { select }),
      // With both, what is looked at is more than what is shown.
      ...(filtered !== undefined && filtered.spec.kind !== 'timestamp'
        ? { filter: { [filtered.name]: this.value({ ...filtered.spec, nullable: false }) } }
        : random.chance(0.4) && { limit: random.integer(1, 4) }),
    }
  }

  private leadingValue({ id, spec }: { readonly id: number; readonly spec: ColumnSpec }): Value {
    if (id === 1) return this.random.pick(['g', 'h'])
    return id === 2 ? BigInt(this.random.below(IDS)) : this.value(spec)
  }

  private held(table: ModelTable, index: ModelTable['indexes'][number]): string[] {
    const ids = [...new Set([...index.parts, ...table.key].map(({ column }) => column)), ...index.include]
    return [...new Set(ids)].filter(() => this.random.chance(0.7)).map((id) => columnOf(table, id).name)
  }
}

/** The definition of a program that wants this shape. */
export function definitionOf({ columns, indexes, key, name, ttl }: TableShape): AnyTable {
  const part = ({ column, descending }: TableShape['key'][number]) =>
    descending ? { column, order: 'desc' as const } : column
  return {
    name,
    columns: Object.fromEntries(columns.map((column) => [column.name, new Column(column.spec.kind, column.spec)])),
    key: key.map(part),
    indexes: Object.fromEntries(
      indexes.map(({ include, name: index, parts, unique, where }) => {
        return [index, { columns: parts.map(part), unique, include, ...(where !== undefined && { where }) }]
      }),
    ),
    ttl,
  } as unknown as AnyTable
}
