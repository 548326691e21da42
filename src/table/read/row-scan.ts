// Runs a plan over a source of rows: one page, in one synchronous section, or in several where what the source shows does not change.

import type { Key } from '../../base/key.ts'
import type { Row } from '../../store/local-store.ts'
import type { CompiledIndex } from '../codec/compiled-index.ts'
import { RangeDigest } from '../codec/range-digest.ts'
import type { RowData } from '../codec/row-codec.ts'
import { type StoredRow, storedRow, versionOfStored } from '../codec/stored-row.ts'
import type { RangeRead, ScanAnswer } from '../messages.ts'
import type { TableLimits } from '../table-limits.ts'
import { encodePageToken } from './page-token.ts'
import type { RowSource } from './row-source.ts'
import { behindKey, type ScanPlan } from './scan-plan.ts'

/** Entries whose rows are read at once. */
const FETCH = 128

/** A page in one section. */
export function runScan(plan: ScanPlan, source: RowSource, limits: TableLimits, evidence: boolean): ScanAnswer {
  const page = new Page(plan, limits, evidence)
  page.look(source, Number.POSITIVE_INFINITY)
  return page.answer(source)
}

/** Rows or entries that a page looks at, whatever becomes of them; `evidence`: each of them again when it is applied. */
export function examinedMaxOf({ pageExaminedMax, scannedRowsMax }: TableLimits, evidence: boolean): number {
  return evidence ? Math.min(scannedRowsMax, pageExaminedMax) : pageExaminedMax
}

export class Page {
  readonly plan: ScanPlan
  private readonly examinedMax: number
  private readonly bytesMax: number
  private readonly digest: RangeDigest | undefined
  private readonly project: (row: RowData) => RowData
  private readonly found: RowData[] = []
  /** Of what was found, as it is stored. */
  private bytes = 0
  private seen = 0
  /** After so many this section is over. */
  private sectionTo = 0
  /** What was looked at last. */
  private last: Key | undefined
  /** There is nothing behind it. */
  private isComplete = false

  constructor(plan: ScanPlan, limits: TableLimits, evidence: boolean) {
    this.plan = plan
    this.examinedMax = examinedMaxOf(limits, evidence)
    this.bytesMax = limits.answerBytesMax
    this.digest = evidence ? new RangeDigest() : undefined
    this.project = projection(plan)
  }

  /** Rows or entries that were looked at. */
  get examined(): number {
    return this.seen
  }

  /** Nothing more comes into it. */
  get isOver(): boolean {
    return this.isComplete || this.isFull
  }

  /** What is left to be looked at. */
  get rest(): ScanPlan {
    const { last, plan } = this
    return last === undefined ? plan : { ...plan, range: behindKey(plan.range, last, plan.reverse) }
  }

  /** Goes on from where it stands, for one section: looks at so many at most. */
  look(source: RowSource, examinedMax: number): void {
    const { covered, index, range, reverse, table } = this.rest
    this.sectionTo = this.examined + examinedMax
    // Without values the rows come several times faster; unique indexes have a part of theirs in the value.
    const keysOnly = index !== undefined && !index.descriptor.unique
    const rows = source.scan(table, index, range, { reverse, keysOnly })
    if (index === undefined) this.takeRows(rows)
    else if (covered !== undefined) this.takeCovered(rows, index, covered)
    else this.takeEntries(rows, index, source)
    if (this.isFull || this.examined >= this.sectionTo) return
    if (source.cutAt === undefined) this.isComplete = true
    else this.last = source.cutAt
  }

  answer(source: RowSource): ScanAnswer {
    const { found: rows, isComplete, plan } = this
    const { position } = source
    const last = isComplete ? undefined : this.last
    const digest = this.digest === undefined ? undefined : (source.evidence?.(last) ?? this.digest)
    const { index, prefix, reverse, table } = plan
    const token = { table: table.id, schema: table.version, index: index?.descriptor.id ?? 0, reverse, position }
    const page = last === undefined ? undefined : encodePageToken({ ...token, last: last.slice(prefix.length) })
    if (digest === undefined) return { rows, page, position }
    return { rows, page, position, range: this.rangeRead(digest, last) }
  }

