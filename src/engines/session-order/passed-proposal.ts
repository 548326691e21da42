// A proposal that went down without a number, counted: those with numbers start when the last of these is back.

import type { DelosError } from '../../base/delos-error.ts'
import type { Completion } from '../../engine/engine.ts'

export interface PassedListener {
  /** It came back with a result, and its proposer is told next. */
  passedReturned(): void
  /** It failed. True: the listener keeps it, and its proposer is not told. */
  passedFailed(error: DelosError): boolean
}

export class PassedProposal implements Completion<unknown> {
  private readonly owner: PassedListener
  private readonly completion: Completion<unknown>

  constructor(owner: PassedListener, completion: Completion<unknown>) {
    this.owner = owner
    this.completion = completion
  }

  resolve(result: unknown): void {
    this.owner.passedReturned()
    this.completion.resolve(result)
  }

  reject(error: DelosError): void {
    if (!this.owner.passedFailed(error)) this.completion.reject(error)
  }
}
