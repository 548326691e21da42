// What an update does to a row: set, increment, append, JSON merge, in this order. Pure; the same on every server.

import type { ByteReader } from '../../base/byte-reader.ts'
import { DelosError } from '../../base/delos-error.ts'
import type { Value } from '../schema/columns.ts'
import { checkedSum } from './check-value.ts'
import type { CompiledTable } from './compiled-table.ts'
import type { RowData } from './row-codec.ts'

/** Reads a patch behind `reader` and returns the patched row. An increment out of range is a text that says so. */
export function patched(table: CompiledTable, before: RowData, reader: ByteReader): RowData | string {
  const row = { ...before }
  for (let left = reader.varint(); left > 0; left--) {
    const name = columnById(table, reader.varint())
    row[name] = reader.u8() === 0 ? null : table.rows.readValue(reader, name)
  }
  let refusal: string | undefined
  for (let left = reader.varint(); left > 0; left--) {
    const name = columnById(table, reader.varint())
    reader.u8()
    const amount = table.rows.readValue(reader, name)
    refusal ??= increment(table, row, name, amount)
  }
  for (let left = reader.varint(); left > 0; left--) {
    const name = columnById(table, reader.varint())
    reader.u8()
    row[name] = appended(row[name] as Value, table.rows.readValue(reader, name))
  }
  for (let left = reader.varint(); left > 0; left--) {
    const name = columnById(table, reader.varint())
    row[name] = merged(row[name] as Value, JSON.parse(reader.string()) as Value)
  }
  return refusal ?? row
}

function columnById(table: CompiledTable, id: number): string {
  const column = table.columnOfId(id)
  if (column === undefined) throw new DelosError('CORRUPT', `a patch of column ${id}, which table ${table.name} lacks`)
  return column.name
}

function increment(table: CompiledTable, row: RowData, name: string, amount: Value): string | undefined {
  const before = row[name] as bigint | number | null
  const sum =
    typeof amount === 'bigint'
      ? ((before as bigint | null) ?? 0n) + amount
      : ((before as number | null) ?? 0) + (amount as number)
  try {
    row[name] = checkedSum(table.column(name).spec, sum, `column ${name} of table ${table.name}`)
    return undefined
  } catch (error) {
    if (error instanceof DelosError) return error.message
    throw error
  }
}

function appended(before: Value, more: Value): Value {
  if (before === null) return more
  if (typeof before === 'string') return before + (more as string)
  if (before instanceof Uint8Array) return new Uint8Array(Buffer.concat([before, more as Uint8Array]))
  return [...(before as readonly Value[]), ...(more as readonly Value[])]
}

/** RFC 7396. */
function merged(target: Value, patch: Value): Value {
  if (!isObject(patch)) return patch
  // Not an object yet: JSON may have a member of any name, `__proto__` too.
  const result = new Map<string, Value>(isObject(target) ? Object.entries(target) : [])
  for (const [name, member] of Object.entries(patch)) {
    if (member === null) result.delete(name)
    else result.set(name, merged(result.get(name) ?? null, member))
  }
  return Object.fromEntries(result) as Value
}

function isObject(value: Value): value is Value & Record<string, Value> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
}
