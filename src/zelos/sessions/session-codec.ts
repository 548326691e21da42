// The stored form of a session, format 1: u8 format, bytes password, varint timeout in ms, varint owner epoch, varint
// position of the last logged renewal, string address of the client.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import type { SessionRecord } from '../requests.ts'
import type { SessionId } from '../znode.ts'

const FORMAT = 1

/** A session as it is stored. */
export interface StoredSession extends SessionRecord {
  /** Where the client was at the last create or move; for operators. */
  readonly address: string
}

export function encodeSession(session: StoredSession): Buffer {
  const writer = new ByteWriter(64)
  writer.u8(FORMAT)
  writer.bytes(session.password)
  writer.varint(session.timeoutMs)
  writer.varint(session.ownerEpoch)
  writer.varint(session.renewedAt)
  writer.string(session.address)
  return writer.toBytes()
}

export function decodeSession(id: SessionId, bytes: Uint8Array): StoredSession {
  const reader = new ByteReader(bytes)
  const format = reader.u8()
  if (format !== FORMAT) throw new DelosError('FORMAT', `session record of format ${format}`)
  return {
    id,
    password: new Uint8Array(reader.bytes()),
    timeoutMs: reader.varint(),
    ownerEpoch: reader.varint(),
    renewedAt: reader.varint(),
    address: reader.string(),
  }
}
