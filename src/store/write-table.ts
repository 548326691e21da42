// A set of writes, key → value or tombstone, for point reads and ordered scans: the building block of transactions, of the
// write-back layer and of the memory backend. It knows nothing of commits, limits or disks.
//
// Point reads go to a Map. Order is an index beside it, built late: a new key is only noted, and sorted into chunks of keys
// when a scan asks, or when many have gathered. So writes that nobody scans pay almost nothing for order, and a scan after
// every create pays for one insertion into a chunk.

import type { Key } from '../base/key.ts'

/** What was written under a key: a value, or null for a deletion. */
export type Written = Uint8Array | null

const CHUNK_KEYS_MAX = 512
const CHUNK_KEYS_FRESH = 384
/** Unsorted keys are folded in when this many have gathered, so that no scan ever sorts more (about 0.5 ms). */
const PENDING_KEYS_MAX = 1024

/** See the head of the file. An entry that is `undefined` counts as not written; its key may stay in the index. */
export class WriteTable {
  private readonly entries = new Map<Key, Written | undefined>()
  private pending: Key[] = []
  private chunks: Key[][] = [[]]
  /** `lows[i]` is not above any key of chunk i and above every key of chunk i - 1; `lows[0]` is the empty key. */
  private lows: Key[] = ['']
  private indexVersion = 0

  /** Grows with every key that joins or leaves the index: a cursor with another version must seek again. */
  get version(): number {
    return this.indexVersion
  }

  /** Keys ever written since the last `clear`, taken-back ones included. */
  get size(): number {
    return this.entries.size
  }

  /** The value, null if deleted here, undefined if this table says nothing. */
  get(key: Key): Written | undefined {
    return this.entries.get(key)
  }

  /** Undefined takes a write back, as rollback does. */
  set(key: Key, value: Written | undefined): void {
    const entries = this.entries
    const before = entries.size
    entries.set(key, value)
    if (entries.size !== before) this.joined(key)
  }

  /**
   * As `set`, and returns by how many bytes this table grew: key, value and `overheadBytes` for a new key, else the difference of
   * the values. The hot end of every commit.
   */
  replace(key: Key, value: Written, overheadBytes: number): number {
    const entries = this.entries
    const before = entries.get(key)
    const length = value === null ? 0 : value.length
    entries.set(key, value)
    if (before !== undefined) return before === null ? length : length - before.length
    this.joined(key)
    return key.length + overheadBytes + length
  }

  /** Forgets a key for good. Slower than `set`: it searches the index. */
  remove(key: Key): void {
    if (!this.entries.delete(key)) return
    this.fold()
    this.indexVersion++
    const chunk = this.chunks[this.chunkOf(key, 0)] as Key[]
    chunk.splice(lowerBound(chunk, key), 1)
  }

  clear(): void {
    if (this.entries.size === 0) return
    this.entries.clear()
    this.pending = []
    this.chunks = [[]]
    this.lows = ['']
    this.indexVersion++
  }

  /** Every entry in the order of first writing. */
  forEach(visit: (key: Key, value: Written) => void): void {
    this.entries.forEach((value, key) => {
      if (value !== undefined) visit(key, value)
    })
  }

  /** As `forEach`, for visitors that pause. The table must not be changed meanwhile. */
  *rows(): Generator<readonly [Key, Written]> {
    for (const entry of this.entries) {
      if (entry[1] !== undefined) yield entry as readonly [Key, Written]
    }
  }

  /** Position of the first indexed key at or above `key`. */
  seek(key: Key): IndexPosition {
    this.fold()
    const chunk = this.chunkOf(key, 0)
    return { chunk, at: lowerBound(this.chunks[chunk] as Key[], key) }
  }

  /** Position after the last indexed key. */
  seekEnd(): IndexPosition {
    this.fold()
    const chunk = this.chunks.length - 1
    return { chunk, at: (this.chunks[chunk] as Key[]).length }
  }

