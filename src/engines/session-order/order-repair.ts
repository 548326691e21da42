// Decides what to do when proposals of an open epoch have no copy under way: send them, wait for one that was overtaken, try a
// refused one again, or give the epoch up. Only ever at work when something irregular happened.

import { DelosError, type ErrorCode } from '../../base/delos-error.ts'
import type { Timer, Timers } from '../../runtime/runtime.ts'
import type { SessionOrderLimits } from './order-limits.ts'
import type { OrderQueue } from './order-queue.ts'
import type { OrderedProposal } from './ordered-proposal.ts'

/** What it can have done. */
export interface OrderRepairActions {
  /** Sends what has no copy under way, in order; and in any case again what is at places up to `through`. */
  sendIdle(through: number): void
  /** The next number to give out is this one again. */
  numbersFreeFrom(sequence: number): void
  /** Some number can't be filled: opens a new epoch. */
  close(cause: DelosError): void
  /** The layer below will take nothing any more. */
  end(error: DelosError): void
  /** Looks again once the synchronous section is over. */
  plan(): void
}

type Limits = Pick<SessionOrderLimits, 'gapMs' | 'lostMax' | 'refusedMax' | 'retryMs' | 'retryMsMax'>

/** Refusals after which nothing will be taken any more. */
const TERMINAL: ReadonlySet<ErrorCode> = new Set(['STOPPED', 'CLOSED', 'TRIMMED'])

export function isTerminal(error: DelosError): boolean {
  return TERMINAL.has(error.code)
}

export class OrderRepair {
  private readonly queue: OrderQueue
  private readonly parts: Limits & { readonly timers: Timers }
  private readonly actions: OrderRepairActions
  // Since something was last accepted.
  private gapRounds = 0
  private refusedRounds = 0
  private gapTimer: Timer | undefined
  private retryTimer: Timer | undefined

  constructor(queue: OrderQueue, parts: Limits & { readonly timers: Timers }, actions: OrderRepairActions) {
    this.queue = queue
    this.parts = parts
    this.actions = actions
  }

  /** The next in order was accepted. */
  progressed(): void {
    this.gapRounds = 0
    this.refusedRounds = 0
  }

  /** The epoch is over. */
  cancel(): void {
    this.gapTimer?.cancel()
    this.retryTimer?.cancel()
    this.gapTimer = undefined
    this.retryTimer = undefined
    this.progressed()
  }

  /** First what the answers of copies demand; then what may be sent is sent. */
  run(): void {
    this.takeBackRefused()
    const { queue } = this
    let refusal: DelosError | undefined
    let early = false
    for (let i = 0; i < queue.length; i++) {
      const proposal = queue.at(i) as OrderedProposal
      if (!proposal.idle) continue
      refusal ??= proposal.refusal
      early ||= proposal.early
      if (proposal.lost <= this.parts.lostMax) continue
      this.actions.close(
        new DelosError('TIMEOUT', `not applied: lost ${proposal.lost} times, then its epoch was closed`),
      )
      return
    }
    if (refusal !== undefined) this.refused(refusal)
    else if (early && queue.at(0)?.idle === false) this.overtaken()
    else this.actions.sendIdle(-1)
  }

  // A run of refused ones that nothing follows leaves no gap: as if they had never been given numbers.
  private takeBackRefused(): void {
    let from = -1
    for (let i = this.queue.length - 1; i >= 0; i--) {
      const { possible, refusal, sequence } = this.queue.at(i) as OrderedProposal
      if (sequence === 0) continue
      if (possible > 0 || refusal === undefined) break
      from = i
    }
    if (from < 0) return
    this.actions.numbersFreeFrom(this.queue.at(from)?.sequence as number)
    this.queue.sift(({ refusal, sequence }, i) => (i < from || sequence === 0 ? undefined : refusal))
  }

  // A refusal that left a gap.
  private refused(refusal: DelosError): void {
    const { refusedMax, retryMs, timers } = this.parts
    if (isTerminal(refusal)) this.actions.end(refusal)
    else if (this.retryTimer !== undefined) return
    else if (!refusal.retryable || this.refusedRounds >= refusedMax) this.actions.close(refusal)
    else {
      this.retryTimer = timers.after(this.doubled(retryMs, this.refusedRounds++), () => {
        this.retryTimer = undefined
        for (let i = 0; i < this.queue.length; i++) (this.queue.at(i) as OrderedProposal).refusal = undefined
        this.actions.plan()
      })
    }
  }

  // The next to be accepted has a copy under way that later ones came before. It may just be late; after a while it is taken
  // for lost. If it is not, apply drops the second copy.
  private overtaken(): void {
    this.gapTimer ??= this.parts.timers.after(this.doubled(this.parts.gapMs, this.gapRounds), () => {
      this.gapTimer = undefined
      this.actions.plan()
      if (this.retryTimer !== undefined) return
      this.gapRounds++
      let lastEarly = -1
      for (let i = 0; i < this.queue.length; i++) if (this.queue.at(i)?.early === true) lastEarly = i
      if (lastEarly >= 0) this.actions.sendIdle(lastEarly)
    })
  }

  private doubled(ms: number, rounds: number): number {
    return Math.min(ms * 2 ** rounds, this.parts.retryMsMax)
  }
}
