// Reads jute, ZooKeeper's record format, in place out of a chunk. Knows the primitive types only; records are in
// wire-requests.ts, handshake.ts and client-messages.ts.
//
// Measured on Node 20 (median ns): an int from four bytes 8 (readInt32BE 25, DataView 19); a string of 5 to 60 bytes with
// utf8Slice 54-66, with latin1Slice 55-60, with a check for ASCII before latin1Slice 55-120, char by char 36-330. So strings
// simply take utf8Slice: any check in JavaScript costs more than it could save. A whole request with a path of 19 bytes, from
// socket chunk to record, splitting included: get 90, set of 100 bytes 200, create of 100 bytes with the open ACL 220.

import { NULL_VALUE, TRUNCATED, UNREASONABLE_LENGTH } from './marshalling-error.ts'

/** ZooKeeper's default of `jute.maxbuffer`: the longest frame that a server accepts. */
export const FRAME_BYTES_MAX_DEFAULT = 0xfffff

/** ZooKeeper's least `zookeeper.jute.maxbuffer.extrasize`. */
const EXTRA_BYTES_MIN = 1024

const POWER_32 = 0x1_0000_0000
const EMPTY = Buffer.alloc(0)

/**
 * A cursor over one frame. One instance serves a whole connection (or server): `reset` points it at the next frame.
 *
 * Every method throws a `MarshallingError` instead of reading at or past `end`, and nothing else. After a throw the cursor
 * stands anywhere inside the frame. Allocates nothing but what it returns, and never more than the frame is long.
 */
export class JuteReader {
  private source: Buffer = EMPTY
  private cursor = 0
  private limit = 0
  private readonly lengthMax: number

  /** Strings and buffers longer than `frameBytesMax` and `extraBytes` together are refused, as ZooKeeper does. */
  constructor(frameBytesMax = FRAME_BYTES_MAX_DEFAULT, extraBytes = frameBytesMax) {
    this.lengthMax = frameBytesMax + Math.max(extraBytes, EXTRA_BYTES_MIN)
  }

  /** Points the reader at `[start, end)` of `source`, which must not change while views of it are in use. Returns itself. */
  reset(source: Buffer, start: number, end: number): this {
    this.source = source
    this.cursor = start
    this.limit = Math.min(end, source.length)
    return this
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.limit - this.cursor
  }

  /** Where the next field starts in the source. */
  get position(): number {
    return this.cursor
  }

  /** One byte; anything but zero is true. */
  bool(): boolean {
    const at = this.cursor
    if (at >= this.limit) throw TRUNCATED
    this.cursor = at + 1
    return this.source[at] !== 0
  }

  int32(): number {
    const at = this.cursor
    if (at + 4 > this.limit) throw TRUNCATED
    const source = this.source
    this.cursor = at + 4
    return (source[at]! << 24) | (source[at + 1]! << 16) | (source[at + 2]! << 8) | source[at + 3]!
  }

  /**
   * A signed 64-bit integer as a number. Exact for safe integers. Others are rounded, but never into the safe range, and keep
   * their order: so comparing with our own zxids and session ids, which are safe integers, gives the right answer.
   */
  int64(): number {
    const high = this.int32()
    return high * POWER_32 + (this.int32() >>> 0)
  }

  /** A signed 64-bit integer, exact whatever it is. For clients, which must send back a foreign session id. */
  bigint64(): bigint {
    const at = this.cursor
    if (at + 8 > this.limit) throw TRUNCATED
    this.cursor = at + 8
    return this.source.readBigInt64BE(at)
  }

  /** A string; malformed UTF-8 becomes U+FFFD. Null is an error. */
  string(): string {
    const text = this.nullableString()
    if (text === null) throw NULL_VALUE
    return text
  }

  /** A string or null; malformed UTF-8 becomes U+FFFD. */
  nullableString(): string | null {
    const length = this.length()
    if (length <= 0) return length === 0 ? '' : null
    const start = this.cursor
    this.cursor = start + length
    return this.source.utf8Slice(start, start + length)
  }

  /** Bytes or null, as a view of the source: whoever keeps it for long should copy it, since it keeps the whole chunk alive. */
  bytes(): Buffer | null {
    const length = this.length()
    if (length <= 0) return length === 0 ? EMPTY : null
    const start = this.cursor
    this.cursor = start + length
    return this.source.subarray(start, start + length)
  }

  /** Passes over bytes without making a view (which costs some 60 ns): their length, -1 for null; they end at `position`. */
  skipBytes(): number {
    const length = this.length()
    if (length > 0) this.cursor += length
    return length
  }

  /** Passes over `expected` if those are the next bytes; else stays. */
  skipIfNext(expected: Uint8Array): boolean {
    const at = this.cursor
    const size = expected.length
    if (size > this.limit - at) return false
    for (let i = 0; i < size; i++) if (this.source[at + i] !== expected[i]) return false
    this.cursor = at + size
    return true
  }

  /**
   * The item count of a vector: -1 for null, 0 for what is below (ZooKeeper takes it for empty). Refuses a count whose items,
   * of at least `itemBytesMin` each, can't fit into the rest of the frame, before anything is allocated for them.
   */
  count(itemBytesMin: number): number {
    const count = this.int32()
    if (count < 0) return count === -1 ? -1 : 0
    if (count > this.remaining / itemBytesMin) throw TRUNCATED
    return count
  }

  /** A vector of strings, null taken as empty. A null item is an error. */
  strings(): string[] {
    const texts: string[] = []
    for (let left = this.count(4); left > 0; left--) texts.push(this.string())
    return texts
  }

  /** The length before a string or buffer, of which at least that many bytes follow; -1 for null. */
  private length(): number {
    const length = this.int32()
    if (length < 0) {
      if (length === -1) return -1
      throw UNREASONABLE_LENGTH
    }
    if (length > this.limit - this.cursor) throw length > this.lengthMax ? UNREASONABLE_LENGTH : TRUNCATED
    if (length > this.lengthMax) throw UNREASONABLE_LENGTH
    return length
  }
}
