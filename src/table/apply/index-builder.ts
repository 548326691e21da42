// Indexes are built, and what was dropped is removed, in bounded steps. A step is an entry that some server proposes and that
// names where the work stands: one that was proposed twice does nothing the second time. After a crash whoever serves goes on.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { type Key, keyAfterPrefix, keyToBytes } from '../../base/key.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { rangeOfPrefix } from '../../store/sub-store.ts'
import type { CompiledIndex } from '../codec/compiled-index.ts'
import type { CompiledTable } from '../codec/compiled-table.ts'
import { storedRow } from '../codec/stored-row.ts'
import {
  buildKey,
  buildRange,
  entryPrefix,
  garbageKey,
  garbageRange,
  idsOf,
  rowPrefix,
  violationKey,
} from '../codec/table-keys.ts'
import { ENTRY_FORMAT, ENTRY_KINDS } from '../codec/transaction-codec.ts'
import { REPLICATED_LIMITS } from '../table-limits.ts'
import type { TableState } from './table-state.ts'

/** Where the building of an index stands. */
export interface BuildProgress {
  /** Keys of rows below it are done. */
  readonly cursor: Key
  readonly rowsDone: number
  readonly violations: number
}

const STEP_BUILD = 1
const STEP_SWEEP = 2

export function startBuild(tx: ReadWriteTx, table: number, index: number): void {
  writeProgress(tx, table, index, { cursor: '', rowsDone: 0, violations: 0 })
}

export function readProgress(reader: ReadTx, table: number, index: number): BuildProgress | undefined {
  const bytes = reader.get(buildKey(table, index))
  return bytes === undefined ? undefined : decodeProgress(bytes)
}

/** The entry of the next step that there is to do, if there is one. */
export function nextStep(reader: ReadTx): Buffer | undefined {
  for (const [key, bytes] of reader.scan(buildRange(), { limit: 1 })) {
    const { cursor } = decodeProgress(bytes)
    return stepEntry(STEP_BUILD, idsOf(key), cursor)
  }
  for (const [key] of reader.scan(garbageRange(), { limit: 1, keysOnly: true })) {
    return stepEntry(STEP_SWEEP, idsOf(key), '')
  }
  return undefined
}

function stepEntry(what: number, { index, table }: { table: number; index: number }, cursor: Key): Buffer {
  const writer = new ByteWriter(64)
  writer.u8(ENTRY_FORMAT)
  writer.u8(ENTRY_KINDS.step)
  writer.u8(what)
  writer.varint(table)
  writer.varint(index)
  writer.key(cursor)
  return writer.take()
}

/** Applies a step; `reader` stands behind format and kind. */
export function applyStep(state: TableState, reader: ByteReader): void {
  const what = reader.u8()
  const table = reader.varint()
  const index = reader.varint()
  const cursor = reader.key()
  if (what === STEP_BUILD) build(state, table, index, cursor)
  else if (what === STEP_SWEEP) sweep(state, table, index)
}

function build(state: TableState, tableId: number, indexId: number, cursor: Key): void {
  const { steps, tx } = state
  const progress = readProgress(tx, tableId, indexId)
  const table = state.catalog.byIdOf(tableId)
  const index = table?.indexes.find(({ descriptor }) => descriptor.id === indexId)
  if (table === undefined || index === undefined) {
    tx.delete(buildKey(tableId, indexId))
    return
  }
  // Somebody else's step came first.
  if (progress === undefined || progress.cursor !== cursor) return
  const range = { from: table.prefix + cursor, to: keyAfterPrefix(table.prefix) }
  const rows = [...tx.scan(range, { limit: steps.stepRows })]
  let { violations } = progress
  for (const [key, bytes] of rows) {
    const primaryKey = key.slice(table.prefix.length)
    if (!addEntry(tx, table, index, primaryKey, bytes)) noteViolation(tx, tableId, indexId, violations++, primaryKey)
  }
  const last = rows.at(-1)?.[0]
  if (last !== undefined && rows.length === steps.stepRows) {
    const next = `${last.slice(table.prefix.length)}\x00`
    writeProgress(tx, tableId, indexId, { cursor: next, rowsDone: progress.rowsDone + rows.length, violations })
    return
  }
  tx.delete(buildKey(tableId, indexId))
  const { descriptor } = table
  const indexes = descriptor.indexes.map((one) =>
    one.id === indexId ? { ...one, state: violations === 0 ? ('ready' as const) : ('failed' as const) } : one,
  )
  state.catalog.put(tx, { ...descriptor, indexes })
}

/** False if another row has the same values. */
function addEntry(tx: ReadWriteTx, table: CompiledTable, index: CompiledIndex, key: Key, bytes: Uint8Array): boolean {
  const entry = index.entryOf(storedRow(bytes).row(table), key)
  if (entry === undefined) return true
  if (index.descriptor.unique) {
    const holder = tx.get(entry.key)
    if (holder !== undefined && index.primaryKeyOf(entry.key, holder) !== key) return false
  }
  tx.put(entry.key, entry.value)
  return true
}

function noteViolation(tx: ReadWriteTx, table: number, index: number, place: number, key: Key): void {
  if (place < REPLICATED_LIMITS.violationsListed) tx.put(violationKey(table, index, place), keyToBytes(key))
}

function sweep({ steps, tx }: TableState, table: number, index: number): void {
  if (tx.get(garbageKey(table, index)) === undefined) return
  const prefix = index === 0 ? rowPrefix(table) : entryPrefix(table, index)
  const keys = [...tx.scan(rangeOfPrefix(prefix), { limit: steps.stepRows, keysOnly: true })]
  for (const [key] of keys) tx.delete(key)
  if (keys.length < steps.stepRows) tx.delete(garbageKey(table, index))
}

function writeProgress(tx: ReadWriteTx, table: number, index: number, progress: BuildProgress): void {
  const writer = new ByteWriter(64)
  writer.key(progress.cursor)
  writer.varint(progress.rowsDone)
  writer.varint(progress.violations)
  tx.put(buildKey(table, index), writer.toBytes())
}

function decodeProgress(bytes: Uint8Array): BuildProgress {
  const reader = new ByteReader(bytes)
  return { cursor: reader.key(), rowsDone: reader.varint(), violations: reader.varint() }
}
