// A seeded generator for black-box tests. The seed comes from DELOS_TEST_SEED or from the clock and is always printed,
// so that a failing run can be repeated.

export class SeededRandom {
  readonly seed: number
  private state: number

  constructor(seed: number) {
    this.seed = seed >>> 0
    this.state = this.seed
  }

  /** A seed from DELOS_TEST_SEED, else `usual`, else a fresh one; printed with `purpose`. */
  static announced(purpose: string, usual: number = Date.now() % 0x1_0000_0000): SeededRandom {
    const given = process.env.DELOS_TEST_SEED
    const seed = given === undefined ? usual : Number(given)
    console.log(`${purpose}: DELOS_TEST_SEED=${seed >>> 0}`)
    return new SeededRandom(seed)
  }

  /** Uniform in [0, 2^32): splitmix32. */
  uint32(): number {
    this.state = (this.state + 0x9e3779b9) >>> 0
    let z = this.state
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    return (z ^ (z >>> 16)) >>> 0
  }

  /** Uniform in [0, bound). */
  below(bound: number): number {
    return Math.floor((this.uint32() / 0x1_0000_0000) * bound)
  }

  /** Uniform in [from, to], both inclusive. */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1)
  }

  chance(probability: number): boolean {
    return this.uint32() / 0x1_0000_0000 < probability
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('pick from nothing')
    return items[this.below(items.length)] as T
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    for (let i = 0; i < length; i++) bytes[i] = this.uint32() & 0xff
    return bytes
  }
}
