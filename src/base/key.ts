// Keys of the ordered byte map: byte strings held as JavaScript strings, and order-preserving tuples of fields.

import { assert } from './assert.ts'

/**
 * A byte string as a JavaScript string of code units 0 to 255, one per byte. `<` on such strings is the order of the bytes,
 * they hash and compare without conversion, and an ASCII text is its own key.
 */
export type Key = string

const ASCII = /^[\x00-\x7f]*$/
const POWER_32 = 0x1_0000_0000

/** The UTF-8 bytes of a text as a key fragment. Free for ASCII. */
export function keyText(text: string): Key {
  return ASCII.test(text) ? text : Buffer.from(text, 'utf8').latin1Slice(0, Buffer.byteLength(text))
}

/** The text of a fragment that `keyText` made. */
export function textOfKey(fragment: Key): string {
  return ASCII.test(fragment) ? fragment : Buffer.from(fragment, 'latin1').toString('utf8')
}

/** A non-negative safe integer in 8 bytes whose order is numeric order. */
export function keyUint(value: number): Key {
  if (!Number.isSafeInteger(value) || value < 0) assert(false, `key integer out of range: ${value}`)
  const high = Math.floor(value / POWER_32)
  const low = value % POWER_32
  return (
    String.fromCharCode(high >>> 24, (high >>> 16) & 255, (high >>> 8) & 255, high & 255) +
    String.fromCharCode(low >>> 24, (low >>> 16) & 255, (low >>> 8) & 255, low & 255)
  )
}

/** Reads an integer that `keyUint` wrote at `offset`. */
export function uintOfKey(key: Key, offset = 0): number {
  let value = 0
  for (let i = offset; i < offset + 8; i++) value = value * 256 + key.charCodeAt(i)
  return value
}

/** The bytes of a key, copied. */
export function keyToBytes(key: Key): Buffer {
  return Buffer.from(key, 'latin1')
}

/** The key of these bytes. */
export function keyOfBytes(bytes: Uint8Array): Key {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return buffer.latin1Slice(0, buffer.length)
}

/** The first key after all keys that start with `prefix`; undefined if there is none (prefix is empty or all 0xff). */
export function keyAfterPrefix(prefix: Key): Key | undefined {
  for (let i = prefix.length - 1; i >= 0; i--) {
    const unit = prefix.charCodeAt(i)
    if (unit < 255) return prefix.slice(0, i) + String.fromCharCode(unit + 1)
  }
  return undefined
}

/** A field of an order-preserving tuple. */
export type TupleField = string | number | boolean | Uint8Array

const TAG_FALSE = '\x01'
const TAG_TRUE = '\x02'
const TAG_UINT = '\x03'
const TAG_TEXT = '\x04'
const TAG_BYTES = '\x05'

/** Packs fields so that packed keys sort as the tuples do, field by field. Numbers are non-negative safe integers. */
export function packTuple(...fields: readonly TupleField[]): Key {
  let packed = ''
  for (const field of fields) {
    if (typeof field === 'string') packed += `${TAG_TEXT}${escapeZero(keyText(field))}\x00`
    else if (typeof field === 'number') packed += TAG_UINT + keyUint(field)
    else if (typeof field === 'boolean') packed += field ? TAG_TRUE : TAG_FALSE
    else packed += `${TAG_BYTES}${escapeZero(keyOfBytes(field))}\x00`
  }
  return packed
}

/** Reads back what `packTuple` packed, starting at `offset`. */
export function unpackTuple(key: Key, offset = 0): TupleField[] {
  const fields: TupleField[] = []
  let at = offset
  while (at < key.length) {
    const tag = key.charAt(at++)
    if (tag === TAG_FALSE || tag === TAG_TRUE) fields.push(tag === TAG_TRUE)
    else if (tag === TAG_UINT) {
      fields.push(uintOfKey(key, at))
      at += 8
    } else {
      assert(tag === TAG_TEXT || tag === TAG_BYTES, `unknown tuple tag at ${at - 1}`)
      const end = endOfEscaped(key, at)
      const raw = key.slice(at, end).replaceAll('\x00\xff', '\x00')
      fields.push(tag === TAG_TEXT ? textOfKey(raw) : new Uint8Array(keyToBytes(raw)))
      at = end + 1
    }
  }
  return fields
}

// A zero byte inside becomes 00 ff and the field ends with a 00 that no ff follows, so shorter sorts before longer.
function escapeZero(raw: Key): Key {
  return raw.includes('\x00') ? raw.replaceAll('\x00', '\x00\xff') : raw
}

function endOfEscaped(key: Key, from: number): number {
  let end = key.indexOf('\x00', from)
  while (end !== -1 && key.charCodeAt(end + 1) === 255) end = key.indexOf('\x00', end + 2)
  assert(end !== -1, 'tuple field without end')
  return end
}
