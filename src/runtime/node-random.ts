// The system's cryptographic random generator, drawn in blocks because a call for four bytes costs 1 µs.

import { randomBytes, randomFillSync } from 'node:crypto'
import type { Random } from './runtime.ts'

const BLOCK_WORDS = 1024

/** Random numbers that nobody can predict. `uint32` costs about 10 ns, `bytes` 1 µs. */
export class NodeRandom implements Random {
  private readonly block = new Uint32Array(BLOCK_WORDS)
  private used = BLOCK_WORDS

  uint32(): number {
    if (this.used === BLOCK_WORDS) {
      randomFillSync(this.block)
      this.used = 0
    }
    return this.block[this.used++] as number
  }

  bytes(length: number): Uint8Array {
    return randomBytes(length)
  }
}
