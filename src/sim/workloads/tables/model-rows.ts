// What the naive model does with rows: writes, unique values, ranges in the order of a key or an index, steps of index building.
// Everything is found by looking at every row.

import type { Condition, PatchData, ScanRequest, WriteOperation } from '../../../table/messages.ts'
import type { ColumnSpec, Value } from '../../../table/schema/columns.ts'
import type { OneFilterData } from '../../../table/schema/descriptor.ts'
import {
  columnNamed,
  columnOf,
  type ModelIndex,
  type ModelPart,
  type ModelRow,
  type ModelTable,
  textOf,
} from './model-schema.ts'

export function valueIn(table: ModelTable, row: ModelRow, column: number): Value {
  return row.values[column] ?? (column in row.values ? null : columnOf(table, column).added)
}

/** The row as a reader sees it. */
export function shownRow(table: ModelTable, row: ModelRow, select?: readonly string[]): string {
  const names = (select ?? table.columns.map(({ name }) => name)).toSorted()
  return names.map((name) => `${name}=${textOf(valueIn(table, row, columnNamed(table, name)?.id ?? 0))}`).join()
}

export function keyText(table: ModelTable, given: Readonly<Record<string, unknown>>): string {
  return table.key.map(({ column }) => textOf(given[columnOf(table, column).name])).join()
}

function keyOfRow(table: ModelTable, row: ModelRow): string {
  return table.key.map(({ column }) => textOf(valueIn(table, row, column))).join()
}

// ── order ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

export function compareBy(table: ModelTable, parts: readonly ModelPart[], a: ModelRow, b: ModelRow): number {
  for (const { column, descending } of parts) {
    const order = compareValues(columnOf(table, column).spec, valueIn(table, a, column), valueIn(table, b, column))
    if (order !== 0) return descending ? -order : order
  }
  return 0
}

function compareValues(spec: ColumnSpec, a: Value, b: Value): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? -1 : 1
  if (spec.kind === 'enum') return (spec.values as Value[]).indexOf(a) - (spec.values as Value[]).indexOf(b)
  return a < b ? -1 : a > b ? 1 : 0
}

// ── ranges ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The rows that a scan looks at, in its order. */
export function rowsIn(table: ModelTable, { index: name, prefix = {}, reverse = false }: ScanRequest): ModelRow[] {
  const index = table.indexes.find((one) => one.name === name)
  const order = index === undefined ? table.key : [...index.parts, ...table.key]
  const rows = [...table.rows.values()]
    .filter((row) => index === undefined || isIn(table, index, row))
    .filter((row) => {
      const wanted = Object.entries(prefix)
      return wanted.every(([one, value]) => {
        return textOf(valueIn(table, row, columnNamed(table, one)?.id ?? 0)) === textOf(value)
      })
    })
  rows.sort((a, b) => compareBy(table, order, a, b))
  return reverse ? rows.reverse() : rows
}

/** What the page shows. */
export function pageIn(table: ModelTable, scan: ScanRequest): string[] {
  const filter = Object.entries((scan.filter ?? {}) as OneFilterData)
  return rowsIn(table, scan)
    .filter((row) =>
      filter.every(([name, v]) => textOf(valueIn(table, row, columnNamed(table, name)?.id ?? 0)) === textOf(v)),
    )
    .slice(0, scan.limit)
    .map((row) => shownRow(table, row, scan.select))
}

/** What must be so still for the scan to show the same: versions, or entries alone where the index answers alone. */
export function evidenceIn(table: ModelTable, scan: ScanRequest): string {
  const index = table.indexes.find(({ name }) => name === scan.index)
  const rows = rowsIn(table, scan).slice(0, scan.limit)
  if (index === undefined) return rows.map((row) => `${keyOfRow(table, row)}@${row.version}`).join(';')
  const held = [...index.parts.map(({ column }) => column), ...table.key.map(({ column }) => column), ...index.include]
  const wanted = [...(scan.select ?? table.columns.map(({ name }) => name)), ...Object.keys(scan.filter ?? {})]
  const isCovered = wanted.every((name) => held.includes(columnNamed(table, name)?.id ?? 0))
  const entry = (row: ModelRow): string => held.map((column) => textOf(valueIn(table, row, column))).join()
  return rows.map((row) => (isCovered ? entry(row) : `${entry(row)}@${row.version}`)).join(';')
}

// ── indexes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

function isIn(table: ModelTable, { where }: ModelIndex, row: ModelRow): boolean {
  return [...where].every(([column, value]) => textOf(valueIn(table, row, column)) === textOf(value))
}

/** What may be there once; undefined: nothing. */
function uniqueText(table: ModelTable, index: ModelIndex, row: ModelRow | undefined): string | undefined {
  if (row === undefined || !index.unique || !isIn(table, index, row)) return undefined
  const values = index.parts.map(({ column }) => valueIn(table, row, column))
  return values.some((value) => value === null) ? undefined : values.map(textOf).join()
}

function holderOf(table: ModelTable, index: ModelIndex, text: string): string | undefined {
  if (index.state !== 'ready') return index.holders.get(text)
  for (const [key, row] of table.rows) if (uniqueText(table, index, row) === text) return key
  return undefined
}

