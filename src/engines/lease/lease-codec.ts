// The header of Lease: its control entries, and the epoch on what the holder proposes. A stored format (golden files in
// testdata/entries). All must be understood: a server without Lease would apply what the others filter.
//
//   take     u8 16, u8 format = 1, string server id, string address, varint ms, varint epoch that it replaces, varint position at
//            which that one was last heard of
//   renew    u8 17, u8 1, varint epoch, varint position up to which the holder has applied
//   release  u8 18, u8 1, varint epoch
//   fire     u8 19, u8 1, varint epoch (0: nobody holds it), varint position, varint index: of what was held back
//   update   u8 20, u8 1, varint epoch: on an entry with payload

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import { OWN_KINDS_FROM } from '../../engine/engine-flags.ts'

const FORMAT = 1
const TAKE = OWN_KINDS_FROM
const RENEW = OWN_KINDS_FROM + 1
const RELEASE = OWN_KINDS_FROM + 2
const FIRE = OWN_KINDS_FROM + 3
const UPDATE = OWN_KINDS_FROM + 4

/** Valid if nobody holds the lease, or its holder has shown no life after `heardAt`; and if `replaces` is the newest epoch. */
export interface Take {
  readonly kind: 'take'
  readonly serverId: string
  readonly address: string
  readonly durationMs: number
  readonly replaces: number
  readonly heardAt: number
}

export type LeaseHeader =
  | Take
  | { readonly kind: 'renew'; readonly epoch: number; readonly applied: number }
  | { readonly kind: 'release'; readonly epoch: number }
  | { readonly kind: 'fire'; readonly epoch: number; readonly position: number; readonly index: number }
  | { readonly kind: 'update'; readonly epoch: number }

export function encodeLeaseHeader(header: LeaseHeader): Uint8Array {
  const writer = new ByteWriter(64)
  const begin = (kind: number): void => {
    writer.u8(kind)
    writer.u8(FORMAT)
  }
  switch (header.kind) {
    case 'take':
      begin(TAKE)
      writer.string(header.serverId)
      writer.string(header.address)
      writer.varint(header.durationMs)
      writer.varint(header.replaces)
      writer.varint(header.heardAt)
      break
    case 'renew':
      begin(RENEW)
      writer.varint(header.epoch)
      writer.varint(header.applied)
      break
    case 'release':
      begin(RELEASE)
      writer.varint(header.epoch)
      break
    case 'fire':
      begin(FIRE)
      writer.varint(header.epoch)
      writer.varint(header.position)
      writer.varint(header.index)
      break
    default:
      begin(UPDATE)
      writer.varint(header.epoch)
  }
  return writer.toBytes()
}

/** FORMAT if a newer build wrote it, CORRUPT if it is damaged. */
export function decodeLeaseHeader(bytes: Uint8Array): LeaseHeader {
  const reader = new ByteReader(bytes)
  const kind = reader.u8()
  const format = reader.u8()
  if (format !== FORMAT) throw new DelosError('FORMAT', `a header of Lease of kind ${kind} has format ${format}`)
  switch (kind) {
    case TAKE: {
      const serverId = reader.string()
      const address = reader.string()
      const durationMs = reader.varint()
      const replaces = reader.varint()
      return { kind: 'take', serverId, address, durationMs, replaces, heardAt: reader.varint() }
    }
    case RENEW: {
      const epoch = reader.varint()
      return { kind: 'renew', epoch, applied: reader.varint() }
    }
    case RELEASE:
      return { kind: 'release', epoch: reader.varint() }
    case FIRE: {
      const epoch = reader.varint()
      const position = reader.varint()
      return { kind: 'fire', epoch, position, index: reader.varint() }
    }
    case UPDATE:
      return { kind: 'update', epoch: reader.varint() }
    default:
      throw new DelosError('FORMAT', `a header of Lease has unknown kind ${kind}`)
  }
}