  /** The key at `position`, which moves to the next chunk if its own is used up. Undefined past the end. */
  keyAt(position: IndexPosition): Key | undefined {
    let keys = this.chunks[position.chunk] as Key[]
    while (position.at >= keys.length) {
      const next = this.chunks[position.chunk + 1]
      if (next === undefined) return undefined
      keys = next
      position.chunk++
      position.at = 0
    }
    return keys[position.at]
  }

  /** The key before `position`, which moves to the chunk that holds it. Undefined at the start. */
  keyBefore(position: IndexPosition): Key | undefined {
    while (position.at === 0) {
      const previous = this.chunks[position.chunk - 1]
      if (previous === undefined) return undefined
      position.chunk--
      position.at = previous.length
    }
    return (this.chunks[position.chunk] as Key[])[position.at - 1]
  }

  private joined(key: Key): void {
    this.indexVersion++
    if (this.pending.push(key) > PENDING_KEYS_MAX) this.fold()
  }

  // Sorts what is pending into the chunks: one run of neighbours at a time, so that a chunk is merged once per fold.
  private fold(): void {
    const keys = this.pending
    if (keys.length === 0) return
    this.pending = []
    if (keys.length > 1) keys.sort()
    let chunk = 0
    for (let start = 0; start < keys.length; ) {
      chunk = this.chunkOf(keys[start] as Key, chunk)
      const high = this.lows[chunk + 1]
      let end = start + 1
      while (end < keys.length && (high === undefined || (keys[end] as Key) < high)) end++
      this.mergeRun(chunk, keys, start, end)
      start = end
    }
  }

  private mergeRun(index: number, keys: Key[], start: number, end: number): void {
    const chunk = this.chunks[index] as Key[]
    // Finding the place of each is cheaper than a look at every key that is there, as long as they are few.
    if (end - start <= Math.max(4, chunk.length >>> 4)) {
      for (let i = start; i < end; i++) chunk.splice(lowerBound(chunk, keys[i] as Key), 0, keys[i] as Key)
      if (chunk.length > CHUNK_KEYS_MAX) this.split(index, chunk)
      return
    }
    const merged = mergeSorted(chunk, keys, start, end)
    this.chunks[index] = merged
    if (merged.length > CHUNK_KEYS_MAX) this.split(index, merged)
  }

  // All but the last piece are filled to CHUNK_KEYS_FRESH, which suits keys that arrive in ascending order.
  private split(index: number, keys: Key[]): void {
    const pieces: Key[][] = []
    for (let at = 0; at < keys.length; at += CHUNK_KEYS_FRESH) pieces.push(keys.slice(at, at + CHUNK_KEYS_FRESH))
    const lows = pieces.map((piece) => piece[0] as Key)
    lows[0] = this.lows[index] as Key
    this.chunks.splice(index, 1, ...pieces)
    this.lows.splice(index, 1, ...lows)
  }

  // `hint` is a chunk at or before the right one; the right one is often it or the next.
  private chunkOf(key: Key, hint: number): number {
    const lows = this.lows
    let low = hint
    let high = lows.length
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if ((lows[middle] as Key) <= key) low = middle
      else high = middle
    }
    return low
  }
}

/** A place in the index of a WriteTable, between two keys. Valid while the version of the table stays. */
export interface IndexPosition {
  chunk: number
  at: number
}

function lowerBound(keys: readonly Key[], key: Key): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((keys[middle] as Key) < key) low = middle + 1
    else high = middle
  }
  return low
}

function mergeSorted(chunk: readonly Key[], keys: readonly Key[], start: number, end: number): Key[] {
  const merged: Key[] = []
  let i = 0
  for (let j = start; j < end; j++) {
    const key = keys[j] as Key
    while (i < chunk.length && (chunk[i] as Key) < key) merged.push(chunk[i++] as Key)
    merged.push(key)
  }
  while (i < chunk.length) merged.push(chunk[i++] as Key)
  return merged
}
