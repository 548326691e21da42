// Cuts a stream of socket chunks into frames: a 4-byte length, then that many bytes. Knows nothing of what is in them.

import { FRAME_BYTES_MAX_DEFAULT } from './jute-reader.ts'

/** Gets each frame's body as `[start, end)` of `source`. Returns false to stop for now: `resume` goes on with the next one. */
export type FrameHandler = (source: Buffer, start: number, end: number) => boolean

/**
 * - `drained`: all complete frames were handed over
 * - `stopped`: the handler returned false; frames may be left
 * - `negative`, `too-long`: a frame announces the impossible `length`. Final: nothing behind it can be understood.
 */
export type SplitOutcome =
  | { readonly kind: 'drained' }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'negative' | 'too-long'; readonly length: number }

const DRAINED: SplitOutcome = { kind: 'drained' }
const STOPPED: SplitOutcome = { kind: 'stopped' }
const EMPTY = Buffer.alloc(0)
const LENGTH_BYTES = 4
const PARTIAL_BYTES_MIN = 256

/**
 * Holds what came after the last complete frame. A frame that lies within one chunk is handed over in place; of a frame that
 * spans chunks each byte is copied at most twice on average, however small the chunks are. Memory held is at most twice what
 * was received of one frame (and 256 bytes), whatever length it announces. Views that a handler keeps stay valid.
 */
export class FrameSplitter {
  private readonly frameBytesMax: number
  // The chunk being cut, from `offset` on; empty but inside `push` and `resume`, and after a stop.
  private chunk: Buffer = EMPTY
  private offset = 0
  // The beginning of a frame whose end has not come yet, its length included.
  private partial: Buffer = EMPTY
  private partialBytes = 0
  private failure: SplitOutcome | undefined

  /** Frames with bodies longer than `frameBytesMax` are refused. */
  constructor(frameBytesMax = FRAME_BYTES_MAX_DEFAULT) {
    this.frameBytesMax = frameBytesMax
  }

  /** Bytes received and not yet handed over. */
  get pendingBytes(): number {
    return this.partialBytes + this.chunk.length - this.offset
  }

  /**
   * Takes a chunk, which must not change any more, and hands over every frame that it completes. After a stop the chunk is
   * appended to what is left: so the caller should have paused the socket. Not to be called by the handler.
   */
  push(chunk: Buffer, onFrame: FrameHandler): SplitOutcome {
    if (this.failure !== undefined) return this.failure
    this.chunk = this.offset < this.chunk.length ? Buffer.concat([this.chunk.subarray(this.offset), chunk]) : chunk
    this.offset = 0
    return this.resume(onFrame)
  }

  /** Goes on after a stop. */
  resume(onFrame: FrameHandler): SplitOutcome {
    if (this.failure !== undefined) return this.failure
    if (this.partialBytes > 0 && this.offset < this.chunk.length) {
      const outcome = this.completePartial(onFrame)
      if (outcome !== undefined) return outcome
    }
    return this.cutChunk(onFrame)
  }

  private cutChunk(onFrame: FrameHandler): SplitOutcome {
    const chunk = this.chunk
    const size = chunk.length
    let at = this.offset
    while (size - at >= LENGTH_BYTES) {
      const length = chunk.readInt32BE(at)
      if (length < 0 || length > this.frameBytesMax) return this.fail(length)
      const start = at + LENGTH_BYTES
      if (length > size - start) break
      at = start + length
      this.offset = at
      if (!onFrame(chunk, start, at)) return STOPPED
    }
    if (at < size) this.takeIntoPartial(size - at)
    this.releaseChunk()
    return DRAINED
  }

  /** Fills the partial frame up from the chunk; undefined if the frame was completed and the handler wants more. */
  private completePartial(onFrame: FrameHandler): SplitOutcome | undefined {
    if (this.partialBytes < LENGTH_BYTES) this.takeIntoPartial(LENGTH_BYTES - this.partialBytes)
    if (this.partialBytes < LENGTH_BYTES) return this.releaseChunk()
    const length = this.partial.readInt32BE(0)
    if (length < 0 || length > this.frameBytesMax) return this.fail(length)
    const total = LENGTH_BYTES + length
    this.takeIntoPartial(total - this.partialBytes)
    if (this.partialBytes < total) return this.releaseChunk()
    const frame = this.partial
    this.partial = EMPTY
    this.partialBytes = 0
    return onFrame(frame, LENGTH_BYTES, total) ? undefined : STOPPED
  }

  /** Moves up to `wanted` bytes from the chunk to the end of the partial frame. */
  private takeIntoPartial(wanted: number): void {
    const taken = Math.min(wanted, this.chunk.length - this.offset)
    const needed = this.partialBytes + taken
    if (needed > this.partial.length) this.growPartial(needed)
    this.chunk.copy(this.partial, this.partialBytes, this.offset, this.offset + taken)
    this.partialBytes = needed
    this.offset += taken
  }

  // Doubling follows what was really received, so that announcing a megabyte and sending nothing costs the sender more
  // than it costs the server.
  private growPartial(needed: number): void {
    const grown = Buffer.allocUnsafe(Math.max(needed, PARTIAL_BYTES_MIN, this.partial.length * 2))
    this.partial.copy(grown, 0, 0, this.partialBytes)
    this.partial = grown
  }

  private releaseChunk(): SplitOutcome {
    this.chunk = EMPTY
    this.offset = 0
    return DRAINED
  }

  private fail(length: number): SplitOutcome {
    this.failure = { kind: length < 0 ? 'negative' : 'too-long', length }
    this.chunk = EMPTY
    this.offset = 0
    this.partial = EMPTY
    this.partialBytes = 0
    return this.failure
  }
}
