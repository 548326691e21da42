// Base's header: who proposed an entry, and when by its own wall clock. (server id, incarnation, local id) names a proposal
// for ever; the log may hold it more than once. A stored format: golden files in testdata/entries.
//
//   format 1 · server id (length, text) · incarnation varint · local id varint · wall clock ms varint

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'

/** Base's name: of its header, its key range, and itself in a stack. */
export const BASE = 'base'

const FORMAT = 1

export interface ProposalStamp {
  readonly serverId: string
  /** Counts the starts of that server, from 1. */
  readonly incarnation: number
  /** Counts the proposals of that incarnation, from 1. */
  readonly localId: number
  /** The proposer's wall clock, milliseconds since 1970. Data: never compared to decide. */
  readonly wallMs: number
}

/** Writes the stamps of one incarnation, and knows them when it sees them. */
export class Stamper {
  private readonly serverId: string
  private readonly writer = new ByteWriter(128)
  private current = 0
  private constant: Buffer = Buffer.alloc(0)

  constructor(serverId: string, incarnation: number) {
    this.serverId = serverId
    this.renew(incarnation)
  }

  get incarnation(): number {
    return this.current
  }

  /** Goes on as another incarnation: before the first stamp only. */
  renew(incarnation: number): void {
    this.current = incarnation
    this.writer.reset()
    this.writer.u8(FORMAT)
    this.writer.string(this.serverId)
    this.writer.varint(incarnation)
    this.constant = this.writer.toBytes()
  }

  /** True if it made that stamp. */
  made(stamp: ProposalStamp): boolean {
    return stamp.incarnation === this.current && stamp.serverId === this.serverId
  }

  /** The header's bytes, valid until the next call. */
  stamp(localId: number, wallMs: number): Uint8Array {
    const { writer } = this
    writer.reset()
    writer.raw(this.constant)
    writer.varint(localId)
    writer.varint(wallMs > 0 ? Math.floor(wallMs) : 0)
    return writer.peek()
  }
}

export function readStamp(bytes: Uint8Array): ProposalStamp {
  const reader = new ByteReader(bytes)
  const format = reader.u8()
  if (format !== FORMAT)
    throw new DelosError('FORMAT', `header of Base has format ${format}, this version reads ${FORMAT}`)
  return {
    serverId: reader.name(),
    incarnation: reader.varint(),
    localId: reader.varint(),
    wallMs: reader.varint(),
  }
}
