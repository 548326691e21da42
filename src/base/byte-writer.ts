// A growing byte buffer for our own formats (log entries, store records). Big-endian fixed ints, LEB128 varints.

import { assert } from './assert.ts'

const POWER_32 = 0x1_0000_0000
// Calls out of JavaScript cost more than copying so few.
const COPIED_CHARS_MAX = 32
const COPIED_BYTES_MAX = 32

/** Writes sequentially into one buffer that doubles when full. Reusable: `reset()` keeps the buffer. */
export class ByteWriter {
  private buffer: Buffer
  private length = 0

  constructor(initialBytes = 256) {
    this.buffer = Buffer.allocUnsafeSlow(initialBytes)
  }

  /** Bytes written so far. */
  get size(): number {
    return this.length
  }

  u8(value: number): void {
    this.reserve(1)
    this.buffer[this.length++] = value
  }

  u32(value: number): void {
    this.reserve(4)
    this.length = this.buffer.writeUInt32BE(value >>> 0, this.length)
  }

  i32(value: number): void {
    this.reserve(4)
    this.length = this.buffer.writeInt32BE(value | 0, this.length)
  }

  /** A non-negative safe integer in 8 bytes, big-endian, so that byte order is numeric order. */
  u64(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) assert(false, `u64 out of range: ${value}`)
    this.reserve(8)
    this.buffer.writeUInt32BE(Math.floor(value / POWER_32), this.length)
    this.length = this.buffer.writeUInt32BE(value % POWER_32, this.length + 4)
  }

  /** An IEEE double in 8 bytes. */
  f64(value: number): void {
    this.reserve(8)
    this.length = this.buffer.writeDoubleBE(value, this.length)
  }

  /** A non-negative safe integer in 1 to 8 bytes. */
  varint(value: number): void {
    this.reserve(8)
    let rest = value
    while (rest >= 0x80) {
      this.buffer[this.length++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.buffer[this.length++] = rest
  }

  /** Length as varint, then the bytes (copied). */
  bytes(value: Uint8Array): void {
    this.varint(value.length)
    this.raw(value)
  }

  /** Bytes without a length (copied). */
  raw(value: Uint8Array): void {
    const { length } = value
    this.reserve(length)
    if (length > COPIED_BYTES_MAX) {
      this.buffer.set(value, this.length)
      this.length += length
      return
    }
    for (let i = 0; i < length; i++) this.buffer[this.length++] = value[i] as number
  }

  /** As `bytes`, of what another writer holds. */
  bytesOf(other: ByteWriter): void {
    this.varint(other.length)
    this.reserve(other.length)
    this.length += other.buffer.copy(this.buffer, this.length, 0, other.length)
  }

  /** UTF-8 with its byte length as varint. */
  string(value: string): void {
    const chars = value.length
    if (chars < 0x80) {
      // Short strings are nearly always ASCII: write them behind a one-byte length, and fall back when they were not.
      this.reserve(1 + chars * 3)
      if (chars <= COPIED_CHARS_MAX && this.copied(value, chars)) return
      const written = this.buffer.utf8Write(value, this.length + 1)
      if (written < 0x80) {
        this.buffer[this.length] = written
        this.length += 1 + written
        return
      }
    }
    const size = Buffer.byteLength(value)
    this.varint(size)
    this.reserve(size)
    this.length += this.buffer.utf8Write(value, this.length)
  }

  /** A byte string as `Key` holds it: its length as varint, one byte a code unit. */
  key(value: string): void {
    const chars = value.length
    this.varint(chars)
    this.reserve(chars)
    if (chars > COPIED_CHARS_MAX) {
      this.length += this.buffer.latin1Write(value, this.length, chars)
      return
    }
    for (let i = 0; i < chars; i++) this.buffer[this.length++] = value.charCodeAt(i)
  }

  /** A copy of what was written; the writer can be reset and reused. */
  toBytes(): Buffer {
    const { buffer, length } = this
    const bytes = Buffer.allocUnsafe(length)
    if (length > COPIED_BYTES_MAX) {
      buffer.copy(bytes, 0, 0, length)
      return bytes
    }
    for (let i = 0; i < length; i++) bytes[i] = buffer[i] as number
    return bytes
  }

  /** As `toBytes`, for what stays in JavaScript and is below 64 bytes: V8 keeps that in its own heap, for less than a Buffer costs. */
  toSmall(): Uint8Array {
    const { buffer, length } = this
    const bytes = new Uint8Array(length)
    for (let i = 0; i < length; i++) bytes[i] = buffer[i] as number
    return bytes
  }

  /** What was written, not copied: valid until the next write or reset. */
  peek(): Buffer {
    return this.buffer.subarray(0, this.length)
  }

  /** Hands the buffer over without a copy; the writer starts anew with a fresh buffer of `nextBytes`. */
  take(nextBytes = 256): Buffer {
    const taken = this.buffer.subarray(0, this.length)
    this.buffer = Buffer.allocUnsafeSlow(nextBytes)
    this.length = 0
    return taken
  }

  reset(): void {
    this.length = 0
  }

  /** True if it was short and ASCII, and is written. */
  private copied(value: string, chars: number): boolean {
    const { buffer } = this
    const start = this.length + 1
    for (let i = 0; i < chars; i++) {
      const code = value.charCodeAt(i)
      if (code >= 0x80) return false
      buffer[start + i] = code
    }
    buffer[this.length] = chars
    this.length = start + chars
    return true
  }

  private reserve(bytes: number): void {
    const needed = this.length + bytes
    if (needed <= this.buffer.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2))
    this.buffer.copy(grown, 0, 0, this.length)
    this.buffer = grown
  }
}
