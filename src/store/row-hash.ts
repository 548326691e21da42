// The keyed 128-bit hash of one row, of which digests are sums. A pure function of bytes, the same on every machine; made to
// tell contents apart, not to withstand somebody who searches for collisions. Not here: sums, and when they are kept.

import { assert } from '../base/assert.ts'

/** Writes the hash of (`key`, `value`) into `into`, four lanes of 32 bits, the lowest first. */
export type RowHasher = (key: Uint8Array, value: Uint8Array, into: Uint32Array) => void

const DIGEST_KEY_BYTES = 16

/** The key to hash under: what was given, or zeros. */
export function digestKeyOf(given: Uint8Array | undefined): Uint8Array {
  if (given === undefined) return new Uint8Array(DIGEST_KEY_BYTES)
  assert(given.length === DIGEST_KEY_BYTES, `a digest key has ${DIGEST_KEY_BYTES} bytes, not ${given.length}`)
  return given
}

/**
 * The hash under `digestKey` (16 bytes). About 60 ns and 1 ns a byte. What it answers is compared between servers of different
 * versions: a change is a new format (testdata/store/row-hash.txt). It also runs in the thread that writes RocksDB, from its
 * own source text (rocks-worker.ts), so it must use nothing but its arguments.
 */
export function createRowHasher(digestKey: Uint8Array): RowHasher {
  const seeds = new DataView(digestKey.buffer, digestKey.byteOffset, digestKey.byteLength)
  const seed0 = seeds.getInt32(0, true)
  const seed1 = seeds.getInt32(4, true)
  const seed2 = seeds.getInt32(8, true)
  const seed3 = seeds.getInt32(12, true)
  const state = new Int32Array(4)

  // One round takes in 16 bytes. It is a permutation of the state for any bytes and of the bytes for any state, so inputs that
  // differ in one block only never meet. The last block is filled up with zeros: lengths are hashed on their own.
  const take = (bytes: Uint8Array): void => {
    let a = state[0] as number
    let b = state[1] as number
    let c = state[2] as number
    let d = state[3] as number
    const { length } = bytes
    const word = (at: number): number =>
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    const part = (at: number): number => {
      let value = 0
      for (let i = Math.min(4, length - at) - 1; i >= 0; i--) value = (value << 8) | (bytes[at + i] as number)
      return value
    }
    for (let at = 0; at < length; at += 16) {
      const whole = at + 16 <= length
      a = Math.imul(a ^ (whole ? word(at) : part(at)), 0x2e1b_5f6d)
      b = Math.imul(b ^ (whole ? word(at + 4) : part(at + 4)), 0x5bd3_a8c5)
      c = Math.imul(c ^ (whole ? word(at + 8) : part(at + 8)), 0x7a91_64e3)
      d = Math.imul(d ^ (whole ? word(at + 12) : part(at + 12)), 0x4c6f_9b27)
      a = (((a << 13) | (a >>> 19)) + b) | 0
      b = (((b << 17) | (b >>> 15)) + c) | 0
      c = (((c << 11) | (c >>> 21)) + d) | 0
      d = (((d << 19) | (d >>> 13)) + a) | 0
    }
    state[0] = a
    state[1] = b
    state[2] = c
    state[3] = d
  }

  const scramble = (lane: number): number => {
    let mixed = Math.imul(lane ^ (lane >>> 15), 0x6b43_a9b5)
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0x52f2_9c1d)
    return mixed ^ (mixed >>> 16)
  }

  return (key, value, into) => {
    // The lengths go first, through a scramble each: the same bytes cut elsewhere are another row.
    state[0] = seed0 ^ scramble(key.length + 1)
    state[1] = seed1 ^ scramble(value.length + 0x4000_0000)
    state[2] = (seed2 + Math.imul(key.length, 0x3c6e_f35f)) | 0
    state[3] = (seed3 + Math.imul(value.length, 0x1b87_3593)) | 0
    take(key)
    take(value)
    let a = state[0] as number
    let b = state[1] as number
    let c = state[2] as number
    let d = state[3] as number
    for (let round = 1; round <= 3; round++) {
      a = scramble((a + b + round) | 0)
      c = scramble((c + d) | 0)
      b = scramble((b + c) | 0)
      d = scramble((d + a) | 0)
    }
    into[0] = a
    into[1] = b
    into[2] = c
    into[3] = d
  }
}
