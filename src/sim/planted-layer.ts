// The planted bug `layer-pushed-in-part`: a disk under a store that gets the write-back layer in parts, each for itself. After a
// crash in between, a server has some of the effects of a range of the log, and not the others.

import type { StoreBackend } from '../store/store-backend.ts'
import { replacedWrite } from './replaced-write.ts'

/** Rows in one part. */
const PART_ROWS = 7

/** Wraps the backend of a memory store (MemoryStoreOptions.wrap). */
export function layerInParts(inner: StoreBackend): StoreBackend {
  return replacedWrite(inner, async (batch, sync) => {
    const rows = [...batch.rows()]
    for (let at = PART_ROWS; at < rows.length; at += PART_ROWS) {
      const part = rows.slice(at - PART_ROWS, at)
      await inner.write({ size: part.length, rows: () => part, local: new Map() }, false)
    }
    const last = rows.slice(rows.length - (rows.length % PART_ROWS || PART_ROWS))
    await inner.write({ size: last.length + batch.local.size, rows: () => last, local: batch.local }, sync)
  })
}
