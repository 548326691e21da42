// Takes digests of the content where the log asks for them, and keeps the newest. Not here: which entries ask and that the
// commit ends behind them (slice-runner.ts), and the comparison between servers.

import { DelosError } from '../../base/delos-error.ts'
import { type PositionedDigest, RANGES_WITHOUT_DIGEST } from '../../engine/digest.ts'
import type { LogPos } from '../../log/position.ts'
import type { LocalStore } from '../../store/local-store.ts'

export interface DigestTakerParts {
  readonly store: LocalStore
  /** The store has failed: no digest and nothing else will come of it. */
  failed(error: DelosError): void
}

export class DigestTaker {
  private readonly parts: DigestTakerParts
  /** The newest that has been taken. */
  last: PositionedDigest | undefined
  /** Cumulative. A skipped one found too many others waiting in the store. */
  readonly counts = { taken: 0, skipped: 0 }

  constructor(parts: DigestTakerParts) {
    this.parts = parts
  }

  /** Takes one of what is committed now, behind `position`. It becomes `last` later, in the order of the calls. */
  take(position: LogPos): void {
    this.parts.store.digest().then(
      (digest) => {
        this.counts.taken++
        this.last = { position, ranges: new Map([...digest].filter(([range]) => !RANGES_WITHOUT_DIGEST.has(range))) }
      },
      (thrown: unknown) => {
        const error = DelosError.from(thrown, 'IO_ERROR', `no digest at position ${position}`)
        if (error.code === 'OVERLOADED') this.counts.skipped++
        else if (error.code !== 'CLOSED') this.parts.failed(error)
      },
    )
  }
}
