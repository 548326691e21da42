// Where the cursor lives: in Base's range, written in the transaction of the data. A strategy only so that the simulator can
// plant the bug of keeping it elsewhere and show that it is found.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import { LOG_START, type LogPos } from '../../log/position.ts'
import type { LocalStore, ReadWriteTx } from '../../store/local-store.ts'
import { subStorePrefix } from '../../store/sub-store.ts'
import { BASE } from './proposal-stamp.ts'

export interface CursorKeeper {
  /** The first position to apply. */
  load(store: LocalStore): LogPos
  /** Called last in every transaction. Must write in `tx` and nowhere else. */
  save(tx: ReadWriteTx, cursor: LogPos, store: LocalStore): void
}

const FORMAT = 1
const KEY = `${subStorePrefix(BASE)}cursor`

/** The correct keeper: cursor and data move together or not at all. */
export const CURSOR_IN_TRANSACTION: CursorKeeper = {
  load(store) {
    return decodeCursor(store.read().get(KEY))
  },
  save(tx, cursor) {
    tx.put(KEY, encodeCursor(cursor))
  },
}

// Shared: a buffer of its own for nine bytes would cost more than all the rest of a small transaction.
const scratch = new ByteWriter(16)

export function encodeCursor(cursor: LogPos): Uint8Array {
  scratch.reset()
  scratch.u8(FORMAT)
  scratch.u64(cursor)
  return scratch.toBytes()
}

export function decodeCursor(stored: Uint8Array | undefined): LogPos {
  if (stored === undefined) return LOG_START
  const reader = new ByteReader(stored)
  const format = reader.u8()
  if (format !== FORMAT) throw new DelosError('FORMAT', `cursor has format ${format}, this version reads ${FORMAT}`)
  return reader.u64() as LogPos
}
