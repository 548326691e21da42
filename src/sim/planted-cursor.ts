// The planted bug `cursor-outside-tx`: a disk under a store that writes Base's cursor in a batch of its own, before the data
// that it covers. After a crash in between, a server goes on behind entries whose effects it has lost.

import { CURSOR_KEY } from '../engines/base-engine/cursor.ts'
import type { StoreBackend, WriteBatch } from '../store/store-backend.ts'
import { replacedWrite } from './replaced-write.ts'

/** Wraps the backend of a memory store (MemoryStoreOptions.wrap). */
export function cursorInAnotherBatch(inner: StoreBackend): StoreBackend {
  return replacedWrite(inner, async (batch, sync) => {
    await inner.write(
      only(batch, (key) => key === CURSOR_KEY),
      sync,
    )
    await inner.write(
      only(batch, (key) => key !== CURSOR_KEY),
      sync,
    )
  })
}

function only(batch: WriteBatch, wanted: (key: string) => boolean): WriteBatch {
  const rows = [...batch.rows()].filter(([key]) => wanted(key))
  return { size: rows.length + batch.local.size, rows: () => rows, local: batch.local }
}
