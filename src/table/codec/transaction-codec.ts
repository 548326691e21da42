// Transactions as they go through the log. A stored format (docs/formats.md): format byte, kind byte, the proposer's wall clock,
// token, rows read, ranges scanned, operations. Each names its table by id and schema version: apply refuses the whole
// transaction if a table has another version by then, so bytes are only read by the schema that wrote them.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import type { Key } from '../../base/key.ts'
import type { Condition, KeptChanges, PatchData, RangeRead, TransactionRequest, WriteOperation } from '../messages.ts'
import type { FilterData } from '../schema/descriptor.ts'
import { limitExceeded, REPLICATED_LIMITS, type TableLimits } from '../table-limits.ts'
import { requireKnown, requireRecord } from './check-request.ts'
import { checkValue, requireText } from './check-value.ts'
import type { CompiledColumn, CompiledTable } from './compiled-table.ts'
import { patched } from './patch.ts'
import type { RowData } from './row-codec.ts'
import { storedBytes } from './stored-row.ts'
import { fromTaggedJson, toTaggedJson } from './tagged-json.ts'

export const ENTRY_FORMAT = 1

/** What an entry is. `unnamedSchema`: as builds proposed it that did not note since when a table has its name. */
export const ENTRY_KINDS = {
  transaction: 1,
  unnamedSchema: 2,
  step: 3,
  tick: 4,
  history: 5,
  schema: 6,
  retention: 7,
} as const

/** After a restore: the entry that takes positions behind all that the lost history may have given out. */
export function encodeNewHistory(behind: number): Uint8Array {
  const writer = new ByteWriter(16)
  writer.u8(ENTRY_FORMAT)
  writer.u8(ENTRY_KINDS.history)
  writer.varint(behind)
  return writer.toBytes()
}

/** From this entry on so much of the past is kept. */
export function encodeRetention({ bytes, transactions }: KeptChanges): Uint8Array {
  const writer = new ByteWriter(16)
  writer.u8(ENTRY_FORMAT)
  writer.u8(ENTRY_KINDS.retention)
  writer.varint(transactions)
  writer.varint(bytes)
  return writer.toBytes()
}

export const OPERATIONS = { insert: 1, upsert: 2, update: 3, delete: 4, check: 5 } as const
export const OPERATION_MASK = 0x0f
export const HAS_CONDITION = 0x10

const CONDITION_VERSION = 1
const CONDITION_EXISTS = 2
const CONDITION_MISSING = 4
const CONDITION_WHERE = 8

const RANGE_ROWS_TOO = 1
const RANGE_REVERSE = 2

/** Values that rows leave out: made by the proposer. */
export interface RowDefaults {
  uuid(): string
  now(): Date
}

export interface EncoderParts {
  readonly defaults: RowDefaults
  readonly limits: TableLimits
  /** Throws UNKNOWN_TABLE. */
  table(name: string): CompiledTable
  wallMs(): number
}

/** Checks what a caller gave and makes the bytes of an entry. One at a time. */
export class TransactionEncoder {
  private readonly parts: EncoderParts
  private readonly writer = new ByteWriter(4096)
  private readonly row = new ByteWriter(1024)

  constructor(parts: EncoderParts) {
    this.parts = parts
  }

