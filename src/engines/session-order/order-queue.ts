// The proposals of SessionOrder that nobody was told about yet, in the order in which they came: the undecided ones, and an
// outbox of those whose outcome is known. Keeps count of bytes and of who has no copy under way. Not here: what is decided.

import { DelosError } from '../../base/delos-error.ts'
import { Fifo } from '../../base/fifo.ts'
import type { SessionOrderLimits } from './order-limits.ts'
import type { OrderedProposal } from './ordered-proposal.ts'

export class OrderQueue {
  /** Undecided ones without a copy under way. */
  idle = 0
  private readonly undecided = new Fifo<OrderedProposal>()
  private readonly outbox = new Fifo<OrderedProposal>()
  private undecidedBytes = 0

  /** Undecided ones. */
  get length(): number {
    return this.undecided.length
  }

  get bytes(): number {
    return this.undecidedBytes
  }

  /** An undecided one, 0 being the first. Those that have a sequence number come first, ascending. */
  at(index: number): OrderedProposal | undefined {
    return this.undecided.at(index)
  }

  /** Why one more of `bytes` is refused; undefined if there is room. */
  refusal(bytes: number, limits: SessionOrderLimits): DelosError | undefined {
    const { outstandingBytesMax, outstandingCountMax } = limits
    if (this.length >= outstandingCountMax) {
      return new DelosError('OVERLOADED', `outstandingCountMax: ${outstandingCountMax} proposals are not yet applied`)
    }
    if (this.bytes + bytes <= outstandingBytesMax || this.length === 0) return undefined
    const message = `outstandingBytesMax: ${this.bytes} bytes are not yet applied, limit ${outstandingBytesMax}`
    return new DelosError('OVERLOADED', message)
  }

  add(proposal: OrderedProposal): void {
    this.undecided.push(proposal)
    this.undecidedBytes += proposal.bytes
    this.idle++
  }

  /** The first was applied. */
  resolveFirst(result: unknown): void {
    const proposal = this.undecided.shift() as OrderedProposal
    proposal.result = result
    this.decide(proposal, undefined)
  }

  rejectFirst(error: DelosError): void {
    this.decide(this.undecided.shift() as OrderedProposal, error)
  }

  rejectLast(error: DelosError): void {
    this.decide(this.undecided.pop() as OrderedProposal, error)
  }

  /** Rejects those for which there is a verdict; the others stay. */
  sift(verdict: (proposal: OrderedProposal, index: number) => DelosError | undefined): void {
    for (const [index, proposal] of this.undecided.drain().entries()) {
      const error = verdict(proposal, index)
      if (error === undefined) this.undecided.push(proposal)
      else this.decide(proposal, error)
    }
  }

  /** Takes out the first, idle one, as `takeAll` does. */
  takeFirst(): void {
    const proposal = this.undecided.shift() as OrderedProposal
    proposal.state = 'told'
    this.undecidedBytes -= proposal.bytes
    this.idle--
  }

  /** Takes out all undecided ones, which hear no more: whoever takes them owes their proposers the outcome. */
  takeAll(): OrderedProposal[] {
    const all = this.undecided.drain()
    for (const proposal of all) proposal.state = 'told'
    this.undecidedBytes = 0
    this.idle = 0
    return all
  }

  /** Tells the decided ones up to this one. */
  tellThrough(last: OrderedProposal): void {
    for (let next = this.outbox.shift(); next !== undefined; next = this.outbox.shift()) {
      tell(next)
      if (next === last) return
    }
  }

  /** Tells all decided ones, those included that are decided meanwhile. */
  tellAll(): void {
    for (let next = this.outbox.shift(); next !== undefined; next = this.outbox.shift()) tell(next)
  }

  private decide(proposal: OrderedProposal, error: DelosError | undefined): void {
    proposal.state = 'decided'
    proposal.error = error
    this.undecidedBytes -= proposal.bytes
    if (proposal.idle) this.idle--
    this.outbox.push(proposal)
  }
}

function tell(proposal: OrderedProposal): void {
  proposal.state = 'told'
  if (proposal.error === undefined) proposal.completion.resolve(proposal.result)
  else proposal.completion.reject(proposal.error)
}
