// Timers of one simulated process in virtual time. They end with its life.

import type { Timer, Timers } from '../../runtime/runtime.ts'
import type { Life } from '../life.ts'
import type { SeededRandom } from '../seeded-random.ts'
import type { EventQueue } from './event-queue.ts'
import type { VirtualClock } from './virtual-clock.ts'

const DEAD_TIMER: Timer = { cancel: () => undefined }
// What the turn of an event loop takes at least. Without it a drifting clock could read a hair less than a timer asked for,
// and whoever re-arms for the rest would do so for ever at one instant; so would a loop of `soon` that waits for time.
const TURN_MS = 0.001

/** Timers measured by `clock`, up to `lateMsMax` late, silent once `life` ended. `soon` keeps the order of its calls. */
export class VirtualTimers implements Timers {
  private readonly queue: EventQueue
  private readonly clock: VirtualClock
  private readonly life: Life
  private readonly random: SeededRandom
  private readonly lateMsMax: number

  constructor(queue: EventQueue, clock: VirtualClock, life: Life, random: SeededRandom, lateMsMax = 0) {
    this.queue = queue
    this.clock = clock
    this.life = life
    this.random = random
    this.lateMsMax = lateMsMax
  }

  after(delayMs: number, callback: () => void): Timer {
    if (!this.life.alive) return DEAD_TIMER
    const lateMs = this.lateMsMax > 0 ? this.random.fraction() * this.lateMsMax : 0
    let due = true
    const event = this.queue.schedule(this.clock.virtualMs(Math.max(0, delayMs)) + TURN_MS + lateMs, () =>
      // Cancelled, perhaps, after it fell due while the process stood still.
      this.life.pass(() => {
        if (due) callback()
      }),
    )
    return {
      cancel: () => {
        due = false
        event.cancel()
      },
    }
  }

  soon(callback: () => void): void {
    if (this.life.alive) this.queue.schedule(TURN_MS, () => this.life.pass(callback))
  }
}
