// One request of one connection, from its frame to its reply. It is itself the completion that travels down the stack, so a
// request costs this one object and no promise.

import type { DelosError } from '../base/delos-error.ts'
import type { Completion } from '../engine/engine.ts'
import type { UpdateResult } from '../zelos/requests.ts'
import type { WireRequest } from './codec/requests.ts'

/** Who is told that a request has its outcome. */
export interface RequestOwner {
  requestSettled(request: PendingRequest): void
}

/**
 * Updates and syncs are in the log while `settled` is false. Reads are settled from the start and are carried out when their
 * turn comes, so that they see the updates of their session before them, and only those.
 */
export class PendingRequest implements Completion<UpdateResult | number> {
  readonly xid: number
  readonly request: WireRequest
  /** When its bytes arrived, ms of the monotonic clock. */
  readonly arrivedMs: number
  settled: boolean
  /** Of an update; a sync has none. */
  result: UpdateResult | undefined
  error: DelosError | undefined
  private readonly owner: RequestOwner

  constructor(owner: RequestOwner, xid: number, request: WireRequest, arrivedMs: number, settled: boolean) {
    this.owner = owner
    this.xid = xid
    this.request = request
    this.arrivedMs = arrivedMs
    this.settled = settled
    this.result = undefined
    this.error = undefined
  }

  resolve(result: UpdateResult | number): void {
    if (typeof result !== 'number') this.result = result
    this.settled = true
    this.owner.requestSettled(this)
  }

  reject(error: DelosError): void {
    this.error = error
    this.settled = true
    this.owner.requestSettled(this)
  }
}

/** Requests of one connection in order of arrival: a queue without a shift per reply. */
export class RequestQueue {
  private items: (PendingRequest | undefined)[] = []
  private head = 0

  get length(): number {
    return this.items.length - this.head
  }

  push(request: PendingRequest): void {
    this.items.push(request)
  }

  /** The oldest, left in place; undefined if there is none. */
  peek(): PendingRequest | undefined {
    return this.items[this.head]
  }

  shift(): void {
    this.items[this.head++] = undefined
    if (this.head === this.items.length) {
      this.items.length = 0
      this.head = 0
    } else if (this.head >= 512) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
  }

  clear(): void {
    this.items.length = 0
    this.head = 0
  }
}
