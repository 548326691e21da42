// The stopwatches of one server, one for each timer, on its own monotonic clock. Soft state: they start again with the process.
// Not here: what happens when one has run (voting.ts).

import type { TimerId } from '../../engine/timer-service.ts'

/** One timer as this server measures it. */
export interface Stopwatch {
  readonly id: TimerId
  generation: number
  delayMs: number
  /** In measured time. */
  sinceMs: number
  /** The bucket it lies in; NOWHERE while it is due and in the hands of the voter. */
  bucket: number
  removed: boolean
}

const NOWHERE = -1

/** A tick that comes this much late means that the process stood still. */
const GAP_MS = 1000

/** Entries of buckets that nobody waits for may be so many more than stopwatches before they are cleared away. */
const STALE_MAX = 1000

/**
 * Measured time advances by one tick per tick at most, however late the tick comes: what the event loop stood still never
 * counts. After a gap of a second or more all stopwatches start again.
 *
 * A restart only notes the time; stopwatches lie in buckets by the tick at which they may be due and are looked at then. One that is removed, or moved to an earlier bucket, leaves its entry behind: they are cleared away all at once
 * when they are the most, which costs a remove O(1) on average.
 */
export class Stopwatches {
  private readonly byId = new Map<TimerId, Stopwatch>()
  private readonly buckets = new Map<number, Stopwatch[]>()
  /** Entries of all buckets. */
  private placed = 0
  private readonly tickMs: number
  private lastTickMs = 0
  private measuredMs = 0
  /** No earlier than the next tick will be in measured time: what starts now counts from then, so never too early. */
  private nextMs: number
  /** Nobody counts from before this. */
  private floorMs = 0
  /** The newest bucket that was looked at. */
  private looked = 0

  constructor(tickMs: number) {
    this.tickMs = tickMs
    this.nextMs = tickMs
  }

  get size(): number {
    return this.byId.size
  }

  /** What the buckets hold: at most twice `size`, and a thousand. */
  get entries(): number {
    return this.placed
  }

  /** Time runs from `nowMs` on, for all from the start. */
  begin(nowMs: number): void {
    this.lastTickMs = nowMs
    this.restartAll()
  }

  /** The timer as it is armed now. Starts it, unless it is known like that. */
  set(id: TimerId, generation: number, delayMs: number): void {
    const known = this.byId.get(id)
    if (known === undefined) {
      const stopwatch = { id, generation, delayMs, sinceMs: this.nextMs, bucket: NOWHERE, removed: false }
      this.byId.set(id, stopwatch)
      this.place(stopwatch)
    } else if (known.generation !== generation || known.delayMs !== delayMs) {
      known.generation = generation
      known.delayMs = delayMs
      known.sinceMs = this.nextMs
      // Later than its bucket is well: it will be looked at and placed again.
      if (known.bucket !== NOWHERE && this.bucketOf(known) < known.bucket) {
        this.place(known)
        this.clearStale()
      }
    }
  }

  remove(id: TimerId): void {
    const stopwatch = this.byId.get(id)
    if (stopwatch === undefined) return
    stopwatch.removed = true
    this.byId.delete(id)
    this.clearStale()
  }

  clear(): void {
    for (const stopwatch of this.byId.values()) stopwatch.removed = true
    this.byId.clear()
    this.buckets.clear()
    this.placed = 0
  }

  /** The hot path: called for every sign of life. */
  restart(id: TimerId): void {
    const stopwatch = this.byId.get(id)
    if (stopwatch !== undefined) stopwatch.sinceMs = this.nextMs
  }

  restartAll(): void {
    this.floorMs = this.nextMs
  }

  /** Time went on: the stopwatches that have run since the last tick. Each must come back with `again`. */
  tick(nowMs: number): Stopwatch[] {
    const elapsedMs = nowMs - this.lastTickMs
    this.lastTickMs = nowMs
    this.measuredMs += Math.min(elapsedMs, this.tickMs)
    this.nextMs = this.measuredMs + this.tickMs
    if (elapsedMs - this.tickMs >= GAP_MS) this.restartAll()
    const due: Stopwatch[] = []
    while (this.looked < Math.floor(this.measuredMs / this.tickMs)) this.lookAt(++this.looked, due)
    return due
  }

  /** It has run for its delay. */
  isDue(stopwatch: Stopwatch): boolean {
    return this.dueMs(stopwatch) <= this.measuredMs
  }

  /** One that was due runs on. */
  again(stopwatch: Stopwatch): void {
    if (!stopwatch.removed && stopwatch.bucket === NOWHERE) this.place(stopwatch)
  }

  /** One that has run is due again after `retryMs`, unless it is restarted. */
  retry(stopwatch: Stopwatch, retryMs: number): void {
    const sinceMs = this.nextMs + Math.min(retryMs - stopwatch.delayMs, 0)
    stopwatch.sinceMs = Math.max(stopwatch.sinceMs, sinceMs)
    this.again(stopwatch)
  }

  private lookAt(bucket: number, due: Stopwatch[]): void {
    const stopwatches = this.buckets.get(bucket)
    if (stopwatches === undefined) return
    this.buckets.delete(bucket)
    this.placed -= stopwatches.length
    for (const stopwatch of stopwatches) {
      if (stopwatch.removed || stopwatch.bucket !== bucket) continue
      stopwatch.bucket = NOWHERE
      if (this.isDue(stopwatch)) due.push(stopwatch)
      else this.place(stopwatch)
    }
  }

  private place(stopwatch: Stopwatch): void {
    const number = this.bucketOf(stopwatch)
    stopwatch.bucket = number
    this.enter(stopwatch)
  }

  private enter(stopwatch: Stopwatch): void {
    const bucket = this.buckets.get(stopwatch.bucket)
    if (bucket === undefined) this.buckets.set(stopwatch.bucket, [stopwatch])
    else bucket.push(stopwatch)
    this.placed++
  }

  // Not while a bucket is looked at: those of it that are still to be seen are in none.
  private clearStale(): void {
    if (this.placed <= 2 * this.byId.size + STALE_MAX) return
    this.buckets.clear()
    this.placed = 0
    for (const stopwatch of this.byId.values()) if (stopwatch.bucket !== NOWHERE) this.enter(stopwatch)
  }

  private bucketOf(stopwatch: Stopwatch): number {
    return Math.max(Math.ceil(this.dueMs(stopwatch) / this.tickMs), this.looked + 1)
  }

  private dueMs(stopwatch: Stopwatch): number {
    return Math.max(stopwatch.sinceMs, this.floorMs) + stopwatch.delayMs
  }
}
