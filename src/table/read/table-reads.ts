// Reads of tables at a source of rows: one row, some, a page, a count. Synchronous; which source a read level means is
// read-levels.ts's.

import { requireArray } from '../codec/check-request.ts'
import type { CompiledTable } from '../codec/compiled-table.ts'
import { filterColumns } from '../codec/filter.ts'
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
  { keysMax }: TableLimits,
): readonly RowAnswer[] {
  requireArray(keys, 'keys')
  if (keys.length > keysMax) throw limitExceeded('keysMax', keysMax, keys.length, 'ask for fewer at once')
  const stored = source.rows(keys.map((key) => table.prefix + table.checkedKey(key)))
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

/** Of a range, looking at each key. Throws LIMIT_EXCEEDED if those are too many for one section. */
export function countRange(
  table: CompiledTable,
  { filter, index, prefix }: CountRequest,
  source: RowSource,
  limits: TableLimits,
): number {
  const { countedMax } = limits
  const plan = planScan(table, { table: table.name, index, prefix }, limits)
  const tooMany = (): Error => {
    return limitExceeded('countedMax', countedMax, countedMax + 1, 'count a narrower range, or scan page by page')
  }
  let count = 0
  if (filter === undefined) {
    const keysOnly = index === undefined || plan.index?.descriptor.unique === false
    for (const _ of source.scan(table, plan.index, plan.range, { keysOnly, limit: countedMax + 1 })) count++
    if (count > countedMax) throw tooMany()
    return count
  }
  const select = [...new Set(filterColumns(filter))]
  // Whatever the filter lets through, a page ends at the same number of keys.
  const { pageRowsMax } = limits
  const perPage = { ...limits, pageExaminedMax: pageRowsMax }
  let page: string | undefined
  for (let examined = 0; ; examined += pageRowsMax) {
    if (examined > countedMax) throw tooMany()
    const request = { table: table.name, index, prefix, filter, select, page, limit: pageRowsMax }
    const answer = readPage(table, request, source, perPage)
    count += answer.rows.length
    page = answer.page
    if (page === undefined) return count
  }
}
