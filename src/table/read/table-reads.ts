// Reads of tables at a source of rows: one row, some, a page, a count. Synchronous; which source a read level means is
// read-levels.ts's.

import type { DelosError } from '../../base/delos-error.ts'
import { requireArray } from '../codec/check-request.ts'
import type { CompiledTable } from '../codec/compiled-table.ts'
import { filterColumns } from '../codec/filter.ts'
import type { RowData } from '../codec/row-codec.ts'
import type { StoredRow } from '../codec/stored-row.ts'
import type { CountRequest, KeyData, RowAnswer, ScanAnswer, ScanRequest } from '../messages.ts'
import { limitExceeded, type TableLimits } from '../table-limits.ts'
import { runScan } from './row-scan.ts'
import type { RowSource } from './row-source.ts'
import { planScan } from './scan-plan.ts'

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
  const stored = source.rows(keys.map((key) => table.prefix + table.checkedKey(key)))
  const bytes = stored.reduce((sum, row) => sum + (row?.bytes.length ?? 0), 0)
  if (bytes > answerBytesMax) throw limitExceeded('answerBytesMax', answerBytesMax, bytes, 'ask for fewer at once')
  return stored.map((row) => answerOf(table, row))
}

export function answerOf(table: CompiledTable, stored: StoredRow | undefined): RowAnswer {
  if (stored === undefined) return NO_ROW
  return { row: table.rows.copy(stored.row(table)), version: stored.version }
}

export function readPage(
  table: CompiledTable,
  request: ScanRequest,
  source: RowSource,
  limits: TableLimits,
): ScanAnswer {
  return runScan(planScan(table, request, limits), source, limits, request.evidence === true)
}

/** Of a range of the committed state, looking at each key. Throws LIMIT_EXCEEDED if those are too many for one section. */
export function countRange(
  table: CompiledTable,
  request: CountRequest,
  source: RowSource,
  limits: TableLimits,
): number {
  const { countedMax } = limits
  let count = 0
  if (request.filter === undefined) {
    const plan = planScan(table, { table: table.name, index: request.index, prefix: request.prefix }, limits)
    const keysOnly = plan.index?.descriptor.unique !== true
    for (const _ of source.scan(table, plan.index, plan.range, { keysOnly, limit: countedMax + 1 })) count++
    if (count > countedMax) throw tooManyCounted(limits)
    return count
  }
  let page: string | undefined
  for (let examined = 0; examined <= countedMax; ) {
    const counted = countPage(table, request, page, source, limits)
    count += counted.count
    examined += counted.examined
    page = counted.page
    if (page === undefined) return count
  }
  throw tooManyCounted(limits)
}

/** Of one page. Whatever the filter lets through, it ends at the same number of keys: `pageRowsMax`. */
export function countPage(
  table: CompiledTable,
  { filter, index, prefix }: CountRequest,
  page: string | undefined,
  source: RowSource,
  limits: TableLimits,
): { readonly count: number; readonly examined: number; readonly page: string | undefined } {
  const { pageRowsMax: limit } = limits
  const matches = table.filter(filter)
  const select = filter === undefined ? table.primary.map(({ name }) => name) : [...new Set(filterColumns(filter))]
  const request = { table: table.name, index, prefix, select, page, limit }
  const answer = readPage(table, request, source, { ...limits, pageExaminedMax: limit })
  const { rows } = answer
  return { count: rows.filter((row) => matches(row as RowData)).length, examined: rows.length, page: answer.page }
}

export function tooManyCounted({ countedMax }: TableLimits): DelosError {
  return limitExceeded('countedMax', countedMax, countedMax + 1, 'count a narrower range, or scan page by page')
}
