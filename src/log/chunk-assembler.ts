// Puts chunked entries together again for readers, and knows which open sets trimming must not split. What it holds is a
// cache: a set that is not here is read again from the log, so readers may start anywhere.

import { CHUNK_SPAN_MAX, type Chunk } from './chunk-codec.ts'
import type { LogPos } from './position.ts'

// Sets whose extent is remembered for trimming. Past it the oldest are taken as unknown, which only makes trimming careful.
const EXTENTS_MAX = 10_000

/** Where a set lies. `last` is undefined until its last chunk was seen; that may be in the log more than once. */
interface Extent {
  readonly first: LogPos
  last: LogPos | undefined
}

interface PartialSet {
  readonly parts: Map<number, Uint8Array>
  bytes: number
}

export class ChunkAssembler {
  private readonly bytesMax: number
  private readonly sets = new Map<string, PartialSet>()
  private bytes = 0
  /** Everything in [coveredFrom, frontier) was seen, in order. */
  private coveredFrom = 0
  private frontier = 0
  /** Sets seen in that range and not yet trimmed, in order of their first position. */
  private readonly extents = new Map<string, Extent>()

  /** Parts past `bytesMax` in all are dropped, oldest set first. */
  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** Notes that a reader goes on from `from`. Readers behind the frontier change nothing. */
  beginRead(from: LogPos): void {
    if (from <= this.frontier) return
    this.coveredFrom = from
    this.frontier = from
    this.extents.clear()
  }

  /** Notes that a reader came to `next`. */
  endRead(next: LogPos): void {
    this.frontier = Math.max(this.frontier, next)
  }

  /** Takes a part; call between `beginRead` and `endRead` of the range that it lies in. */
  notePart(chunk: Chunk, pos: LogPos): void {
    if (pos >= this.frontier && !this.extents.has(chunk.set)) this.noteExtent(chunk.set, pos)
    const set = this.sets.get(chunk.set) ?? { parts: new Map(), bytes: 0 }
    if (set.parts.has(chunk.index)) return
    this.sets.set(chunk.set, set)
    set.parts.set(chunk.index, chunk.bytes)
    set.bytes += chunk.bytes.length
    this.bytes += chunk.bytes.length
    for (const id of this.sets.keys()) {
      if (this.bytes <= this.bytesMax) break
      this.drop(id)
    }
  }

  /** The whole entry, which ends at `pos`, if all of its parts are here; the set is done with. */
  take(last: Chunk, pos: LogPos): Uint8Array | undefined {
    const extent = this.extents.get(last.set)
    if (extent && !(extent.last !== undefined && extent.last > pos)) extent.last = pos
    const parts = this.sets.get(last.set)?.parts
    const entry = parts && joinChunks(parts, last)
    this.drop(last.set)
    return entry
  }

  /**
   * The highest position up to which [segmentStart, limit) can be trimmed without splitting a set whose entry lies at or
   * past `limit`, where some reader may still be. What was not seen is assumed to hold a set of the longest span.
   */
  trimBound(limit: LogPos, segmentStart: LogPos): LogPos {
    let bound = limit
    const reach = Math.max(segmentStart, limit - CHUNK_SPAN_MAX) as LogPos
    if (reach < this.coveredFrom || limit > this.frontier) bound = reach
    for (const [set, { first, last }] of this.extents) {
      // Wholly below the limit, and too long for its last chunk to come (again: a retried append may be there twice).
      const isDone = this.frontier - first > CHUNK_SPAN_MAX && (last === undefined || last < limit)
      if (isDone) this.extents.delete(set)
      else if (first >= segmentStart && first < bound) bound = first
    }
    return bound
  }

  private noteExtent(set: string, first: LogPos): void {
    this.extents.set(set, { first, last: undefined })
    for (const [oldest, extent] of this.extents) {
      if (this.extents.size <= EXTENTS_MAX) break
      this.extents.delete(oldest)
      this.coveredFrom = Math.max(this.coveredFrom, extent.first + 1)
    }
  }

  private drop(id: string): void {
    this.bytes -= this.sets.get(id)?.bytes ?? 0
    this.sets.delete(id)
  }
}

/** The entry of a set, or undefined while a part is missing. */
export function joinChunks(parts: ReadonlyMap<number, Uint8Array>, last: Chunk): Uint8Array | undefined {
  const chunks: Uint8Array[] = []
  for (let i = 0; i < last.index; i++) {
    const part = parts.get(i)
    if (!part) return undefined
    chunks.push(part)
  }
  return Buffer.concat([...chunks, last.bytes])
}

/** Whether the set that ends with `last` at `pos` is one: its first chunk is in the segment and near enough. */
export function isValidSet(last: Chunk, pos: LogPos, segmentStart: LogPos): boolean {
  return (
    last.first !== undefined && last.first >= segmentStart && last.first < pos && pos - last.first <= CHUNK_SPAN_MAX
  )
}
