// What SessionOrder has under way below: counts it, and tells a refusal at once, which the sender gets as an answer, from a later
// one. Knows whether a layer that is full makes room by itself. Not here: numbers, and what follows from an answer.

import type { DelosError } from '../../base/delos-error.ts'
import type { Completion } from '../../engine/engine.ts'
import { type Entry, withHeader } from '../../engine/entry.ts'
import { encodeSequence } from './order-codec.ts'
import type { OrderedProposal } from './ordered-proposal.ts'
import { type PassedListener, PassedProposal } from './passed-proposal.ts'

export interface BelowParts {
  /** The name of the engine's header. */
  readonly name: string
  /** Of the layer below. */
  propose(entry: Entry, completion: Completion<unknown>): void
}

export class LayerBelow implements PassedListener {
  /** Proposals without a number that have not come back. */
  passed = 0
  /** Copies that have not come back, also those of former epochs that nobody waits for. */
  private copies = 0
  private readonly parts: BelowParts
  /** Something that was passed came back. */
  private readonly passedBack: () => void
  /** What is being offered at this moment, and why it was refused. */
  private offered: OrderedProposal | undefined
  private refusal: DelosError | undefined

  constructor(parts: BelowParts, passedBack: () => void) {
    this.parts = parts
    this.passedBack = passedBack
  }

  /** A call down is on the stack. */
  get offering(): boolean {
    return this.offered !== undefined
  }

  /** Whether what was refused so may simply wait: the layer is full, and room comes when what is under way comes back. */
  roomComes(refused: DelosError): boolean {
    return refused.code === 'OVERLOADED' && this.copies + this.passed > 0
  }

  /** Sends a copy. Returns why it was refused at once; undefined if it is under way. */
  send(proposal: OrderedProposal, epoch: number): DelosError | undefined {
    const { name } = this.parts
    this.copies++
    this.offered = proposal
    this.refusal = undefined
    this.parts.propose(withHeader(proposal.entry, name, encodeSequence(epoch, proposal.sequence), true), proposal)
    this.offered = undefined
    return this.refusal
  }

  /** A copy came back with a result. */
  copyReturned(): void {
    this.copies--
  }

  /** A copy failed. True: it was refused at once, and its sender looks after that. */
  copyFailed(proposal: OrderedProposal, error: DelosError): boolean {
    this.copies--
    if (proposal !== this.offered || error.code === 'INDETERMINATE') return false
    this.refusal = error
    return true
  }

  /** Passes an entry on without a number. Its proposer is told whatever comes of it. */
  pass(entry: Entry, completion: Completion<unknown>): void {
    this.passed++
    this.parts.propose(entry, new PassedProposal(this, completion))
  }

  /** As `pass`, for one that waited. Returns why it was refused at once, of which its proposer is not told. */
  passWaiting(proposal: OrderedProposal): DelosError | undefined {
    this.offered = proposal
    this.refusal = undefined
    this.pass(proposal.entry, proposal.completion)
    this.offered = undefined
    return this.refusal
  }

  passedReturned(): void {
    this.passed--
    this.passedBack()
  }

  passedFailed(error: DelosError): boolean {
    if (this.offered === undefined) {
      this.passedReturned()
      return false
    }
    this.passed--
    this.refusal = error
    return true
  }
}
