// When a session has been silent for too long: the interface, and the implementation for one server, which measures by its
// own monotonic clock. A replicated timer takes its place when several servers decide together.

import type { Clock, Timer, Timers } from '../../runtime/runtime.ts'
import type { SessionId } from '../znode.ts'

/** One stopwatch for each session. */
export interface SessionExpiry {
  /** Starts (or starts again) the stopwatch of a session. */
  start(id: SessionId, timeoutMs: number): void
  /** A sign of life. Cheap; unknown sessions are ignored. */
  touch(id: SessionId): void
  stop(id: SessionId): void
  /** Every session has its full timeout again. Cheap. */
  restartAll(): void
  /** No time passes from now on (until `resume`, which restarts all): the server can't serve clients. */
  pause(): void
  resume(): void
  close(): void
}

export interface SessionExpiryOptions {
  readonly clock: Clock
  readonly timers: Timers
  /** How often it looks, and about how late an expiry may be. */
  readonly tickMs: number
  /** A session was silent for its timeout. Its stopwatch has been stopped. */
  readonly expired: (id: SessionId) => void
  /** Asked before a tick is counted: false while updates do not get through, so that no client could show life. */
  readonly alive: () => boolean
}

interface Stopwatch {
  readonly id: SessionId
  readonly timeoutMs: number
  /** In session time. */
  touchedAt: number
  stopped: boolean
}

/** A timer that fires this much later than asked means that the process stood still. */
const GAP_MS = 1000

/**
 * Session time advances by one tick per tick at most, however late the tick comes: what the event loop stood still never
 * counts. After a gap of a second or more (a suspended process) all stopwatches start again.
 *
 * A touch only notes the time; stopwatches lie in buckets by the tick at which they may be due and are looked at then.
 */
export class LocalSessionExpiry implements SessionExpiry {
  private readonly options: SessionExpiryOptions
  private readonly stopwatches = new Map<SessionId, Stopwatch>()
  private readonly buckets = new Map<number, Stopwatch[]>()
  private ticks = 0
  /** No touch counts as older than this. */
  private floor = 0
  private lastTickMs: number
  private timer: Timer | undefined

  constructor(options: SessionExpiryOptions) {
    this.options = options
    this.lastTickMs = options.clock.monotonicMs()
    this.schedule()
  }

  start(id: SessionId, timeoutMs: number): void {
    this.stop(id)
    const stopwatch: Stopwatch = { id, timeoutMs, touchedAt: this.nextTickTime(), stopped: false }
    this.stopwatches.set(id, stopwatch)
    this.place(stopwatch)
  }

  touch(id: SessionId): void {
    const stopwatch = this.stopwatches.get(id)
    if (stopwatch !== undefined) stopwatch.touchedAt = this.nextTickTime()
  }

  stop(id: SessionId): void {
    const stopwatch = this.stopwatches.get(id)
    if (stopwatch === undefined) return
    stopwatch.stopped = true
    this.stopwatches.delete(id)
  }

  restartAll(): void {
    this.floor = this.nextTickTime()
  }

  pause(): void {
    this.timer?.cancel()
    this.timer = undefined
  }

  resume(): void {
    if (this.timer !== undefined) return
    this.restartAll()
    this.lastTickMs = this.options.clock.monotonicMs()
    this.schedule()
  }

  close(): void {
    this.pause()
    this.stopwatches.clear()
    this.buckets.clear()
  }

  // A sign of life between two ticks counts as one at the later: never too early.
  private nextTickTime(): number {
    return (this.ticks + 1) * this.options.tickMs
  }

  private schedule(): void {
    this.timer = this.options.timers.after(this.options.tickMs, () => this.tick())
  }

  private tick(): void {
    const now = this.options.clock.monotonicMs()
    const late = now - this.lastTickMs - this.options.tickMs
    this.lastTickMs = now
    this.schedule()
    if (late >= GAP_MS || !this.options.alive()) this.restartAll()
    this.ticks++
    const due = this.buckets.get(this.ticks)
    if (due === undefined) return
    this.buckets.delete(this.ticks)
    for (const stopwatch of due) this.look(stopwatch)
  }

  private look(stopwatch: Stopwatch): void {
    if (stopwatch.stopped) return
    if (this.dueTick(stopwatch) > this.ticks) return this.place(stopwatch)
    this.stop(stopwatch.id)
    this.options.expired(stopwatch.id)
  }

  private place(stopwatch: Stopwatch): void {
    const tick = Math.max(this.dueTick(stopwatch), this.ticks + 1)
    const bucket = this.buckets.get(tick)
    if (bucket === undefined) this.buckets.set(tick, [stopwatch])
    else bucket.push(stopwatch)
  }

  private dueTick(stopwatch: Stopwatch): number {
    const silentSince = Math.max(stopwatch.touchedAt, this.floor)
    return Math.ceil((silentSince + stopwatch.timeoutMs) / this.options.tickMs)
  }
}
