// RocksDB as a StoreBackend: reads on the calling thread, writes encoded in slices and handed to the worker thread. Opening
// and the choice of options are rocks-store.ts's.
//
// Keys are stored as the UTF-8 of their code units: the order stays, ASCII stays as it is, and scans get keys as strings
// from the native side without a copy through a buffer. Code units end at U+00FF, so what starts above is free for our own.

import { Worker } from 'node:worker_threads'
import { DelosError } from '../base/delos-error.ts'
import type { Key } from '../base/key.ts'
import type { Timers } from '../runtime/runtime.ts'
import { Deferred } from './deferred.ts'
import type { StoreDigest } from './local-store.ts'
import { type RocksDb, type RocksIterator, type RocksModule, rocksError, rocksModulePath } from './rocks-binding.ts'
import {
  type RocksAnswer,
  type RocksDigestRequest,
  type RocksWorkerData,
  type RocksWrite,
  rocksWorkerSource,
} from './rocks-worker.ts'
import type { BackendSnapshot, RangeChunk, StoreBackend, WriteBatch } from './store-backend.ts'
import type { Written } from './write-table.ts'

/** Above every replicated key. */
const END_OF_KEYS = '\u0100'
const LOCAL_PREFIX = '\u0101'
/** Where the format version of the store is. */
export const META_FORMAT_KEY = '\u0102format'
const META_DIGEST_KEY = '\u0102digests'

/**
 * Version of keys and values in RocksDB, raised when an older build could not read them, or could not keep what is there:
 * from the first digest on every batch must keep the digests, so only then a store gets the newer one.
 */
export const STORE_FORMATS = { first: 1, digests: 2 } as const

/** A slice of a batch ends with the row that passes either: about 0.3 ms of the event loop. */
const SLICE_BYTES = 128 * 1024
const SLICE_ROWS = 1024
const CHUNK_BYTES_MAX = 1024 * 1024
/** Each may hold a thread of the pool, where files are read and synced as well. */
const PREFETCHES_MAX = 2
/** Of one, since rows may be large: what is left is not brought closer. */
const PREFETCH_OPTIONS = { highWaterMarkBytes: 16 << 20 }
/** All that the thread makes is garbage with the slice that it came for: as much room as the process gives itself is waste. */
const WORKER_YOUNG_MIB = 6

export class RocksBackend implements StoreBackend {
  private readonly rocks: RocksModule
  private readonly db: RocksDb
  private readonly timers: Timers
  private readonly worker: Worker
  private readonly one: Buffer[] = [Buffer.alloc(0)]
  private answer: Deferred<void> | undefined
  private readonly digests: Deferred<StoreDigest>[] = []
  private readonly prefetches = new Set<Promise<void>>()
  private dead: DelosError | undefined
  private closed = false

