// The header of Time's control entries: a stored format (golden files in testdata/entries). None of them has a payload, all are
// must-understand: a server without Time would not fire.
//
//   vote   u8 16, u8 format = 1, string server id, varint generation, the timer's id: the rest
//   probe  u8 17, u8 format = 1: changes nothing; its return shows that the log takes and gives back
//   age    u8 18, u8 format = 1, varint ms of a step: measure the age of the log from here
//
// The empty id is Time's own timer, which measures the age of the log; all others belong to the layers above.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import { keyOfBytes, keyToBytes } from '../../base/key.ts'
import { OWN_KINDS_FROM } from '../../engine/engine-flags.ts'
import type { TimerId } from '../../engine/timer-service.ts'

const KIND_VOTE = OWN_KINDS_FROM
const KIND_PROBE = OWN_KINDS_FROM + 1
const KIND_AGE = OWN_KINDS_FROM + 2
const FORMAT = 1

/** "I have measured the delay of this timer, as it was armed at position `generation`." */
export interface Vote {
  readonly kind: 'vote'
  readonly serverId: string
  readonly generation: number
  readonly id: TimerId
}

export type TimeHeader = Vote | { readonly kind: 'probe' } | { readonly kind: 'age'; readonly stepMs: number }

export function encodeTimeHeader(header: TimeHeader): Uint8Array {
  const writer = new ByteWriter(64)
  switch (header.kind) {
    case 'vote':
      writer.u8(KIND_VOTE)
      writer.u8(FORMAT)
      writer.string(header.serverId)
      writer.varint(header.generation)
      writer.raw(keyToBytes(header.id))
      break
    case 'age':
      writer.u8(KIND_AGE)
      writer.u8(FORMAT)
      writer.varint(header.stepMs)
      break
    default:
      writer.u8(KIND_PROBE)
      writer.u8(FORMAT)
  }
  return writer.toBytes()
}

/** FORMAT if a newer build wrote it, CORRUPT if it is damaged. */
export function decodeTimeHeader(bytes: Uint8Array): TimeHeader {
  const reader = new ByteReader(bytes)
  const kind = reader.u8()
  const format = reader.u8()
  if (format !== FORMAT) throw new DelosError('FORMAT', `a header of Time of kind ${kind} has format ${format}`)
  switch (kind) {
    case KIND_VOTE: {
      const serverId = reader.string()
      const generation = reader.varint()
      return { kind: 'vote', serverId, generation, id: keyOfBytes(reader.raw(reader.remaining)) }
    }
    case KIND_PROBE:
      return { kind: 'probe' }
    case KIND_AGE:
      return { kind: 'age', stepMs: reader.varint() }
    default:
      throw new DelosError('FORMAT', `a header of Time has unknown kind ${kind}`)
  }
}
