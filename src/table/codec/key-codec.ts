// Values as fragments of keys whose byte order is the order of the values, and back. A stored format.
//
//   nullable column   01 null, 02 not null and then the value          null sorts first
//   string, bytes     the bytes, 00 as 00 ff, and 00 01 at the end
//   int64, timestamp  8 bytes, sign bit turned                         microseconds
//   double            8 bytes; sign bit turned, or all if negative
//   bool              00, 01
//   enum              2 bytes, the place in the list of values
//   descending        every byte turned (255 - b)

import { assert, unreachable } from '../../base/assert.ts'
import { DelosError } from '../../base/delos-error.ts'
import { type Key, keyOfBytes, keyText, keyToBytes, textOfKey } from '../../base/key.ts'
import type { ColumnSpec, Value } from '../schema/columns.ts'
import { dateOfMicros } from './check-value.ts'
import { bits, doubleOf, int64Of, loadDouble, loadInt64 } from './int64-bits.ts'

const NULL = '\x01'
const PRESENT = '\x02'
const SIGN = 0x8000_0000
const MICROS = 1000n

/** Where in a key a reader is. */
export interface KeyCursor {
  key: Key
  at: number
}

/** One column of a key. */
export interface KeyPartCodec {
  encode(value: Value): Key
  decode(cursor: KeyCursor): Value
  /** As decode, when nobody wants the value. */
  skip(cursor: KeyCursor): void
}

export function keyPartCodec(spec: ColumnSpec, descending: boolean): KeyPartCodec {
  const plain = spec.nullable ? nullable(codecOf(spec)) : codecOf(spec)
  return descending ? turned(plain) : plain
}

function codecOf(spec: ColumnSpec): KeyPartCodec {
  switch (spec.kind) {
    case 'string':
      return TEXT
    case 'bytes':
      return BYTES
    case 'int64':
      return INT64
    case 'timestamp':
      return spec.micros ? INT64 : DATE
    case 'double':
      return DOUBLE
    case 'bool':
      return BOOL
    case 'enum':
      return enumCodec(spec.values as readonly string[])
    case 'json':
    case 'list':
      throw new DelosError('INVALID_ARGUMENT', `a column of type ${spec.kind} can't be part of a key or an index`)
    default:
      return unreachable(spec.kind)
  }
}

const TEXT: KeyPartCodec = {
  encode: (value) => terminated(keyText(value as string)),
  decode: (cursor) => textOfKey(takeTerminated(cursor)),
  skip: skipTerminated,
}

const BYTES: KeyPartCodec = {
  encode: (value) => terminated(keyOfBytes(value as Uint8Array)),
  decode: (cursor) => new Uint8Array(keyToBytes(takeTerminated(cursor))),
  skip: skipTerminated,
}

const INT64: KeyPartCodec = {
  encode: (value) => int64Key(value as bigint),
  decode: takeInt64,
  skip: (cursor) => {
    cursor.at += 8
  },
}

const DATE: KeyPartCodec = {
  encode: (value) => int64Key(BigInt((value as Date).getTime()) * MICROS),
  decode: (cursor) => dateOfMicros(takeInt64(cursor)),
  skip: INT64.skip,
}

const DOUBLE: KeyPartCodec = {
  encode: (value) => {
    loadDouble(value as number)
    const isNegative = bits.high >= SIGN
    return isNegative ? wordKey(~bits.high) + wordKey(~bits.low) : wordKey(bits.high ^ SIGN) + wordKey(bits.low)
  },
  decode: (cursor) => {
    const high = takeWord(cursor)
    const low = takeWord(cursor)
    return high >= SIGN ? doubleOf((high ^ SIGN) >>> 0, low) : doubleOf(~high >>> 0, ~low >>> 0)
  },
  skip: INT64.skip,
}

const BOOL: KeyPartCodec = {
  encode: (value) => (value ? '\x01' : '\x00'),
  decode: (cursor) => cursor.key.charCodeAt(cursor.at++) === 1,
  skip: (cursor) => {
    cursor.at++
  },
}

function enumCodec(values: readonly string[]): KeyPartCodec {
  const keys = new Map(values.map((value, i) => [value, String.fromCharCode(i >> 8, i & 255)]))
  return {
    encode: (value) => keys.get(value as string) as Key,
    decode: (cursor) => {
      const { key, at } = cursor
      cursor.at = at + 2
      return values[key.charCodeAt(at) * 256 + key.charCodeAt(at + 1)] as string
    },
    skip: (cursor) => {
      cursor.at += 2
    },
  }
}

function nullable(codec: KeyPartCodec): KeyPartCodec {
  return {
    encode: (value) => (value === null ? NULL : PRESENT + codec.encode(value)),
    decode: (cursor) => (cursor.key.charCodeAt(cursor.at++) === 1 ? null : codec.decode(cursor)),
    skip: (cursor) => {
      if (cursor.key.charCodeAt(cursor.at++) !== 1) codec.skip(cursor)
    },
  }
}

/** Descending: the bytes are turned on the way in and out. */
function turned(codec: KeyPartCodec): KeyPartCodec {
  return {
    encode: (value) => turn(codec.encode(value)),
    decode: (cursor) => {
      // A turned text ends with ff fe, where ff 00 stands for a zero byte: what follows does not matter, so turn all of it.
      const inner = { key: turn(cursor.key.slice(cursor.at)), at: 0 }
      const value = codec.decode(inner)
      cursor.at += inner.at
      return value
    },
    skip: (cursor) => {
      const inner = { key: turn(cursor.key.slice(cursor.at)), at: 0 }
      codec.skip(inner)
      cursor.at += inner.at
    },
  }
}

function turn(key: Key): Key {
  const bytes = keyToBytes(key)
  for (let i = 0; i < bytes.length; i++) bytes[i] = 255 - (bytes[i] as number)
  return bytes.latin1Slice(0, bytes.length)
}

function terminated(raw: Key): Key {
  return `${raw.includes('\x00') ? raw.replaceAll('\x00', '\x00\xff') : raw}\x00\x01`
}

function takeTerminated(cursor: KeyCursor): Key {
  const { key, at } = cursor
  skipTerminated(cursor)
  const raw = key.slice(at, cursor.at - 2)
  return raw.includes('\x00') ? raw.replaceAll('\x00\xff', '\x00') : raw
}

function skipTerminated(cursor: KeyCursor): void {
  const { key } = cursor
  let end = key.indexOf('\x00', cursor.at)
  while (end !== -1 && key.charCodeAt(end + 1) === 255) end = key.indexOf('\x00', end + 2)
  assert(end !== -1, 'a key field without end')
  cursor.at = end + 2
}

function int64Key(value: bigint): Key {
  loadInt64(value)
  return wordKey(bits.high ^ SIGN) + wordKey(bits.low)
}

function takeInt64(cursor: KeyCursor): bigint {
  const high = (takeWord(cursor) ^ SIGN) >>> 0
  return int64Of(high, takeWord(cursor))
}

function wordKey(word: number): Key {
  return String.fromCharCode(word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255)
}

function takeWord(cursor: KeyCursor): number {
  const { key, at } = cursor
  cursor.at = at + 4
  const high = (key.charCodeAt(at) << 8) | key.charCodeAt(at + 1)
  return ((high << 16) | (key.charCodeAt(at + 2) << 8) | key.charCodeAt(at + 3)) >>> 0
}
