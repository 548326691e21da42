// How old the log is, by time that a majority has measured: a timer that fires and is armed again, eight times within the age
// that the operator wants kept, and the positions at which it did. Stored format of the record:
//
//   a  u8 format = 1, varint ms of a step, varint count, (varint position)*: where the newest steps began, ascending

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import type { Key } from '../../base/key.ts'
import type { LogPos } from '../../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'

/** The log is released at most this fraction of the age late. */
const STEPS = 8
const FORMAT = 1

/** A majority has measured `stepMs` between one position and the next. */
export interface LogAge {
  readonly stepMs: number
  readonly began: readonly number[]
}

/** What one step takes if the log is to be kept for `ageMs`. */
export function stepOf(ageMs: number): number {
  return Math.ceil(ageMs / STEPS)
}

export function readLogAge(tx: ReadTx, prefix: Key): LogAge | undefined {
  const stored = tx.get(`${prefix}a`)
  if (stored === undefined) return undefined
  const reader = new ByteReader(stored)
  const format = reader.u8()
  if (format !== FORMAT) throw new DelosError('FORMAT', `the age record of Time has format ${format}`)
  const stepMs = reader.varint()
  const began: number[] = []
  for (let left = reader.varint(); left > 0; left--) began.push(reader.varint())
  return { stepMs, began }
}

export function writeLogAge(tx: ReadWriteTx, prefix: Key, { stepMs, began }: LogAge): void {
  const writer = new ByteWriter(96)
  writer.u8(FORMAT)
  writer.varint(stepMs)
  writer.varint(began.length)
  for (const pos of began) writer.varint(pos)
  tx.put(`${prefix}a`, writer.toBytes())
}

/** A step has ended at `pos`, and the next begins. */
export function stepEnded({ stepMs, began }: LogAge, pos: LogPos): LogAge {
  return { stepMs, began: [...began, pos].slice(-STEPS - 1) }
}

/** Everything below it is older than the age. 0 while nothing is. */
export function oldEnough(age: LogAge | undefined): LogPos {
  return ((age?.began.length ?? 0) > STEPS ? age?.began[0] : 0) as LogPos
}
