// A transaction is applied: what was read is looked at again, conditions are checked, rows are written, all or nothing. A
// deterministic function of store and entry.

import type { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import { type Key, keyAfterPrefix } from '../../base/key.ts'
import type { CompiledTable } from '../codec/compiled-table.ts'
import { patched } from '../codec/patch.ts'
import { RangeDigest } from '../codec/range-digest.ts'
import { type StoredRow, versionOfStored } from '../codec/stored-row.ts'
import { fromTaggedJson } from '../codec/tagged-json.ts'
import {
  type DecodedCondition,
  type DecodedRange,
  HAS_CONDITION,
  OPERATION_MASK,
  OPERATIONS,
  readCondition,
  readRangeRead,
} from '../codec/transaction-codec.ts'
import type { RejectionReason } from '../messages.ts'
import type { FilterData } from '../schema/descriptor.ts'
import { DEFAULT_TABLE_LIMITS } from '../table-limits.ts'
import type { ChangeLog } from './row-change-log.ts'
import type { NewRow, RowPlace, RowWriter, WriteRefusal } from './row-writer.ts'
import type { TableState } from './table-state.ts'
import { Tokens } from './tokens.ts'

/** What became of a transaction, the same on every server. Rows as stored: decoded by whoever is interested. */
export type TransactionOutcome =
  | { readonly kind: 'committed'; readonly position: number; readonly rows: readonly OutcomeRow[] }
  | { readonly kind: 'repeated'; readonly position: number }
  | { readonly kind: 'conflict'; readonly position: number; readonly detail: string }
  /** A table has another schema than the one that the entry was made for. */
  | { readonly kind: 'schema'; readonly position: number }
  | {
      readonly kind: 'rejected'
      readonly position: number
      readonly operation: number
      readonly reason: RejectionReason
      readonly detail: string
      readonly index: string | undefined
      readonly current: OutcomeRow
    }

export interface OutcomeRow {
  readonly table: CompiledTable
  readonly stored: StoredRow | undefined
}

/** Bytes of rows that one transaction replaces, since the change log keeps them. */
const REPLACED_BYTES_MAX = 16 << 20

type Refusal = Omit<Extract<TransactionOutcome, { kind: 'rejected' }>, 'kind' | 'position' | 'operation'>

export class TransactionApply {
  private readonly state: TableState
  private readonly writer: RowWriter
  private readonly changes: ChangeLog
  private readonly encoder = new ByteWriter(1024)
  private readonly tokens = new Tokens()
  // Of the transaction at hand.
  private replacedBytes = 0
  private readonly added: number[] = []

  constructor(state: TableState, writer: RowWriter, changes: ChangeLog) {
    this.state = state
    this.writer = writer
    this.changes = changes
  }

  /** What memory holds of the store is to be read anew. */
  forget(): void {
    this.tokens.forget()
  }

  /** `reader` stands behind format and kind. */
  apply(reader: ByteReader): TransactionOutcome {
    const { counters, tx } = this.state
    const { position } = counters
    const wallMs = reader.varint()
    const token = reader.string()
    if (token !== '') {
      const before = this.tokens.positionOf(tx, token)
      if (before !== undefined) return { kind: 'repeated', position: before }
    }
    const evidence = this.validate(reader)
    if (evidence !== undefined) return evidence
    const count = reader.varint()
    this.replacedBytes = 0
    this.added.length = 0
    // One operation checks everything before it writes anything: nothing needs to be taken back.
    const savepoint = count > 1 ? { store: tx.savepoint(), rows: this.state.rows.mark() } : undefined
    const rows: OutcomeRow[] = []
    for (let i = 0; i < count; i++) {
      const done = this.operation(reader, position + 1, wallMs)
      if (done === undefined || 'reason' in done) {
        this.changes.clear()
        if (savepoint !== undefined) {
          tx.rollbackTo(savepoint.store)
          this.state.rows.rollbackTo(savepoint.rows)
          this.state.rows.release()
        }
        return done === undefined ? { kind: 'schema', position } : { kind: 'rejected', position, operation: i, ...done }
      }
      rows.push(done)
    }
    if (savepoint !== undefined) this.state.rows.release()
    if (!this.changes.isEmpty) {
      counters.position++
      this.changes.write(tx, counters)
    }
    for (let i = 0; i < this.added.length; i += 2) {
      this.state.addToCount(this.added[i] as number, this.added[i + 1] as number)
    }
    if (token !== '') this.tokens.remember(tx, counters, token)
    return { kind: 'committed', position: counters.position, rows }
  }

  /** Reads a table by id and schema version; undefined if it is not that any more. */
  private table(reader: ByteReader): CompiledTable | undefined {
    const table = this.state.catalog.byIdOf(reader.varint())
    return reader.varint() === table?.version ? table : undefined
  }

  private validate(reader: ByteReader): TransactionOutcome | undefined {
    const { position } = this.state.counters
    for (let left = reader.varint(); left > 0; left--) {
      const table = this.table(reader)
      if (table === undefined) return { kind: 'schema', position }
      const key = reader.key()
      const version = reader.varint()
      const now = this.state.row(table.prefix + key)?.version ?? 0
      if (now !== version) {
        const detail = `a row of table ${table.name} that was read has changed: it had version ${version}, now ${now}`
        return { kind: 'conflict', position, detail }
      }
    }
    for (let left = reader.varint(); left > 0; left--) {
      const table = this.table(reader)
      if (table === undefined) return { kind: 'schema', position }
      if (!this.isSameRange(table, readRangeRead(reader))) {
        const detail = `a range of table ${table.name} that was scanned holds other rows now`
        return { kind: 'conflict', position, detail }
      }
    }
    return undefined
  }

  private isSameRange(
    table: CompiledTable,
    { digest, from, index, reverse, rows, rowsToo, to }: DecodedRange,
  ): boolean {
    const prefix = table.prefixOf(index)
    const range = { from: prefix + from, to: to === undefined ? keyAfterPrefix(prefix) : prefix + to }
    const now = new RangeDigest()
    const limit = Math.min(rows, DEFAULT_TABLE_LIMITS.scannedRowsMax) + 1
    for (const [key, value] of this.state.tx.scan(range, { limit, reverse })) {
      if (index === 0) now.addRow(key, versionOfStored(value))
      else if (rowsToo) now.addRow(key, this.versionBehind(table, index, key, value))
      else now.addEntry(key, value)
    }
    return now.rows === rows && now.value === digest
  }

  private versionBehind(table: CompiledTable, index: number, key: Key, value: Uint8Array): number {
    const compiled = table.indexes.find(({ descriptor }) => descriptor.id === index)
    return compiled === undefined ? 0 : (this.state.row(table.prefix + compiled.primaryKeyOf(key, value))?.version ?? 0)
  }

  /** The row that an operation leaves, or why it is refused; undefined: the table has another schema. */
  private operation(reader: ByteReader, version: number, wallMs: number): OutcomeRow | Refusal | undefined {
    const code = reader.u8()
    const table = this.table(reader)
    if (table === undefined) return undefined
    const key = reader.key()
    const condition = (code & HAS_CONDITION) === 0 ? undefined : readCondition(reader)
    const op = code & OPERATION_MASK
    const storedKey = table.prefix + key
    const old = this.state.row(storedKey)
    const place: RowPlace = { table, key, storedKey, old }
    // What is behind it must be read in any case.
    const bytes = op === OPERATIONS.insert || op === OPERATIONS.upsert ? reader.bytes() : undefined
    if (op === OPERATIONS.insert && old !== undefined)
      return refused(place, 'exists', `table ${table.name} has such a row`)
    if (condition !== undefined) {
      const broken = brokenCondition(table, condition, old)
      if (broken !== undefined) return refused(place, 'condition', broken)
    }
    switch (op) {
      case OPERATIONS.insert:
      case OPERATIONS.upsert:
        return this.put(place, { bytes: bytes as Uint8Array, row: undefined }, version, wallMs)
      case OPERATIONS.update: {
        if (old === undefined) return refused(place, 'missing', `table ${table.name} has no such row`)
        const row = patched(table, old.row(table), reader)
        if (typeof row === 'string') return refused(place, 'range', row)
        const { encoder } = this
        encoder.reset()
        table.rows.write(encoder, row)
        const { rowBytesMax } = DEFAULT_TABLE_LIMITS
        if (encoder.size > rowBytesMax)
          return refused(place, 'size', `rowBytesMax is ${rowBytesMax}, the row would be ${encoder.size}`)
        return this.put(place, { bytes: encoder.peek(), row }, version, wallMs)
      }
      case OPERATIONS.delete: {
        if (old === undefined) return { table, stored: undefined }
        if (!this.replaces(old)) return refused(place, 'size', REPLACES_TOO_MUCH)
        this.writer.delete(place, old)
        this.added.push(table.id, -1)
        return { table, stored: old }
      }
      case OPERATIONS.check:
        return { table, stored: old }
      default:
        throw new DelosError('CORRUPT', `operation ${op} is not known`)
    }
  }

  private put(place: RowPlace, row: NewRow, version: number, wallMs: number): OutcomeRow | Refusal {
    const { old, table } = place
    if (old !== undefined && !this.replaces(old)) return refused(place, 'size', REPLACES_TOO_MUCH)
    const stored = this.writer.put(place, row, version, wallMs)
    if ('reason' in stored) return refusalOf(table, stored, { table, stored: old })
    if (old === undefined) this.added.push(table.id, 1)
    return { table, stored }
  }

  private replaces(old: StoredRow): boolean {
    this.replacedBytes += old.bytes.length
    return this.replacedBytes <= REPLACED_BYTES_MAX
  }
}

const REPLACES_TOO_MUCH = `the rows that one transaction replaces or deletes have more than ${REPLACED_BYTES_MAX} bytes: split it`

function refused({ old, table }: RowPlace, reason: RejectionReason, detail: string): Refusal {
  return { reason, detail, index: undefined, current: { table, stored: old } }
}

function refusalOf(table: CompiledTable, refusal: WriteRefusal, current: OutcomeRow): Refusal {
  const { detail, index, reason } = refusal
  return { reason, detail, index, current: index === undefined ? current : { table, stored: refusal.current } }
}

/** Which part of a condition does not hold. */
function brokenCondition(
  table: CompiledTable,
  { exists, version, where }: DecodedCondition,
  old: StoredRow | undefined,
): string | undefined {
  if (exists === true && old === undefined) return 'there is no such row'
  if (exists === false && old !== undefined) return 'there is such a row'
  const now = old?.version ?? 0
  if (version !== undefined && version !== now) return `the row has version ${now}, not ${version}`
  if (where === undefined) return undefined
  if (old === undefined) return 'there is no such row'
  const matches = table.filterOfText(where, (text) => fromTaggedJson(text) as FilterData)
  return matches(old.row(table)) ? undefined : 'the row does not match'
}
