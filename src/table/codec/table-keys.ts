// The keys of DelosTable in the LocalStore. One letter says what a record is; docs of the values are with their codecs.
//
//   r table key               row (stored-row.ts)
//   i table index entry       index entry (codec/compiled-index.ts)
//   d table                   descriptor, as tagged JSON
//   q table                   number of rows
//   m                         counters (table-counters.ts)
//   c position                what a transaction changed (row-change-log.ts)
//   z segment                 bytes of 1024 positions of that
//   k token                   position of the transaction with that token (tokens.ts)
//   l number                  the token that is the number'th
//   e tick table key          a row that expires at a tick, empty value (expiry.ts)
//   x                         the clock of TTLs
//   b table index             progress of an index that is being built (index-builder.ts)
//   v table index number      duplicates that it found
//   g table index             a range that is being removed; index 0: the rows
//   p                   how much of the past is kept (change-retention.ts)
//   h position           a restore began a new history behind it (histories.ts)

import { type Key, keyUint, uintOfKey } from '../../base/key.ts'
import type { KeyRange } from '../../store/local-store.ts'
import { rangeOfPrefix, subStorePrefix } from '../../store/sub-store.ts'

/** Everything that DelosTable keeps is under this prefix. */
export const TABLE_PREFIX = subStorePrefix('table')

const ROW = `${TABLE_PREFIX}r`
const ENTRY = `${TABLE_PREFIX}i`
const DESCRIPTOR = `${TABLE_PREFIX}d`
const COUNT = `${TABLE_PREFIX}q`
const CHANGE = `${TABLE_PREFIX}c`
const SEGMENT = `${TABLE_PREFIX}z`
const TOKEN = `${TABLE_PREFIX}k`
const TOKEN_ORDER = `${TABLE_PREFIX}l`
const EXPIRY = `${TABLE_PREFIX}e`
const BUILD = `${TABLE_PREFIX}b`
const VIOLATION = `${TABLE_PREFIX}v`
const GARBAGE = `${TABLE_PREFIX}g`
const HISTORY = `${TABLE_PREFIX}h`

export const COUNTERS_RECORD: Key = `${TABLE_PREFIX}m`
export const TTL_CLOCK: Key = `${TABLE_PREFIX}x`
export const RETENTION_RECORD: Key = `${TABLE_PREFIX}p`

const POSITION_BYTES = 8

/** Of tables ever made, and of indexes ever made of one table: ids are two bytes of a key, and none is given twice. */
export const ID_MAX = 0xffff

function id(value: number): Key {
  return String.fromCharCode(value >>> 8, value & 255)
}

export function idOfKey(key: Key, at: number): number {
  return key.charCodeAt(at) * 256 + key.charCodeAt(at + 1)
}

/** Rows of a table begin with it; the primary key follows. */
export function rowPrefix(table: number): Key {
  return ROW + id(table)
}

/** Entries of an index begin with it. */
export function entryPrefix(table: number, index: number): Key {
  return ENTRY + id(table) + id(index)
}

export function descriptorKey(table: number): Key {
  return DESCRIPTOR + id(table)
}

export function descriptorRange(): KeyRange {
  return rangeOfPrefix(DESCRIPTOR)
}

export function countKey(table: number): Key {
  return COUNT + id(table)
}

export function changeKey(position: number): Key {
  return CHANGE + keyUint(position)
}

export function positionOfChange(key: Key): number {
  let position = 0
  for (let i = CHANGE.length; i < CHANGE.length + POSITION_BYTES; i++) position = position * 256 + key.charCodeAt(i)
  return position
}

export function historyKey(position: number): Key {
  return HISTORY + keyUint(position)
}

export function historyRange(): KeyRange {
  return rangeOfPrefix(HISTORY)
}

export function positionOfHistory(key: Key): number {
  return uintOfKey(key, HISTORY.length)
}

/** Changes at the positions [from, to). */
export function changeRange(from: number, to: number): KeyRange {
  return { from: changeKey(from), to: changeKey(to) }
}

export function segmentKey(segment: number): Key {
  return SEGMENT + keyUint(segment)
}

export function tokenKey(token: Key): Key {
  return TOKEN + token
}

export function tokenRange(): KeyRange {
  return rangeOfPrefix(TOKEN)
}

export function tokenOrderKey(place: number): Key {
  return TOKEN_ORDER + keyUint(place)
}

/** `row`: the stored key of the row. */
export function expiryKey(tick: number, row: Key): Key {
  return EXPIRY + keyUint(tick) + row.slice(ROW.length)
}

/** Everything that expires before `tick`. */
export function expiredRange(tick: number): KeyRange {
  return { from: EXPIRY, to: EXPIRY + keyUint(tick) }
}

export function expiryRange(): KeyRange {
  return rangeOfPrefix(EXPIRY)
}

/** The stored key of the row in an expiry key. */
export function rowOfExpiry(key: Key): Key {
  return ROW + key.slice(EXPIRY.length + POSITION_BYTES)
}

/** The table in the stored key of a row. */
export function tableOfRow(key: Key): number {
  return idOfKey(key, ROW.length)
}

export function buildKey(table: number, index: number): Key {
  return BUILD + id(table) + id(index)
}

export function buildRange(): KeyRange {
  return rangeOfPrefix(BUILD)
}

/** Table and index in a key of `buildRange` or `garbageRange`. */
export function idsOf(key: Key): { readonly table: number; readonly index: number } {
  return { table: idOfKey(key, BUILD.length), index: idOfKey(key, BUILD.length + 2) }
}

export function violationKey(table: number, index: number, place: number): Key {
  return VIOLATION + id(table) + id(index) + keyUint(place)
}

export function violationRange(table: number, index: number): KeyRange {
  return rangeOfPrefix(VIOLATION + id(table) + id(index))
}

export function garbageKey(table: number, index: number): Key {
  return GARBAGE + id(table) + id(index)
}

export function garbageRange(): KeyRange {
  return rangeOfPrefix(GARBAGE)
}