  /** Throws what is wrong with the request: UNKNOWN_TABLE, UNKNOWN_COLUMN, WRONG_TYPE, LIMIT_EXCEEDED and their kin. */
  encode(request: TransactionRequest): Buffer {
    const { operations, ranges = [], reads = [], token = '' } = request
    const { limits } = this.parts
    requireCount('operations', operations.length, limits)
    requireCount('reads', reads.length, limits)
    requireCount('ranges', ranges.length, limits)
    const scanned = ranges.reduce((sum, { rows }) => sum + rows, 0)
    if (scanned > limits.scannedRowsMax) {
      throw limitExceeded('scannedRowsMax', limits.scannedRowsMax, scanned, 'scan fewer rows in one transaction')
    }
    requireToken(request.token)
    const { writer } = this
    this.begin(token)
    const stale = [...reads, ...ranges].find(({ schema, table }) => this.isStale(table, schema))
    if (stale !== undefined) return this.onlyRepeated(stale.table)
    writer.varint(reads.length)
    for (const { key, table: name, version } of reads) {
      const table = this.named(name)
      writer.key(table.checkedKey(key))
      writer.varint(version)
    }
    writer.varint(ranges.length)
    for (const range of ranges) this.writeRange(range)
    writer.varint(operations.length)
    for (const operation of operations) this.writeOperation(operation)
    if (writer.size > limits.transactionBytesMax) {
      throw limitExceeded('transactionBytesMax', limits.transactionBytesMax, writer.size, 'split the transaction')
    }
    return writer.toBytes()
  }

  private begin(token: string): void {
    const { writer } = this
    writer.reset()
    writer.u8(ENTRY_FORMAT)
    writer.u8(ENTRY_KINDS.transaction)
    writer.varint(this.parts.wallMs())
    writer.string(token)
  }

  private isStale(table: string, schema: string | undefined): boolean {
    return schema !== undefined && this.parts.table(table).mark !== schema
  }

  /**
   * An entry that is answered `repeated` if there was one with its token, and `conflict` if not: it names a range without keys that
   * holds a row. What was read under a schema that is gone may be another thing by now, whatever its versions say.
   */
  private onlyRepeated(table: string): Buffer {
    const { writer } = this
    writer.varint(0)
    writer.varint(1)
    const nothing = { from: '', to: '', index: undefined, rowsToo: false, reverse: false, digest: 0 }
    this.writeRange({ table, ...nothing, rows: 1 })
    writer.varint(0)
    return writer.toBytes()
  }

  private named(name: string): CompiledTable {
    const table = this.parts.table(name)
    this.writer.varint(table.id)
    this.writer.varint(table.version)
    return table
  }

  private writeRange(range: RangeRead): void {
    const { writer } = this
    const table = this.named(range.table)
    writer.varint(range.index === undefined ? 0 : table.readableIndex(range.index).descriptor.id)
    writer.key(range.from)
    writer.u8(range.to === undefined ? 0 : 1)
    if (range.to !== undefined) writer.key(range.to)
    writer.u8((range.rowsToo ? RANGE_ROWS_TOO : 0) | (range.reverse ? RANGE_REVERSE : 0))
    writer.varint(range.rows)
    writer.varint(range.digest)
  }

  private writeOperation(operation: WriteOperation): void {
    const { writer } = this
    const condition = operation.op === 'insert' ? undefined : operation.if
    writer.u8(OPERATIONS[operation.op] | (condition === undefined ? 0 : HAS_CONDITION))
    const table = this.named(operation.table)
    if (operation.op === 'insert' || operation.op === 'upsert') {
      const row = this.complete(table, operation.row)
      const key = table.primaryKeyOf(row)
      table.requireKeySize(key)
      writer.key(key)
      if (condition !== undefined) this.writeCondition(table, condition)
      this.writeRow(table, row)
      return
    }
    writer.key(table.checkedKey(operation.key))
    if (condition !== undefined) this.writeCondition(table, condition)
    if (operation.op === 'update') this.writePatch(table, operation.patch)
  }

  private writeRow(table: CompiledTable, row: RowData): void {
    const { row: bytes, writer } = this
    bytes.reset()
    table.rows.write(bytes, row)
    const { rowBytesMax } = this.parts.limits
    if (bytes.size > rowBytesMax) {
      throw limitExceeded('rowBytesMax', rowBytesMax, bytes.size, `keep less in a row of table ${table.name}`)
    }
    writer.bytesOf(bytes)
  }

