// Reads what ByteWriter wrote. Our own stored and sent data: damage is reported as DelosError CORRUPT, never skipped.

import { DelosError } from './delos-error.ts'

const POWER_32 = 0x1_0000_0000

/** Strings of `name`, at most so many and so long: a newer one takes the place of another. */
const KNOWN_SLOTS = 256
const KNOWN_CHARS_MAX = 64
const known: string[] = new Array<string>(KNOWN_SLOTS).fill('')

/** Reads sequentially out of one byte array; slices are views, not copies. */
export class ByteReader {
  private readonly buffer: Buffer
  private offset: number
  private readonly end: number

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.offset = start
    this.end = end
  }

  get position(): number {
    return this.offset
  }

  get remaining(): number {
    return this.end - this.offset
  }

  u8(): number {
    this.need(1)
    return this.buffer[this.offset++] as number
  }

  u32(): number {
    this.need(4)
    const value = this.buffer.readUInt32BE(this.offset)
    this.offset += 4
    return value
  }

  i32(): number {
    this.need(4)
    const value = this.buffer.readInt32BE(this.offset)
    this.offset += 4
    return value
  }

  u64(): number {
    this.need(8)
    const value = this.buffer.readUInt32BE(this.offset) * POWER_32 + this.buffer.readUInt32BE(this.offset + 4)
    if (!Number.isSafeInteger(value)) throw new DelosError('CORRUPT', `integer out of range at byte ${this.offset}`)
    this.offset += 8
    return value
  }

  f64(): number {
    this.need(8)
    const value = this.buffer.readDoubleBE(this.offset)
    this.offset += 8
    return value
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) break
      scale *= 0x80
      if (scale > Number.MAX_SAFE_INTEGER) throw new DelosError('CORRUPT', `varint too long at byte ${this.offset}`)
    }
    if (value > Number.MAX_SAFE_INTEGER) throw new DelosError('CORRUPT', `varint out of range at byte ${this.offset}`)
    return value
  }

  /** A view of a length-prefixed byte string. */
  bytes(): Buffer {
    return this.raw(this.varint())
  }

  /** A view of the next `length` bytes. */
  raw(length: number): Buffer {
    this.need(length)
    const start = this.offset
    this.offset += length
    return this.buffer.subarray(start, this.offset)
  }

  /** Passes over the next `length` bytes. */
  skip(length: number): void {
    this.need(length)
    this.offset += length
  }

  string(): string {
    const length = this.varint()
    this.need(length)
    const start = this.offset
    this.offset += length
    return this.buffer.utf8Slice(start, this.offset)
  }

  /** A byte string as `Key` holds it. */
  key(): string {
    const length = this.varint()
    this.need(length)
    const start = this.offset
    this.offset += length
    return this.buffer.latin1Slice(start, this.offset)
  }

  /** As `string`, for one that is read again and again, such as a name: then it costs no allocation, and no hashing in a map. */
  name(): string {
    const length = this.varint()
    this.need(length)
    const start = this.offset
    this.offset += length
    return knownString(this.buffer, start, this.offset)
  }

  private need(bytes: number): void {
    if (bytes > this.end - this.offset) {
      throw new DelosError('CORRUPT', `${bytes} bytes expected at byte ${this.offset}, ${this.end - this.offset} left`)
    }
  }
}

function knownString(buffer: Buffer, start: number, end: number): string {
  const length = end - start
  if (length === 0 || length > KNOWN_CHARS_MAX) return buffer.utf8Slice(start, end)
  const slot = (length * 7 + (buffer[start] as number) * 31 + (buffer[end - 1] as number)) % KNOWN_SLOTS
  const candidate = known[slot] as string
  if (isAt(candidate, buffer, start, length)) return candidate
  // Two names of one slot, such as an engine's and a server's id, would else drive each other out at every entry.
  const second = known[slot ^ 1] as string
  if (isAt(second, buffer, start, length)) return second
  const text = buffer.utf8Slice(start, end)
  // As long as its bytes are many: ASCII. As a property name it becomes the one copy that literals are, too.
  if (text.length === length) {
    known[slot ^ 1] = candidate
    known[slot] = Object.keys({ [text]: 0 })[0] as string
  }
  return text
}

function isAt(text: string, buffer: Buffer, start: number, length: number): boolean {
  if (text.length !== length) return false
  for (let at = 0; at < length; at++) if (text.charCodeAt(at) !== buffer[start + at]) return false
  return true
}
