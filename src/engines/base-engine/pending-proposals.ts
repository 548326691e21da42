// Proposals of this server that wait for their own apply, by local id. Bounded by count and bytes; whoever waits past the
// deadline is told INDETERMINATE. Some room is for control entries alone: where proposals fill all the rest, heartbeats, joins,
// opens of epochs, votes and switches must get through all the same. Not here: the log, and duplicates.

import { DelosError } from '../../base/delos-error.ts'
import type { Completion } from '../../engine/engine.ts'
import type { Clock, Timer, Timers } from '../../runtime/runtime.ts'
import { ID_WINDOW } from './applied-ids.ts'

/** One proposal between append and apply. */
export interface Pending {
  readonly localId: number
  readonly completion: Completion<unknown>
  readonly bytes: number
  readonly proposedMs: number
  /** When the log's acknowledgement was seen; undefined before that. */
  appendedMs: number | undefined
  deadlineMs: number
}

export interface PendingLimits {
  /** Proposals between append and apply. So few that no honest one arrives too late: see controlReserve. */
  readonly proposalsMax: number
  readonly proposalBytesMax: number
  /** Room on top of these for entries without payload. Both counts together: at most half of ID_WINDOW. */
  readonly controlReserve: number
  readonly controlReserveBytes: number
  /** From propose to INDETERMINATE. */
  readonly proposalDeadlineMs: number
}

/** How far ids may run ahead of the oldest one out. Above it the duplicate filter's mark could pass that one. */
const AHEAD_MAX = ID_WINDOW / 2
const CONTROL_AHEAD_MAX = AHEAD_MAX + ID_WINDOW / 4

export class PendingProposals {
  private readonly limits: PendingLimits
  private readonly clock: Clock
  private readonly timers: Timers
  private readonly byId = new Map<number, Pending>()
  private totalBytes = 0
  private sweep: Timer | undefined

  constructor(limits: PendingLimits, clock: Clock, timers: Timers) {
    this.limits = limits
    this.clock = clock
    this.timers = timers
  }

  get count(): number {
    return this.byId.size
  }

  get bytes(): number {
    return this.totalBytes
  }

  /** Why one more proposal of `bytes`, named `localId`, is refused; undefined if it may go. A control entry has no payload. */
  refusal(localId: number, bytes: number, control: boolean): DelosError | undefined {
    const { controlReserve, controlReserveBytes, proposalsMax, proposalBytesMax } = this.limits
    if (this.byId.size >= proposalsMax + (control ? controlReserve : 0)) {
      return new DelosError(
        'OVERLOADED',
        `proposalsMax: ${this.byId.size} proposals are in flight, limit ${proposalsMax}`,
      )
    }
    const bytesMax = proposalBytesMax + (control ? controlReserveBytes : 0)
    if (this.totalBytes + bytes > bytesMax && this.byId.size > 0) {
      return new DelosError(
        'OVERLOADED',
        `proposalBytesMax: ${this.totalBytes} bytes are in flight, limit ${proposalBytesMax}`,
      )
    }
    // Ids are in order, so the first is the oldest. One that is still out must not fall below the duplicate filter's mark.
    const oldest = this.byId.keys().next()
    if (oldest.done !== true && localId - oldest.value >= (control ? CONTROL_AHEAD_MAX : AHEAD_MAX)) {
      return new DelosError(
        'OVERLOADED',
        `proposal ${oldest.value} is unresolved, ${localId} would leave its window behind`,
      )
    }
    return undefined
  }

  add(pending: Pending): void {
    this.byId.set(pending.localId, pending)
    this.totalBytes += pending.bytes
    if (this.sweep === undefined) this.armSweep()
  }

  /** The proposal, no longer waiting; undefined if nobody waits for it. */
  take(localId: number): Pending | undefined {
    const pending = this.byId.get(localId)
    if (pending === undefined) return undefined
    this.byId.delete(localId)
    this.totalBytes -= pending.bytes
    return pending
  }

  find(localId: number): Pending | undefined {
    return this.byId.get(localId)
  }

  /** Tells everybody. They were all handed to the log, so nobody knows. */
  rejectAll(reason: string): void {
    this.sweep?.cancel()
    this.sweep = undefined
    const all = [...this.byId.values()]
    this.byId.clear()
    this.totalBytes = 0
    for (const pending of all) pending.completion.reject(new DelosError('INDETERMINATE', reason))
  }

  // One timer for all: a proposal is told at most a quarter of the deadline late.
  private armSweep(): void {
    this.sweep = this.timers.after(this.limits.proposalDeadlineMs / 4, () => {
      this.sweep = undefined
      const now = this.clock.monotonicMs()
      for (const pending of [...this.byId.values()]) {
        if (pending.deadlineMs > now || this.take(pending.localId) === undefined) continue
        pending.completion.reject(
          new DelosError('INDETERMINATE', `not applied within ${this.limits.proposalDeadlineMs} ms; it may be later`),
        )
      }
      if (this.byId.size > 0 && this.sweep === undefined) this.armSweep()
    })
  }
}
