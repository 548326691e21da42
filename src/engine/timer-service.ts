// Replicated timers as a layer above them sees them: armed and cancelled inside a transaction, fired as an entry at one
// position on all servers. The engine Time implements it (src/engines); whoever stands above it in the stack gets it handed.

import type { Key } from '../base/key.ts'
import type { ReadWriteTx } from '../store/local-store.ts'

/** A timer's name, chosen by who arms it. Unique in its database, 1 to 255 bytes. */
export type TimerId = Key

/** Called in apply of the switch itself: a layer above arms what it needs, or forgets what it had armed. Deterministic. */
export type TimersSwitched = (tx: ReadWriteTx, enabled: boolean) => void

export interface TimerService {
  /** Is the service enabled as of the entry being applied? While it is not, `arm` and `cancel` do nothing. Only in apply. */
  readonly enabledInApply: boolean
  /** Timers that can be armed, those of all layers together. One more throws in `arm`: whoever arms many counts his own. */
  readonly timersMax: number
  /**
   * Sets a timer, or sets it anew: its generation is the position of the entry being applied, and votes for an earlier one
   * are void. It fires when more than half of the view have measured `delayMs` (1 to 2^31 - 1) with their own monotonic
   * clocks, never before; later after pauses and restarts, since a stopwatch then starts again. Then an entry with
   * `payload` (at most 64 KiB) and no headers is applied to the layer above, and the timer is gone. Only in apply, whose
   * transaction `tx` is: the timer is written through it, and goes with a savepoint that is rolled back.
   */
  arm(tx: ReadWriteTx, id: TimerId, delayMs: number, payload: Uint8Array): void
  /** The timer won't fire. Unknown ones are ignored. Only in apply. */
  cancel(tx: ReadWriteTx, id: TimerId): void
  /**
   * This server's stopwatch of the timer starts again (a sign of life). Soft: the other servers don't learn of it, so with
   * more than one member a proposal that arms it anew is needed too. Propose side only; unknown ones are ignored; cheap.
   */
  restart(id: TimerId): void
  /** All stopwatches of this server start again: for a time in which nobody could give a sign of life. Soft; cheap. */
  restartAll(): void
  /** At most one listener. Registered before the stack starts. */
  onSwitched(listener: TimersSwitched): void
}
