// A request for a view of the store while it waits for its push, at most until its deadline. Not here: when views are opened.

import { DelosError } from '../base/delos-error.ts'
import type { Clock, Timers } from '../runtime/runtime.ts'
import { Deferred } from './deferred.ts'
import type { StoreView } from './local-store.ts'

/** What a store needs of the runtime. */
export interface StoreRuntime {
  readonly clock: Clock
  readonly timers: Timers
}

export class ViewRequest {
  readonly upTo: number
  readonly done = new Deferred<StoreView>()
  private readonly runtime: StoreRuntime
  private readonly deadline: number
  private readonly timer: { cancel(): void }

  constructor(upTo: number, runtime: StoreRuntime, deadlineMs: number, onTimeout: (request: ViewRequest) => void) {
    this.upTo = upTo
    this.runtime = runtime
    this.deadline = runtime.clock.monotonicMs() + deadlineMs
    this.timer = runtime.timers.after(deadlineMs, () => {
      onTimeout(this)
      this.done.reject(new DelosError('TIMEOUT', `no view of the store within ${deadlineMs} ms`))
    })
  }

  leftMs(): number {
    return Math.max(0, this.deadline - this.runtime.clock.monotonicMs())
  }

  resolve(view: StoreView): void {
    this.timer.cancel()
    this.done.resolve(view)
  }

  abandon(): void {
    this.timer.cancel()
  }

  reject(error: DelosError): void {
    this.timer.cancel()
    this.done.reject(error)
  }
}
