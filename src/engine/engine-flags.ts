// The replicated switch of one engine: enabled or not, and its level. Lives in the engine's key range, is changed only by the
// engine's own control entry, and is the same on all servers at the same position. Not here: who may ask for a change.

import { ByteReader } from '../base/byte-reader.ts'
import { ByteWriter } from '../base/byte-writer.ts'
import { DelosError } from '../base/delos-error.ts'
import type { Key } from '../base/key.ts'
import type { ReadTx, ReadWriteTx } from '../store/local-store.ts'
import { subStorePrefix } from '../store/sub-store.ts'
import type { Membership } from './membership.ts'

/** Kinds below this, the first byte of an engine's header, belong to the base class. An engine's own kinds start here. */
export const OWN_KINDS_FROM = 16

const KIND_FLAG = 1
const KIND_LEVEL = 2
const FORMAT = 1

/** What is switched, as of one position. */
export interface EngineFlags {
  readonly enabled: boolean
  /** 0 until first raised; apply changes its behaviour only behind a higher one. */
  readonly level: number
}

/** What a control entry asks for. */
export type FlagChange =
  | { readonly kind: 'flag'; readonly enabled: boolean }
  | { readonly kind: 'level'; readonly level: number }

/** What apply of a control entry answered. */
export type FlagOutcome =
  | { readonly kind: 'switched'; readonly flags: EngineFlags }
  /** Members that have not announced the engine at that level; or the level is not above the present one. Nothing changed. */
  | { readonly kind: 'refused'; readonly flags: EngineFlags; readonly missing: readonly string[] }

const OFF: EngineFlags = { enabled: false, level: 0 }

/** True if a header with this first byte is a switch of the base class, not the engine's own. */
export function isFlagHeader(bytes: Uint8Array): boolean {
  return bytes.length > 0 && (bytes[0] as number) < OWN_KINDS_FROM
}

/** The header of a control entry. */
export function encodeFlagChange(change: FlagChange): Uint8Array {
  const writer = new ByteWriter(16)
  writer.u8(change.kind === 'flag' ? KIND_FLAG : KIND_LEVEL)
  writer.varint(change.kind === 'flag' ? Number(change.enabled) : change.level)
  return writer.toBytes()
}

/** Reads a control header. CORRUPT if it is none. */
export function decodeFlagChange(bytes: Uint8Array): FlagChange {
  const reader = new ByteReader(bytes)
  const kind = reader.u8()
  const value = reader.varint()
  if (kind === KIND_FLAG && value <= 1 && reader.remaining === 0) return { kind: 'flag', enabled: value === 1 }
  if (kind === KIND_LEVEL && reader.remaining === 0) return { kind: 'level', level: value }
  throw new DelosError('CORRUPT', `engine control header of kind ${kind} with value ${value}`)
}

/** The key that holds an engine's flags: the first of its range. Engines must not start own keys with a zero byte. */
export function flagsKey(engine: string): Key {
  return `${subStorePrefix(engine)}\x00`
}

export function readFlags(tx: ReadTx, engine: string): EngineFlags {
  const stored = tx.get(flagsKey(engine))
  if (stored === undefined) return OFF
  const reader = new ByteReader(stored)
  const format = reader.u8()
  if (format !== FORMAT) throw new DelosError('FORMAT', `flags of engine ${engine} have format ${format}`)
  return { enabled: reader.u8() === 1, level: reader.varint() }
}

/** Applies a control entry: checks the rule of the view, then writes the flags. Deterministic. */
export function applyFlagChange(
  tx: ReadWriteTx,
  engine: string,
  now: EngineFlags,
  change: FlagChange,
  membership: Membership,
): FlagOutcome {
  // Switching off needs nobody's consent: whoever knew the engine to switch it on knows it still.
  if (change.kind === 'flag' && !change.enabled) return write(tx, engine, { enabled: false, level: now.level })
  const level = change.kind === 'flag' ? now.level : change.level
  if (change.kind === 'level' && level <= now.level) return { kind: 'refused', flags: now, missing: [] }
  const missing = membership.missing(tx, engine, level)
  if (missing.length > 0) return { kind: 'refused', flags: now, missing }
  return write(tx, engine, { enabled: change.kind === 'flag' ? change.enabled : now.enabled, level })
}

function write(tx: ReadWriteTx, engine: string, flags: EngineFlags): FlagOutcome {
  const writer = new ByteWriter(16)
  writer.u8(FORMAT)
  writer.u8(Number(flags.enabled))
  writer.varint(flags.level)
  tx.put(flagsKey(engine), writer.toBytes())
  return { kind: 'switched', flags }
}
