// What is told of a table: its shape, its rows, and how far its indexes are.

import { keyOfBytes } from '../base/key.ts'
import type { ReadTx } from '../store/local-store.ts'
import { readProgress } from './apply/index-builder.ts'
import type { TableState } from './apply/table-state.ts'
import type { CompiledTable } from './codec/compiled-table.ts'
import type { RowData } from './codec/row-codec.ts'
import { violationRange } from './codec/table-keys.ts'
import type { IndexProgress, TableDescription } from './messages.ts'
import type { TableDescriptor } from './schema/descriptor.ts'
import { shapeOfDescriptor } from './schema/table-shape.ts'
import type { TableStats } from './table-stats.ts'

export function describeTable(state: TableState, reader: ReadTx, table: CompiledTable): TableDescription {
  const { descriptor, name, version } = table
  return {
    name,
    version,
    rows: state.rowCount(reader, table),
    shape: shapeOfDescriptor(descriptor),
    indexes: table.indexes.map((index) => progressOf(reader, table, index.descriptor)),
  }
}

function progressOf(
  reader: ReadTx,
  table: CompiledTable,
  { id, name, state }: TableDescriptor['indexes'][number],
): IndexProgress {
  const violations: RowData[] = []
  for (const [, bytes] of reader.scan(violationRange(table.id, id))) violations.push(table.keyData(keyOfBytes(bytes)))
  return { index: name, state, rowsDone: readProgress(reader, table.id, id)?.rowsDone ?? 0, violations }
}

/** All tables, as metrics show them. */
export function tableFigures(state: TableState, reader: ReadTx): Pick<TableStats, 'tables' | 'indexes' | 'builds'> {
  const tables: TableStats['tables'][number][] = []
  const builds: TableStats['builds'][number][] = []
  const indexes = { building: 0, ready: 0, failed: 0 }
  for (const table of state.catalog.tables()) {
    tables.push({ name: table.name, rows: state.rowCount(reader, table) })
    for (const { descriptor } of table.indexes) {
      indexes[descriptor.state]++
      if (descriptor.state !== 'building') continue
      const rowsDone = readProgress(reader, table.id, descriptor.id)?.rowsDone ?? 0
      builds.push({ table: table.name, index: descriptor.name, rowsDone })
    }
  }
  return { tables, indexes, builds }
}
