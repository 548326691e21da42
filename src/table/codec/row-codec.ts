// Rows as bytes and back, for one table. A stored format: schema version as varint, one bit a column that is set where the
// value is null, then the values that are not, all in the order of column ids. Rows of every earlier version can be read.
//
//   string, bytes, json   length as varint, the bytes (UTF-8)
//   int64, timestamp      8 bytes, big-endian; microseconds
//   double                8 bytes
//   bool                  1 byte
//   enum                  varint: the place in the list of values
//   list                  count as varint, then the items

import { assert, unreachable } from '../../base/assert.ts'
import { ByteReader } from '../../base/byte-reader.ts'
import type { ByteWriter } from '../../base/byte-writer.ts'
import type { ColumnSpec, Value } from '../schema/columns.ts'
import { type ColumnDescriptor, columnsAt, currentColumns, type TableDescriptor } from '../schema/descriptor.ts'
import { dateOfMicros } from './check-value.ts'
import { bits, int64Of, loadInt64 } from './int64-bits.ts'

/** A row as an object: values by column name. */
export type RowData = Record<string, Value>

interface ValueCodec {
  write(writer: ByteWriter, value: Value): void
  read(reader: ByteReader): Value
}

interface Field extends ValueCodec {
  /** Undefined: the column was dropped since. */
  readonly name: string | undefined
}

/** The columns of rows of one schema version. */
interface Layout {
  readonly fields: readonly Field[]
  readonly bitmapBytes: number
  /** A row with what was added since, and places for the rest: all rows of a table have one shape. */
  readonly template: RowData
}

export class RowCodec {
  private readonly table: TableDescriptor
  private readonly current: Layout
  private readonly layouts = new Map<number, Layout>()
  private readonly byName: ReadonlyMap<string, Field>
  /** Columns whose values a caller could change: read rows get copies of them. */
  private readonly mutable: readonly string[]

  constructor(table: TableDescriptor) {
    this.table = table
    this.current = this.layoutAt(table.version)
    this.byName = new Map(this.current.fields.map((field) => [field.name as string, field]))
    this.mutable = currentColumns(table).flatMap(({ name, spec }) => (isMutable(spec) ? [name] : []))
  }

  /** Values must have been checked. */
  write(writer: ByteWriter, row: RowData): void {
    const { fields, bitmapBytes } = this.current
    writer.varint(this.table.version)
    let bitmap = 0
    for (let i = 0; i < fields.length; i++) {
      if (row[(fields[i] as Field).name as string] === null) bitmap |= 1 << (i & 7)
      if ((i & 7) !== 7) continue
      writer.u8(bitmap)
      bitmap = 0
    }
    if (bitmapBytes * 8 > fields.length) writer.u8(bitmap)
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i] as Field
      const value = row[field.name as string] as Value
      if (value !== null) field.write(writer, value)
    }
  }

  /** Reads a row of whatever version from `start` on; always with the columns that the table has now. */
  read(bytes: Uint8Array, start = 0): RowData {
    const reader = new ByteReader(bytes, start)
    const version = reader.varint()
    const { bitmapBytes, fields, template } = version === this.table.version ? this.current : this.layoutAt(version)
    const nulls = reader.position
    reader.skip(bitmapBytes)
    const row = { ...template }
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i] as Field
      const isNull = ((bytes[nulls + (i >> 3)] as number) >> (i & 7)) & 1
      if (isNull === 1) continue
      const value = field.read(reader)
      if (field.name !== undefined) row[field.name] = value
    }
    return row
  }

  /** The same of some of its columns. */
  copyOf(row: RowData, names: readonly string[]): RowData {
    const copy: RowData = {}
    for (const name of names)
      copy[name] = this.mutable.includes(name) ? copyOf(row[name] as Value) : (row[name] as Value)
    return copy
  }

  /** One value that is not null, as in a row. */
  writeValue(writer: ByteWriter, column: string, value: Value): void {
    this.field(column).write(writer, value)
  }

  readValue(reader: ByteReader, column: string): Value {
    return this.field(column).read(reader)
  }

  /** A copy that a caller may change; of the row, and of whatever in it can be changed. */
  copy(row: RowData): RowData {
    const copy = { ...row }
    for (const name of this.mutable) copy[name] = copyOf(copy[name] as Value)
    return copy
  }

  private field(name: string): Field {
    const field = this.byName.get(name)
    assert(field, `no column ${name}`)
    return field
  }

  private layoutAt(version: number): Layout {
    let layout = this.layouts.get(version)
    if (layout === undefined) {
      layout = makeLayout(this.table, version)
      this.layouts.set(version, layout)
    }
    return layout
  }
}

