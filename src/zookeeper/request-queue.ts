// The requests of one connection that have no reply yet, in order of arrival, with what their number and bytes are.

import type { PendingRequest } from './pending-request.ts'

/** Replied items in front of the others before the array is cut. */
const SLACK = 512

/** A queue without a shift of all items per reply. */
export class RequestQueue {
  private items: (PendingRequest | undefined)[] = []
  private head = 0
  private inTurn = 0
  private sum = 0

  get length(): number {
    return this.items.length - this.head
  }

  /** Of the frames of all requests in the queue. */
  get bytes(): number {
    return this.sum
  }

  /**
   * True while a read waits: an update that goes into the log now might be applied together with one before that read, which
   * would then show it.
   */
  get holdsUpdates(): boolean {
    return this.inTurn > 0
  }

  push(request: PendingRequest): void {
    this.items.push(request)
    this.sum += request.bytes
    if (request.inTurn) this.inTurn++
  }

  /** The oldest, left in place; undefined if there is none. */
  peek(): PendingRequest | undefined {
    return this.items[this.head]
  }

  shift(): void {
    const request = this.items[this.head] as PendingRequest
    this.sum -= request.bytes
    if (request.inTurn) this.inTurn--
    this.items[this.head++] = undefined
    if (this.head === this.items.length) {
      this.items.length = 0
      this.head = 0
    } else if (this.head >= SLACK) {
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
      if (request.held !== undefined) release(request)
    }
  }

  /** True if a request of this operation waits. */
  includes(op: number): boolean {
    return this.items.some((request) => request?.request.op === op)
  }

  clear(): void {
    this.items.length = 0
    this.head = 0
    this.inTurn = 0
    this.sum = 0
  }
}
