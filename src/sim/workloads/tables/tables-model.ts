// The oracle of a whole database of tables over all servers: transactions, schema changes, steps of index building and ticks of
// the clock in the order of the log, each with the outcome that the state before it gives.

import type { Clock } from '../../../runtime/runtime.ts'
import type { ScanRequest, SchemaRequest, TransactionRequest } from '../../../table/messages.ts'
import type { SchemaChange } from '../../../table/schema/evolution.ts'
import { TTL_TICK_MS } from '../../../table/table-limits.ts'
import { check } from '../../workload.ts'
import { type Ending, evidenceIn, keyText, stepOf, valueIn, withoutRows, write } from './model-rows.ts'
import { changeTable, createTable, type ModelTable } from './model-schema.ts'
import { type Proposed, SerialHistory, type Verdict } from './serial-history.ts'

export interface ModelState {
  readonly position: number
  /** First log position whose effects it does not have. */
  readonly end: number
  readonly tables: ReadonlyMap<string, ModelTable>
  readonly tablesMade: number
  readonly tick: number
}

export interface ModelTransaction extends Proposed {
  readonly request: TransactionRequest
  readonly seen: readonly { readonly scan: ScanRequest; readonly mark: string; readonly evidence: string }[]
  /** Of each table when it was read. */
  readonly marks: ReadonlyMap<string, string>
}

/** Which table, and which version of its schema. */
export function markOf(table: ModelTable | undefined): string {
  return table === undefined ? '' : `${table.id}.${table.version}`
}

export class TablesModel extends SerialHistory<ModelState, ModelTransaction> {
  private readonly clock: Clock
  private readonly stepRows: number
  /** Position to the first state that has it. */
  private readonly firstAt = [0]
  /** By table and index: where steps began. */
  private readonly steps = new Set<string>()
  /** Where the log stands. */
  private end = 0

  constructor(clock: Clock, stepRows: number) {
    super({ position: 0, end: 0, tables: new Map(), tablesMade: 0, tick: 0 })
    this.clock = clock
    this.stepRows = stepRows
  }

  /** The rows as they were at a position. */
  at(position: number): ModelState {
    return this.states[this.firstAt[position] as number] as ModelState
  }

  /** What a server has that has played everything before this log position. */
  before(cursor: number): { readonly moment: number; readonly state: ModelState } {
    let moment = this.states.length - 1
    while (moment > 0 && (this.states[moment] as ModelState).end > cursor) moment--
    return { moment, state: this.states[moment] as ModelState }
  }

  /** The next entries are at this log position. */
  reach(pos: number): void {
    this.end = Math.max(this.end, pos + 1)
  }

  schemaChanged(place: string, request: SchemaRequest, kind: string, tableId: number | undefined): void {
    if (!this.isFirst(place, `schema ${kind} ${tableId}`)) return
    const after = this.changed(request)
    const expected = typeof after === 'string' ? after : 'changed'
    const asked = request.changes.map((change) => change.kind).join()
    check(kind === expected, `${asked} of ${request.table} at ${place} was ${kind} instead of ${expected}`)
    if (typeof after === 'string') return
    this.move(after, after.position)
  }

  stepped(place: string, tableId: number, indexId: number, cursor: string): void {
    if (!this.isFirst(place, 'step')) return
    const step = `${tableId}.${indexId}.${cursor}`
    if (this.steps.has(step)) return
    const table = [...this.state.tables.values()].find(({ id }) => id === tableId)
    const index = table?.indexes.find(({ id }) => id === indexId)
    if (table === undefined || index?.state !== 'building') return
    this.steps.add(step)
    this.put(stepOf(table, index, this.stepRows))
  }

  ticked(place: string, position: number): void {
    if (!this.isFirst(place, `tick ${position}`)) return
    const tick = this.state.tick + 1
    const tables = new Map(this.state.tables)
    let gone = 0
    for (const [name, table] of tables) {
      const due = [...table.rows].filter(([, { endsAt }]) => endsAt !== 0 && endsAt <= tick)
      if (table.ttl === undefined) {
        // What was to end stays, since the table says so now.
        const rows = new Map(
          [...table.rows].map(([key, row]) => [key, row.endsAt <= tick ? { ...row, endsAt: 0 } : row]),
        )
        tables.set(name, { ...table, rows })
        continue
      }
      for (const [key, { endsMs }] of due) {
        const nowMs = this.clock.monotonicMs()
        check(nowMs >= endsMs, `row ${key} of ${name} ended ${endsMs - nowMs} ms early`)
      }
      gone += due.length
      tables.set(
        name,
        withoutRows(
          table,
          due.map(([key]) => key),
        ),
      )
    }
    const expected = this.position + (gone > 0 ? 1 : 0)
    check(position === expected, `the tick at ${place} ended ${gone} rows and is at ${position} after ${this.position}`)
    this.move({ ...this.state, tables, tick }, position)
  }

