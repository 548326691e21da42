// A store of tables as a whole, at whatever point of the log it stands: tables, states of indexes and rows are those of the model,
// and every index holds exactly the entries that a scan of all rows gives.

import { loadCursor } from '../../../engines/base-engine/cursor.ts'
import type { ReadTx } from '../../../store/local-store.ts'
import { rangeOfPrefix } from '../../../store/sub-store.ts'
import { Catalog } from '../../../table/apply/catalog.ts'
import { readProgress } from '../../../table/apply/index-builder.ts'
import { readCounters } from '../../../table/apply/table-counters.ts'
import type { CompiledIndex } from '../../../table/codec/compiled-index.ts'
import type { CompiledTable } from '../../../table/codec/compiled-table.ts'
import type { RowData } from '../../../table/codec/row-codec.ts'
import { storedRow } from '../../../table/codec/stored-row.ts'
import { countKey, garbageRange, TABLE_PREFIX } from '../../../table/codec/table-keys.ts'
import { check } from '../../workload.ts'
import { keyText, shownRow } from './model-rows.ts'
import { type ModelIndex, type ModelTable, textOf } from './model-schema.ts'
import type { TablesModel } from './tables-model.ts'

export function checkStore(store: ReadTx, model: TablesModel): void {
  const { state } = model.before(loadCursor(store))
  const { position } = readCounters(store)
  check(position === state.position, `a store is at ${position} where the model is at ${state.position}`)
  const catalog = new Catalog()
  catalog.load(store)
  const found = [...catalog.tables()].map(({ id, name, version }) => `${name} ${id}.${version}`).toSorted()
  const expected = [...state.tables.values()].map(({ id, name, version }) => `${name} ${id}.${version}`).toSorted()
  check(found.join() === expected.join(), `tables are ${found.join()} instead of ${expected.join()}`)
  for (const table of catalog.tables()) {
    const wanted = state.tables.get(table.name) as ModelTable
    checkIndexStates(table, wanted)
    checkRows(store, table, wanted)
    table.indexes.forEach((index, i) => {
      const { state: now, unique } = index.descriptor
      if (!unique || now === 'ready') checkIndex(store, table, index)
      else checkHolders(store, table, index, wanted.indexes[i] as ModelIndex)
    })
  }
  // What belongs to no table is on its way out.
  if ([...store.scan(garbageRange(), { limit: 1 })].length === 0) checkNothingElse(store, catalog)
}

function checkIndexStates({ descriptor, name }: CompiledTable, { indexes }: ModelTable): void {
  const found = descriptor.indexes.map((index) => `${index.name} ${index.state}`).join()
  const expected = indexes.map((index) => `${index.name} ${index.state}`).join()
  check(found === expected, `indexes of ${name} are ${found} instead of ${expected}`)
}

function checkRows(store: ReadTx, table: CompiledTable, wanted: ModelTable): void {
  let rows = 0
  for (const [, bytes] of store.scan(rangeOfPrefix(table.prefix))) {
    const stored = storedRow(bytes)
    const data = stored.row(table)
    const model = wanted.rows.get(keyText(wanted, data))
    const expected = model === undefined ? 'none' : `${shownRow(wanted, model)}@${model.version}`
    const found = `${shownData(data)}@${stored.version}`
    check(found === expected, `a row of ${table.name} is ${found} instead of ${expected}`)
    rows++
  }
  check(rows === wanted.rows.size, `table ${table.name} has ${rows} rows instead of ${wanted.rows.size}`)
  const count = Buffer.from(store.get(countKey(table.id)) ?? new Uint8Array(8)).readUInt32BE(4)
  check(count === rows, `table ${table.name} counts ${count} rows of ${rows}`)
}

/** A store's index holds exactly what a scan of its rows gives; one that is being built, what its building has reached. */
function checkIndex(store: ReadTx, table: CompiledTable, index: CompiledIndex): void {
  const { id, name, state } = index.descriptor
  const cursor = state === 'building' ? table.prefix + (readProgress(store, table.id, id)?.cursor ?? '') : undefined
  const wanted = new Map<string, string>()
  for (const [key, bytes] of store.scan(rangeOfPrefix(table.prefix))) {
    const entry = index.entryOf(storedRow(bytes).row(table), key.slice(table.prefix.length))
    // Rows that the building has not reached may be in it or not.
    if (entry !== undefined && (cursor === undefined || key < cursor))
      wanted.set(entry.key, Buffer.from(entry.value).toString('hex'))
  }
  let found = 0
  for (const [key, value] of store.scan(rangeOfPrefix(index.prefix))) {
    const expected = wanted.get(key)
    if (expected === undefined && cursor !== undefined) continue
    check(expected === Buffer.from(value).toString('hex'), `index ${name} has an entry that no row has`)
    found++
  }
  check(found === wanted.size, `index ${name} has ${found} entries of ${wanted.size}`)
}

/** A unique index that is not ready: of rows with the same values one has the entry, the same one as in the model. */
function checkHolders(store: ReadTx, table: CompiledTable, index: CompiledIndex, { holders }: ModelIndex): void {
  const found: string[] = []
  for (const [key, value] of store.scan(rangeOfPrefix(index.prefix))) {
    const primaryKey = index.primaryKeyOf(key, value)
    const bytes = store.get(table.prefix + primaryKey)
    const row = bytes === undefined ? undefined : storedRow(bytes).row(table)
    const entry = row === undefined ? undefined : index.entryOf(row, primaryKey)
    check(row !== undefined && entry?.key === key, `index ${index.descriptor.name} has an entry that no row has`)
    check(Buffer.compare(entry.value, value) === 0, `an entry of index ${index.descriptor.name} has old values`)
    // With a null in it it is nobody else's.
    if (index.parts.every(({ name }) => row[name] !== null))
      found.push(Object.values(table.keyData(primaryKey)).map(textOf).join())
  }
  const expected = [...holders.values()].toSorted().join(';')
  check(found.toSorted().join(';') === expected, `index ${index.descriptor.name} is of ${found} instead of ${expected}`)
}

function checkNothingElse(store: ReadTx, catalog: Catalog): void {
  const tables = [...catalog.tables()]
  const prefixes = tables.flatMap((table) => [table.prefix, ...table.indexes.map(({ prefix }) => prefix)])
  for (const kind of ['r', 'i']) {
    for (const [key] of store.scan(rangeOfPrefix(TABLE_PREFIX + kind))) {
      check(
        prefixes.some((prefix) => key.startsWith(prefix)),
        'a row or entry belongs to no table',
      )
    }
  }
}

/** As the model shows rows. */
export function shownData(row: RowData): string {
  const names = Object.keys(row).toSorted()
  return names.map((name) => `${name}=${textOf(row[name])}`).join()
}
