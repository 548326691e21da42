// The thread that writes to RocksDB, so that neither the writes nor their syncs stand in the event loop's way, and that keeps
// the digests of what it writes: the code that runs there, and its messages. It shares the open database with the main
// thread, which reads.

import type { MessagePort } from 'node:worker_threads'
import { type ContentDigest, createContentDigest } from './content-digest.ts'
import type { RocksBatch, RocksIterator, RocksModule } from './rocks-binding.ts'
import { createRowHasher } from './row-hash.ts'

/** Given to the thread at its start. */
export interface RocksWorkerData {
  readonly modulePath: string
  readonly handle: bigint
  readonly digestKey: Uint8Array
  /** Where the digests are kept, and a row that says so, which comes with the first of them. */
  readonly digestRow: Uint8Array
  readonly markRow: Uint8Array
  readonly mark: Uint8Array
  /** Above every row of which digests are taken. */
  readonly endOfKeys: string
}

/**
 * One piece of a batch: `rows` of them in `bytes`, each `u32 key length · 2 + (1 if deletion) | u32 value length | key | value`,
 * little-endian. The last piece makes the thread write all pieces as one batch and answer.
 */
export interface RocksWrite {
  readonly kind: 'write'
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly rows: number
  readonly last: boolean
  readonly sync: boolean
}

/** Asks for the digests of what was written so far; between batches only. Answered in order, possibly behind later writes. */
export interface RocksDigestRequest {
  readonly kind: 'digest'
}

/** What the thread answers. After `failed` it answers nothing any more. */
export type RocksAnswer =
  | { readonly kind: 'written' }
  | { readonly kind: 'digest'; readonly digest: Map<string, string> }
  | { readonly kind: 'failed'; readonly message: string; readonly code: string | undefined }

/**
 * Body of the thread. It is started from its own source text (`Function.prototype.toString`), since a package that is
 * bundled, or run from TypeScript, has no separate script file to name: it must use nothing but its arguments.
 */
