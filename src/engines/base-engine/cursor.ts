// The cursor: the first position not applied, in Base's range, written in the transaction of the data that it covers.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import { LOG_START, type LogPos } from '../../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { subStorePrefix } from '../../store/sub-store.ts'
import { BASE } from './proposal-stamp.ts'

/** Its key. */
export const CURSOR_KEY = `${subStorePrefix(BASE)}cursor`

const FORMAT = 1

// Shared: a buffer of its own for nine bytes would cost more than all the rest of a small transaction.
const scratch = new ByteWriter(16)

export function loadCursor(tx: ReadTx): LogPos {
  const stored = tx.get(CURSOR_KEY)
  if (stored === undefined) return LOG_START
  const reader = new ByteReader(stored)
  const format = reader.u8()
  if (format !== FORMAT) throw new DelosError('FORMAT', `cursor has format ${format}, this version reads ${FORMAT}`)
  return reader.u64() as LogPos
}

/** Cursor and data move together or not at all: `tx` is the transaction of the data. */
export function saveCursor(tx: ReadWriteTx, cursor: LogPos): void {
  scratch.reset()
  scratch.u8(FORMAT)
  scratch.u64(cursor)
  tx.put(CURSOR_KEY, scratch.toBytes())
}
