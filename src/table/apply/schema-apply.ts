// Schema changes are applied: descriptors change, what is no longer wanted becomes garbage, new indexes begin to be built. All
// changes of one request or none. Where a table loses its name a position is taken: at none has one name had two meanings.

import { DelosError } from '../../base/delos-error.ts'
import type { Key } from '../../base/key.ts'
import type { ReadWriteTx } from '../../store/local-store.ts'
import { CompiledTable } from '../codec/compiled-table.ts'
import { garbageKey, ID_MAX, violationRange } from '../codec/table-keys.ts'
import type { SchemaAnswer, SchemaRequest } from '../messages.ts'
import type { TableDescriptor, TableShape } from '../schema/descriptor.ts'
import { changedTable, createdTable, Forbidden } from '../schema/evolution.ts'
import { checkShape } from '../schema/table-shape.ts'
import { REPLICATED_LIMITS } from '../table-limits.ts'
import { startBuild } from './index-builder.ts'
import type { ChangeLog } from './row-change-log.ts'
import type { TableState } from './table-state.ts'

const NOTHING = new Uint8Array(0)

export class SchemaApply {
  private readonly state: TableState
  private readonly changes: ChangeLog

  constructor(state: TableState, changes: ChangeLog) {
    this.state = state
    this.changes = changes
  }

  /** `notesNames`: since when tables have their names; a part of the entry. */
  apply({ changes, table: name, version }: SchemaRequest, notesNames: boolean): SchemaAnswer {
    const { catalog, counters, tx } = this.state
    const current = catalog.find(name)
    if ((current?.version ?? 0) !== version) return { kind: 'conflict', version: current?.version ?? 0 }
    let table = current?.descriptor
    const [first] = changes
    if (first?.kind === 'createTable') {
      const created = orForbidden(() => this.create(first.shape))
      if (created instanceof Forbidden) return { kind: 'forbidden', reason: created.reason }
      table = notesNames ? { ...created, namedAt: counters.position } : created
    } else if (table === undefined) {
      return { kind: 'forbidden', reason: `there is no table ${name}` }
    } else if (first?.kind === 'dropTable') {
      this.drop(tx, table)
      if (notesNames) this.loseName(table)
      return { kind: 'changed', table: undefined, position: counters.position }
    } else {
      const before = table
      const hasRows = this.state.rowCount(tx, catalog.table(name)) > 0
      for (const change of changes) {
        if (change.kind === 'createTable' || change.kind === 'dropTable') {
          return { kind: 'forbidden', reason: `${change.kind} stands alone` }
        }
        const now: TableDescriptor = table
        const changed = orForbidden(() => changedTable(now, change, version + 1, hasRows))
        if (changed instanceof Forbidden) return { kind: 'forbidden', reason: changed.reason }
        table = changed
      }
      const refusal = this.refusal(before, table)
      if (refusal !== undefined) return { kind: 'forbidden', reason: refusal }
      const after: TableDescriptor = { ...table, version: version + 1 }
      // What no step has looked at, as whether the filter of an index fits its columns still, is found here: nothing is written yet.
      const compiled = orForbidden(() => new CompiledTable(after))
      if (compiled instanceof Forbidden) return { kind: 'forbidden', reason: compiled.reason }
      table = after
      this.sweep(tx, before, table)
      if (notesNames && table.name !== before.name) {
        this.loseName(before)
        table = { ...table, namedAt: counters.position }
      }
    }
    catalog.put(tx, table)
    // Rows in memory are decoded by the schema of before.
    this.state.rows.clear()
    return { kind: 'changed', table, position: counters.position }
  }

  private loseName({ id, name }: TableDescriptor): void {
    const { counters, tx } = this.state
    counters.position++
    this.changes.addLostName(id, name)
    this.changes.write(tx, counters)
  }

  private create(shape: TableShape): TableDescriptor | Forbidden {
    const { catalog, counters } = this.state
    const { tablesMax } = REPLICATED_LIMITS
    checkShape(shape)
    if (catalog.size >= tablesMax) return new Forbidden(`tablesMax is ${tablesMax}: drop one first`)
    if (catalog.find(shape.name) !== undefined) return new Forbidden(`there is a table ${shape.name} already`)
    if (counters.lastTableId >= ID_MAX)
      return new Forbidden(`${ID_MAX} tables were made here: there is no id for one more`)
    counters.lastTableId++
    return createdTable(counters.lastTableId, shape)
  }

  private refusal(before: TableDescriptor, after: TableDescriptor): string | undefined {
    const { columnsMax, indexesMax } = REPLICATED_LIMITS
    if (after.name !== before.name && this.state.catalog.find(after.name) !== undefined) {
      return `there is a table ${after.name} already`
    }
    const columns = after.columns.filter(({ until }) => until === undefined).length
    if (columns > columnsMax) return `columnsMax is ${columnsMax}, there would be ${columns}: use a column of JSON`
    if (after.nextIndexId > ID_MAX + 1)
      return `${ID_MAX} indexes were made of ${after.name}: there is no id for one more`
    if (after.indexes.length > indexesMax) return `indexesMax is ${indexesMax}: drop an index first`
    return undefined
  }

  /** Indexes that are gone become garbage; those that are to be built begin. */
  private sweep(tx: ReadWriteTx, before: TableDescriptor, after: TableDescriptor): void {
    const ids = new Set(after.indexes.map(({ id }) => id))
    for (const { id } of before.indexes) if (!ids.has(id)) this.discard(tx, after.id, id)
    const known = new Set(before.indexes.map(({ id }) => id))
    for (const { id, state } of after.indexes) {
      if (!known.has(id) && state === 'building') startBuild(tx, after.id, id)
    }
  }

  private drop(tx: ReadWriteTx, table: TableDescriptor): void {
    this.discard(tx, table.id, 0)
    for (const { id } of table.indexes) this.discard(tx, table.id, id)
    this.state.dropCount(table.id)
    this.state.catalog.drop(tx, table.id)
    this.state.rows.clear()
  }

  private discard(tx: ReadWriteTx, table: number, index: number): void {
    tx.put(garbageKey(table, index), NOTHING)
    const found: Key[] = [...tx.scan(violationRange(table, index))].map(([key]) => key)
    for (const key of found) tx.delete(key)
  }
}

/** A change that nobody checked before it was proposed is refused: what is wrong with it must not stop the database. */
function orForbidden<T>(step: () => T): T | Forbidden {
  try {
    return step()
  } catch (error) {
    if (error instanceof DelosError) return new Forbidden(error.message)
    throw error
  }
}
