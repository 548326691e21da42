// Gets an `open` of this process into the log: one at a time, again when it was lost or void, until somebody calls it off. Not
// here: what its apply means (sequencer.ts is told by the engine).

import type { DelosError } from '../../base/delos-error.ts'
import { controlEntry } from '../../engine/entry.ts'
import type { Timer, Timers } from '../../runtime/runtime.ts'
import type { BelowParts } from './layer-below.ts'
import { encodeOpen } from './order-codec.ts'

export interface EpochOpenerParts extends BelowParts {
  readonly serverId: string
  /** Names this process in its `open`. */
  readonly life: number
  readonly timers: Timers
  /** Pause before another attempt; doubles up to retryMsMax. */
  readonly retryMs: number
  readonly retryMsMax: number
  /** The epoch of this server in the committed state; 0 if none. */
  storedEpoch(): number
}

export class EpochOpener {
  private readonly parts: EpochOpenerParts
  /** It was definitely refused; whoever still wants it asks again. */
  private readonly refused: (error: DelosError) => void
  private wanted = false
  private attempt: object | undefined
  private timer: Timer | undefined
  private rounds = 0

  constructor(parts: EpochOpenerParts, refused: (error: DelosError) => void) {
    this.parts = parts
    this.refused = refused
  }

  /** Proposes an `open`, at once unless an attempt is under way or its pause lasts. */
  open(): void {
    this.wanted = true
    if (this.attempt === undefined && this.timer === undefined) this.propose()
  }

  /** As `open`, after a pause. */
  openLater(): void {
    this.wanted = true
    const { retryMs, retryMsMax, timers } = this.parts
    const pauseMs = Math.min(retryMs * 2 ** this.rounds++, retryMsMax)
    this.timer ??= timers.after(pauseMs, () => {
      this.timer = undefined
      if (this.attempt === undefined) this.propose()
    })
  }

  /** Nobody wants it any more, or it was applied. What is in the log is void once another was applied. */
  cancel(): void {
    this.wanted = false
    this.attempt = undefined
    this.timer?.cancel()
    this.timer = undefined
    this.rounds = 0
  }

  private propose(): void {
    const { life, name, serverId } = this.parts
    const attempt = {}
    this.attempt = attempt
    const ended = (then: () => void): void => {
      if (this.attempt !== attempt) return
      this.attempt = undefined
      if (this.wanted) then()
    }
    this.parts.propose(controlEntry(name, encodeOpen(serverId, this.parts.storedEpoch(), life), true), {
      // It was void, or else it would have been called off by now: another `open` came first.
      resolve: () => ended(() => this.openLater()),
      reject: (error) =>
        ended(() => {
          if (error.code === 'INDETERMINATE') this.openLater()
          else {
            this.wanted = false
            this.refused(error)
          }
        }),
    })
  }
}
