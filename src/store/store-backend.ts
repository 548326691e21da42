// What StoreCore needs of a disk: reads of what was pushed, and whole batches written in order. RocksDB and the memory
// backend implement it; a test can wrap one to plant a fault. Nothing here knows transactions or layers.

import type { Key } from '../base/key.ts'
import type { StoreDigest } from './local-store.ts'
import type { Written } from './write-table.ts'

/** Rows of a range, flat: key, value, key, value … `done` is true if the range holds no more in this direction. */
export interface RangeChunk {
  readonly rows: readonly (Key | Uint8Array)[]
  readonly done: boolean
}

/** Synchronous reads of one state. */
export interface BackendReads {
  get(key: Key): Uint8Array | undefined
  /** In the order of `keys`. */
  getMany(keys: readonly Key[]): (Uint8Array | undefined)[]
  /**
   * The first rows of [from, to) (the last ones if `reverse`, descending); `to` undefined is the end of the map. At most
   * `rowsMax`, fewer if they are large or the range ends; at least one unless `done`. With
   * `keysOnly` the values may be any, or empty.
   */
  readRange(from: Key, to: Key | undefined, reverse: boolean, rowsMax: number, keysOnly?: boolean): RangeChunk
}

/** A pinned state. Closing twice is allowed; reading after `close` is not. */
export interface BackendSnapshot extends BackendReads {
  close(): void
}

/** Everything that one push carries. It must not be changed before `write` has settled. */
export interface WriteBatch {
  /** Keys in `rows` and `local`. */
  readonly size: number
  /** Replicated content, each key once, in any order. May be walked several times. */
  rows(): Iterable<readonly [Key, Written]>
  /** Puts into the local range. */
  readonly local: ReadonlyMap<Key, Uint8Array>
}

/**
 * A disk under a store. The caller has at most one `write` in flight. Reads see a completed write; while one is in flight
 * they may see all of it or nothing. After a crash what remains is a prefix of the batches, each whole, and at least up to
 * the last completed one with `sync`.
 */
export interface StoreBackend extends BackendReads {
  /** Writes the batch atomically, even an empty one; with `sync`, it and all before it are durable when this resolves. */
  write(batch: WriteBatch, sync: boolean): Promise<void>
  /** See LocalStore.prefetch. Without it: nothing to bring closer. */
  prefetch?(keys: readonly Key[]): Promise<void>
  getLocal(key: Key): Uint8Array | undefined
  /**
   * The digests of the content as it is now (see LocalStore.digest); may resolve behind later writes. Only called while no write
   * is in flight. From the first one in the life of the disk on, writes keep them.
   */
  digest(): Promise<StoreDigest>
  /** Pins the state as it is now. Only called while no write is in flight. */
  openSnapshot(): BackendSnapshot
  /** Only called while no write is in flight and no snapshot open. */
  close(): Promise<void>
}
