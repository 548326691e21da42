// Runs a plan over a source of rows: one page, in one synchronous section.

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
import type { ScanPlan } from './scan-plan.ts'

/** Entries whose rows are read at once. */
const FETCH = 128

export function runScan(plan: ScanPlan, source: RowSource, limits: TableLimits, evidence: boolean): ScanAnswer {
  const examinedMax = evidence ? Math.min(limits.scannedRowsMax, limits.pageExaminedMax) : limits.pageExaminedMax
  const page = new Page(plan, source.position, examinedMax, evidence)
  const { index, range, reverse } = plan
  // Without values the rows come several times faster; unique indexes have a part of theirs in the value.
  const keysOnly = index !== undefined && !index.descriptor.unique
  const rows = source.scan(plan.table, index, range, { reverse, keysOnly })
  if (index === undefined) page.takeRows(rows)
  else if (plan.covered !== undefined) page.takeCovered(rows, index, plan.covered)
  else page.takeEntries(rows, index, source)
  if (source.isCut) page.endsHere()
  return page.answer(source)
}

class Page {
  private readonly plan: ScanPlan
  private readonly position: number
  private readonly examinedMax: number
  private readonly digest: RangeDigest | undefined
  private readonly project: (row: RowData) => RowData
  private readonly found: RowData[] = []
  private examined = 0
  /** Undefined: everything was looked at. */
  private last: Key | undefined
  private latest: Key | undefined
  private full = false

  constructor(plan: ScanPlan, position: number, examinedMax: number, evidence: boolean) {
    this.plan = plan
    this.position = position
    this.examinedMax = examinedMax
    this.digest = evidence ? new RangeDigest() : undefined
    this.project = projection(plan)
  }

  takeRows(rows: Iterable<Row>): void {
    const { table } = this.plan
    for (const [key, bytes] of rows) {
      this.digest?.addRow(key, versionOfStored(bytes))
      this.take(storedRow(bytes).row(table))
      if (this.isFull(key)) return
    }
  }

  takeCovered(rows: Iterable<Row>, index: CompiledIndex, covered: ReadonlySet<string>): void {
    const read = index.reader(covered)
    const { digest } = this
    for (const [key, value] of rows) {
      if (digest !== undefined) digest.addEntry(key, value)
      this.take(read(key, value))
      if (this.isFull(key)) return
    }
  }

  takeEntries(rows: Iterable<Row>, index: CompiledIndex, source: RowSource): void {
    let batch: Row[] = []
    for (const row of rows) {
      batch.push(row)
      if (batch.length < FETCH && this.found.length + batch.length < this.plan.limit) continue
      this.takeBatch(batch, index, source)
      if (this.full) return
      batch = []
    }
    this.takeBatch(batch, index, source)
  }

  /** There may be more behind what was looked at. */
  endsHere(): void {
    this.last ??= this.latest
  }

  answer(source: RowSource): ScanAnswer {
    const digest = this.digest === undefined ? undefined : (source.evidence?.(this.last) ?? this.digest)
    const { found: rows, last, plan, position } = this
    const { index, prefix, reverse, table } = plan
    const token = { table: table.id, index: index?.descriptor.id ?? 0, reverse, position }
    const page = last === undefined ? undefined : encodePageToken({ ...token, last: last.slice(prefix.length) })
    if (digest === undefined) return { rows, page, position }
    return { rows, page, position, range: this.rangeRead(digest) }
  }

  private takeBatch(batch: readonly Row[], index: CompiledIndex, source: RowSource): void {
    const { table } = this.plan
    const stored = source.rows(batch.map(([key, value]) => table.prefix + index.primaryKeyOf(key, value)))
    for (let i = 0; i < batch.length; i++) {
      const [key] = batch[i] as Row
      const row = stored[i] as StoredRow
      this.digest?.addRow(key, row.version)
      this.take(row.row(table))
      if (this.isFull(key)) return
    }
  }

  private take(row: RowData): void {
    const { filter } = this.plan
    if (filter === undefined || filter(row)) this.found.push(this.project(row))
  }

  private isFull(key: Key): boolean {
    this.examined++
    this.latest = key
    if (this.found.length < this.plan.limit && this.examined < this.examinedMax) return false
    this.full = true
    this.last = key
    return true
  }

  /** What was looked at: not what lies behind the last row of a page that is full. */
  private rangeRead(digest: RangeDigest): RangeRead {
    const { covered, index, prefix, range, reverse, table } = this.plan
    const { last } = this
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
