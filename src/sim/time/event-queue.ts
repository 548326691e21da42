// Virtual time: what happens next, and when. Time stands still while something happens and jumps to the next event.

import { assert } from '../../base/assert.ts'

/** Something that will happen at a virtual time, unless cancelled. */
export class SimEvent {
  readonly atMs: number
  /** Order among events of one time: first scheduled, first run. */
  readonly order: number
  /** @internal */
  callback: (() => void) | undefined
  private readonly queue: EventQueue

  /** @internal */
  constructor(queue: EventQueue, atMs: number, order: number, callback: () => void) {
    this.queue = queue
    this.atMs = atMs
    this.order = order
    this.callback = callback
  }

  /** After this returns it won't happen. Idempotent. */
  cancel(): void {
    if (this.callback === undefined) return
    this.callback = undefined
    this.queue.noteCancelled()
  }
}

const SWEEP_MIN = 1024

/** A binary heap by time and order. About 0.2 µs to schedule and run an event among a thousand. */
export class EventQueue {
  private heap: SimEvent[] = []
  private cancelled = 0
  private scheduled = 0
  private now = 0
  /** Events that happened. */
  ran = 0
  /** Called when something is scheduled: how a free-running driver wakes up. */
  onScheduled: (() => void) | undefined

  /** The virtual time. */
  get nowMs(): number {
    return this.now
  }

  /** Events that will still happen. */
  get size(): number {
    return this.heap.length - this.cancelled
  }

  /** `callback` happens after `delayMs`; in order of scheduling among equal times. It must not throw. */
  schedule(delayMs: number, callback: () => void): SimEvent {
    assert(delayMs >= 0, `an event can't happen ${-delayMs} ms ago`)
    const event = new SimEvent(this, this.now + delayMs, this.scheduled++, callback)
    this.push(event)
    this.onScheduled?.()
    return event
  }

  /** Jumps to the next event and runs it; false if there is none. */
  runNext(): boolean {
    for (;;) {
      const event = this.pop()
      if (event === undefined) return false
      const { callback } = event
      if (callback === undefined) {
        this.cancelled--
        continue
      }
      event.callback = undefined
      this.now = event.atMs
      this.ran++
      callback()
      return true
    }
  }

  /** @internal Sweeps cancelled events once they are the most: deadlines are nearly always cancelled. */
  noteCancelled(): void {
    this.cancelled++
    if (this.cancelled < SWEEP_MIN || this.cancelled * 2 < this.heap.length) return
    const live = this.heap.filter((event) => event.callback !== undefined)
    this.heap = []
    this.cancelled = 0
    for (const event of live) this.push(event)
  }

  private push(event: SimEvent): void {
    const { heap } = this
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = heap[above] as SimEvent
      if (!isBefore(event, parent)) break
      heap[at] = parent
      at = above
    }
    heap[at] = event
  }

  private pop(): SimEvent | undefined {
    const { heap } = this
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    const { length } = heap
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= length) break
      if (below + 1 < length && isBefore(heap[below + 1] as SimEvent, heap[below] as SimEvent)) below++
      const child = heap[below] as SimEvent
      if (!isBefore(child, last)) break
      heap[at] = child
      at = below
    }
    heap[at] = last
    return first
  }
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
