// The deadline of SessionOrder's proposals: one timer for all, which ticks a few times per deadline while somebody waits. Age is
// counted in ticks. Not here: who waits, and what those who are late are told.

import type { Timer, Timers } from '../../runtime/runtime.ts'

export interface OrderSweepParts {
  readonly timers: Timers
  readonly proposalDeadlineMs: number
}

const TICKS_PER_DEADLINE = 4

export class OrderSweep {
  /** Ticks so far: when a proposal was born is written down as one. */
  tick = 0
  private readonly parts: OrderSweepParts
  /** Called after each tick. Returns whether anybody still waits. */
  private readonly ticked: () => boolean
  private timer: Timer | undefined

  constructor(parts: OrderSweepParts, ticked: () => boolean) {
    this.parts = parts
    this.ticked = ticked
  }

  /** Somebody waits. */
  arm(): void {
    if (this.timer !== undefined) return
    this.timer = this.parts.timers.after(this.parts.proposalDeadlineMs / TICKS_PER_DEADLINE, () => {
      this.timer = undefined
      this.tick++
      if (this.ticked()) this.arm()
    })
  }

  cancel(): void {
    this.timer?.cancel()
    this.timer = undefined
  }

  /** Was it born a deadline ago, or longer? By at most a tick more. */
  isLate(bornTick: number): boolean {
    return this.tick - bornTick > TICKS_PER_DEADLINE
  }

  /** The tick at which half a deadline, counted from now, is over. */
  get halfDeadline(): number {
    return this.tick + TICKS_PER_DEADLINE / 2
  }
}
