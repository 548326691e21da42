// One table as of one schema version, compiled: codecs and predicates are looked up by name once, here, and never per row.

import { DelosError } from '../../base/delos-error.ts'
import type { Key } from '../../base/key.ts'
import type { ColumnSpec, Value } from '../schema/columns.ts'
import {
  type ColumnDescriptor,
  columnName,
  currentColumns,
  type FilterData,
  type PartDescriptor,
  type TableDescriptor,
} from '../schema/descriptor.ts'
import { limitExceeded, REPLICATED_LIMITS } from '../table-limits.ts'
import { requireRecord } from './check-request.ts'
import { checkValue } from './check-value.ts'
import { CompiledIndex, type KeyColumn } from './compiled-index.ts'
import { compileFilter, type RowPredicate } from './filter.ts'
import { keyPartCodec } from './key-codec.ts'
import { RowCodec, type RowData } from './row-codec.ts'
import { entryPrefix, rowPrefix } from './table-keys.ts'

const FILTERS_KEPT = 256

export interface CompiledColumn extends ColumnDescriptor {
  readonly inKey: boolean
  /** How errors name it. */
  readonly where: string
}

export class CompiledTable {
  readonly descriptor: TableDescriptor
  readonly id: number
  readonly name: string
  readonly version: number
  /** The first position at which it had its name, as far as that is known. */
  readonly namedAt: number
  /** Of all tables that there ever are, and all their versions, the only one with this text. */
  readonly mark: string
  /** The columns that it has now. */
  readonly columns: readonly CompiledColumn[]
  readonly rows: RowCodec
  /** Stored keys of its rows begin with it. */
  readonly prefix: Key
  readonly primary: readonly KeyColumn[]
  readonly indexes: readonly CompiledIndex[]
  private readonly byName: ReadonlyMap<string, CompiledColumn>
  private readonly byId: ReadonlyMap<number, CompiledColumn>
  private readonly filters = new Map<string, RowPredicate>()

  constructor(descriptor: TableDescriptor) {
    this.descriptor = descriptor
    this.id = descriptor.id
    this.name = descriptor.name
    this.version = descriptor.version
    this.namedAt = descriptor.namedAt ?? 0
    this.mark = `${descriptor.id}.${descriptor.version}`
    this.columns = currentColumns(descriptor).map((column) => ({
      ...column,
      inKey: descriptor.key.some((part) => part.column === column.id),
      where: `column ${column.name} of table ${descriptor.name}`,
    }))
    this.byName = new Map(this.columns.map((column) => [column.name, column]))
    this.byId = new Map(this.columns.map((column) => [column.id, column]))
    this.rows = new RowCodec(descriptor)
    this.prefix = rowPrefix(descriptor.id)
    const keyColumns = (parts: readonly PartDescriptor[]): KeyColumn[] =>
      parts.map(({ column, descending }) => this.keyColumn(column, descending))
    this.primary = keyColumns(descriptor.key)
    this.indexes = descriptor.indexes.map(
      (index) =>
        new CompiledIndex({
          descriptor: index,
          table: descriptor.id,
          parts: keyColumns(index.parts),
          primary: this.primary,
          include: index.include.map((column) => this.keyColumn(column, false)),
          matches: this.filter(index.where),
        }),
    )
  }

  /** The column of that name. Throws UNKNOWN_COLUMN. */
  column(name: string): CompiledColumn {
    const column = this.byName.get(name)
    if (column !== undefined) return column
    throw this.unknown('column', name, [...this.byName.keys()])
  }

  /** Undefined: it has no such column now. */
  columnOfId(id: number): CompiledColumn | undefined {
    return this.byId.get(id)
  }

  /** The index of that name, whatever its state. Throws UNKNOWN_COLUMN. */
  index(name: string): CompiledIndex {
    const index = this.indexes.find(({ descriptor }) => descriptor.name === name)
    if (index !== undefined) return index
    throw this.unknown(
      'index',
      name,
      this.indexes.map(({ descriptor }) => descriptor.name),
    )
  }

  /** An index that reads may use. Throws INDEX_NOT_READY too. */
  readableIndex(name: string): CompiledIndex {
    const index = this.index(name)
    const { state } = index.descriptor
    if (state === 'ready') return index
    const why = state === 'building' ? 'is still being built' : 'found duplicates when it was built'
    const advice =
      state === 'building' ? 'wait until it is ready' : 'look at its violations, mend them and build it again'
    throw new DelosError('INDEX_NOT_READY', `index ${name} of table ${this.name} ${why}: ${advice}`)
  }

  /** Throws UNKNOWN_COLUMN, WRONG_TYPE, INVALID_ARGUMENT. */
  filter(filter: FilterData | undefined): RowPredicate {
    return compileFilter(filter, (name) => this.column(name).spec)
  }

  /** The same for one that came as text; the last ones are kept. */
  filterOfText(text: string, parse: (text: string) => FilterData): RowPredicate {
    let predicate = this.filters.get(text)
    if (predicate === undefined) {
      predicate = this.filter(parse(text))
      if (this.filters.size >= FILTERS_KEPT) this.filters.clear()
      this.filters.set(text, predicate)
    }
    return predicate
  }

  /** The primary key of a row whose values were checked, as a key fragment. */
  primaryKeyOf(row: RowData): Key {
    const { primary } = this
    let key = ''
    for (let i = 0; i < primary.length; i++) {
      const { codec, name } = primary[i] as KeyColumn
      key += codec.encode(row[name] as Value)
    }
    return key
  }

  /** The primary key that a caller gave, checked. Throws WRONG_TYPE and its kin, LIMIT_EXCEEDED, UNKNOWN_COLUMN. */
  checkedKey(given: Readonly<Record<string, unknown>>): Key {
    requireRecord(given, 'a key')
    const { primary } = this
    let key = ''
    for (let i = 0; i < primary.length; i++) {
      const { codec, name } = primary[i] as KeyColumn
      const { spec, where } = this.byName.get(name) as CompiledColumn
      key += codec.encode(checkValue(spec, given[name], where))
    }
    this.requireKeySize(key)
    for (const name in given) {
      if (this.byName.get(name)?.inKey === true) continue
      const names = primary.map((part) => part.name)
      throw this.unknown('key column', name, names)
    }
    return key
  }

  /** The columns of a primary key, by name. */
  keyData(key: Key): RowData {
    const cursor = { key, at: 0 }
    return Object.fromEntries(this.primary.map(({ codec, name }) => [name, codec.decode(cursor)]))
  }

  requireKeySize(key: Key): void {
    const { keyBytesMax } = REPLICATED_LIMITS
    if (key.length > keyBytesMax) {
      throw limitExceeded('keyBytesMax', keyBytesMax, key.length, 'keep long content in other columns')
    }
  }

  /** The entries of an index, or the rows themselves for 0. */
  prefixOf(index: number): Key {
    return index === 0 ? this.prefix : entryPrefix(this.id, index)
  }

  private spec(name: string): ColumnSpec {
    return this.column(name).spec
  }

  private keyColumn(id: number, descending: boolean): KeyColumn {
    const name = columnName(this.descriptor, id)
    return { name, codec: keyPartCodec(this.spec(name), descending) }
  }

  private unknown(what: string, name: string, all: readonly string[]): DelosError {
    const has = all.length === 0 ? 'it has none' : `there are ${all.join(', ')}`
    return new DelosError('UNKNOWN_COLUMN', `table ${this.name} has no ${what} ${name}: ${has}`)
  }
}
