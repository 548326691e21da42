// What whoever proposed is told where a lease may be held: that another server holds it is an error with its address, not a result.

import type { DelosError } from '../../base/delos-error.ts'
import type { Completion } from '../../engine/engine.ts'
import { LeaseHeld, type LeaseHolder } from '../../engine/leased-reads.ts'

/** What apply answers to an update that is not the holder's. Nothing was changed. */
export class Filtered {
  readonly holder: LeaseHolder

  constructor(holder: LeaseHolder) {
    this.holder = holder
  }
}

export class LeasedCompletion implements Completion<unknown> {
  private readonly inner: Completion<unknown>
  private readonly ended: ((indeterminate: boolean) => void) | undefined

  /** `ended` is called first: nobody who is told by the result may find it under way. */
  constructor(inner: Completion<unknown>, ended?: (indeterminate: boolean) => void) {
    this.inner = inner
    this.ended = ended
  }

  resolve(result: unknown): void {
    this.ended?.(false)
    if (result instanceof Filtered) this.inner.reject(new LeaseHeld(result.holder))
    else this.inner.resolve(result)
  }

  reject(error: DelosError): void {
    this.ended?.(error.code === 'INDETERMINATE')
    this.inner.reject(error)
  }
}
