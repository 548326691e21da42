// The header of BrainDoctor's entries: an operator's edits, each with what it expects to find. A stored format (golden files in
// testdata/entries). The entries have no payload and must be understood: a server without BrainDoctor would not be edited.
//
//   u8 16, u8 format = 1, then the request
//   request  u8 flags (1 forced, 2 voids, 4 repairs), [varint position, if it repairs], varint wall clock ms, string who,
//            string why, varint count, per edit: bytes key, u8 shape (1 expects a value, 2 puts one), [bytes old], [bytes new]

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import { type Key, keyOfBytes, keyToBytes } from '../../base/key.ts'
import { OWN_KINDS_FROM } from '../../engine/engine-flags.ts'
import type { LogPos } from '../../log/position.ts'

const KIND_EDIT = OWN_KINDS_FROM
const FORMAT = 1
const FORCED = 1
const VOIDS = 2
const REPAIRS = 4
const FLAGS = FORCED | VOIDS | REPAIRS
const HAS_OLD = 1
const HAS_NEW = 2

/** One row. Nothing is changed unless it holds `old`. */
export interface RowEdit {
  readonly key: Key
  /** undefined: there is no such row. */
  readonly old: Uint8Array | undefined
  /** undefined: it is deleted. */
  readonly value: Uint8Array | undefined
}

/** What an operator asks for; all edits or none. */
export interface EditRequest {
  readonly who: string
  readonly why: string
  /** When, by the wall clock of the server that was asked. */
  readonly wallMs: number
  /** Also rows that are refused otherwise. */
  readonly forced: boolean
  /** The position that it is applied in front of; anywhere else it does nothing. undefined: its own. */
  readonly repairs: LogPos | undefined
  /** That position is void: an entry that no server could apply was passed. */
  readonly voids: boolean
  readonly edits: readonly RowEdit[]
}

export function encodeEditHeader(request: EditRequest): Uint8Array {
  const writer = new ByteWriter(256)
  writer.u8(KIND_EDIT)
  writer.u8(FORMAT)
  writeRequest(writer, request)
  return writer.toBytes()
}

/** FORMAT if a newer build wrote it, CORRUPT if it is damaged. */
export function decodeEditHeader(bytes: Uint8Array): EditRequest {
  const reader = new ByteReader(bytes)
  const kind = reader.u8()
  const format = reader.u8()
  if (kind !== KIND_EDIT || format !== FORMAT) {
    throw new DelosError('FORMAT', `a header of BrainDoctor of kind ${kind} has format ${format}`)
  }
  return readRequest(reader)
}

/** Also the body of an audit record. */
export function writeRequest(writer: ByteWriter, request: EditRequest): void {
  const { edits, forced, repairs, voids, wallMs, who, why } = request
  writer.u8((forced ? FORCED : 0) | (voids ? VOIDS : 0) | (repairs === undefined ? 0 : REPAIRS))
  if (repairs !== undefined) writer.varint(repairs)
  writer.varint(wallMs > 0 ? Math.floor(wallMs) : 0)
  writer.string(who)
  writer.string(why)
  writer.varint(edits.length)
  for (const { key, old, value } of edits) {
    writer.bytes(keyToBytes(key))
    writer.u8((old === undefined ? 0 : HAS_OLD) | (value === undefined ? 0 : HAS_NEW))
    if (old !== undefined) writer.bytes(old)
    if (value !== undefined) writer.bytes(value)
  }
}

/** To the end of its bytes. Values are copies: they outlive the entry. */
export function readRequest(reader: ByteReader): EditRequest {
  const flags = reader.u8()
  if (flags > FLAGS) throw new DelosError('CORRUPT', `an edit with unknown flags ${flags}`)
  const repairs = (flags & REPAIRS) === 0 ? undefined : (reader.varint() as LogPos)
  const wallMs = reader.varint()
  const who = reader.string()
  const why = reader.string()
  const edits: RowEdit[] = []
  for (let left = reader.varint(); left > 0; left--) {
    const key = keyOfBytes(reader.bytes())
    const shape = reader.u8()
    if (shape > (HAS_OLD | HAS_NEW)) throw new DelosError('CORRUPT', `an edit of unknown shape ${shape}`)
    const old = (shape & HAS_OLD) === 0 ? undefined : Buffer.from(reader.bytes())
    const value = (shape & HAS_NEW) === 0 ? undefined : Buffer.from(reader.bytes())
    edits.push({ key, old, value })
  }
  if (reader.remaining !== 0) throw new DelosError('CORRUPT', `${reader.remaining} bytes follow an edit`)
  return { who, why, wallMs, forced: (flags & FORCED) !== 0, repairs, voids: (flags & VOIDS) !== 0, edits }
}