export function rocksWorkerMain(
  port: MessagePort,
  data: RocksWorkerData,
  loadModule: (path: string) => unknown,
  viewOf: (bytes: Uint8Array) => Buffer,
  later: (task: () => void) => void,
  noDigest: () => ContentDigest,
): void {
  const WALK_ROWS = 1024
  const rocks = loadModule(data.modulePath) as RocksModule
  const db = rocks.db_init(data.handle)
  const batch: RocksBatch = rocks.batch_init()
  const [digestRow, markRow] = [viewOf(data.digestRow), viewOf(data.markRow)]
  const firstOwnByte = viewOf(new TextEncoder().encode(data.endOfKeys))[0] as number
  let inBatch = false
  let failed = false
  /** What is kept: the digests of all that was written, or, during the first walk, what changed since it began. */
  let digest: ContentDigest | undefined
  let marked = false
  /** Rows as they were when the first digest was asked for, and how far they have been added up. */
  let walk: { readonly rows: RocksIterator; readonly sums: ContentDigest } | undefined
  /** For each request that waits for the walk: what had changed since its beginning. */
  const waiting: ContentDigest[] = []

  const valuesOf = (keys: Buffer[]): (Buffer | undefined)[] => {
    const values = rocks.db_get_many_sync(db, keys, undefined)
    // Null: together they are larger than one call returns.
    for (let i = 0; i < values.length; i++)
      if (values[i] === null) values[i] = rocks.db_get_many_sync(db, [keys[i] as Buffer], undefined)[0]
    return values
  }

  const keepDigest = (into: RocksBatch, kept: ContentDigest): void => {
    rocks.batch_put(into, digestRow, viewOf(kept.encode()), undefined)
    if (!marked) rocks.batch_put(into, markRow, viewOf(data.mark), undefined)
    marked = true
  }

  const load = (): void => {
    const stored = valuesOf([digestRow])[0]
    if (stored === undefined) return
    const loaded = noDigest()
    if (loaded.load(stored)) {
      digest = loaded
      marked = true
      return
    }
    // Of another key or format: nobody will keep it, so it must not be found again.
    rocks.batch_del(batch, digestRow, undefined)
    rocks.batch_write(db, batch, { sync: false })
    rocks.batch_clear(batch)
  }

  const add = (write: RocksWrite): void => {
    const bytes = viewOf(write.bytes)
    const keys: Buffer[] = []
    const values: (Buffer | undefined)[] = []
    let at = 0
    for (let row = 0; row < write.rows; row++) {
      const head = bytes.readUInt32LE(at)
      const valueAt = at + 8 + (head >>> 1)
      const next = valueAt + bytes.readUInt32LE(at + 4)
      const key = bytes.subarray(at + 8, valueAt)
      const value = head & 1 ? undefined : bytes.subarray(valueAt, next)
      if (value === undefined) rocks.batch_del(batch, key, undefined)
      else rocks.batch_put(batch, key, value, undefined)
      if (digest !== undefined && !((key[0] as number) >= firstOwnByte)) {
        keys.push(key)
        values.push(value)
      }
      at = next
    }
    if (digest === undefined || keys.length === 0) return
    // A batch holds each key once, so what is in the database is what was before.
    const before = valuesOf(keys)
    for (let i = 0; i < keys.length; i++) digest.change(keys[i] as Buffer, before[i], values[i])
  }

  const write = (piece: RocksWrite): void => {
    inBatch = true
    add(piece)
    if (!piece.last) return
    if (digest !== undefined && walk === undefined) keepDigest(batch, digest)
    rocks.batch_write(db, batch, { sync: piece.sync })
    rocks.batch_clear(batch)
    inBatch = false
    port.postMessage({ kind: 'written' } satisfies RocksAnswer)
  }

  const answer = (taken: ContentDigest): void => {
    port.postMessage({ kind: 'digest', digest: taken.read() } satisfies RocksAnswer)
  }

  const takeDigest = (): void => {
    if (digest !== undefined && walk === undefined) {
      answer(digest)
      return
    }
    if (digest === undefined) {
      digest = noDigest()
      const rows = rocks.iterator_init(db, {
        lt: data.endOfKeys,
        reverse: false,
        keyEncoding: 'buffer',
        valueEncoding: 'buffer',
        highWaterMarkBytes: 1024 * 1024,
        fillCache: false,
      })
      walk = { rows, sums: noDigest() }
      later(() => attempt(walkOn))
    }
    waiting.push(digest.copy())
  }

  // One chunk of rows, then whatever was written meanwhile gets its turn.
  const walkOn = (): void => {
    if (walk === undefined || digest === undefined) return
    const { rows, sums } = walk
    const chunk = rocks.iterator_nextv_sync(rows, WALK_ROWS)
    for (let i = 0; i < chunk.rows.length; i += 2) {
      sums.change(chunk.rows[i] as Buffer, undefined, chunk.rows[i + 1] as Buffer)
    }
    if (!chunk.finished) {
      later(() => attempt(walkOn))
      return
    }
    rocks.iterator_close(rows)
    walk = undefined
    digest = digest.plus(sums)
    if (!inBatch) {
      const own = rocks.batch_init()
      keepDigest(own, digest)
      rocks.batch_write(db, own, { sync: false })
    }
    for (const changed of waiting.splice(0)) answer(sums.plus(changed))
  }

  const attempt = (action: () => void): void => {
    if (failed) return // Later pieces of the batch that failed: writing them would write a part of it.
    try {
      action()
    } catch (thrown) {
      failed = true
      const { message, code } = thrown as { message: string; code?: string }
      port.postMessage({ kind: 'failed', message, code } satisfies RocksAnswer)
    }
  }

  attempt(load)
  port.on('message', (message: RocksWrite | RocksDigestRequest) => {
    attempt(() => {
      if (message.kind === 'write') write(message)
      else takeDigest()
    })
  })
}

/** Source text that runs `rocksWorkerMain` in a worker started with `eval`. */
export function rocksWorkerSource(): string {
  // Some bundlers wrap every inner function in a call of __name.
  return `'use strict'
const __name = (named) => named;
const { parentPort, workerData } = require('node:worker_threads');
const hasherOf = (${createRowHasher.toString()});
const digestOf = (${createContentDigest.toString()});
(${rocksWorkerMain.toString()})(parentPort, workerData, require,
  (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), setImmediate,
  () => digestOf(workerData.digestKey, hasherOf))`
}
