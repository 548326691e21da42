// What LogBackup says in the log: the headers of its control entries. A stored format: golden files in testdata/entries. Not here:
// what any of it does (backup-state.ts).
//
//   kind · format 1 · server id (length, text) · what the kind adds: varints, and texts with their length
//   16 begin      history id · wall clock ms
//   17 claim      from · to
//   18 progress   claim
//   19 done       claim · bytes
//   20 takeover   claim · position at which its holder was last heard
//   21 snapshot   nothing: claims the next snapshot
//   22 kept       claim · cursor · wall clock ms · rows · bytes
//   23 abandon    claim
//   24 skip       from · to · wall clock ms · reason
//   25 forget     position
//
// A claim is named by the position of the entry that made it or took it over.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import { OWN_KINDS_FROM } from '../../engine/engine-flags.ts'
import type { LogPos } from '../../log/position.ts'

const FORMAT = 1
const KINDS = [
  'begin',
  'claim',
  'progress',
  'done',
  'takeover',
  'snapshot',
  'kept',
  'abandon',
  'skip',
  'forget',
] as const

/** Backups of this history begin here, in the place that the servers are configured with. */
export interface Begin {
  readonly kind: 'begin'
  readonly serverId: string
  readonly historyId: string
  readonly wallMs: number
}

/** "I shall upload [from, to)." */
export interface Claim {
  readonly kind: 'claim'
  readonly serverId: string
  readonly from: LogPos
  readonly to: LogPos
}

/** "I am still at it", or "I give it up". */
export interface OfClaim {
  readonly kind: 'progress' | 'abandon'
  readonly serverId: string
  readonly claim: LogPos
}

/** "It is uploaded, and durable there." */
export interface Done {
  readonly kind: 'done'
  readonly serverId: string
  readonly claim: LogPos
  readonly bytes: number
}

/** "Its holder is silent: I do it." Void if the holder was heard later than `lastHeard`. */
export interface Takeover {
  readonly kind: 'takeover'
  readonly serverId: string
  readonly claim: LogPos
  readonly lastHeard: LogPos
}

/** "I shall make a snapshot." */
export interface ClaimSnapshot {
  readonly kind: 'snapshot'
  readonly serverId: string
}

/** "The snapshot is uploaded, and durable there." */
export interface Kept {
  readonly kind: 'kept'
  readonly serverId: string
  readonly claim: LogPos
  readonly cursor: LogPos
  readonly wallMs: number
  readonly rows: number
  readonly bytes: number
}

/** [from, to) is given up: nothing of it can be restored. */
export interface Skip {
  readonly kind: 'skip'
  readonly serverId: string
  readonly from: LogPos
  readonly to: LogPos
  readonly wallMs: number
  readonly reason: string
}

/** Nothing below the snapshot with this cursor is kept any longer. */
export interface Forget {
  readonly kind: 'forget'
  readonly serverId: string
  readonly below: LogPos
}

export type BackupMessage = Begin | Claim | OfClaim | Done | Takeover | ClaimSnapshot | Kept | Skip | Forget

const writer = new ByteWriter(256)

export function encodeBackupMessage(message: BackupMessage): Uint8Array {
  writer.reset()
  writer.u8(OWN_KINDS_FROM + KINDS.indexOf(message.kind))
  writer.u8(FORMAT)
  writer.string(message.serverId)
  writeBody(message)
  return writer.toBytes()
}

/** FORMAT if of a newer version, CORRUPT if damaged. */
export function decodeBackupMessage(bytes: Uint8Array): BackupMessage {
  const reader = new ByteReader(bytes)
  const number = reader.u8()
  const kind = KINDS[number - OWN_KINDS_FROM]
  const format = reader.u8()
  if (kind === undefined || format !== FORMAT) {
    throw new DelosError('FORMAT', `header of LogBackup of kind ${number} and format ${format}`)
  }
  const message = readBody(kind, reader.string(), reader)
  if (reader.remaining !== 0) throw new DelosError('CORRUPT', `${reader.remaining} bytes follow a header of LogBackup`)
  return message
}

function writeBody(message: BackupMessage): void {
  switch (message.kind) {
    case 'begin':
      writer.string(message.historyId)
      writer.varint(message.wallMs)
      return
    case 'claim':
      writer.varint(message.from)
      writer.varint(message.to)
      return
    case 'progress':
    case 'abandon':
      writer.varint(message.claim)
      return
    case 'done':
      writer.varint(message.claim)
      writer.varint(message.bytes)
      return
    case 'takeover':
      writer.varint(message.claim)
      writer.varint(message.lastHeard)
      return
    case 'snapshot':
      return
    case 'kept':
      for (const value of [message.claim, message.cursor, message.wallMs, message.rows, message.bytes])
        writer.varint(value)
      return
    case 'skip':
      for (const value of [message.from, message.to, message.wallMs]) writer.varint(value)
      writer.string(message.reason)
      return
    case 'forget':
      writer.varint(message.below)
  }
}

function readBody(kind: BackupMessage['kind'], serverId: string, reader: ByteReader): BackupMessage {
  const pos = (): LogPos => reader.varint() as LogPos
  switch (kind) {
    case 'begin':
      return { kind, serverId, historyId: reader.string(), wallMs: reader.varint() }
    case 'claim':
      return { kind, serverId, from: pos(), to: pos() }
    case 'progress':
    case 'abandon':
      return { kind, serverId, claim: pos() }
    case 'done':
      return { kind, serverId, claim: pos(), bytes: reader.varint() }
    case 'takeover':
      return { kind, serverId, claim: pos(), lastHeard: pos() }
    case 'snapshot':
      return { kind, serverId }
    case 'kept': {
      const [claim, cursor, wallMs] = [pos(), pos(), reader.varint()]
      return { kind, serverId, claim, cursor, wallMs, rows: reader.varint(), bytes: reader.varint() }
    }
    case 'skip':
      return { kind, serverId, from: pos(), to: pos(), wallMs: reader.varint(), reason: reader.string() }
    case 'forget':
      return { kind, serverId, below: pos() }
  }
}
