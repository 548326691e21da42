// The apply half of DelosTable: a deterministic function of store, entry and position. What callers wait for is told to one
// listener after the commit. Not here: what a transaction or a schema change does (apply/).

import { assert } from '../base/assert.ts'
import { ByteReader } from '../base/byte-reader.ts'
import { DelosError } from '../base/delos-error.ts'
import type { Key } from '../base/key.ts'
import type { Applicator } from '../engine/engine.ts'
import type { Entry } from '../engine/entry.ts'
import type { TimerService } from '../engine/timer-service.ts'
import type { LogPos } from '../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../store/local-store.ts'
import { Expiry } from './apply/expiry.ts'
import { applyStep } from './apply/index-builder.ts'
import type { RowCacheLimits } from './apply/row-cache.ts'
import { ChangeLog } from './apply/row-change-log.ts'
import { RowWriter } from './apply/row-writer.ts'
import { SchemaApply } from './apply/schema-apply.ts'
import { TableState } from './apply/table-state.ts'
import { TransactionApply, type TransactionOutcome } from './apply/transaction-apply.ts'
import { TABLE_PREFIX, tableOfRow } from './codec/table-keys.ts'
import { fromTaggedJson } from './codec/tagged-json.ts'
import { ENTRY_FORMAT, ENTRY_KINDS } from './codec/transaction-codec.ts'
import type { SchemaAnswer, SchemaRequest } from './messages.ts'
import type { StepLimits } from './table-limits.ts'

/** What apply answers. Steps and ticks answer nothing. */
export type TableResult = TransactionOutcome | SchemaAnswer | undefined

export interface TableListener {
  /** Something was committed: everything up to `position` can be read. */
  committed(position: number): void
}

/** Decoded rows in memory: at most about this many, and about this many bytes. */
export const DEFAULT_CACHE: RowCacheLimits = { rowsMax: 200_000, bytesMax: 64 << 20 }

export class TableApplicator implements Applicator<TableResult> {
  readonly state: TableState
  /** In apply here, also when entries are played again: for metrics. */
  expiredRows = 0
  private readonly changes: ChangeLog
  private readonly expiry = new Expiry()
  private readonly writer: RowWriter
  private readonly transactions: TransactionApply
  private readonly schemas: SchemaApply
  private listener: TableListener | undefined

  /** `steps`: of a simulation; else what is part of the build. */
  constructor(cache: RowCacheLimits = DEFAULT_CACHE, steps?: StepLimits) {
    this.state = new TableState(cache, steps)
    this.changes = new ChangeLog(this.state.histories, this.state.retention)
    this.writer = new RowWriter(this.state, this.changes, this.expiry)
    this.transactions = new TransactionApply(this.state, this.writer, this.changes)
    this.schemas = new SchemaApply(this.state, this.changes)
  }

  /** Rows expire by these timers, as the service is enabled; without any they never do. Once, before anything is applied. */
  useTimers(timers: TimerService): void {
    this.expiry.useTimers(timers)
    timers.onSwitched((tx, enabled) => this.expiry.switched(tx, enabled))
  }

  /** At most one. */
  listen(listener: TableListener): void {
    assert(this.listener === undefined, 'a second listener')
    this.listener = listener
  }

  /** Reads what memory holds of the store; outside of apply. */
  load(reader: ReadTx): void {
    this.state.load(reader)
  }

  apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): TableResult {
    assert(entry.payload !== undefined, 'an entry without payload')
    const reader = new ByteReader(entry.payload)
    const format = reader.u8()
    if (format !== ENTRY_FORMAT) throw new DelosError('FORMAT', `an entry of tables has the unknown format ${format}`)
    this.state.begin(tx, pos, entry.index)
    const result = this.run(reader, reader.u8())
    this.state.end()
    return result
  }

  /** Somebody else has written rows of the store: what memory holds of ours is read anew. */
  edited(_tx: ReadTx, keys: readonly Key[]): void {
    if (!keys.some((key) => key.startsWith(TABLE_PREFIX))) return
    this.state.forget()
    this.transactions.forget()
  }

  /** The first call after a commit tells the listener of all of it. */
  postApply(_entry?: Entry, _pos?: LogPos, _result?: TableResult): void {
    if (!this.state.commit()) return
    this.listener?.committed(this.state.position)
  }

  private run(reader: ByteReader, kind: number): TableResult {
    switch (kind) {
      case ENTRY_KINDS.transaction:
        return this.transactions.apply(reader)
      case ENTRY_KINDS.schema:
        return this.schemas.apply(fromTaggedJson(reader.string()) as SchemaRequest, true)
      case ENTRY_KINDS.unnamedSchema:
        return this.schemas.apply(fromTaggedJson(reader.string()) as SchemaRequest, false)
      case ENTRY_KINDS.step:
        applyStep(this.state, reader)
        return undefined
      case ENTRY_KINDS.tick:
        this.tick()
        return undefined
      case ENTRY_KINDS.retention:
        this.state.retention.set(this.state.tx, { transactions: reader.varint(), bytes: reader.varint() })
        return undefined
      case ENTRY_KINDS.history:
        this.beginHistory(reader.varint())
        return undefined
      default:
        throw new DelosError('FORMAT', `an entry of tables has the unknown kind ${kind}`)
    }
  }

  /** Twice, as by a restore that was cut off, it does nothing. */
  private beginHistory(behind: number): void {
    const { counters, histories, tx } = this.state
    if (behind <= counters.position) return
    this.changes.interrupt(tx, counters)
    histories.begin(tx, counters.position, behind)
    counters.position = behind
  }

  private tick(): void {
    const { catalog, counters, tx } = this.state
    this.expiry.tick(tx, (key) => {
      const table = catalog.byIdOf(tableOfRow(key))
      const row = table === undefined ? undefined : this.state.row(key)
      // Of a table that was dropped, or whose rows stay by now.
      if (table === undefined || row === undefined || table.descriptor.ttl === undefined) return 0
      this.writer.delete({ table, key: key.slice(table.prefix.length), storedKey: key, old: row }, row)
      this.state.addToCount(table.id, -1)
      this.expiredRows++
      return row.bytes.length
    })
    if (this.changes.isEmpty) return
    counters.position++
    this.changes.write(tx, counters)
  }
}
