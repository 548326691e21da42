// The thread that writes to RocksDB, so that neither the writes nor their syncs stand in the event loop's way: the code that
// runs there, and its messages. It shares the open database with the main thread, which reads.

import type { MessagePort } from 'node:worker_threads'
import type { RocksBatch, RocksModule } from './rocks-binding.ts'

/** Given to the thread at its start. */
export interface RocksWorkerData {
  readonly modulePath: string
  readonly handle: bigint
}

/**
 * One piece of a batch: `rows` of them in `bytes`, each `u32 key length · 2 + (1 if deletion) | u32 value length | key | value`,
 * little-endian. The last piece makes the thread write all pieces as one batch and answer.
 */
export interface RocksWrite {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly rows: number
  readonly last: boolean
  readonly sync: boolean
}

/** The answer to the last piece. */
export type RocksWritten =
  | { readonly kind: 'written' }
  | { readonly kind: 'failed'; readonly message: string; readonly code: string | undefined }

/**
 * Body of the thread. It is started from its own source text (`Function.prototype.toString`), since a package that is
 * bundled, or run from TypeScript, has no separate script file to name: it must use nothing but its arguments.
 */
export function rocksWorkerMain(
  port: MessagePort,
  data: RocksWorkerData,
  loadModule: (path: string) => unknown,
  viewOf: (bytes: Uint8Array<ArrayBuffer>) => Buffer,
): void {
  const rocks = loadModule(data.modulePath) as RocksModule
  const db = rocks.db_init(data.handle)
  const batch: RocksBatch = rocks.batch_init()

  const add = (write: RocksWrite): void => {
    const bytes = viewOf(write.bytes)
    let at = 0
    for (let row = 0; row < write.rows; row++) {
      const head = bytes.readUInt32LE(at)
      const valueAt = at + 8 + (head >>> 1)
      const next = valueAt + bytes.readUInt32LE(at + 4)
      const key = bytes.subarray(at + 8, valueAt)
      if (head & 1) rocks.batch_del(batch, key, undefined)
      else rocks.batch_put(batch, key, bytes.subarray(valueAt, next), undefined)
      at = next
    }
  }

  let failed = false
  port.on('message', (write: RocksWrite) => {
    if (failed) return // Later pieces of the batch that failed: writing them would write a part of it.
    try {
      add(write)
      if (!write.last) return
      rocks.batch_write(db, batch, { sync: write.sync })
      rocks.batch_clear(batch)
      port.postMessage({ kind: 'written' } satisfies RocksWritten)
    } catch (thrown) {
      failed = true
      const { message, code } = thrown as { message: string; code?: string }
      port.postMessage({ kind: 'failed', message, code } satisfies RocksWritten)
    }
  })
}

/** Source text that runs `rocksWorkerMain` in a worker started with `eval`. */
export function rocksWorkerSource(): string {
  return `'use strict'
const { parentPort, workerData } = require('node:worker_threads');
(${rocksWorkerMain.toString()})(parentPort, workerData, require,
  (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))`
}
