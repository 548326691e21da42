// The simulator's only source of chance: a small fast generator that a seed determines completely. Not for secrets.

import { assert } from '../base/assert.ts'
import type { Random } from '../runtime/runtime.ts'

const POWER_32 = 0x1_0000_0000
const GOLDEN = 0x9e3779b9

/** A generator of the xoshiro128** family: 128 bits of state, about 5 ns a draw. */
export class SeededRandom implements Random {
  private readonly low: number
  private readonly high: number
  private s0: number
  private s1: number
  private s2: number
  private s3: number

  /** Any safe integer is a seed. Different labels give unrelated streams of one seed. */
  constructor(seed: number, label = '') {
    assert(Number.isSafeInteger(seed), `a seed is a safe integer, not ${seed}`)
    let low = seed >>> 0
    let high = Math.floor(seed / POWER_32) >>> 0
    for (let i = 0; i < label.length; i++) {
      low = scramble(low ^ label.charCodeAt(i))
      high = scramble(high + low)
    }
    this.low = low
    this.high = high
    this.s0 = scramble(low + GOLDEN)
    this.s1 = scramble(high + this.s0)
    this.s2 = scramble(this.s1 + GOLDEN)
    // Never all zero: the state would stay there.
    this.s3 = scramble(this.s2 + low) | 1
  }

  /** An unrelated stream that depends on this one's seed and `label` alone, not on how much was drawn. */
  fork(label: string): SeededRandom {
    return new SeededRandom((this.high & 0x1fffff) * POWER_32 + this.low, `/${label}`)
  }

  uint32(): number {
    const times5 = Math.imul(this.s1, 5)
    const result = Math.imul((times5 << 7) | (times5 >>> 25), 9) >>> 0
    const shifted = this.s1 << 9
    this.s2 ^= this.s0
    this.s3 ^= this.s1
    this.s1 ^= this.s2
    this.s0 ^= this.s3
    this.s2 ^= shifted
    this.s3 = (this.s3 << 11) | (this.s3 >>> 21)
    return result
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let i = 0; i < length; i++) bytes[i] = this.uint32() >>> 24
    return bytes
  }

  /** Uniform in [0, 1). */
  fraction(): number {
    return this.uint32() / POWER_32
  }

  /** Between min and max, mostly near min: how long things take. */
  latency(min: number, max: number): number {
    const fraction = this.fraction()
    return min + (max - min) * fraction * fraction * fraction
  }

  /** A uniform integer in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.fraction() * bound)
  }

  /** A uniform integer in [from, to], both included. */
  integer(from: number, to: number): number {
    return from + this.below(to - from + 1)
  }

  /** True with this probability. Draws nothing for 0, so that a fault that is off leaves the run unchanged. */
  chance(probability: number): boolean {
    return probability > 0 && this.fraction() < probability
  }

  /** One of the items. */
  pick<T>(items: readonly T[]): T {
    assert(items.length > 0, 'nothing to pick from')
    return items[this.below(items.length)] as T
  }
}

// A bijection of 32-bit integers in which every input bit moves about half of the output bits.
function scramble(value: number): number {
  let mixed = (value + GOLDEN) | 0
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
  return (mixed ^ (mixed >>> 15)) >>> 0
}
