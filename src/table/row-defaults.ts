// Values that the proposer makes for columns that rows leave out: UUIDs of version 7, whose order is that of creation, and times.

import type { Clock, Random } from '../runtime/runtime.ts'
import type { RowDefaults } from './codec/transaction-codec.ts'

/** Random bytes are drawn for so many at once. */
const DRAWN = 64
const BYTES = 10

export class RowDefaultsMaker implements RowDefaults {
  private readonly clock: Clock
  private readonly random: Random
  private drawn: Uint8Array = new Uint8Array(0)
  private at = 0

  constructor(clock: Clock, random: Random) {
    this.clock = clock
    this.random = random
  }

  uuid(): string {
    if (this.at + BYTES > this.drawn.length) {
      this.drawn = this.random.bytes(DRAWN * BYTES)
      this.at = 0
    }
    const bytes = Buffer.from(this.drawn.subarray(this.at, this.at + BYTES))
    this.at += BYTES
    // Version 7 and the variant.
    bytes[0] = ((bytes[0] as number) & 0x0f) | 0x70
    bytes[2] = ((bytes[2] as number) & 0x3f) | 0x80
    const time = Math.max(0, Math.floor(this.clock.wallMs())).toString(16).padStart(12, '0')
    const hex = bytes.toString('hex')
    return `${time.slice(0, 8)}-${time.slice(8)}-${hex.slice(0, 4)}-${hex.slice(4, 8)}-${hex.slice(8)}`
  }

  now(): Date {
    return new Date(Math.floor(this.clock.wallMs()))
  }
}
