// A store of tables as a whole: rows are those of the model at the store's position, and every index holds exactly the entries
// that a scan of all rows gives.

import type { ReadTx } from '../../../store/local-store.ts'
import { rangeOfPrefix } from '../../../store/sub-store.ts'
import { Catalog } from '../../../table/apply/catalog.ts'
import { readProgress } from '../../../table/apply/index-builder.ts'
import { readCounters } from '../../../table/apply/table-counters.ts'
import type { CompiledIndex } from '../../../table/codec/compiled-index.ts'
import type { CompiledTable } from '../../../table/codec/compiled-table.ts'
import { storedRow } from '../../../table/codec/stored-row.ts'
import { check } from '../../workload.ts'
import { keyOf, type ModelRow, type ModelState, type TableModel } from './table-model.ts'

export function checkContent(store: ReadTx, model: TableModel): void {
  const { position } = readCounters(store)
  const catalog = new Catalog()
  catalog.load(store)
  const expected = model.states[position]
  check(expected !== undefined, `a store is at ${position}, and ${model.position} are known`)
  const table = catalog.find('items')
  if (table === undefined) return check(expected.size === 0, 'rows without a table')
  checkRows(store, table, expected)
  for (const index of table.indexes) checkIndex(store, table, index)
}

function checkRows(store: ReadTx, table: CompiledTable, expected: ModelState): void {
  let rows = 0
  for (const [, bytes] of store.scan(rangeOfPrefix(table.prefix))) {
    const stored = storedRow(bytes)
    const row = stored.row(table) as unknown as ModelRow
    const model = expected.get(keyOf(row))
    const isSame = model?.version === stored.version && model.row.value === row.value && model.row.tag === row.tag
    check(isSame, `row ${keyOf(row)} at version ${stored.version} is not the model's of version ${model?.version}`)
    rows++
  }
  check(rows === expected.size, `${rows} rows instead of ${expected.size}`)
}

/** A store's index holds exactly what a scan of its rows gives; one that is being built, what its building has reached. */
export function checkIndex(store: ReadTx, table: CompiledTable, index: CompiledIndex): void {
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
