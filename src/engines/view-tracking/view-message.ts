// What ViewTracking says in the log: its header on a proposal, and its control entries. A stored format: golden files in
// testdata/entries. Not here: what any of it does.
//
//   kind · format 1 · server id (length, text) · what the kind adds
//   16 report      durable position varint · digest            on an entry of the layers above
//   17 heartbeat   durable position varint · digest            control, as are all below
//   18 join        durable position varint · count varint · per engine, names ascending: name, level varint
//   19 leave       nothing
//   20 evict       position varint at which that server was last heard
//   digest         u8 0: none; 1: position varint · count varint · per range, names ascending: name, digest as text

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import type { PositionedDigest } from '../../engine/digest.ts'
import { OWN_KINDS_FROM } from '../../engine/engine-flags.ts'
import type { EngineLevels } from '../../engine/membership.ts'
import type { LogPos } from '../../log/position.ts'

const KIND_REPORT = OWN_KINDS_FROM
const KIND_HEARTBEAT = 17
const KIND_JOIN = 18
const KIND_LEAVE = 19
const KIND_EVICT = 20
const FORMAT = 1

/** A sign of life: how far that server has applied and made durable, and perhaps a digest of its content. */
export interface Report {
  readonly kind: 'report' | 'heartbeat'
  readonly serverId: string
  /** Below it everything is durable there: its durable cursor, never what it has merely applied. */
  readonly durable: LogPos
  readonly digest: PositionedDigest | undefined
}

export interface Join {
  readonly kind: 'join'
  readonly serverId: string
  readonly durable: LogPos
  /** What that server's build knows. */
  readonly levels: EngineLevels
}

export interface Leave {
  readonly kind: 'leave'
  readonly serverId: string
}

export interface Evict {
  readonly kind: 'evict'
  readonly serverId: string
  /** Void if it was heard later. */
  readonly lastHeard: LogPos
}

export type ViewMessage = Report | Join | Leave | Evict

const writer = new ByteWriter(256)

/** True if the header's entry belongs to the layers above and is passed up. */
export function isReportHeader(bytes: Uint8Array): boolean {
  return bytes[0] === KIND_REPORT
}

export function encodeViewMessage(message: ViewMessage): Uint8Array {
  writer.reset()
  writer.u8(kindOf(message))
  writer.u8(FORMAT)
  writer.string(message.serverId)
  if (message.kind === 'join') {
    writer.varint(message.durable)
    writeLevels(writer, message.levels)
  } else if (message.kind === 'evict') {
    writer.varint(message.lastHeard)
  } else if (message.kind !== 'leave') {
    writer.varint(message.durable)
    writer.u8(message.digest === undefined ? 0 : 1)
    if (message.digest !== undefined) {
      writer.varint(message.digest.position)
      writeRanges(writer, message.digest.ranges)
    }
  }
  return writer.toBytes()
}

/** FORMAT if of a newer version, CORRUPT if damaged. */
export function decodeViewMessage(bytes: Uint8Array): ViewMessage {
  const reader = new ByteReader(bytes)
  const kind = reader.u8()
  const format = reader.u8()
  if (kind < KIND_REPORT || kind > KIND_EVICT || format !== FORMAT) {
    throw new DelosError('FORMAT', `header of ViewTracking of kind ${kind} and format ${format}`)
  }
  const message = readBody(reader, kind)
  if (reader.remaining !== 0)
    throw new DelosError('CORRUPT', `${reader.remaining} bytes follow a header of ViewTracking`)
  return message
}

/** Names ascending, so that equal maps have equal bytes. */
export function writeLevels(to: ByteWriter, levels: EngineLevels): void {
  to.varint(levels.size)
  for (const name of [...levels.keys()].sort()) {
    to.string(name)
    to.varint(levels.get(name) as number)
  }
}

export function readLevels(reader: ByteReader): Map<string, number> {
  const levels = new Map<string, number>()
  for (let count = reader.varint(); count > 0; count--) levels.set(reader.string(), reader.varint())
  return levels
}

/** As writeLevels, for the digests of ranges. */
export function writeRanges(to: ByteWriter, ranges: ReadonlyMap<string, string>): void {
  to.varint(ranges.size)
  for (const name of [...ranges.keys()].sort()) {
    to.string(name)
    to.string(ranges.get(name) as string)
  }
}

export function readRanges(reader: ByteReader): Map<string, string> {
  const ranges = new Map<string, string>()
  for (let count = reader.varint(); count > 0; count--) ranges.set(reader.string(), reader.string())
  return ranges
}

function readBody(reader: ByteReader, kind: number): ViewMessage {
  const serverId = reader.string()
  if (kind === KIND_LEAVE) return { kind: 'leave', serverId }
  const position = reader.varint() as LogPos
  if (kind === KIND_EVICT) return { kind: 'evict', serverId, lastHeard: position }
  if (kind === KIND_JOIN) return { kind: 'join', serverId, durable: position, levels: readLevels(reader) }
  const digest = reader.u8() === 0 ? undefined : { position: reader.varint() as LogPos, ranges: readRanges(reader) }
  return { kind: kind === KIND_REPORT ? 'report' : 'heartbeat', serverId, durable: position, digest }
}

function kindOf(message: ViewMessage): number {
  switch (message.kind) {
    case 'report':
      return KIND_REPORT
    case 'heartbeat':
      return KIND_HEARTBEAT
    case 'join':
      return KIND_JOIN
    case 'leave':
      return KIND_LEAVE
    case 'evict':
      return KIND_EVICT
  }
}
