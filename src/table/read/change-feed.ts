// The change feed: what transactions did to rows, in their order, out of the change log.

import { DelosError } from '../../base/delos-error.ts'
import type { Key } from '../../base/key.ts'
import type { ReadTx } from '../../store/local-store.ts'
import { lostName, type RowChange, readChanges } from '../apply/row-change-log.ts'
import type { TableState } from '../apply/table-state.ts'
import type { CompiledTable } from '../codec/compiled-table.ts'
import type { RowData } from '../codec/row-codec.ts'
import { storedRow } from '../codec/stored-row.ts'
import type { Change, ChangesAnswer, ChangesRequest } from '../messages.ts'
import { rangeOf } from './scan-plan.ts'

const TRANSACTIONS_MAX = 256
const BOUNDS = ['prefix', 'from', 'to', 'before'] as const
/** Bytes of rows, as they are stored, after which an answer ends: with the transaction at hand. */
const ANSWER_BYTES_MAX = 1 << 20

/** What comes after a position, at most so many transactions. Throws TRIMMED, UNKNOWN_TABLE and what a wrong bound is. */
export function readFeed(state: TableState, reader: ReadTx, request: ChangesRequest): ChangesAnswer {
  const { after, limit = TRANSACTIONS_MAX } = request
  const { oldestChange } = state.counters
  if (!Number.isSafeInteger(after) || after < 0)
    throw new DelosError('INVALID_ARGUMENT', `after: ${after} is no position`)
  if (!Number.isInteger(limit) || limit < 1)
    throw new DelosError('INVALID_ARGUMENT', `limit: ${limit} is not from 1 on`)
  const bound = BOUNDS.find((name) => request[name] !== undefined)
  if (bound !== undefined && request.table === undefined)
    throw new DelosError('INVALID_ARGUMENT', `${bound}: of the keys of a table, and no table is named`)
  state.histories.require(after)
  if (after < oldestChange - 1) {
    const advice = `the oldest position to go on from is ${oldestChange - 1}: read the table, and go on from there`
    throw new DelosError('TRIMMED', `changes after position ${after} are gone; ${advice}`)
  }
  const wanted = request.table === undefined ? undefined : state.catalog.table(request.table)
  const within = wanted === undefined ? undefined : keysWithin(wanted, request)
  const end = state.position
  const changes: Change[] = []
  let position = after
  let bytes = 0
  let left = Math.min(limit, TRANSACTIONS_MAX)
  for (const read of readChanges(reader, after + 1, end + 1, left)) {
    if (bytes > ANSWER_BYTES_MAX) {
      left = 0
      break
    }
    left--
    position = read.position
    for (const change of read.changes) {
      const lost = lostName(change)
      if (lost !== undefined) {
        if (lost === wanted?.name && change.table !== wanted.id) throw anotherTable(lost, after, position)
        continue
      }
      bytes += (change.before?.length ?? 0) + (change.after?.length ?? 0)
      if (within !== undefined && (change.table !== wanted?.id || !within(change.key))) continue
      const table = state.catalog.byIdOf(change.table)
      // Of a table that was dropped since nothing can be told.
      if (table !== undefined) changes.push(changeOf(table, position, change))
    }
  }
  // Behind the last change may lie positions that no transaction has: where a restore has begun a history.
  if (left > 0) position = Math.max(end, after)
  return { changes, position, caughtUp: position >= end }
}

/** Whoever followed the table that had the name before has rows that are not in this one. */
function anotherTable(name: string, after: number, position: number): DelosError {
  const advice = `the position to go on from is ${position}: read the table, and go on from there`
  return new DelosError('TRIMMED', `table ${name} was another one after position ${after}; ${advice}`)
}

/** Is that the primary key of a row that is wanted? */
function keysWithin(
  table: CompiledTable,
  { before, from: first, prefix, to: last }: ChangesRequest,
): (key: Key) => boolean {
  const bounds = {
    ...(prefix && { prefix }),
    ...(first && { from: first }),
    ...(last && { to: last }),
    ...(before && { before }),
  }
  const range = rangeOf(table, undefined, table.prefix, bounds)
  const from = range.from.slice(table.prefix.length)
  const to = range.to.startsWith(table.prefix) ? range.to.slice(table.prefix.length) : undefined
  return (key) => key >= from && (to === undefined || key < to)
}

function changeOf(table: CompiledTable, position: number, { after, before }: RowChange): Change {
  const decoded = (bytes: Uint8Array | undefined): RowData | undefined =>
    bytes === undefined ? undefined : storedRow(bytes).row(table)
  const [old, now] = [decoded(before), decoded(after)]
  const key = table.rows.copyOf(
    (now ?? old) as RowData,
    table.primary.map(({ name }) => name),
  )
  return { position, table: table.name, key, before: old, after: now }
}
