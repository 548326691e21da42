// One request of one connection, from its frame to its reply. It is itself the completion that travels down the stack, so a
// request costs this one object and no promise.

import type { DelosError } from '../base/delos-error.ts'
import type { Completion } from '../engine/engine.ts'
import type { Requester, UpdateResult } from '../zelos/requests.ts'
import { isWatchOp, OP } from './codec/opcodes.ts'
import type { WireRequest } from './codec/wire-requests.ts'
import type { CloseReason } from './server-stats.ts'

/** Who is told that a request has its outcome. */
export interface RequestOwner {
  requestSettled(request: PendingRequest): void
}

export class PendingRequest implements Completion<UpdateResult | number> {
  readonly xid: number
  readonly request: WireRequest
  /** When its bytes arrived, ms of the monotonic clock. */
  readonly arrivedMs: number
  /** Of its frame. */
  readonly bytes: number
  /**
   * True for what is carried out when its turn to be answered comes (reads): on a state that has the updates of its session
   * before it, and none behind it. False for updates and syncs, which are in the log until they are settled.
   */
  readonly inTurn: boolean
  settled: boolean
  /** Of a read that waits behind others, and is answered at once when its turn comes: what that is expected to take. */
  costUs: number
  /** Set while an update is kept from the log because of reads before it: who asks, as of its arrival. */
  held: Requester | undefined
  /** Of an update; a sync has none. */
  result: UpdateResult | undefined
  error: DelosError | undefined
  protected readonly owner: RequestOwner

  constructor(
    owner: RequestOwner,
    xid: number,
    request: WireRequest,
    arrivedMs: number,
    bytes: number,
    inTurn: boolean,
  ) {
    this.owner = owner
    this.xid = xid
    this.request = request
    this.arrivedMs = arrivedMs
    this.bytes = bytes
    this.inTurn = inTurn
    this.settled = inTurn
    this.costUs = 0
    this.held = undefined
    this.result = undefined
    this.error = undefined
  }

  get isSync(): boolean {
    return this.request.op === OP.sync
  }

  /**
   * True for what has to do with watches, or is not answered at once: it must be carried out on the state as it is, with no update
   * of its session behind it.
   */
  get isBarrier(): boolean {
    const { request } = this
    return 'watch' in request ? request.watch : isWatchOp(request.op)
  }

  /** True for a read that has been carried out already: its reply must come before the next event. */
  get isCarriedOut(): boolean {
    return false
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

const NO_REQUEST: WireRequest = { op: OP.ping }

/** Takes the place of a request that was refused on arrival, so that its reply keeps its turn. */
export class RefusedRequest extends PendingRequest {
  readonly op: number
  readonly err: number
  /** Set if the connection ends with the reply. */
  readonly close: CloseReason | undefined

  constructor(owner: RequestOwner, xid: number, op: number, arrivedMs: number, err: number, close?: CloseReason) {
    super(owner, xid, NO_REQUEST, arrivedMs, 0, true)
    this.op = op
    this.err = err
    this.close = close
  }
}
