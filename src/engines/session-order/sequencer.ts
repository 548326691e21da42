// The propose half of SessionOrder: gives numbers, sends, sends again what was dropped or lost, and has each outcome told once
// and in order. What apply decided is told to it in postApply. Not here: apply.
//
//   propose ─▶ queue (undecided, in order) ─▶ copies below … accepted ─▶ outbox (decided, not told) ─▶ completions
//
// passing: disabled, or not serving: entries go down without a number. opening: its `open` is under way; new ones wait here.
// open: numbers are given out. ended: nothing is taken any more.
//
// A copy that comes back in order tells its outcome itself. Everything irregular is only noted where it happens, and looked
// after in one place, `settle`, which runs once the synchronous section is over. So is a layer below that has no room: what it
// refused waits here as long as something of this process is under way, and goes down when that comes back (LayerBelow.roomComes).

import { assert } from '../../base/assert.ts'
import { DelosError } from '../../base/delos-error.ts'
import type { Completion } from '../../engine/engine.ts'
import type { Entry } from '../../engine/entry.ts'
import { bodySizeBound } from '../../engine/entry-codec.ts'
import { EpochOpener, type EpochOpenerParts } from './epoch-opener.ts'
import { Filtered } from './epoch-table.ts'
import { LayerBelow } from './layer-below.ts'
import type { SessionOrderLimits } from './order-limits.ts'
import { OrderQueue } from './order-queue.ts'
import { isTerminal, OrderRepair, type OrderRepairActions } from './order-repair.ts'
import { OrderSweep } from './order-sweep.ts'
import { type CopyListener, OrderedProposal } from './ordered-proposal.ts'

export interface SequencerParts extends SessionOrderLimits, EpochOpenerParts {
  stopDatabase(error: DelosError): void
}

type Mode = 'passing' | 'opening' | 'open' | 'ended'

export class Sequencer implements CopyListener, OrderRepairActions {
  /** Cumulative. */
  readonly counts = { epochs: 0, reproposed: 0 }
  readonly queue = new OrderQueue()
  private readonly parts: SequencerParts
  private readonly below: LayerBelow
  private readonly opener: EpochOpener
  private readonly repair: OrderRepair
  private mode: Mode = 'passing'
  /** The last epoch of this process that is not known to be closed; 0 if there is none. */
  private epochNow = 0
  private nextSequence = 1
  private lastAccepted = 0
  private planned = false
  private openWanted = false
  /** Why the epoch is being replaced, if it is, and when those who wait for that are given up. */
  private closeCause: DelosError | undefined
  private giveUpTick = 0
  private readonly sweep: OrderSweep
  private endError: DelosError | undefined
  private stopReason: DelosError | undefined

  constructor(parts: SequencerParts) {
    this.parts = parts
    this.below = new LayerBelow(parts, () => this.planIfIdle())
    this.opener = new EpochOpener(parts, (error) => this.openRefused(error))
    this.repair = new OrderRepair(this.queue, parts, this)
    this.sweep = new OrderSweep(parts, () => this.giveUpLate())
  }

  get state(): Mode {
    return this.mode
  }

  get epoch(): number {
    return this.epochNow
  }

  propose(entry: Entry, completion: Completion<unknown>): void {
    const { queue } = this
    if (this.mode === 'passing' && queue.length === 0) {
      this.below.pass(entry, completion)
      return
    }
    const bytes = bodySizeBound(entry)
    const refusal = this.endError ?? queue.refusal(bytes, this.parts)
    if (refusal !== undefined) {
      completion.reject(refusal)
      return
    }
    const proposal = new OrderedProposal(this, entry, completion, bytes, this.sweep.tick)
    queue.add(proposal)
    this.sweep.arm()
    if (this.mode === 'open' && queue.idle === 1 && this.below.passed === 0 && !this.below.offering) {
      const refused = this.send(proposal)
      if (refused === undefined || this.below.roomComes(refused)) return
      queue.rejectLast(refused)
      this.plan()
    } else if (this.mode === 'opening' && !this.openWanted) {
      this.openWanted = true
      this.plan()
    }
  }

  /** The engine is enabled and serves: opens an epoch. Proposals wait for it. */
  begin(): void {
    if (this.mode !== 'passing') return
    this.mode = 'opening'
    this.openWanted = true
    this.plan()
  }

  /** The engine was disabled, which closes all epochs: what was not applied goes down again, in order and without numbers. */
  disabled(): void {
    if (this.mode === 'passing' || this.mode === 'ended') return
    this.requeue()
    this.mode = 'passing'
    this.plan()
  }

