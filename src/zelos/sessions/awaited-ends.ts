// Clients that close a session which ends in pieces are answered when it is over: nothing of it is left then. Follows what was
// applied; who proposes the pieces is chores.ts'.

import { DelosError } from '../../base/delos-error.ts'
import type { Completion } from '../../engine/engine.ts'
import type { UpdateResult } from '../requests.ts'
import type { SessionChange } from '../zelos-applicator.ts'
import { type SessionId, ZCODE } from '../znode.ts'

interface Waiting {
  readonly completion: Completion<UpdateResult>
  readonly result: UpdateResult
}

export class AwaitedEnds {
  private readonly ending = new Set<SessionId>()
  /** At most one a connection of this server. */
  private readonly waiting = new Map<SessionId, Waiting>()
  private isStopped = true

  /** Completes with what closed the session, once that is over. */
  of(id: SessionId, completion: Completion<UpdateResult>): Completion<UpdateResult> {
    return {
      resolve: (result) => {
        if (result.err !== ZCODE.OK || !this.ending.has(id)) completion.resolve(result)
        else if (this.isStopped) completion.reject(stillEnding())
        else this.waiting.set(id, { completion, result })
      },
      reject: (error) => completion.reject(error),
    }
  }

  sessionChanged(change: SessionChange): void {
    if (change.kind === 'ending') this.ending.add(change.id)
    if (change.kind !== 'over') return
    this.ending.delete(change.id)
    const over = this.waiting.get(change.id)
    this.waiting.delete(change.id)
    over?.completion.resolve(over.result)
  }

  start(): void {
    this.isStopped = false
  }

  /** This server proposes nothing any more: whether they will be over is not for it to say. */
  stop(): void {
    this.isStopped = true
    const left = [...this.waiting.values()]
    this.waiting.clear()
    for (const { completion } of left) completion.reject(stillEnding())
  }
}

function stillEnding(): DelosError {
  return new DelosError('CLOSED', 'the session is still being ended')
}
