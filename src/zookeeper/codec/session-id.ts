// Session ids between this program, where they are safe integers counting from 1, and the wire, where they have 64 bits.

import type { JuteReader } from './jute-reader.ts'
import type { JuteWriter } from './jute-writer.ts'

// Every id on the wire has this top byte, where ZooKeeper puts the number of the server that made it. It is never 0, so that our
// ids look like ZooKeeper's (0x1...), and leaves 56 bits for ids of at most 53.
const TOP_BYTE = 0x01

const POWER_32 = 0x1_0000_0000
const TOP_SHIFTED = TOP_BYTE << 24
const HIGH_MAX = 0x1f_ffff

/** What `readSessionId` returns for an id that this product can't have given out. */
export const FOREIGN_SESSION = -1

/** Writes an id of ours, or 0 for none. */
export function writeSessionId(to: JuteWriter, id: number): void {
  to.int32(sessionHigh(id))
  to.int32(id)
}

/** Reads an id: one of ours, 0 for none, or FOREIGN_SESSION. */
export function readSessionId(from: JuteReader): number {
  const high = from.int32()
  const low = from.int32() >>> 0
  if (high === 0 && low === 0) return 0
  if (high < TOP_SHIFTED || high > TOP_SHIFTED + HIGH_MAX) return FOREIGN_SESSION
  const id = (high - TOP_SHIFTED) * POWER_32 + low
  return id === 0 ? FOREIGN_SESSION : id
}

/** An id of ours as clients see it, for clients written in this language. */
export function wireSessionId(id: number): bigint {
  return (BigInt(sessionHigh(id)) << 32n) | BigInt(id >>> 0)
}

/** An id of ours as operators see it everywhere: `0x100000000000001`. */
export function sessionHex(id: number): string {
  if (id === FOREIGN_SESSION) return 'none of this product'
  return `0x${wireSessionId(id).toString(16)}`
}

function sessionHigh(id: number): number {
  return id === 0 ? 0 : TOP_SHIFTED + Math.floor(id / POWER_32)
}