  /** An `open` of this process was applied at `pos`: what its former epoch has not accepted by now, it never will. */
  opened(pos: number): void {
    if (this.mode !== 'opening') return
    // Only a cause makes an open epoch be replaced: without one, none has a number yet.
    const { closeCause } = this
    this.queue.sift(({ sequence }) => (sequence === 0 ? undefined : closeCause))
    this.counts.epochs++
    this.adopt(pos, 0)
  }

  /** Goes on in this epoch, behind that sequence number. */
  adopt(epoch: number, last: number): void {
    this.mode = 'open'
    this.epochNow = epoch
    this.lastAccepted = last
    this.nextSequence = last + 1
    this.reset()
    this.plan()
  }

  /** An `open` of another process with this server's id was applied at `pos`. */
  takenOver(pos: number): void {
    if (this.epochNow === 0 || this.mode === 'ended') return
    const what = `another process that calls itself server ${this.parts.serverId} took over at position ${pos}`
    // All copies are of the epoch that was closed: definitely not applied.
    this.queue.sift(() => new DelosError('CONFLICT', `not applied: ${what}`))
    this.stopReason = new DelosError('CONFLICT', `${what}: a server id is for one process, and this one stops`)
    this.end(new DelosError('STOPPED', what))
  }

  /** postApply of an entry of the present epoch that was passed up. */
  accepted(sequence: number, result: unknown): void {
    const former = this.lastAccepted
    if (sequence !== former + 1) assert(false, `sequence number ${sequence} was accepted behind ${former}`)
    this.lastAccepted = sequence
    this.repair.progressed()
    const proposal = this.queue.at(0)
    // Nobody waits any more for one that was given up.
    if (proposal?.sequence !== sequence) return
    this.queue.resolveFirst(result)
    // The only copy, not yet answered: its answer comes within this section, and tells.
    if (proposal.copies !== 1 || proposal.live !== 1 || this.queue.idle > 0) this.plan()
  }

  /** postApply of an entry of the present epoch that was dropped. */
  dropped(sequence: number, kind: Filtered['kind']): void {
    if (kind === 'closed') {
      this.epochLost()
      return
    }
    const proposal = this.queue.at(sequence - (this.queue.at(0)?.sequence ?? sequence))
    if (proposal?.sequence === sequence) proposal.possible--
  }

  copyReturned(proposal: OrderedProposal, result: unknown): void {
    this.below.copyReturned()
    proposal.live--
    if (proposal.state === 'queued') {
      assert(result instanceof Filtered, 'what is accepted is decided before its copy returns')
      proposal.early = result.kind === 'early'
      if (proposal.idle) this.queue.idle++
    } else if (proposal.state === 'decided') {
      this.queue.tellThrough(proposal)
    }
    this.planIfIdle()
  }

  copyFailed(proposal: OrderedProposal, error: DelosError): void {
    proposal.live--
    // Whoever sends looks after what is refused at once: looking again, before somebody in front has come back and made room,
    // would end in the same refusal, for ever and in one turn of the event loop.
    if (!this.below.copyFailed(proposal, error)) this.plan()
    if (proposal.state !== 'queued') return
    if (proposal.idle) this.queue.idle++
    if (error.code === 'INDETERMINATE') {
      proposal.lost++
      proposal.doubt = error
      return
    }
    proposal.possible--
    if (proposal.idle) proposal.refusal = error
  }

  /** Takes nothing more and tells everybody who waits. */
  stop(): void {
    this.end(new DelosError('CLOSED', 'the database is closed'))
    this.queue.tellAll()
  }

  // --- sending

  /** Undefined if it is under way; else why it was refused at once. */
  private send(proposal: OrderedProposal): DelosError | undefined {
    const first = proposal.sequence === 0
    if (first) proposal.sequence = this.nextSequence++
    else this.counts.reproposed++
    if (proposal.idle) this.queue.idle--
    proposal.copies++
    proposal.live++
    proposal.possible++
    proposal.early = false
    proposal.refusal = undefined
    const refused = this.below.send(proposal, this.epochNow)
    if (refused === undefined) return undefined
    if (first) {
      // The newest was refused at once: its number is free again.
      this.nextSequence = proposal.sequence
      proposal.sequence = 0
    }
    if (first || this.below.roomComes(refused)) proposal.refusal = undefined
    return refused
  }

  /** See OrderRepairActions. */
  numbersFreeFrom(sequence: number): void {
    this.nextSequence = sequence
  }

  // What came before the engine was disabled, in order.
  private passWaiting(): void {
    const { below, queue } = this
    for (let next = queue.at(0); next !== undefined; next = queue.at(0)) {
      const refused = below.passWaiting(next)
      if (refused === undefined) queue.takeFirst()
      else if (below.roomComes(refused)) return
      else queue.rejectFirst(refused)
    }
  }