  private get isFull(): boolean {
    return this.found.length >= this.plan.limit || this.examined >= this.examinedMax || this.bytes >= this.bytesMax
  }

  private takeRows(rows: Iterable<Row>): void {
    const { table } = this.plan
    for (const [key, bytes] of rows) {
      this.digest?.addRow(key, versionOfStored(bytes))
      if (this.take(key, storedRow(bytes).row(table), bytes.length)) return
    }
  }

  private takeCovered(rows: Iterable<Row>, index: CompiledIndex, covered: ReadonlySet<string>): void {
    const read = index.reader(covered)
    const { digest } = this
    for (const [key, value] of rows) {
      if (digest !== undefined) digest.addEntry(key, value)
      if (this.take(key, read(key, value), key.length + value.length)) return
    }
  }

  private takeEntries(rows: Iterable<Row>, index: CompiledIndex, source: RowSource): void {
    let batch: Row[] = []
    for (const row of rows) {
      batch.push(row)
      if (batch.length < FETCH && this.found.length + batch.length < this.plan.limit) continue
      if (this.takeBatch(batch, index, source)) return
      batch = []
    }
    this.takeBatch(batch, index, source)
  }

  private takeBatch(batch: readonly Row[], index: CompiledIndex, source: RowSource): boolean {
    const { table } = this.plan
    const stored = source.rows(batch.map(([key, value]) => table.prefix + index.primaryKeyOf(key, value)))
    return batch.some(([key], i) => {
      const row = stored[i] as StoredRow
      this.digest?.addRow(key, row.version)
      return this.take(key, row.row(table), row.bytes.length)
    })
  }

  /** True: no more in this section. */
  private take(key: Key, row: RowData, bytes: number): boolean {
    const { filter } = this.plan
    if (filter === undefined || filter(row)) {
      this.found.push(this.project(row))
      this.bytes += bytes
    }
    this.seen++
    this.last = key
    return this.isFull || this.examined >= this.sectionTo
  }

  /** What was looked at: not what lies behind the last row of a page that is full. */
  private rangeRead(digest: RangeDigest, last: Key | undefined): RangeRead {
    const { covered, index, prefix, range, reverse, table } = this.plan
    if (!range.from.startsWith(prefix)) {
      // Behind the end of all keys: there is nothing, and nothing can come.
      const nothing = { from: '', to: '', rows: 0, rowsToo: false, reverse, digest: digest.value }
      return { table: table.name, index: index?.descriptor.name, schema: table.mark, ...nothing }
    }
    const from = last !== undefined && reverse ? last : range.from
    const to = last !== undefined && !reverse ? `${last}\x00` : range.to
    return {
      table: table.name,
      index: index?.descriptor.name,
      from: from.slice(prefix.length),
      to: to.startsWith(prefix) ? to.slice(prefix.length) : undefined,
      rows: digest.rows,
      rowsToo: index !== undefined && covered === undefined,
      reverse,
      digest: digest.value,
      schema: table.mark,
    }
  }
}

/** A row as its reader may keep it. Columns read out of an entry are nobody else's. */
function projection({ covered, select, table }: ScanPlan): (row: RowData) => RowData {
  if (covered !== undefined) {
    if (select === undefined || covered.size === select.length) return (row) => row
    return (row) => chosen(row, select)
  }
  return select === undefined ? (row) => table.rows.copy(row) : (row) => table.rows.copyOf(row, select)
}

function chosen(row: RowData, names: readonly string[]): RowData {
  const result: RowData = {}
  for (const name of names) result[name] = row[name] as RowData[string]
  return result
}