function makeLayout(table: TableDescriptor, version: number): Layout {
  const columns = columnsAt(table, version)
  const held = new Set(columns.map(({ id }) => id))
  const template: RowData = {}
  // Null where the row will say so; a column that came later has its default in rows from before.
  for (const { id, name, spec } of currentColumns(table)) template[name] = held.has(id) ? null : (spec.fallback ?? null)
  return { fields: columns.map(fieldOf), bitmapBytes: Math.ceil(columns.length / 8), template }
}

function fieldOf({ name, spec, until }: ColumnDescriptor): Field {
  const { read, write } = valueCodec(spec)
  return { name: until === undefined ? name : undefined, read, write }
}

function isMutable({ kind, micros }: ColumnSpec): boolean {
  return kind === 'json' || kind === 'list' || kind === 'bytes' || (kind === 'timestamp' && micros !== true)
}

function copyOf(value: Value): Value {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Date) return new Date(value.getTime())
  if (value instanceof Uint8Array) return new Uint8Array(value)
  if (Array.isArray(value)) return value.map((item: Value) => copyOf(item))
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, copyOf(member as Value)])) as Value
}

function valueCodec(spec: ColumnSpec): ValueCodec {
  switch (spec.kind) {
    case 'string':
      return { write: (writer, value) => writer.string(value as string), read: (reader) => reader.string() }
    case 'bytes':
      return {
        write: (writer, value) => writer.bytes(value as Uint8Array),
        read: (reader) => new Uint8Array(reader.bytes()),
      }
    case 'int64':
      return INT64
    case 'timestamp':
      return spec.micros ? INT64 : DATE
    case 'double':
      return { write: (writer, value) => writer.f64(value as number), read: (reader) => reader.f64() }
    case 'bool':
      return { write: (writer, value) => writer.u8(value ? 1 : 0), read: (reader) => reader.u8() === 1 }
    case 'json':
      return {
        write: (writer, value) => writer.string(JSON.stringify(value)),
        read: (reader) => JSON.parse(reader.string()) as Value,
      }
    case 'enum':
      return enumCodec(spec.values as readonly string[])
    case 'list':
      return listCodec(valueCodec(spec.items as ColumnSpec))
    default:
      return unreachable(spec.kind)
  }
}

const INT64: ValueCodec = {
  write: (writer, value) => writeInt64(writer, value as bigint),
  read: readInt64,
}

const DATE: ValueCodec = {
  write: (writer, value) => writeInt64(writer, BigInt((value as Date).getTime()) * 1000n),
  read: (reader) => dateOfMicros(readInt64(reader)),
}

function writeInt64(writer: ByteWriter, value: bigint): void {
  loadInt64(value)
  writer.u32(bits.high)
  writer.u32(bits.low)
}

function readInt64(reader: ByteReader): bigint {
  const high = reader.u32()
  return int64Of(high, reader.u32())
}

function enumCodec(values: readonly string[]): ValueCodec {
  const places = new Map(values.map((value, i) => [value, i]))
  return {
    write: (writer, value) => writer.varint(places.get(value as string) as number),
    read: (reader) => values[reader.varint()] as string,
  }
}

function listCodec(items: ValueCodec): ValueCodec {
  return {
    write: (writer, value) => {
      const list = value as readonly Value[]
      writer.varint(list.length)
      for (const item of list) items.write(writer, item)
    },
    read: (reader) => {
      const list: Value[] = []
      for (let left = reader.varint(); left > 0; left--) list.push(items.read(reader))
      return list
    },
  }
}
