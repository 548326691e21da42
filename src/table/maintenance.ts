// Background work of a serving server: it proposes the next step of what is to be built or removed, one at a time, until there
// is none. Every server does; a step that comes twice does nothing the second time.

import type { DelosError } from '../base/delos-error.ts'
import type { Timer, Timers } from '../runtime/runtime.ts'
import type { ReadTx } from '../store/local-store.ts'
import { nextStep } from './apply/index-builder.ts'

export interface MaintenanceParts {
  readonly timers: Timers
  readonly store: { read(): ReadTx }
  propose(payload: Uint8Array, completion: { resolve(): void; reject(error: DelosError): void }): void
}

const RETRY_MS = 1000
/** Between two steps, so that clients come first. */
const PAUSE_MS = 1

export class Maintenance {
  private readonly parts: MaintenanceParts
  private serving = false
  private underWay = false
  private timer: Timer | undefined

  constructor(parts: MaintenanceParts) {
    this.parts = parts
  }

  start(): void {
    this.serving = true
    this.underWay = false
    this.look()
  }

  stop(): void {
    this.serving = false
    this.timer?.cancel()
  }

  /** There may be something to do. */
  look(): void {
    if (!this.serving || this.underWay) return
    const step = nextStep(this.parts.store.read())
    if (step === undefined) return
    this.underWay = true
    this.parts.propose(step, {
      resolve: () => this.later(PAUSE_MS),
      // Whatever it was, the step is still to be done, or somebody has done it.
      reject: () => this.later(RETRY_MS),
    })
  }

  /** The same, but not in the middle of a commit. */
  lookSoon(): void {
    if (!this.underWay) this.later(PAUSE_MS)
  }

  private later(ms: number): void {
    this.underWay = false
    if (!this.serving) return
    this.underWay = true
    this.timer = this.parts.timers.after(ms, () => {
      this.underWay = false
      this.look()
    })
  }
}
