// One connection's part in the throttle of requests: what it has under way, and its request that waits for its turn.

import { ERR } from './codec/error-codes.ts'
import { OP, opName } from './codec/opcodes.ts'
import type { WireRequest } from './codec/wire-requests.ts'
import type { RequestClient } from './request-client.ts'
import type { RequestThrottle, Share, WaitingClient } from './request-throttle.ts'
import type { ServerContext } from './server-context.ts'

/** Carries a request out, or answers that it waited too long. */
export type Proceed = (request: WireRequest, xid: number, arrivedMs: number, bytes: number, isLate: boolean) => void

interface WaitingRequest {
  readonly request: WireRequest
  readonly xid: number
  readonly arrivedMs: number
  readonly bytes: number
}

export class ClientThrottle implements WaitingClient {
  private readonly server: ServerContext
  private readonly throttle: RequestThrottle
  private readonly client: RequestClient
  private readonly carryOut: Proceed
  private readonly share: Share = { requests: 0, largeBytes: 0 }
  private waiting: WaitingRequest | undefined

  constructor(server: ServerContext, throttle: RequestThrottle, client: RequestClient, carryOut: Proceed) {
    this.server = server
    this.throttle = throttle
    this.client = client
    this.carryOut = carryOut
  }

  get isWaiting(): boolean {
    return this.waiting !== undefined
  }

  /** Carries a request out now, or later, or closes the connection because of its size. */
  arrived(request: WireRequest, xid: number, arrivedMs: number, bytes: number): void {
    const { throttle } = this
    const { stats } = this.server.access
    const isFree = request.op === OP.auth || request.op === OP.sasl
    if (!isFree && !throttle.hasRoomFor(bytes)) {
      stats.refused('large-request')
      const { largeBytes: underWay } = throttle
      this.client.warn({ op: opName(request.op), bytes, underWay }, 'too many large requests')
      return this.client.end('limit')
    }
    if (isFree || !throttle.isFull) {
      this.carryOut(request, xid, arrivedMs, bytes, false)
      return this.queueChanged()
    }
    stats.throttleWaits++
    this.waiting = { request, xid, arrivedMs, bytes }
    throttle.wait(this)
  }

  proceed(): void {
    const { waiting } = this
    if (waiting === undefined) return
    this.waiting = undefined
    const { waitMs } = this.throttle.options
    const { request, xid, arrivedMs, bytes } = waiting
    const waitedMs = this.server.nowMs() - arrivedMs
    const isLate = waitMs > 0 && waitedMs > waitMs && request.op !== OP.ping && request.op !== OP.closeSession
    if (isLate) {
      this.server.access.stats.refused('request-throttle')
      this.client.warn({ op: opName(request.op), xid, waitedMs, err: ERR.throttledOp }, 'a request waited too long')
    }
    this.carryOut(request, xid, arrivedMs, bytes, isLate)
    this.queueChanged()
    this.client.resumeReading()
  }

  queueChanged(): void {
    const { queue } = this.client
    this.throttle.account(this.share, queue.length, queue.largeBytes)
  }

  /** A request that still waits is dropped with its connection. */
  ended(): void {
    if (this.throttle.leave(this)) this.server.access.stats.refused('stale-request')
    this.waiting = undefined
    this.throttle.account(this.share, 0, 0)
  }
}
