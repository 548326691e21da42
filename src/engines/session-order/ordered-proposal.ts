// One proposal of the layer above on its way through SessionOrder, and the completion of all copies of it that went down.
// Not here: when a copy is sent, and what follows from its answer.

import type { DelosError } from '../../base/delos-error.ts'
import type { Completion } from '../../engine/engine.ts'
import type { Entry } from '../../engine/entry.ts'

/** Whoever made a proposal hears what became of its copies. */
export interface CopyListener {
  copyReturned(proposal: OrderedProposal, result: unknown): void
  copyFailed(proposal: OrderedProposal, error: DelosError): void
}

export class OrderedProposal implements Completion<unknown> {
  readonly entry: Entry
  readonly completion: Completion<unknown>
  readonly bytes: number
  /** When it came, in ticks of the sweep. */
  readonly bornTick: number
  /** queued: undecided. decided: its outcome is known and not told. told: nothing is owed any more. */
  state: 'queued' | 'decided' | 'told' = 'queued'
  /** 0 until the first copy is sent. */
  sequence = 0
  /** Copies sent, ever. */
  copies = 0
  /** Copies that the layer below has not answered. */
  live = 0
  /** Copies that are in the log or may come to be, and were not yet seen to be dropped. 0: none will ever be applied. */
  possible = 0
  /** Copies that were answered INDETERMINATE. */
  lost = 0
  /** Its last copy arrived too early. */
  early = false
  /** The last INDETERMINATE. */
  doubt: DelosError | undefined = undefined
  /** Why its last copy was refused, if that is what came last. */
  refusal: DelosError | undefined = undefined
  /** Its outcome, once decided: an error, or what apply returned. */
  error: DelosError | undefined = undefined
  result: unknown = undefined
  private readonly owner: CopyListener

  constructor(owner: CopyListener, entry: Entry, completion: Completion<unknown>, bytes: number, bornTick: number) {
    this.owner = owner
    this.entry = entry
    this.completion = completion
    this.bytes = bytes
    this.bornTick = bornTick
  }

  /** Has no copy under way: it waits here to be sent, for the first time or again. */
  get idle(): boolean {
    return this.live === 0
  }

  resolve(result: unknown): void {
    this.owner.copyReturned(this, result)
  }

  reject(error: DelosError): void {
    this.owner.copyFailed(this, error)
  }
}
