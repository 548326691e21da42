// A LocalStore in memory with the crash rule of the RocksDB one: what a crash leaves is a prefix of the pushed layers, each
// whole, and at least all up to the last resolved flush. The simulator and tests run on it; the backend is the "disk" that
// outlives a store.

import { assert } from '../base/assert.ts'
import { DelosError } from '../base/delos-error.ts'
import type { Key } from '../base/key.ts'
import type { Clock, Random, Timers } from '../runtime/runtime.ts'
import { type ContentDigest, createContentDigest } from './content-digest.ts'
import type { LocalStore, StoreDigest } from './local-store.ts'
import { createRowHasher, digestKeyOf } from './row-hash.ts'
import type { BackendReads, BackendSnapshot, RangeChunk, StoreBackend, WriteBatch } from './store-backend.ts'
import { StoreCore, type StoreOptions } from './store-core.ts'
import { WriteTable, type Written } from './write-table.ts'

/** What the memory store needs of the runtime. */
export interface MemoryStoreRuntime {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
}

export interface MemoryStoreOptions extends StoreOptions {
  readonly runtime: MemoryStoreRuntime
  /** What is on disk; hand in the same one to open the store again after `close` or `crash`. Default: a new, empty one. */
  readonly backend?: MemoryBackend
  /** Puts something between store and backend: how a test plants a faulty disk. */
  readonly wrap?: (backend: StoreBackend) => StoreBackend
}

/** A memory store can crash: from then on nothing that was pending settles, and every call throws CLOSED. */
export interface MemoryStore extends LocalStore {
  /** The machine dies here. The backend keeps what a disk would keep; open a new store on it. */
  crash(): void
}

/** Opens at once: there is nothing to recover. Throws IN_USE if another store is open on the backend. */
export function openMemoryStore(options: MemoryStoreOptions): MemoryStore {
  const { runtime, backend = new MemoryBackend(runtime), wrap = (inner) => inner } = options
  backend.attach(digestKeyOf(options.digestKey))
  return new CrashableStore(wrap(backend), runtime, options, () => backend.crash())
}

class CrashableStore extends StoreCore implements MemoryStore {
  private readonly crashBackend: () => void

  constructor(backend: StoreBackend, runtime: MemoryStoreRuntime, options: StoreOptions, crashBackend: () => void) {
    super(backend, runtime, options)
    this.crashBackend = crashBackend
  }

  crash(): void {
    this.abandon()
    this.crashBackend()
  }
}

export interface MemoryBackendOptions {
  /** How long a write takes, drawn for each. Default 0: it completes in a later turn of the event loop. */
  readonly delayMs?: (sync: boolean) => number
}

/** The disk of memory stores: what was written, and how much of it a crash would leave. */
export class MemoryBackend implements StoreBackend {
  private readonly runtime: Pick<MemoryStoreRuntime, 'timers' | 'random'>
  private readonly delayMs: (sync: boolean) => number
  private readonly durable = new Image()
  private visible = new Image()
  private digestKey = digestKeyOf(undefined)
  /** Completed batches that no sync covers yet, then the one in flight, if any. */
  private unsynced: StoredBatch[] = []
  private attached = false
  /** Counts stores that crashed: completions of an earlier life are ignored. */
  private life = 0

  constructor(runtime: Pick<MemoryStoreRuntime, 'timers' | 'random'>, options: MemoryBackendOptions = {}) {
    this.runtime = runtime
    this.delayMs = options.delayMs ?? (() => 0)
  }

  /** Called by whoever opens a store on it: one at a time. */
  attach(digestKey: Uint8Array): void {
    if (this.attached) throw new DelosError('IN_USE', 'another memory store is open on this backend')
    this.attached = true
    if (this.digestKey.every((byte, i) => byte === digestKey[i])) return
    this.digestKey = digestKey
    this.durable.digest = undefined
    this.visible.digest = undefined
  }

  get(key: Key): Uint8Array | undefined {
    return this.visible.get(key)
  }

  getMany(keys: readonly Key[]): (Uint8Array | undefined)[] {
    return this.visible.getMany(keys)
  }

  readRange(from: Key, to: Key | undefined, reverse: boolean, rowsMax: number): RangeChunk {
    return this.visible.readRange(from, to, reverse, rowsMax)
  }

