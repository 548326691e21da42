// The seam to the outside world: time, chance, disk, network. No other layer touches it, so a whole cluster runs in one
// process under a seed (sim/ holds the simulated side). Nothing here has behaviour.

import type { Disk } from './disk.ts'
import type { Network } from './network.ts'

/** Two clocks. Neither may be read by `apply`. */
export interface Clock {
  /** Milliseconds with fractions since an arbitrary start; never goes back, never jumps with the wall clock. */
  monotonicMs(): number
  /** Milliseconds since 1970; may jump. Data only, never compared to decide. */
  wallMs(): number
}

/** A pending timer. */
export interface Timer {
  /** After this returns the callback won't run. Idempotent. */
  cancel(): void
}

/** The only way to wait. Callbacks must not throw. */
export interface Timers {
  /** Runs `callback` once, not before `delayMs` have passed. */
  after(delayMs: number, callback: () => void): Timer
  /** Runs `callback` in a later turn of the event loop, after I/O had its chance (setImmediate). Not cancellable, cheap. */
  soon(callback: () => void): void
}

/** A source of chance: seeded in the simulator, the system's generator in production. */
export interface Random {
  /** A uniform integer in [0, 2^32). */
  uint32(): number
  /** `length` random bytes, good enough for secrets in production. */
  bytes(length: number): Uint8Array
}

/** Everything outside, as one value that the composition root hands down. */
export interface Runtime {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly disk: Disk
  readonly network: Network
}
