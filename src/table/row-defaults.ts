// What the proposer draws: UUIDs of version 7, whose order is that of creation, and times for columns that rows leave out; tokens.

import type { Clock, Random } from '../runtime/runtime.ts'
import type { RowDefaults } from './codec/transaction-codec.ts'

/** Random bytes are drawn so many at once. */
const DRAWN = 1024
const UUID_BYTES = 10
const TOKEN_BYTES = 12

export class RowDefaultsMaker implements RowDefaults {
  private readonly clock: Clock
  private readonly random: Random
  private drawn: Buffer = Buffer.alloc(0)
  private at = 0

  constructor(clock: Clock, random: Random) {
    this.clock = clock
    this.random = random
  }

  /** For a transaction that brought none. */
  token(): string {
    return this.draw(TOKEN_BYTES).toString('base64url')
  }

  uuid(): string {
    const bytes = this.draw(UUID_BYTES)
    // Version 7 and the variant.
    bytes[0] = ((bytes[0] as number) & 0x0f) | 0x70
    bytes[2] = ((bytes[2] as number) & 0x3f) | 0x80
    const time = Math.max(0, Math.floor(this.clock.wallMs())).toString(16).padStart(12, '0')
    const hex = bytes.toString('hex')
    return `${time.slice(0, 8)}-${time.slice(8)}-${hex.slice(0, 4)}-${hex.slice(4, 8)}-${hex.slice(8)}`
  }

  private draw(count: number): Buffer {
    if (this.at + count > this.drawn.length) {
      this.drawn = Buffer.from(this.random.bytes(DRAWN))
      this.at = 0
    }
    this.at += count
    return this.drawn.subarray(this.at - count, this.at)
  }

  now(): Date {
    return new Date(Math.floor(this.clock.wallMs()))
  }
}