  /** Takes over an open database and starts the thread. */
  constructor(rocks: RocksModule, db: RocksDb, timers: Timers, digestKey: Uint8Array) {
    this.rocks = rocks
    this.db = db
    this.timers = timers
    const workerData: RocksWorkerData = {
      modulePath: rocksModulePath(),
      handle: rocks.db_get_handle(db),
      digestKey,
      digestRow: encoded(META_DIGEST_KEY),
      markRow: encoded(META_FORMAT_KEY),
      mark: encoded(String(STORE_FORMATS.digests)),
      endOfKeys: END_OF_KEYS,
    }
    this.worker = new Worker(rocksWorkerSource(), {
      eval: true,
      workerData,
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: WORKER_YOUNG_MIB },
    })
    this.worker.unref()
    this.worker.on('message', (message: RocksAnswer) => this.answered(message))
    this.worker.on('error', (error) => this.workerEnded(error))
    this.worker.on('exit', () => this.workerEnded(new Error('the writing thread ended')))
  }

  get(key: Key): Uint8Array | undefined {
    this.check()
    this.one[0] = encoded(key)
    return this.rocks.db_get_many_sync(this.db, this.one, undefined)[0]
  }

  getMany(keys: readonly Key[]): (Uint8Array | undefined)[] {
    this.check()
    return this.rocks.db_get_many_sync(this.db, keys.map(encoded), undefined)
  }

  prefetch(keys: readonly Key[]): Promise<void> {
    this.check()
    if (this.prefetches.size >= PREFETCHES_MAX) return Promise.resolve()
    const done = new Deferred<void>()
    this.prefetches.add(done.promise)
    // The values are thrown away: their blocks stay in the cache.
    this.rocks.db_get_many(this.db, keys, PREFETCH_OPTIONS, (error) => {
      this.prefetches.delete(done.promise)
      if (error) done.reject(rocksError(error, 'RocksDB could not read'))
      else done.resolve()
    })
    return done.promise
  }

  readRange(from: Key, to: Key | undefined, reverse: boolean, rowsMax: number, keysOnly = false): RangeChunk {
    this.check()
    const { rocks } = this
    const iterator = rocks.iterator_init(this.db, {
      gte: from,
      lt: to ?? END_OF_KEYS,
      reverse,
      keyEncoding: 'utf8',
      valueEncoding: 'buffer',
      values: !keysOnly,
      highWaterMarkBytes: CHUNK_BYTES_MAX,
      fillCache: true,
    })
    try {
      const { rows, finished } = rocks.iterator_nextv_sync(iterator, rowsMax)
      if (keysOnly) for (let i = 1; i < rows.length; i += 2) rows[i] = EMPTY
      return { rows, done: finished }
    } finally {
      rocks.iterator_close(iterator)
    }
  }

  getLocal(key: Key): Uint8Array | undefined {
    return this.get(LOCAL_PREFIX + key)
  }

  openSnapshot(): BackendSnapshot {
    this.check()
    return new RocksSnapshot(this.rocks, this.db)
  }

  /** Encodes the batch slice by slice between turns of the event loop; the thread writes it as one. */
  write(batch: WriteBatch, sync: boolean): Promise<void> {
    if (this.dead) return Promise.reject(this.dead)
    const answer = new Deferred<void>()
    this.answer = answer
    this.worker.ref()
    const rows = batch.rows()[Symbol.iterator]()
    const slice = new SliceWriter(Math.min(SLICE_BYTES, 512 + batch.size * 128))
    for (const [key, value] of batch.local) slice.add(LOCAL_PREFIX + key, value)
    const step = (): void => {
      if (this.answer !== answer) return
      for (;;) {
        const next = rows.next()
        if (next.done) {
          this.post(slice, true, sync)
          return
        }
        slice.add(next.value[0], next.value[1])
        if (slice.full) break
      }
      this.post(slice, false, sync)
      this.timers.soon(step)
    }
    step()
    return answer.promise
  }

  /** The thread answers requests in the order of the writes; the first one walks all rows between the writes. */
  digest(): Promise<StoreDigest> {
    if (this.dead) return Promise.reject(this.dead)
    const digest = new Deferred<StoreDigest>()
    this.digests.push(digest)
    this.worker.ref()
    this.worker.postMessage({ kind: 'digest' } satisfies RocksDigestRequest)
    return digest.promise
  }

  async close(): Promise<void> {
    this.closed = true
    this.dead ??= new DelosError('CLOSED', 'the store is closed')
    await this.worker.terminate()
    await Promise.allSettled(this.prefetches)
    const closed = new Deferred<void>()
    this.rocks.db_close(this.db, (error) => {
      if (error) closed.reject(rocksError(error, 'RocksDB did not close'))
      else closed.resolve()
    })
    await closed.promise
  }

  private post(slice: SliceWriter, last: boolean, sync: boolean): void {
    const message = slice.take(last, sync)
    this.worker.postMessage(message, [message.bytes.buffer])
  }

  private answered(message: RocksAnswer): void {
    if (message.kind === 'failed') {
      const failure = Object.assign(new Error(message.message), { code: message.code })
      this.rejectAll(rocksError(failure, 'RocksDB could not write'))
    } else if (message.kind === 'digest') {
      this.digests.shift()?.resolve(message.digest)
    } else {
      this.answer?.resolve()
      this.answer = undefined
    }
    if (this.answer === undefined && this.digests.length === 0) this.worker.unref()
  }

  private workerEnded(error: unknown): void {
    this.rejectAll(DelosError.from(error, 'IO_ERROR', 'the writing thread of RocksDB is gone'))
  }

  private rejectAll(failure: DelosError): void {
    this.dead ??= failure
    this.answer?.reject(this.dead)
    this.answer = undefined
    for (const digest of this.digests.splice(0)) digest.reject(this.dead)
  }

  // A call into a closed database would end the process.
  private check(): void {
    if (this.closed) throw new DelosError('CLOSED', 'the store is closed')
  }
}