  protected override move(state: ModelState, position: number): void {
    if (position > this.position) this.firstAt[position] = this.states.length
    super.move({ ...state, position, end: this.end }, position)
  }

  protected evaluate(
    { request, seen, marks }: ModelTransaction,
    before: ModelState,
    wallMs: number,
  ): Verdict<ModelState> {
    const isSame =
      [...marks].every(([name, mark]) => markOf(before.tables.get(name)) === mark) &&
      (request.reads ?? []).every(({ key, table: name, version }) => {
        const table = before.tables.get(name) as ModelTable
        return (table.rows.get(keyText(table, key))?.version ?? 0) === version
      }) &&
      seen.every(({ evidence, scan }) => evidenceIn(before.tables.get(scan.table) as ModelTable, scan) === evidence)
    if (!isSame) return { outcome: 'conflict', state: undefined }
    const tables = new Map(before.tables)
    const ending = this.ending(before.tick, wallMs)
    let isChanged = false
    for (const [i, operation] of request.operations.entries()) {
      const done = write(tables.get(operation.table) as ModelTable, operation, this.position + 1, ending)
      if (typeof done === 'string') return { outcome: `rejected ${i} ${done}`, state: undefined }
      tables.set(operation.table, done.table)
      isChanged ||= done.changed
    }
    return { outcome: 'committed', state: isChanged ? { ...before, tables } : undefined }
  }

  private ending(tick: number, wallMs: number): Ending {
    return (table, row) => {
      const { ttl } = table
      if (ttl === undefined) return { endsAt: 0, endsMs: 0 }
      const until = 'column' in ttl ? (valueIn(table, row, ttl.column) as Date | null) : undefined
      if (until === null) return { endsAt: 0, endsMs: 0 }
      const delayMs = 'afterMs' in ttl ? ttl.afterMs : Math.max(0, (until as Date).getTime() - wallMs)
      // Clocks may be slow by a thousandth.
      return {
        endsAt: tick + Math.ceil(delayMs / TTL_TICK_MS) + 1,
        endsMs: this.clock.monotonicMs() + delayMs * 0.998,
      }
    }
  }

  private changed({ changes, table: name, version }: SchemaRequest): ModelState | 'conflict' | 'forbidden' {
    const { state } = this
    const before = state.tables.get(name)
    if ((before?.version ?? 0) !== version) return 'conflict'
    const tables = new Map(state.tables)
    const [first] = changes as [SchemaChange]
    if (first.kind === 'createTable') {
      if (tables.has(first.shape.name)) return 'forbidden'
      const id = state.tablesMade + 1
      tables.set(first.shape.name, createTable(id, first.shape, state.position))
      return { ...state, tables, tablesMade: id }
    }
    if (before === undefined) return 'forbidden'
    tables.delete(name)
    // A name that is lost takes a position.
    const next = state.position + 1
    if (first.kind === 'dropTable') return { ...state, tables, position: next }
    const after = changedBy(before, changes)
    if (after === undefined || tables.has(after.name)) return 'forbidden'
    const isRenamed = after.name !== name
    tables.set(after.name, { ...after, version: version + 1, ...(isRenamed && { namedAt: next }) })
    return { ...state, tables, position: isRenamed ? next : state.position }
  }

  private put(table: ModelTable): void {
    this.move({ ...this.state, tables: new Map(this.state.tables).set(table.name, table) }, this.position)
  }
}

/** All steps, or undefined. */
export function changedBy(before: ModelTable, changes: readonly SchemaChange[]): ModelTable | undefined {
  let table: ModelTable | undefined = before
  for (const change of changes) {
    if (table === undefined || change.kind === 'createTable' || change.kind === 'dropTable') return undefined
    table = change.kind === 'renameTable' ? { ...table, name: change.to } : changeTable(table, change)
  }
  return table
}
