// Reads of tables at a source of rows: one row, some, a page, a count. Synchronous; which source a read level means is
// read-levels.ts's.

import type { DelosError } from '../../base/delos-error.ts'
import { requireArray } from '../codec/check-request.ts'
import type { CompiledTable } from '../codec/compiled-table.ts'
import type { StoredRow } from '../codec/stored-row.ts'
import type { CountRequest, KeyData, RowAnswer } from '../messages.ts'
import { limitExceeded, type TableLimits } from '../table-limits.ts'
import { Page } from './row-scan.ts'
import { CommittedRows, type RowSource } from './row-source.ts'
import { planScan } from './scan-plan.ts'

/** Rows of a multi-get that are read at once. */
const FETCH = 128
const NO_ROW: RowAnswer = { row: undefined, version: 0 }

export function readRow(table: CompiledTable, key: KeyData, source: RowSource): RowAnswer {
  return answerOf(table, source.row(table.prefix + table.checkedKey(key)))
}

/** In the order of the keys. */
export function readRows(
  table: CompiledTable,
  keys: readonly KeyData[],
  source: RowSource,
  { answerBytesMax, keysMax }: TableLimits,
): readonly RowAnswer[] {
  requireArray(keys, 'keys')
  if (keys.length > keysMax) throw limitExceeded('keysMax', keysMax, keys.length, 'ask for fewer at once')
  const wanted = keys.map((key) => table.prefix + table.checkedKey(key))
  // In parts, so that what is too much is not all in memory first. Of the past one walk finds all.
  const together = source instanceof CommittedRows ? FETCH : wanted.length
  const stored: (StoredRow | undefined)[] = []
  let bytes = 0
  for (let at = 0; at < wanted.length; at += together) {
    for (const row of source.rows(wanted.slice(at, at + together))) {
      stored.push(row)
      bytes += row?.bytes.length ?? 0
    }
    if (bytes > answerBytesMax) throw limitExceeded('answerBytesMax', answerBytesMax, bytes, 'ask for fewer at once')
  }
  return stored.map((row) => answerOf(table, row))
}

export function answerOf(table: CompiledTable, stored: StoredRow | undefined): RowAnswer {
  if (stored === undefined) return NO_ROW
  return { row: table.rows.copy(stored.row(table)), version: stored.version }
}

/** Keys of a range of the committed state. Throws LIMIT_EXCEEDED if those are too many for one section. */
export function countKeys(
  table: CompiledTable,
  { index, prefix }: CountRequest,
  source: RowSource,
  limits: TableLimits,
): number {
  const { countedMax } = limits
  let count = 0
  const plan = planScan(table, { table: table.name, index, prefix }, limits)
  const keysOnly = plan.index?.descriptor.unique !== true
  for (const _ of source.scan(table, plan.index, plan.range, { keysOnly, limit: countedMax + 1 })) count++
  if (count > countedMax) throw tooManyCounted(limits)
  return count
}

/** Of one page, which ends after so many keys, whatever the filter lets through. */
export function countPage(
  table: CompiledTable,
  { filter, index, prefix }: CountRequest,
  page: string | undefined,
  source: RowSource,
  limits: TableLimits,
  keysMax: number,
): { readonly count: number; readonly examined: number; readonly page: string | undefined } {
  const limit = Math.min(keysMax, limits.countedMax + 1)
  const request = { table: table.name, index, prefix, filter, select: [], page, limit }
  // Nothing is kept of its rows: all at once it is also where they are large.
  const answerBytesMax = keysMax === Number.POSITIVE_INFINITY ? keysMax : limits.answerBytesMax
  const most = { ...limits, answerBytesMax, pageExaminedMax: limit, pageRowsMax: limit }
  const counted = new Page(planScan(table, request, most), most, false)
  counted.look(source, Number.POSITIVE_INFINITY)
  const { page: next, rows } = counted.answer(source)
  return { count: rows.length, examined: counted.examined, page: next }
}

export function tooManyCounted({ countedMax }: TableLimits): DelosError {
  return limitExceeded('countedMax', countedMax, countedMax + 1, 'count a narrower range, or scan page by page')
}
