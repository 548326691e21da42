// The requests of one connection that have no reply yet, in order of arrival, with what flow control must know of them. Decides nothing.

import type { PendingRequest } from './pending-request.ts'
import { creationsMax, type Growth } from './read-cost.ts'

/** Replied items in front of the others before the array is cut. */
const SLACK = 512

/** A queue without a shift of all items per reply. */
export class RequestQueue implements Growth {
  private items: (PendingRequest | undefined)[] = []
  private head = 0
  /** Carried out when their turn comes, and not yet. */
  reads = 0
  /** Of these, those that must see no update behind them. */
  barriers = 0
  /** What they are expected to take, microseconds. */
  readsUs = 0
  /** In the log. */
  syncs = 0
  /** Updates and syncs that are kept from the log. */
  held = 0
  private inLog = 0
  private sum = 0
  private largeSum = 0

  private creations = 0
  /** Since the queue was empty. */
  private longestUpdate = 0
  private readonly largeAbove: number

  /** Requests of more than `largeAbove` bytes are large; -1: none is. */
  constructor(largeAbove: number) {
    this.largeAbove = largeAbove === -1 ? Number.POSITIVE_INFINITY : largeAbove
  }

  /** Of the frames of large requests in the queue. */
  get largeBytes(): number {
    return this.largeSum
  }

  get length(): number {
    return this.items.length - this.head
  }

  /** Of the frames of all requests in the queue. */
  get bytes(): number {
    return this.sum
  }

  /** Nodes that the updates in the queue create, at most. */
  get children(): number {
    return this.creations
  }

  /** Of data that an update in the queue may have, at most. */
  get dataBytes(): number {
    return Math.min(this.longestUpdate, this.sum)
  }

  /**
   * True if an update that is in the queue may be applied already: a read before it must not show it, and is answered as soon as its
   * turn comes.
   */
  get hasUpdatesInLog(): boolean {
    return this.inLog > 0
  }

  push(request: PendingRequest): void {
    this.items.push(request)
    this.sum += request.bytes
    if (request.bytes > this.largeAbove) this.largeSum += request.bytes
    if (request.inTurn) {
      this.reads++
      this.readsUs += request.costUs
      if (request.isBarrier) this.barriers++
      return
    }
    this.creations += creationsMax(request.request.op, request.bytes)
    if (request.bytes > this.longestUpdate) this.longestUpdate = request.bytes
    if (request.held !== undefined) this.held++
    else {
      this.inLog++
      if (request.isSync) this.syncs++
    }
  }

  /** The oldest, left in place; undefined if there is none. */
  peek(): PendingRequest | undefined {
    return this.items[this.head]
  }

  shift(): void {
    const request = this.items[this.head] as PendingRequest
    this.sum -= request.bytes
    if (request.bytes > this.largeAbove) this.largeSum -= request.bytes
    if (request.inTurn) {
      this.reads--
      this.readsUs -= request.costUs
      if (request.isBarrier) this.barriers--
    } else {
      this.creations -= creationsMax(request.request.op, request.bytes)
      this.inLog--
      if (request.isSync) this.syncs--
    }
    this.items[this.head++] = undefined
    if (this.head === this.items.length) this.clear()
    else if (this.head >= SLACK) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
  }

  /** The held updates from the oldest request on, up to the next read; `release` must not change the queue. */
  forEachReleasable(release: (request: PendingRequest) => void): void {
    const { items } = this
    for (let at = this.head; at < items.length; at++) {
      const request = items[at] as PendingRequest
      if (request.inTurn) return
      if (request.held === undefined) continue
      this.held--
      this.inLog++
      if (request.isSync) this.syncs++
      release(request)
    }
  }

  /** True if a request of this operation waits. */
  includes(op: number): boolean {
    return this.items.some((request) => request?.request.op === op)
  }

  clear(): void {
    this.items.length = 0
    this.head = 0
    this.reads = 0
    this.readsUs = 0
    this.creations = 0
    this.longestUpdate = 0
    this.syncs = 0
    this.barriers = 0
    this.inLog = 0
    this.held = 0
    this.sum = 0
    this.largeSum = 0
  }
}
