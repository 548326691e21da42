// The numbers that Zelos keeps beside its records. Stored format 2: u8 format, then six u64. As the one record that every
// store of Zelos has and that is read first, its format also stands for that of the keys: in 1 nodes had other ones.

import { DelosError } from '../../base/delos-error.ts'
import type { Zxid } from '../znode.ts'
import { asBuffer, readUint64, writeUint64 } from './uint64.ts'

const FORMAT = 2
const RECORD_BYTES = 49

const scratch = new Uint8Array(RECORD_BYTES)
const fields = new DataView(scratch.buffer)
scratch[0] = FORMAT

/** Written with every update, since every update takes a zxid. */
export interface Counters {
  /** Of the last applied update. */
  zxid: Zxid
  nodes: number
  ephemerals: number
  sessions: number
  /** Characters of paths and bytes of data. */
  dataBytes: number
  /** The next id of an interned access list; no id is used twice. */
  nextAclId: number
}

/** The counters of a store that no update was applied to. */
export function noCounters(): Counters {
  return { zxid: 0, nodes: 0, ephemerals: 0, sessions: 0, dataBytes: 0, nextAclId: 1 }
}

/** Writes the counters into `record`, an earlier result of this function, or into a new one. */
export function encodeCounters(counters: Counters, record: Buffer = Buffer.allocUnsafe(RECORD_BYTES)): Buffer {
  writeUint64(fields, 1, counters.zxid)
  writeUint64(fields, 9, counters.nodes)
  writeUint64(fields, 17, counters.ephemerals)
  writeUint64(fields, 25, counters.sessions)
  writeUint64(fields, 33, counters.dataBytes)
  writeUint64(fields, 41, counters.nextAclId)
  record.set(scratch)
  return record
}

export function decodeCounters(bytes: Uint8Array): Counters {
  if (bytes[0] !== FORMAT) {
    throw new DelosError('FORMAT', `the records of zelos have format ${bytes[0]}, this version reads ${FORMAT}`)
  }
  if (bytes.length !== RECORD_BYTES) throw new DelosError('CORRUPT', `counters of ${bytes.length} bytes`)
  const record = asBuffer(bytes)
  return {
    zxid: readUint64(record, 1),
    nodes: readUint64(record, 9),
    ephemerals: readUint64(record, 17),
    sessions: readUint64(record, 25),
    dataBytes: readUint64(record, 33),
    nextAclId: readUint64(record, 41),
  }
}
