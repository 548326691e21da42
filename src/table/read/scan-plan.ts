// A scan request becomes a plan: which keys, in which order, whether the index answers alone, what is kept. Everything that a
// caller can get wrong is found here.

import { DelosError } from '../../base/delos-error.ts'
import { type Key, keyAfterPrefix } from '../../base/key.ts'
import type { KeyRange } from '../../store/local-store.ts'
import { requireArray, requireKnown, requireRecord } from '../codec/check-request.ts'
import { checkValue } from '../codec/check-value.ts'
import type { CompiledIndex, KeyColumn } from '../codec/compiled-index.ts'
import type { CompiledTable } from '../codec/compiled-table.ts'
import { filterColumns, type RowPredicate } from '../codec/filter.ts'
import type { ScanRequest } from '../messages.ts'
import { limitExceeded, type TableLimits } from '../table-limits.ts'
import { decodePageToken } from './page-token.ts'

export interface ScanPlan {
  readonly table: CompiledTable
  /** Undefined: the rows in the order of the primary key. */
  readonly index: CompiledIndex | undefined
  /** What keys begin with. */
  readonly prefix: Key
  readonly range: { readonly from: Key; readonly to: Key }
  readonly reverse: boolean
  readonly filter: RowPredicate | undefined
  /** Columns of the answer; undefined: all. */
  readonly select: readonly string[] | undefined
  /** The index has every column that is needed: these. */
  readonly covered: ReadonlySet<string> | undefined
  readonly limit: number
}

type Bound = Readonly<Record<string, unknown>>

const DEFAULT_PAGE_ROWS = 1000
const SCAN_MEMBERS: ReadonlySet<string> = new Set([
  'table',
  'index',
  'prefix',
  'from',
  'after',
  'to',
  'before',
  'reverse',
  'filter',
  'select',
  'limit',
  'page',
  'level',
  'evidence',
])

/** Throws UNKNOWN_COLUMN, INDEX_NOT_READY, WRONG_TYPE, INVALID_ARGUMENT, LIMIT_EXCEEDED. */
export function planScan(table: CompiledTable, request: ScanRequest, limits: TableLimits): ScanPlan {
  requireKnown(request, SCAN_MEMBERS, 'a scan')
  const index = request.index === undefined ? undefined : table.readableIndex(request.index)
  const prefix = index?.prefix ?? table.prefix
  const reverse = request.reverse ?? false
  const limit = request.limit ?? Math.min(DEFAULT_PAGE_ROWS, limits.pageRowsMax)
  if (!Number.isInteger(limit) || limit < 1)
    throw new DelosError('INVALID_ARGUMENT', `limit: ${limit} is not from 1 on`)
  if (limit > limits.pageRowsMax) throw limitExceeded('pageRowsMax', limits.pageRowsMax, limit, 'read page by page')
  const select = request.select
  if (select !== undefined) requireArray(select, 'select')
  for (const name of select ?? []) table.column(name)
  const range = rangeOf(table, index, prefix, request)
  return {
    table,
    index,
    prefix,
    range: request.page === undefined ? range : behindPage(table, index, prefix, range, reverse, request.page),
    reverse,
    filter: request.filter === undefined ? undefined : table.filter(request.filter),
    select,
    covered: index === undefined ? undefined : coveredColumns(table, index, request),
    limit,
  }
}

function coveredColumns(
  table: CompiledTable,
  index: CompiledIndex,
  { filter, select }: ScanRequest,
): ReadonlySet<string> | undefined {
  const wanted = select ?? table.columns.map(({ name }) => name)
  // In the order of the answer.
  const needed = new Set([...wanted, ...filterColumns(filter)])
  const held = new Set(index.columns.map(({ name }) => name))
  return [...needed].every((name) => held.has(name)) ? needed : undefined
}

/** The keys that bounds and prefix leave. */
export function rangeOf(
  table: CompiledTable,
  index: CompiledIndex | undefined,
  prefix: Key,
  request: Pick<ScanRequest, 'prefix' | 'from' | 'after' | 'to' | 'before'>,
): { readonly from: Key; readonly to: Key } {
  const columns = columnsOf(table, index)
  const encode = (what: string, bound: Bound): Key => prefix + encodeBound(table, columns, what, bound)
  const { after, before, from, prefix: equal = {}, to } = request
  if (from !== undefined && after !== undefined) throw new DelosError('INVALID_ARGUMENT', 'from and after: one of them')
  if (to !== undefined && before !== undefined) throw new DelosError('INVALID_ARGUMENT', 'to and before: one of them')
  const all = encode('prefix', equal)
  const low =
    from !== undefined
      ? encode('from', { ...equal, ...from })
      : after !== undefined
        ? behind(encode('after', { ...equal, ...after }))
        : all
  const high =
    to !== undefined
      ? behind(encode('to', { ...equal, ...to }))
      : before !== undefined
        ? encode('before', { ...equal, ...before })
        : behind(all)
  return { from: low, to: high }
}

/** Everything of the table, or of the index. */
export function wholeRange(prefix: Key): KeyRange & { readonly to: Key } {
  return { from: prefix, to: behind(prefix) }
}

function columnsOf(table: CompiledTable, index: CompiledIndex | undefined): readonly KeyColumn[] {
  if (index === undefined) return table.primary
  return index.descriptor.unique ? index.parts : [...index.parts, ...table.primary]
}

/** Leading columns with these values, as a key fragment. */
function encodeBound(table: CompiledTable, columns: readonly KeyColumn[], what: string, bound: Bound): Key {
  requireRecord(bound, what)
  let left = Object.keys(bound).filter((name) => bound[name] !== undefined)
  let key = ''
  for (const { codec, name } of columns) {
    const value = bound[name]
    if (value === undefined) break
    left = left.filter((one) => one !== name)
    key += codec.encode(checkValue(table.column(name).spec, value, `${what}: column ${name} of table ${table.name}`))
  }
  const [rest] = left
  if (rest === undefined) return key
  table.column(rest)
  const names = [...new Set(columns.map(({ name }) => name))].join(', ')
  throw new DelosError('INVALID_ARGUMENT', `${what}: ${rest} is not one of the leading columns of ${names}`)
}

function behindPage(
  table: CompiledTable,
  index: CompiledIndex | undefined,
  prefix: Key,
  range: { readonly from: Key; readonly to: Key },
  reverse: boolean,
  page: string,
): { readonly from: Key; readonly to: Key } {
  const token = decodePageToken(page)
  const last = prefix + token.last
  const isSame = token.table === table.id && token.index === (index?.descriptor.id ?? 0) && token.reverse === reverse
  if (!isSame || last < range.from || last >= range.to) {
    const { schema = table.version } = token
    const changed = schema === table.version ? '' : ` (of schema version ${schema}; now it is ${table.version})`
    throw new DelosError('INVALID_ARGUMENT', `page: this token belongs to another scan${changed}; begin anew`)
  }
  return behindKey(range, last, reverse)
}

/** What of a range is left behind this key, in the order of the scan. */
export function behindKey(range: ScanPlan['range'], last: Key, reverse: boolean): ScanPlan['range'] {
  return reverse ? { from: range.from, to: last } : { from: `${last}\x00`, to: range.to }
}

function behind(key: Key): Key {
  return keyAfterPrefix(key) as Key
}
