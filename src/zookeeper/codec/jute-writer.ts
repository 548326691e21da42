// Writes jute records as frames into one growing buffer per connection, so that all replies of a tick leave in one socket
// write. Knows the primitive types only; records are in replies.ts, handshake.ts and client-messages.ts.

import { assert } from '../../base/assert.ts'

const FIRST_BYTES_MIN = 256
const FIRST_BYTES_MAX = 64 * 1024

// Below this length a string is written char by char; from here on the fixed cost of utf8Write (some 55 ns) is lower.
const SHORT_STRING_CHARS = 14

const POWER_32 = 0x1_0000_0000
const EMPTY = Buffer.alloc(0)

/**
 * Appends frames. The buffer doubles when full. `take` hands everything over to the caller, and the next buffer starts at
 * the size that was last needed; an idle writer holds no memory.
 */
export class JuteWriter {
  private target: Buffer = EMPTY
  private length = 0
  private frameStart = -1
  private firstBytes = FIRST_BYTES_MIN
  /** Bytes of the last frame that was ended, its length field not counted. */
  lastFrameBytes = 0

  /** Bytes written and not taken, those of an open frame included. */
  get size(): number {
    return this.length
  }

  /** Opens a frame: leaves room for its length. Frames do not nest. */
  beginFrame(): void {
    assert(this.frameStart < 0, 'a frame is open already')
    this.reserve(4)
    this.frameStart = this.length
    this.length += 4
  }

  /** Closes the frame by writing its length in front of it. */
  endFrame(): void {
    const start = this.frameStart
    assert(start >= 0, 'no frame is open')
    this.frameStart = -1
    this.lastFrameBytes = this.length - start - 4
    this.putInt32(start, this.lastFrameBytes)
  }

  /** Forgets the open frame, and what was written of it. */
  dropFrame(): void {
    assert(this.frameStart >= 0, 'no frame is open')
    this.length = this.frameStart
    this.frameStart = -1
  }

  bool(value: boolean): void {
    this.reserve(1)
    this.target[this.length++] = value ? 1 : 0
  }

  int32(value: number): void {
    this.reserve(4)
    this.putInt32(this.length, value)
    this.length += 4
  }

  /** A safe integer as 64 bits. */
  int64(value: number): void {
    this.reserve(8)
    this.putInt32(this.length, Math.floor(value / POWER_32))
    this.putInt32(this.length + 4, value)
    this.length += 8
  }

  /** Any 64-bit integer, of which the low 64 bits are taken. For clients, which must send back a foreign session id. */
  bigint64(value: bigint): void {
    this.reserve(8)
    this.length = this.target.writeBigInt64BE(BigInt.asIntN(64, value), this.length)
  }

  string(value: string | null): void {
    if (value === null) {
      this.int32(-1)
      return
    }
    const chars = value.length
    this.reserve(4 + chars * 3)
    const start = this.length + 4
    const written = chars < SHORT_STRING_CHARS ? this.putShort(value, start) : this.target.utf8Write(value, start)
    this.putInt32(this.length, written)
    this.length = start + written
  }

  /** Bytes, copied, or null. */
  bytes(value: Uint8Array | null): void {
    if (value === null) {
      this.int32(-1)
      return
    }
    const size = value.length
    this.reserve(4 + size)
    this.putInt32(this.length, size)
    this.target.set(value, this.length + 4)
    this.length += 4 + size
  }

  /** A vector of strings. Other vectors: `int32(count)`, then the items; -1 is null. */
  strings(values: readonly string[]): void {
    this.int32(values.length)
    for (const value of values) this.string(value)
  }

  /**
   * Everything written since the last take, without a copy: it belongs to the caller, for whom it never changes. Empty if
   * nothing was written. No frame may be open.
   */
  take(): Buffer {
    assert(this.frameStart < 0, 'a frame is open')
    const size = this.length
    if (size === 0) return EMPTY
    const taken = this.target.subarray(0, size)
    this.firstBytes = size <= FIRST_BYTES_MIN ? FIRST_BYTES_MIN : Math.min(FIRST_BYTES_MAX, powerOf2AtLeast(size))
    this.target = EMPTY
    this.length = 0
    return taken
  }

  /** Forgets everything that was not taken. */
  reset(): void {
    this.target = EMPTY
    this.length = 0
    this.frameStart = -1
  }

  private putInt32(at: number, value: number): void {
    const target = this.target
    // Once, since most values come out of 64-bit fields as doubles.
    const bits = value | 0
    target[at] = bits >>> 24
    target[at + 1] = bits >>> 16
    target[at + 2] = bits >>> 8
    target[at + 3] = bits
  }

  /** Writes a short string at `start` and returns its bytes. There is room for three bytes a char. */
  private putShort(value: string, start: number): number {
    const target = this.target
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i)
      if (code > 0x7f) return target.utf8Write(value, start)
      target[start + i] = code
    }
    return value.length
  }

  private reserve(bytes: number): void {
    if (this.length + bytes > this.target.length) this.grow(this.length + bytes)
  }

  private grow(needed: number): void {
    const doubled = this.target.length === 0 ? this.firstBytes : this.target.length * 2
    // Buffers of less than 4 KiB come out of Node's shared pool, which makes a tick with a single reply cheap.
    const grown = Buffer.allocUnsafe(Math.max(needed, doubled))
    grown.set(this.length === 0 ? EMPTY : this.target.subarray(0, this.length))
    this.target = grown
  }
}

function powerOf2AtLeast(size: number): number {
  return 2 ** (32 - Math.clz32(size - 1))
}