/** One pinned state: an iterator for each direction, made in the same synchronous section while nothing is written. */
class RocksSnapshot implements BackendSnapshot {
  private readonly rocks: RocksModule
  private readonly forward: RocksIterator
  private readonly backward: RocksIterator
  private closed = false

  constructor(rocks: RocksModule, db: RocksDb) {
    this.rocks = rocks
    const options = { keyEncoding: 'utf8', valueEncoding: 'buffer', highWaterMarkBytes: CHUNK_BYTES_MAX } as const
    this.forward = rocks.iterator_init(db, { ...options, lt: END_OF_KEYS, reverse: false, fillCache: false })
    // Without an upper bound: the native seek finds nothing when its target is at or past the bound.
    this.backward = rocks.iterator_init(db, { ...options, reverse: true, fillCache: false })
  }

  get(key: Key): Uint8Array | undefined {
    this.rocks.iterator_seek(this.forward, key)
    const { rows } = this.rocks.iterator_nextv_sync(this.forward, 1)
    return rows[0] === key ? (rows[1] as Buffer) : undefined
  }

  getMany(keys: readonly Key[]): (Uint8Array | undefined)[] {
    return keys.map((key) => this.get(key))
  }

  readRange(from: Key, to: Key | undefined, reverse: boolean, rowsMax: number): RangeChunk {
    if (!reverse) {
      this.rocks.iterator_seek(this.forward, from)
      const { rows, finished } = this.rocks.iterator_nextv_sync(this.forward, rowsMax)
      return clip(rows, finished, (key) => to !== undefined && key >= to)
    }
    // Seeking backwards lands at or below the target, and the end of the range is exclusive: ask for one row more.
    this.rocks.iterator_seek(this.backward, to ?? END_OF_KEYS)
    const { rows, finished } = this.rocks.iterator_nextv_sync(this.backward, rowsMax + 1)
    if (rows[0] === to) rows.splice(0, 2)
    const cut = rows.length > rowsMax * 2
    if (cut) rows.length = rowsMax * 2
    return clip(rows, finished && !cut, (key) => key < from)
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.rocks.iterator_close(this.forward)
    this.rocks.iterator_close(this.backward)
  }
}

// An empty buffer with memory behind it: RocksDB asserts that no slice is a null pointer.
const EMPTY = Buffer.alloc(1).subarray(0, 0)

function encoded(key: Key): Buffer {
  return key.length === 0 ? EMPTY : Buffer.from(key, 'utf8')
}

/** Cuts rows off from the first that is `outside`. */
function clip(rows: (Key | Uint8Array)[], finished: boolean, outside: (key: Key) => boolean): RangeChunk {
  for (let i = rows.length - 2; i >= 0; i -= 2) {
    if (outside(rows[i] as Key)) continue
    if (i === rows.length - 2) return { rows, done: finished }
    return { rows: rows.slice(0, i + 2), done: true }
  }
  return { rows: [], done: rows.length > 0 || finished }
}

/** Encodes rows into a buffer that is then handed over to the thread; see RocksWrite for the layout. */
class SliceWriter {
  private bytes: Buffer<ArrayBuffer>
  private length = 0
  private rows = 0

  /** `firstBytes` of memory for the first slice; it grows if that is too little. */
  constructor(firstBytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(firstBytes)
  }

  get full(): boolean {
    return this.length >= SLICE_BYTES - 1024 || this.rows >= SLICE_ROWS
  }

  add(key: string, value: Written): void {
    const valueLength = value === null ? 0 : value.length
    const at = this.length
    this.reserve(8 + key.length * 2 + valueLength)
    const keyLength = this.bytes.utf8Write(key, at + 8)
    this.bytes.writeUInt32LE(keyLength * 2 + (value === null ? 1 : 0), at)
    this.bytes.writeUInt32LE(valueLength, at + 4)
    if (value !== null) this.bytes.set(value, at + 8 + keyLength)
    this.length = at + 8 + keyLength + valueLength
    this.rows++
  }

  take(last: boolean, sync: boolean): RocksWrite {
    const write: RocksWrite = { kind: 'write', bytes: this.bytes.subarray(0, this.length), rows: this.rows, last, sync }
    this.bytes = Buffer.allocUnsafeSlow(last ? 0 : SLICE_BYTES)
    this.length = 0
    this.rows = 0
    return write
  }

  private reserve(more: number): void {
    const needed = this.length + more
    if (needed <= this.bytes.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2))
    this.bytes.copy(grown, 0, 0, this.length)
    this.bytes = grown
  }
}