  /** What an update makes of a row; a text: why it can't. Throws what is wrong with the patch. */
  patchedRow(table: CompiledTable, before: RowData, patch: PatchData): RowData | string {
    this.writer.reset()
    this.writePatch(table, patch)
    return patched(table, before, new ByteReader(this.writer.toBytes()))
  }

  /** A row as it would be stored, without a version, however large: that is decided where it is written. */
  storedRowOf(table: CompiledTable, row: RowData): Buffer {
    const { row: bytes } = this
    bytes.reset()
    table.rows.write(bytes, row)
    return storedBytes(0, 0, bytes.peek())
  }

  /** Every column has a checked value, given, generated or by default. */
  complete(table: CompiledTable, given: Readonly<Record<string, unknown>>): RowData {
    requireRecord(given, 'a row')
    const row: RowData = {}
    const { columns } = table
    let left = membersOf(given)
    for (let i = 0; i < columns.length; i++) {
      const { name, spec, where } = columns[i] as CompiledColumn
      const value = given[name]
      if (value !== undefined) {
        left--
        row[name] = checkValue(spec, value, where)
      } else if (spec.generated !== undefined) row[name] = this.generated(spec.generated, spec.micros === true)
      else if (spec.fallback !== undefined) row[name] = spec.fallback
      else row[name] = checkValue(spec, undefined, where)
    }
    if (left > 0) for (const name in given) if (given[name] !== undefined) table.column(name)
    return row
  }

  private generated(what: 'uuid' | 'now', micros: boolean): string | bigint | Date {
    const { defaults } = this.parts
    if (what === 'uuid') return defaults.uuid()
    return micros ? BigInt(defaults.now().getTime()) * 1000n : defaults.now()
  }

  private writeCondition(table: CompiledTable, condition: Condition): void {
    const { writer } = this
    requireRecord(condition, 'a condition')
    requireKnown(condition, CONDITION_MEMBERS, 'a condition')
    const { exists, version, where } = condition as Condition
    if (exists !== undefined && typeof exists !== 'boolean') {
      throw new DelosError('INVALID_ARGUMENT', `a condition on exists: true or false, not ${String(exists)}`)
    }
    const flags =
      (version === undefined ? 0 : CONDITION_VERSION) |
      (exists === undefined ? 0 : exists ? CONDITION_EXISTS : CONDITION_MISSING) |
      (where === undefined ? 0 : CONDITION_WHERE)
    writer.u8(flags)
    if (version !== undefined) {
      if (!Number.isSafeInteger(version) || version < 0) {
        throw new DelosError(
          'INVALID_ARGUMENT',
          `a condition on version ${version}: versions are whole numbers from 0 on`,
        )
      }
      writer.varint(version)
    }
    if (where === undefined) return
    table.filter(where)
    const text = toTaggedJson(where)
    // What apply will read is checked too (an array with holes is another by then): there it must not throw.
    table.filterOfText(text, (one) => fromTaggedJson(one) as FilterData)
    writer.string(text)
  }

  private writePatch(table: CompiledTable, patch: PatchData): void {
    const { writer } = this
    requireRecord(patch, 'a patch')
    requireKnown(patch, PATCH_MEMBERS, 'a patch')
    const { append = NOTHING, increment = NOTHING, merge = NOTHING, set = NOTHING } = patch as PatchData
    for (const part of [append, increment, merge, set]) requireRecord(part, 'each part of a patch')
    this.writeChanges(table, set, 'set')
    this.writeChanges(table, increment, 'increment')
    this.writeChanges(table, append, 'append')
    writer.varint(membersOf(merge))
    for (const name in merge) {
      const value = merge[name]
      if (value === undefined) continue
      const { id, spec, where } = settable(table, name)
      if (spec.kind !== 'json') throw cannot('merged', spec.kind, where)
      writer.varint(id)
      writer.string(JSON.stringify(checkValue(spec, value, where)))
    }
  }

