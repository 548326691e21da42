// A read that is not answered at once when its turn comes: it needs a check of the log's tail first, or looks at so many nodes that
// others must have their turns meanwhile. Updates of its connection behind it are held until it is answered.

import type { ChildrenResult, WalkCompletion } from '../zelos/zelos.ts'
import type { ZCode } from '../zelos/znode.ts'
import type { WireRequest } from './codec/wire-requests.ts'
import { PendingRequest, type RequestOwner } from './pending-request.ts'

/** What a look at many nodes comes to. */
export type Walked = readonly string[] | { readonly count: number } | ChildrenResult | ZCode

export interface DeferredParts {
  /** Nothing is read before a check of the log's tail that begins now. */
  readonly needsSync: boolean
  /** Starts the look at many nodes, when its turn has come. Undefined: it is read like any other then. */
  readonly walk: ((completion: WalkCompletion<Walked>) => void) | undefined
  /** It is the oldest request of its connection that has no reply. */
  readonly isNext: (read: DeferredRead) => boolean
}

export class DeferredRead extends PendingRequest {
  /** Of a walk. */
  walked: Walked | undefined
  private needsSync: boolean
  private walk: DeferredParts['walk']
  private readonly isNext: DeferredParts['isNext']

  constructor(
    owner: RequestOwner,
    xid: number,
    request: WireRequest,
    arrivedMs: number,
    bytes: number,
    { needsSync, walk, isNext }: DeferredParts,
  ) {
    super(owner, xid, request, arrivedMs, bytes, true)
    this.settled = false
    this.needsSync = needsSync
    this.walk = walk
    this.isNext = isNext
  }

  override get isBarrier(): boolean {
    return true
  }

  /** It may have set a watch, of which its client knows nothing before the reply. */
  override get isCarriedOut(): boolean {
    return this.walked !== undefined
  }

  /** Its turn has come: what is still to be done begins. */
  begin(): void {
    const { needsSync, walk } = this
    if (needsSync || walk === undefined) return
    this.walk = undefined
    const isNext = (): boolean => this.isNext(this)
    walk({
      get isWanted() {
        return isNext()
      },
      resolve: (walked) => {
        this.walked = walked
        this.settled = true
        this.owner.requestSettled(this)
      },
      reject: (error) => this.reject(error),
    })
  }

  /** The log's tail was checked. */
  override resolve(): void {
    this.needsSync = false
    this.settled = this.walk === undefined
    this.owner.requestSettled(this)
  }
}