/** The table with a row, without one, or the index that forbids it. */
function withRow(table: ModelTable, key: string, row: ModelRow | undefined): ModelTable | string {
  const old = table.rows.get(key)
  const indexes: ModelIndex[] = []
  for (const index of table.indexes) {
    const before = uniqueText(table, index, old)
    const after = uniqueText(table, index, row)
    if (after !== undefined && after !== before && holderOf(table, index, after) !== undefined) return index.name
    indexes.push(index.state === 'ready' ? index : { ...index, holders: heldBy(index, key, before, after) })
  }
  const rows = new Map(table.rows)
  if (row === undefined) rows.delete(key)
  else rows.set(key, row)
  return { ...table, rows, indexes }
}

function heldBy({ holders }: ModelIndex, key: string, before?: string, after?: string): ReadonlyMap<string, string> {
  if (before === after) return holders
  const held = new Map(holders)
  if (before !== undefined && held.get(before) === key) held.delete(before)
  if (after !== undefined) held.set(after, key)
  return held
}

/** One step of the building of an index. */
export function stepOf(table: ModelTable, index: ModelIndex, rowsMax: number): ModelTable {
  const { reached } = index
  const left = [...table.rows].filter(
    ([, row]) => reached === undefined || compareBy(table, table.key, row, reached) > 0,
  )
  const rows = left.sort(([, a], [, b]) => compareBy(table, table.key, a, b)).slice(0, rowsMax)
  const holders = new Map(index.holders)
  let { duplicates } = index
  for (const [key, row] of rows) {
    const text = uniqueText(table, index, row)
    if (text === undefined) continue
    if ((holders.get(text) ?? key) !== key) duplicates++
    else holders.set(text, key)
  }
  const isDone = rows.length < rowsMax
  const state = !isDone ? 'building' : duplicates === 0 ? 'ready' : 'failed'
  const after: ModelIndex = { ...index, holders, duplicates, state, reached: rows.at(-1)?.[1] ?? reached }
  return { ...table, indexes: table.indexes.map((one) => (one === index ? after : one)) }
}

// ── writes ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** When a row ends that is written now. */
export type Ending = (table: ModelTable, row: ModelRow) => Pick<ModelRow, 'endsAt' | 'endsMs'>

/** The table after a write, and whether that changed anything; or why it is rejected. */
export function write(
  table: ModelTable,
  operation: WriteOperation,
  version: number,
  ending: Ending,
): { readonly table: ModelTable; readonly changed: boolean } | string {
  const key = keyText(table, 'row' in operation ? operation.row : operation.key)
  const old = table.rows.get(key)
  if (operation.op === 'insert' && old !== undefined) return 'exists'
  if (operation.op !== 'insert' && operation.if !== undefined && !holds(table, operation.if, old)) return 'condition'
  if (operation.op === 'check' || (operation.op === 'delete' && old === undefined)) return { table, changed: false }
  if (operation.op === 'update' && old === undefined) return 'missing'
  let row: ModelRow | undefined
  if (operation.op !== 'delete') {
    const values =
      'row' in operation ? completed(table, operation.row) : patched(table, old as ModelRow, operation.patch)
    const bare = { values, version, endsAt: 0, endsMs: 0 }
    row = { ...bare, ...ending(table, bare) }
  }
  const after = withRow(table, key, row)
  return typeof after === 'string' ? `unique ${after}` : { table: after, changed: true }
}

/** Without these rows, whose time is over. */
export function withoutRows(table: ModelTable, keys: readonly string[]): ModelTable {
  return keys.reduce((left, key) => withRow(left, key, undefined) as ModelTable, table)
}

function holds(table: ModelTable, { exists, version, where }: Condition, old: ModelRow | undefined): boolean {
  if (exists !== undefined && exists !== (old !== undefined)) return false
  if (version !== undefined && version !== (old?.version ?? 0)) return false
  if (where === undefined) return true
  const wanted = Object.entries(where as OneFilterData)
  return (
    old !== undefined &&
    wanted.every(([name, v]) => textOf(valueIn(table, old, columnNamed(table, name)?.id ?? 0)) === textOf(v))
  )
}

function completed(table: ModelTable, given: Readonly<Record<string, unknown>>): ModelRow['values'] {
  return Object.fromEntries(
    table.columns.map(({ id, name, spec }) => [id, (name in given ? given[name] : (spec.fallback ?? null)) as Value]),
  )
}

function patched(table: ModelTable, old: ModelRow, { increment = {}, set = {} }: PatchData): ModelRow['values'] {
  const values = Object.fromEntries(table.columns.map(({ id }) => [id, valueIn(table, old, id)]))
  for (const [name, value] of Object.entries(set)) values[columnNamed(table, name)?.id ?? 0] = value as Value
  for (const [name, by] of Object.entries(increment)) {
    const id = columnNamed(table, name)?.id ?? 0
    values[id] = ((values[id] as bigint | null) ?? 0n) + (by as bigint)
  }
  return values
}
