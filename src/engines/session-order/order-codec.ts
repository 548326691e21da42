// SessionOrder's headers: the stored format (golden files in testdata/entries). Not here: what apply does with them.
//
//   open      kind 16 · format 1 · server id (length, text) · varint the epoch it replaces, 0 if none · varint life
//   sequence  kind 17 · format 1 · varint epoch · varint sequence number, from 1
//
// Both must be understood: a server that does not filter what the others filter would diverge.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import { OWN_KINDS_FROM } from '../../engine/engine-flags.ts'

const KIND_OPEN = OWN_KINDS_FROM
const KIND_SEQUENCE = OWN_KINDS_FROM + 1
const FORMAT = 1

/** Asks for a new epoch of a server. Void unless `replaces` is the server's epoch at that position: so it works once, if at all. */
export interface OpenHeader {
  readonly kind: 'open'
  readonly serverId: string
  readonly replaces: number
  /** Names the process that proposed it; drawn at its start, below 2^48. */
  readonly life: number
}

export interface SequenceHeader {
  readonly kind: 'sequence'
  readonly epoch: number
  readonly sequence: number
}

const scratch = new ByteWriter(64)

export function encodeOpen(serverId: string, replaces: number, life: number): Uint8Array {
  scratch.reset()
  scratch.u8(KIND_OPEN)
  scratch.u8(FORMAT)
  scratch.string(serverId)
  scratch.varint(replaces)
  scratch.varint(life)
  return scratch.toBytes()
}

export function encodeSequence(epoch: number, sequence: number): Uint8Array {
  scratch.reset()
  scratch.u8(KIND_SEQUENCE)
  scratch.u8(FORMAT)
  scratch.varint(epoch)
  scratch.varint(sequence)
  return scratch.toSmall()
}

/** CORRUPT if damaged, FORMAT if of a newer version. */
export function readOrderHeader(bytes: Uint8Array): OpenHeader | SequenceHeader {
  const reader = new ByteReader(bytes)
  const kind = reader.u8()
  const format = reader.u8()
  if (format !== FORMAT || (kind !== KIND_SEQUENCE && kind !== KIND_OPEN)) {
    throw new DelosError(
      'FORMAT',
      `session-order header of kind ${kind}, format ${format}; this version reads ${FORMAT}`,
    )
  }
  const header: OpenHeader | SequenceHeader =
    kind === KIND_SEQUENCE
      ? { kind: 'sequence', epoch: reader.varint(), sequence: reader.varint() }
      : { kind: 'open', serverId: reader.string(), replaces: reader.varint(), life: reader.varint() }
  if (reader.remaining !== 0) {
    throw new DelosError('CORRUPT', `${reader.remaining} bytes follow a session-order header`)
  }
  return header
}