  getLocal(key: Key): Uint8Array | undefined {
    return this.visible.local.get(key)
  }

  write(batch: WriteBatch, sync: boolean): Promise<void> {
    const stored = { rows: [...batch.rows()], local: [...batch.local] }
    this.unsynced.push(stored)
    const { life } = this
    return new Promise((resolve) => {
      const complete = (): void => {
        if (this.life !== life) return
        this.visible.apply(stored)
        if (sync) for (const covered of this.unsynced.splice(0)) this.durable.apply(covered)
        resolve()
      }
      const delayMs = this.delayMs(sync)
      if (delayMs > 0) this.runtime.timers.after(delayMs, complete)
      else this.runtime.timers.soon(complete)
    })
  }

  digest(): Promise<StoreDigest> {
    if (this.visible.digest === undefined) {
      // That digests are kept is on the disk when it is: after a crash they may have to begin again.
      const beginning = { rows: [], local: [], digestKey: this.digestKey }
      this.unsynced.push(beginning)
      this.visible.apply(beginning)
    }
    const digest = (this.visible.digest as unknown as ContentDigest).read()
    const { life } = this
    return new Promise((resolve) => {
      this.runtime.timers.soon(() => {
        if (this.life === life) resolve(digest)
      })
    })
  }

  openSnapshot(): BackendSnapshot {
    return this.visible.copy()
  }

  close(): Promise<void> {
    assert(this.attached, 'the memory backend is closed once per store')
    this.attached = false
    return Promise.resolve()
  }

  /** Falls back to what a disk would hold: by chance, some of the batches that no completed sync covers, in order. */
  crash(): void {
    this.life++
    this.attached = false
    const kept = this.runtime.random.uint32() % (this.unsynced.length + 1)
    for (const batch of this.unsynced.slice(0, kept)) this.durable.apply(batch)
    this.unsynced = []
    this.visible = this.durable.copy()
  }
}

interface StoredBatch {
  readonly rows: readonly (readonly [Key, Written])[]
  readonly local: readonly (readonly [Key, Uint8Array])[]
  /** Set: digests are kept under this key from here on. */
  readonly digestKey?: Uint8Array
}

/** One state of the disk. */
class Image implements BackendReads {
  private readonly table = new WriteTable()
  readonly local = new Map<Key, Uint8Array>()
  /** Of the table, if kept. */
  digest: ContentDigest | undefined

  get(key: Key): Uint8Array | undefined {
    return this.table.get(key) ?? undefined
  }

  getMany(keys: readonly Key[]): (Uint8Array | undefined)[] {
    return keys.map((key) => this.get(key))
  }

  readRange(from: Key, to: Key | undefined, reverse: boolean, rowsMax: number): RangeChunk {
    const { table } = this
    const rows: (Key | Uint8Array)[] = []
    const position = reverse ? (to === undefined ? table.seekEnd() : table.seek(to)) : table.seek(from)
    for (;;) {
      const key = reverse ? table.keyBefore(position) : table.keyAt(position)
      if (key === undefined || (reverse ? key < from : to !== undefined && key >= to)) return { rows, done: true }
      if (rows.length >= rowsMax * 2) return { rows, done: false }
      rows.push(key, table.get(key) as Uint8Array)
      position.at += reverse ? -1 : 1
    }
  }

  apply(batch: StoredBatch): void {
    for (const [key, value] of batch.rows) {
      this.digest?.change(Buffer.from(key, 'utf8'), this.get(key), value ?? undefined)
      if (value === null) this.table.remove(key)
      else this.table.set(key, value)
    }
    for (const [key, value] of batch.local) this.local.set(key, value)
    if (batch.digestKey !== undefined) this.keepDigest(batch.digestKey)
  }

  copy(): Image {
    const copy = new Image()
    this.table.forEach((key, value) => {
      copy.table.set(key, value)
    })
    for (const [key, value] of this.local) copy.local.set(key, value)
    copy.digest = this.digest?.copy()
    return copy
  }

  private keepDigest(digestKey: Uint8Array): void {
    const digest = createContentDigest(digestKey, createRowHasher)
    this.table.forEach((key, value) => {
      digest.change(Buffer.from(key, 'utf8'), undefined, value ?? undefined)
    })
    this.digest = digest
  }

  close(): void {
    this.table.clear()
  }
}