  private writeChanges(table: CompiledTable, changes: GivenValues, how: 'set' | 'increment' | 'append'): void {
    const { writer } = this
    writer.varint(membersOf(changes))
    for (const name in changes) {
      const value = changes[name]
      if (value === undefined) continue
      const { id, spec, where } = settable(table, name)
      if (how === 'increment' && spec.kind !== 'int64' && spec.kind !== 'double') {
        throw cannot('incremented', spec.kind, where)
      }
      if (how === 'append' && !APPENDABLE.has(spec.kind)) throw cannot('appended to', spec.kind, where)
      const checked = checkValue(how === 'set' ? spec : { ...spec, nullable: false }, value, where)
      writer.varint(id)
      writer.u8(checked === null ? 0 : 1)
      if (checked !== null) table.rows.writeValue(writer, name, checked)
    }
  }
}

type GivenValues = Readonly<Record<string, unknown>>

const NOTHING: GivenValues = {}

/** Members that are undefined count as left out. */
function membersOf(given: GivenValues): number {
  let count = 0
  for (const name in given) if (given[name] !== undefined) count++
  return count
}

function settable(table: CompiledTable, name: string): CompiledColumn {
  const column = table.column(name)
  if (!column.inKey) return column
  const why = `column ${name} is in the primary key of table ${table.name}: delete the row and insert another`
  throw new DelosError('INVALID_ARGUMENT', why)
}

const CONDITION_MEMBERS: ReadonlySet<string> = new Set(['version', 'exists', 'where'])
const PATCH_MEMBERS: ReadonlySet<string> = new Set(['set', 'increment', 'append', 'merge'])
const APPENDABLE: ReadonlySet<string> = new Set(['string', 'bytes', 'list'])

function cannot(what: string, kind: string, where: string): DelosError {
  return new DelosError('WRONG_TYPE', `${where} is of type ${kind}, which can't be ${what}`)
}

function requireCount(what: string, count: number, { operationsMax }: TableLimits): void {
  if (count > operationsMax) {
    throw limitExceeded('operationsMax', operationsMax, count, `fewer ${what} in one transaction`)
  }
}

function requireToken(token: string | undefined): void {
  if (token === undefined) return
  if (typeof token !== 'string')
    throw new DelosError('INVALID_ARGUMENT', `token is a text, not of type ${typeof token}`)
  const { tokenCharsMax } = REPLICATED_LIMITS
  if (token.length === 0 || token.length > tokenCharsMax) {
    throw limitExceeded('tokenCharsMax', tokenCharsMax, token.length, 'a token has 1 to so many characters')
  }
  requireText(token, 'the token')
}

/** A condition as apply has it. */
export interface DecodedCondition {
  readonly version: number | undefined
  readonly exists: boolean | undefined
  /** Tagged JSON. */
  readonly where: string | undefined
}

export function readCondition(reader: ByteReader): DecodedCondition {
  const flags = reader.u8()
  return {
    version: (flags & CONDITION_VERSION) === 0 ? undefined : reader.varint(),
    exists: (flags & CONDITION_EXISTS) !== 0 ? true : (flags & CONDITION_MISSING) !== 0 ? false : undefined,
    where: (flags & CONDITION_WHERE) === 0 ? undefined : reader.string(),
  }
}

/** A range as apply has it. */
export interface DecodedRange {
  readonly index: number
  readonly from: Key
  readonly to: Key | undefined
  readonly rowsToo: boolean
  readonly reverse: boolean
  readonly rows: number
  readonly digest: number
}

export function readRangeRead(reader: ByteReader): DecodedRange {
  const index = reader.varint()
  const from = reader.key()
  const to = reader.u8() === 0 ? undefined : reader.key()
  const flags = reader.u8()
  const rowsToo = (flags & RANGE_ROWS_TOO) !== 0
  const reverse = (flags & RANGE_REVERSE) !== 0
  return { index, from, to, rowsToo, reverse, rows: reader.varint(), digest: reader.varint() }
}
