// One index of one table, compiled: entries from rows, and columns out of entries.
//
//   entry of an index          key: indexed columns, primary key, included columns; no value
//   entry of a unique index    key: indexed columns, and the primary key if one of them is null; value: primary key, included
//
// What is included stands in the key, since a scan of keys alone is several times faster than one that hands out values.

import { type Key, keyOfBytes, keyToBytes } from '../../base/key.ts'
import type { Value } from '../schema/columns.ts'
import type { IndexDescriptor } from '../schema/descriptor.ts'
import { filterColumns, type RowPredicate } from './filter.ts'
import type { KeyCursor, KeyPartCodec } from './key-codec.ts'
import type { RowData } from './row-codec.ts'
import { entryPrefix } from './table-keys.ts'

/** A column in a key. */
export interface KeyColumn {
  readonly name: string
  readonly codec: KeyPartCodec
}

export interface IndexEntry {
  readonly key: Key
  readonly value: Uint8Array
}

const NOTHING = new Uint8Array(0)

export interface CompiledIndexParts {
  readonly descriptor: IndexDescriptor
  readonly table: number
  readonly parts: readonly KeyColumn[]
  readonly primary: readonly KeyColumn[]
  readonly include: readonly KeyColumn[]
  readonly matches: RowPredicate
}

export class CompiledIndex {
  readonly descriptor: IndexDescriptor
  /** All its entries begin with it. */
  readonly prefix: Key
  readonly parts: readonly KeyColumn[]
  /** Columns in its entries, in the order in which they stand there; some twice. */
  readonly columns: readonly KeyColumn[]
  private readonly primary: readonly KeyColumn[]
  private readonly include: readonly KeyColumn[]
  private readonly matches: RowPredicate
  /** The columns that decide about its entries, beside the primary key. */
  private readonly deciding: readonly string[]

  constructor({ descriptor, include, matches, parts, primary, table }: CompiledIndexParts) {
    this.descriptor = descriptor
    this.prefix = entryPrefix(table, descriptor.id)
    this.parts = parts
    this.primary = primary
    this.include = include
    this.matches = matches
    this.columns = [...parts, ...primary, ...include]
    this.deciding = [...[...parts, ...include].map(({ name }) => name), ...filterColumns(descriptor.where)]
  }

  /** The entry of a row with this primary key; undefined if it is not in the index. */
  entryOf(row: RowData, primaryKey: Key): IndexEntry | undefined {
    if (!this.matches(row)) return undefined
    let key = this.prefix
    let hasNull = false
    for (const { codec, name } of this.parts) {
      const value = row[name] as Value
      if (value === null) hasNull = true
      key += codec.encode(value)
    }
    let rest = primaryKey
    for (const { codec, name } of this.include) rest += codec.encode(row[name] as Value)
    if (!this.descriptor.unique) return { key: key + rest, value: NOTHING }
    return { key: hasNull ? key + primaryKey : key, value: keyToBytes(rest) }
  }

  /** Have two rows with one primary key the same entry, or neither of them one? False may be wrong. */
  isSameEntry(a: RowData, b: RowData): boolean {
    const { deciding } = this
    for (let i = 0; i < deciding.length; i++) {
      const name = deciding[i] as string
      if (!isSameValue(a[name] as Value, b[name] as Value)) return false
    }
    return true
  }

  /** The primary key in an entry, as a key fragment. */
  primaryKeyOf(key: Key, value: Uint8Array): Key {
    const cursor = this.afterParts(key, value)
    const start = cursor.at
    for (const { codec } of this.primary) codec.skip(cursor)
    return cursor.key.slice(start, cursor.at)
  }

  /** Reads columns out of entries: those that `wanted` has. */
  reader(wanted: ReadonlySet<string>): (key: Key, value: Uint8Array) => RowData {
    const seen = new Set<string>()
    const once = (columns: readonly KeyColumn[]): Step[] =>
      columns.map(({ codec, name }) => {
        const first = wanted.has(name) && !seen.has(name)
        seen.add(name)
        return { name: first ? name : undefined, codec }
      })
    const parts = once(this.parts)
    const rest = trimmed(once([...this.primary, ...this.include]))
    const template = Object.fromEntries([...wanted].map((name) => [name, null])) as RowData
    const { unique } = this.descriptor
    const start = this.prefix.length
    return (key, value) => {
      const row = { ...template }
      const cursor: KeyCursor = { key, at: start }
      run(parts, cursor, row)
      if (unique && rest.length > 0) {
        cursor.key = keyOfBytes(value)
        cursor.at = 0
      }
      run(rest, cursor, row)
      return row
    }
  }

  private afterParts(key: Key, value: Uint8Array): KeyCursor {
    if (this.descriptor.unique) return { key: keyOfBytes(value), at: 0 }
    const cursor = { key, at: this.prefix.length }
    for (const { codec } of this.parts) codec.skip(cursor)
    return cursor
  }
}

interface Step {
  /** Undefined: nobody wants it, or it was read before. */
  readonly name: string | undefined
  readonly codec: KeyPartCodec
}

function run(steps: readonly Step[], cursor: KeyCursor, row: RowData): void {
  for (let i = 0; i < steps.length; i++) {
    const { codec, name } = steps[i] as Step
    if (name === undefined) codec.skip(cursor)
    else row[name] = codec.decode(cursor)
  }
}

function isSameValue(a: Value, b: Value): boolean {
  if (Object.is(a, b)) return true
  return a instanceof Date && b instanceof Date && a.getTime() === b.getTime()
}

/** Without what nobody wants at the end. */
function trimmed(steps: readonly Step[]): readonly Step[] {
  return steps.slice(0, steps.findLastIndex(({ name }) => name !== undefined) + 1)
}
