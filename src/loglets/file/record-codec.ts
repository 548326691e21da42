// The bytes of the file loglet: records and segment headers. Pure; where they go and when they are durable is decided by
// file-loglet.ts and segment-recovery.ts. The picture of a segment file is in ../DESIGN.md.
//
//   record (big-endian, starts at a multiple of 8)
//   0   u32  CRC-32 of everything after it, started at the loglet's seed
//   4   u32  kind (4 high bits: 1 entry, 2 seal) and payload bytes (28 low bits)
//   8   u64  offset
//   16  u32  records before this one in its group; the group began at the durable end of that moment
//   20  u32  number of the segment
//   24       payload, then zeros up to a multiple of 8

import { crc32 } from 'node:zlib'
import { ByteWriter } from '../../base/byte-writer.ts'

const POWER_32 = 0x1_0000_0000
const MAGIC = Buffer.from('DELOSLOG', 'latin1')
const FORMAT_VERSION = 1

export const RECORD_HEADER_BYTES = 24
export const SEGMENT_HEADER_BYTES = 48
export const PAYLOAD_BYTES_MAX = 0x0fff_ffff
export const KIND_ENTRY = 1
export const KIND_SEAL = 2

/** A record as found at a place of a buffer. */
export interface RecordView {
  readonly kind: number
  readonly offset: number
  /** The durable end when it was written: the first offset of its group. */
  readonly groupStart: number
  readonly payloadStart: number
  readonly payloadEnd: number
  /** Where the next record begins. */
  readonly end: number
}

export interface SegmentHeader {
  readonly segment: number
  /** Offset of the first record. */
  readonly firstOffset: number
  /** Wall clock when the segment was begun: data for retention. */
  readonly wallMs: number
}

/** Bytes on disk of a record with this payload. */
export function recordBytes(payloadBytes: number): number {
  return RECORD_HEADER_BYTES + ((payloadBytes + 7) & ~7)
}

/** The start value of every CRC of one loglet, so that bytes of another loglet are never valid here. Never 0. */
export function crcSeed(nonce: string): number {
  return crc32(`delos file loglet ${nonce}`) || 1
}

/** Writes a record into `into` at `at`; returns its end. `into` must have room. */
export function putRecord(
  into: Buffer,
  at: number,
  record: { kind: number; offset: number; groupIndex: number; segment: number; payload: Uint8Array },
  seed: number,
): number {
  const { payload } = record
  const payloadEnd = at + RECORD_HEADER_BYTES + payload.length
  const end = at + recordBytes(payload.length)
  into.writeUInt32BE(record.kind * 0x1000_0000 + payload.length, at + 4)
  into.writeUInt32BE(Math.floor(record.offset / POWER_32), at + 8)
  into.writeUInt32BE(record.offset % POWER_32, at + 12)
  into.writeUInt32BE(record.groupIndex, at + 16)
  into.writeUInt32BE(record.segment, at + 20)
  into.set(payload, at + RECORD_HEADER_BYTES)
  into.fill(0, payloadEnd, end)
  into.writeUInt32BE(crc32(into.subarray(at + 4, end), seed), at)
  return end
}

/** `needs` 0: no valid record of this loglet and segment is here. Else its frame looks right but is cut off: `needs` bytes in all. */
export interface NoRecord {
  readonly needs: number
}

const NO_RECORD: NoRecord = { needs: 0 }

/** The record at `at`, its CRC checked over all of it. */
export function readRecord(from: Buffer, at: number, segment: number, seed: number): RecordView | NoRecord {
  if (at + RECORD_HEADER_BYTES > from.length) return { needs: RECORD_HEADER_BYTES }
  if (!looksLikeRecord(from, at, segment)) return NO_RECORD
  const frame = from.readUInt32BE(at + 4)
  const payloadBytes = frame & PAYLOAD_BYTES_MAX
  const end = at + recordBytes(payloadBytes)
  if (end > from.length) return { needs: end - at }
  if (crc32(from.subarray(at + 4, end), seed) !== from.readUInt32BE(at)) return NO_RECORD
  const offset = from.readUInt32BE(at + 8) * POWER_32 + from.readUInt32BE(at + 12)
  const payloadStart = at + RECORD_HEADER_BYTES
  return {
    kind: frame >>> 28,
    offset,
    groupStart: offset - from.readUInt32BE(at + 16),
    payloadStart,
    payloadEnd: payloadStart + payloadBytes,
    end,
  }
}

// Cheap and exact on zeros and on other segments' bytes: recovery calls it for every 8 bytes of a tail.
function looksLikeRecord(from: Buffer, at: number, segment: number): boolean {
  const kind = (from[at + 4] as number) >>> 4
  return (kind === KIND_ENTRY || kind === KIND_SEAL) && from.readUInt32BE(at + 20) === segment
}

/** The first bytes of a segment file, written together with its first group. */
export function encodeSegmentHeader(header: SegmentHeader, seed: number): Buffer {
  const writer = new ByteWriter(SEGMENT_HEADER_BYTES)
  writer.raw(MAGIC)
  writer.u32(0)
  writer.u32(FORMAT_VERSION)
  writer.u32(header.segment)
  writer.u32(0)
  writer.u64(header.firstOffset)
  writer.u64(header.wallMs)
  writer.u64(0)
  const bytes = writer.take()
  bytes.writeUInt32BE(crc32(bytes.subarray(12, SEGMENT_HEADER_BYTES), seed), 8)
  return bytes
}

/** undefined if these bytes are no whole header of this loglet; `newer` if a later version of this program wrote it. */
export function decodeSegmentHeader(bytes: Buffer, seed: number): SegmentHeader | 'newer' | undefined {
  if (bytes.length < SEGMENT_HEADER_BYTES || !bytes.subarray(0, 8).equals(MAGIC)) return undefined
  if (crc32(bytes.subarray(12, SEGMENT_HEADER_BYTES), seed) !== bytes.readUInt32BE(8)) return undefined
  if (bytes.readUInt32BE(12) > FORMAT_VERSION) return 'newer'
  const u64 = (at: number) => bytes.readUInt32BE(at) * POWER_32 + bytes.readUInt32BE(at + 4)
  return { segment: bytes.readUInt32BE(16), firstOffset: u64(24), wallMs: u64(32) }
}
