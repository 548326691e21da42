// The numbers of a DelosTable database: one record, read at the start, written with every transaction. A stored format: a
// version byte, then each number in 8 bytes, in the order of NAMES.

import { DelosError } from '../../base/delos-error.ts'
import type { ReadTx } from '../../store/local-store.ts'
import { COUNTERS_RECORD } from '../codec/table-keys.ts'

const FORMAT = 1
const POWER_32 = 0x1_0000_0000

const NAMES = [
  /** Changing transactions so far. */
  'position',
  'lastTableId',
  /** The oldest position that the change feed has; bytes in the feed, and in its newest segment. */
  'oldestChange',
  'changeBytes',
  'segmentBytes',
  /** Tokens ever remembered, and how many of them are forgotten. */
  'tokens',
  'tokensForgotten',
] as const

export type TableCounters = Record<(typeof NAMES)[number], number>

export function noCounters(): TableCounters {
  return {
    position: 0,
    lastTableId: 0,
    oldestChange: 1,
    changeBytes: 0,
    segmentBytes: 0,
    tokens: 0,
    tokensForgotten: 0,
  }
}

export function readCounters(reader: Pick<ReadTx, 'get'>): TableCounters {
  const stored = reader.get(COUNTERS_RECORD)
  if (stored === undefined) return noCounters()
  const bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength)
  if (bytes[0] !== FORMAT) throw new DelosError('FORMAT', `counters of tables have the unknown format ${bytes[0]}`)
  const counters = noCounters()
  NAMES.forEach((name, i) => {
    counters[name] = bytes.readUInt32BE(1 + i * 8) * POWER_32 + bytes.readUInt32BE(5 + i * 8)
  })
  return counters
}

/** Writes into `record` if there is one, which must not have been committed yet. */
export function writeCounters(counters: TableCounters, record: Buffer | undefined): Buffer {
  const bytes = record ?? Buffer.allocUnsafeSlow(1 + NAMES.length * 8)
  bytes[0] = FORMAT
  for (let i = 0; i < NAMES.length; i++) {
    const value = counters[NAMES[i] as (typeof NAMES)[number]]
    bytes.writeUInt32BE(Math.floor(value / POWER_32), 1 + i * 8)
    bytes.writeUInt32BE(value % POWER_32, 5 + i * 8)
  }
  return bytes
}