  /** See OrderRepairActions. */
  sendIdle(through: number): void {
    const { queue } = this
    for (let i = 0; i < queue.length; i++) {
      const proposal = queue.at(i) as OrderedProposal
      if (!proposal.idle && i > through) continue
      const refused = this.send(proposal)
      if (refused === undefined) continue
      if (this.below.roomComes(refused)) return
      this.plan()
      // All that have no number yet would be refused likewise.
      if (proposal.sequence === 0) queue.sift(({ sequence }) => (sequence === 0 ? refused : undefined))
      return
    }
  }

  // --- what is irregular

  /** See OrderRepairActions. */
  plan(): void {
    if (this.planned) return
    this.planned = true
    queueMicrotask(() => this.settle())
  }

  private planIfIdle(): void {
    if (this.queue.idle > 0) this.plan()
  }

  private settle(): void {
    this.planned = false
    this.queue.tellAll()
    if (this.stopReason !== undefined) {
      this.parts.stopDatabase(this.stopReason)
      this.stopReason = undefined
    }
    if (this.mode === 'passing') {
      this.passWaiting()
    } else if (this.mode === 'opening') {
      if (this.openWanted) this.opener.open()
    } else if (this.mode === 'open' && this.queue.idle > 0 && this.below.passed === 0) {
      this.repair.run()
    }
    this.queue.tellAll()
  }

  // --- epochs

  // Whoever waits for the epoch is told what it was refused with; the next to come tries again.
  private openRefused(error: DelosError): void {
    if (this.below.roomComes(error)) {
      this.opener.openLater()
      return
    }
    this.openWanted = false
    this.plan()
    if (isTerminal(error)) {
      this.end(error)
      return
    }
    const { closeCause, queue } = this
    queue.sift(({ possible, sequence }) => {
      if (possible > 0) return undefined
      return sequence === 0 ? error : (closeCause ?? error)
    })
    if (queue.length > 0) this.opener.openLater()
  }

  /** See OrderRepairActions. Only a new epoch makes what follows the gap possible again. */
  close(cause: DelosError): void {
    this.reset()
    this.mode = 'opening'
    this.closeCause = cause
    this.giveUpTick = this.sweep.halfDeadline
    this.openWanted = true
    this.plan()
  }

  // Too many servers opened epochs, or an operator removed it: its entries are dropped from here on.
  private epochLost(): void {
    if (this.mode === 'ended') return
    this.requeue()
    this.mode = 'passing'
    this.begin()
  }

  // The epoch is closed: no copy will be applied any more, so all may be proposed again as if for the first time.
  private requeue(): void {
    for (const { bornTick, bytes, completion, entry } of this.queue.takeAll()) {
      this.queue.add(new OrderedProposal(this, entry, completion, bytes, bornTick))
    }
    this.epochNow = 0
    this.reset()
  }

  /** See OrderRepairActions. What is in no log was not applied; the others nobody knows. */
  end(error: DelosError): void {
    if (this.mode === 'ended') return
    this.mode = 'ended'
    this.endError = error
    this.queue.sift(({ doubt, possible }) => {
      if (possible === 0) return error
      return doubt ?? new DelosError('INDETERMINATE', `${error.message}; the proposal may be in the log`)
    })
    this.reset()
    this.sweep.cancel()
    this.plan()
  }

  private reset(): void {
    this.opener.cancel()
    this.openWanted = false
    this.closeCause = undefined
    this.repair.cancel()
  }

  // --- time

  /** Whoever waits past the deadline is told. True while others wait. */
  private giveUpLate(): boolean {
    const oldest = this.queue.at(0)
    if (oldest !== undefined && this.sweep.isLate(oldest.bornTick)) this.giveUp(oldest)
    return this.queue.length > 0
  }

  private giveUp(oldest: OrderedProposal): void {
    const { sweep } = this
    const { proposalDeadlineMs } = this.parts
    const timeout = new DelosError('TIMEOUT', `not applied within ${proposalDeadlineMs} ms, and never will be`)
    if (this.mode === 'open' && oldest.sequence !== 0) {
      this.close(timeout)
      return
    }
    const { closeCause } = this
    const givenUp = closeCause !== undefined && sweep.tick >= this.giveUpTick
    const unknown = new DelosError('INDETERMINATE', `not applied within ${proposalDeadlineMs} ms; it may be later`)
    this.queue.sift(({ bornTick, possible, sequence }) => {
      if (sequence === 0) return sweep.isLate(bornTick) ? timeout : undefined
      if (!givenUp) return undefined
      return possible === 0 ? closeCause : unknown
    })
    this.plan()
  }
}
