// The stored form of a znode, format 1: a fixed header of 70 bytes, then the data unless it has a record of its own. A
// stored format: golden file in testdata/zelos. Containers and TTL nodes have format 2, with their lifetime in the place of
// ephemeralOwner, so that versions without them refuse the record.
//
//   0 format  1 flags  2 czxid  10 mzxid  18 pzxid  26 ctime  34 mtime  42 version  46 createdChildren  50 aversion
//   54 ephemeralOwner, or lifetime in ms  62 aclId  66 numChildren  70 data
//
// At fixed offsets, without ByteWriter: this runs once or twice in every update.

import { DelosError } from '../../base/delos-error.ts'
import type { Lifetime, ZNode } from '../znode.ts'
import { allocateRecord } from './record-slab.ts'
import { asBuffer, readUint64, writeUint64 } from './uint64.ts'

const FORMAT = 1
const FORMAT_TIMED = 2
const HEADER_BYTES = 70
const HAS_DATA = 1
const DATA_APART = 2
const CONTAINER = 4

/** Data above this has a record of its own, so that a new child does not rewrite its parent's megabyte. */
export const INLINE_DATA_BYTES_MAX = 4096

const header = new Uint8Array(HEADER_BYTES)
const fields = new DataView(header.buffer)

/** True if this data does not live in the node's record. */
export function isDataApart(data: Uint8Array | null): data is Uint8Array {
  return data !== null && isLong(data.length)
}

/** The same, told by its length. */
export function isLong(bytes: number): boolean {
  return bytes > INLINE_DATA_BYTES_MAX
}

/** The record, in a buffer of its own (of Node's pool when small). Data is copied unless it is apart. */
export function encodeNode(node: ZNode): Buffer {
  const { data, lifetime } = node
  const inline = data !== null && data.length <= INLINE_DATA_BYTES_MAX ? data : undefined
  header[0] = lifetime === undefined ? FORMAT : FORMAT_TIMED
  header[1] = data === null ? 0 : inline === undefined ? HAS_DATA | DATA_APART : HAS_DATA
  if (lifetime?.kind === 'container') header[1] |= CONTAINER
  writeUint64(fields, 2, node.czxid)
  writeUint64(fields, 10, node.mzxid)
  writeUint64(fields, 18, node.pzxid)
  writeUint64(fields, 26, node.ctime)
  writeUint64(fields, 34, node.mtime)
  fields.setInt32(42, node.version)
  fields.setInt32(46, node.createdChildren)
  fields.setInt32(50, node.aversion)
  writeUint64(fields, 54, lifetime === undefined ? node.ephemeralOwner : lifetime.ms)
  fields.setUint32(62, node.aclId)
  fields.setUint32(66, node.numChildren)
  // Without data the record itself is of no more use to anybody here, so it may come from Node's pool.
  const bytes = HEADER_BYTES + (inline === undefined ? 0 : inline.length)
  const record = bytes === HEADER_BYTES ? Buffer.allocUnsafe(bytes) : allocateRecord(bytes)
  record.set(header)
  if (inline !== undefined && inline.length > 0) record.set(inline, HEADER_BYTES)
  return record
}

/** The data inside a record that `encodeNode` made of a node with inline data: a view. */
export function inlineDataOf(record: Buffer): Buffer {
  return record.subarray(HEADER_BYTES)
}

/** Reads a record. `dataApart` fetches data that has a record of its own. Data is a view, never a copy. */
export function decodeNode(bytes: Uint8Array, dataApart: () => Uint8Array | undefined): ZNode {
  const record = asBuffer(bytes)
  if (record.length < HEADER_BYTES) throw new DelosError('CORRUPT', `node record of ${record.length} bytes`)
  const format = record[0]
  if (format !== FORMAT && format !== FORMAT_TIMED) {
    throw new DelosError('FORMAT', `node record of format ${format}`)
  }
  return {
    data: decodeData(record, dataApart),
    czxid: readUint64(record, 2),
    mzxid: readUint64(record, 10),
    pzxid: readUint64(record, 18),
    ctime: readUint64(record, 26),
    mtime: readUint64(record, 34),
    version: record.readInt32BE(42),
    createdChildren: record.readInt32BE(46),
    aversion: record.readInt32BE(50),
    ephemeralOwner: format === FORMAT ? readUint64(record, 54) : 0,
    aclId: record.readUInt32BE(62),
    numChildren: record.readUInt32BE(66),
    lifetime: format === FORMAT ? undefined : decodeLifetime(record),
  }
}

/** The length of the data inside a record; undefined if it has a record of its own. */
export function inlineDataLengthOf(record: Uint8Array): number | undefined {
  return ((record[1] as number) & DATA_APART) === 0 ? record.length - HEADER_BYTES : undefined
}

function decodeLifetime(record: Buffer): Lifetime {
  const isContainer = ((record[1] as number) & CONTAINER) !== 0
  return { kind: isContainer ? 'container' : 'ttl', ms: readUint64(record, 54) }
}

function decodeData(record: Buffer, dataApart: () => Uint8Array | undefined): Uint8Array | null {
  const flags = record[1] as number
  if ((flags & HAS_DATA) === 0) return null
  if ((flags & DATA_APART) === 0) return inlineDataOf(record)
  const data = dataApart()
  if (data === undefined) throw new DelosError('CORRUPT', 'node record without its data record')
  return data
}
