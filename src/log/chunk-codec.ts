// How entries that are too large for a loglet lie in it. An entry is stored as it is unless it begins with the mark of a
// chunk, so the usual case costs one comparison and no copy.
//
//   mark F5 44 43 01, then   0 escaped   the entry itself (it began with the mark)
//                            1 part      set id (16), index (varint), bytes
//                            2 last      set id (16), index (varint), position of the first part (u64), bytes
//
// A set is valid if its first and its last chunk lie in one segment, at most CHUNK_SPAN_MAX positions apart: that bounds how
// far back a reader looks and what trimming must keep. The position of the entry is the position of its last chunk. A set
// without a valid last chunk is nothing: its appender was answered that it is not in the log.

import { ByteReader } from '../base/byte-reader.ts'
import { ByteWriter } from '../base/byte-writer.ts'
import { DelosError } from '../base/delos-error.ts'
import type { LogPos } from './position.ts'

const MARK = 0xf5444301
const MARK_FIRST_BYTE = 0xf5
const ESCAPED = 0
const PART = 1
const LAST = 2
const SET_ID_BYTES = 16

/** Positions from the first to the last chunk of a set. */
export const CHUNK_SPAN_MAX = 1024
/** Chunks of a set: half of the span, since other appends interleave. */
export const CHUNK_COUNT_MAX = CHUNK_SPAN_MAX / 2
/** What a chunk takes besides its bytes, at most. */
export const CHUNK_OVERHEAD_BYTES = 4 + 1 + SET_ID_BYTES + 3 + 8

export interface Chunk {
  /** Hexadecimal. */
  readonly set: string
  readonly index: number
  readonly bytes: Uint8Array
  /** Set on the last chunk. Its index + 1 is the count of chunks. */
  readonly first: LogPos | undefined
}

/** Whether an entry needs `escapeEntry`, or a stored entry is more than itself. */
export function isMarked(bytes: Uint8Array): boolean {
  return bytes[0] === MARK_FIRST_BYTE && bytes[1] === 0x44 && bytes[2] === 0x43 && bytes[3] === 0x01
}

export function escapeEntry(bytes: Uint8Array): Uint8Array {
  const writer = new ByteWriter(bytes.length + 5)
  writer.u32(MARK)
  writer.u8(ESCAPED)
  writer.raw(bytes)
  return writer.take()
}

/** `first` only for the last chunk. */
export function encodeChunk(set: Uint8Array, index: number, bytes: Uint8Array, first: LogPos | undefined): Uint8Array {
  const writer = new ByteWriter(bytes.length + CHUNK_OVERHEAD_BYTES)
  writer.u32(MARK)
  writer.u8(first === undefined ? PART : LAST)
  writer.raw(set)
  writer.varint(index)
  if (first !== undefined) writer.u64(first)
  writer.raw(bytes)
  return writer.take()
}

/** What a marked entry is: a chunk, or the entry that was escaped. */
export function decodeMarked(bytes: Uint8Array): Chunk | Uint8Array {
  const reader = new ByteReader(bytes)
  reader.u32()
  const kind = reader.u8()
  if (kind === ESCAPED) return reader.raw(reader.remaining)
  if (kind !== PART && kind !== LAST) throw new DelosError('CORRUPT', `chunk of kind ${kind}`)
  const set = reader.raw(SET_ID_BYTES).toString('hex')
  const index = reader.varint()
  const first = kind === LAST ? (reader.u64() as LogPos) : undefined
  return { set, index, first, bytes: reader.raw(reader.remaining) }
}

export function isChunk(decoded: Chunk | Uint8Array): decoded is Chunk {
  return !(decoded instanceof Uint8Array)
}
