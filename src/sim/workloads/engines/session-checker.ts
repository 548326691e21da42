// Session order: what one process proposed under one epoch is applied in the order in which it was proposed, while SessionOrder
// is enabled. Learns of every operation once, in order of the log.

import { check } from '../../workload.ts'

/** Whose operation it is. */
export interface Origin {
  readonly server: string
  /** Which of the server's processes. */
  readonly life: number
  /** The epoch that was open when it was proposed; undefined: SessionOrder promised nothing then. */
  readonly epoch: number | undefined
}

interface Proposed extends Origin {
  readonly turn: number
}

export class SessionChecker {
  /** Operations applied while the order was promised. */
  ordered = 0
  /** Operations that overtook an earlier one, without a promise. */
  overtaken = 0
  private readonly proposals: Proposed[] = []
  /** Ids that are applied already: replays say nothing new. */
  private readonly seen = new Set<number>()
  /** Per process and epoch: the highest turn applied under the promise. */
  private readonly reached = new Map<string, number>()
  private readonly reachedAny = new Map<string, number>()

  /** An operation goes to the stack now; ids come in any order. */
  proposed(id: number, origin: Origin): void {
    this.proposals[id] = { ...origin, turn: id }
  }

  /** `isOpen`: SessionOrder is enabled, and this epoch open, as of this entry. */
  applying(id: number, isOpen: (epoch: number) => boolean): void {
    const proposal = this.proposals[id]
    if (proposal === undefined || this.seen.has(id)) return
    this.seen.add(id)
    const { epoch, life, server, turn } = proposal
    const process = `${server} ${life}`
    const reachedAny = this.reachedAny.get(process) ?? -1
    if (turn < reachedAny) this.overtaken++
    this.reachedAny.set(process, Math.max(turn, reachedAny))
    if (epoch === undefined || !isOpen(epoch)) return
    this.ordered++
    const under = `${process} ${epoch}`
    const reached = this.reached.get(under) ?? -1
    check(turn > reached, `${server} proposed operation ${turn} before ${reached}, and it was applied after it`)
    this.reached.set(under, turn)
  }
}
