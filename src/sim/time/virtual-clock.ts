// The clocks of one simulated machine: virtual time, seen through a quartz that runs a little fast or slow.

import type { Clock } from '../../runtime/runtime.ts'
import type { EventQueue } from './event-queue.ts'

// 2024-01-01T00:00:00Z: far enough from 1970 that a difference and a date are not confused.
const WALL_START_MS = 1_704_067_200_000

/** Clocks that start with the machine's life and drift by `driftPpm`; the wall clock can be set. */
export class VirtualClock implements Clock {
  private readonly queue: EventQueue
  private readonly rate: number
  private readonly bootMs: number
  private wallOffsetMs: number

  constructor(queue: EventQueue, driftPpm = 0, wallOffsetMs = 0) {
    this.queue = queue
    this.rate = 1 + driftPpm / 1e6
    this.bootMs = queue.nowMs
    this.wallOffsetMs = wallOffsetMs
  }

  monotonicMs(): number {
    return (this.queue.nowMs - this.bootMs) * this.rate
  }

  wallMs(): number {
    return Math.floor(WALL_START_MS + this.wallOffsetMs + this.queue.nowMs * this.rate)
  }

  /** What this machine calls `localMs` takes this much virtual time. */
  virtualMs(localMs: number): number {
    return localMs / this.rate
  }

  /** Somebody sets the wall clock; monotonic time does not notice. */
  jumpWallMs(byMs: number): void {
    this.wallOffsetMs += byMs
  }
}
