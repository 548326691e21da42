// When the log is no longer to be kept for a backup that does not go on: after a time, or when the disk fills up meanwhile. Not here:
// giving it up, which is an entry (backup-worker.ts, backup-state.ts).

import type { Clock } from '../../runtime/runtime.ts'
import type { LogBackupOptions } from './log-backup-options.ts'

export class EscapeHatch {
  private readonly options: LogBackupOptions
  private readonly clock: Clock
  /** When the backed-up prefix was last seen to grow, or had nothing to grow for. */
  private progressMs = 0
  private lastEnd = -1

  constructor(options: LogBackupOptions, clock: Clock) {
    this.options = options
    this.clock = clock
  }

  /** There is progress, or what stood in its way is given up. */
  progressed(): void {
    this.progressMs = this.clock.monotonicMs()
  }

  /** The backed-up prefix ends at `end`; `waiting` if there is something behind it. */
  saw(end: number, waiting: boolean): void {
    if (end !== this.lastEnd || !waiting) this.progressed()
    this.lastEnd = end
  }

  /** Why to give up what is waiting; undefined: keep it. `failing`: uploads fail now. */
  async reason(failing: boolean): Promise<string | undefined> {
    const { freeBytesMin, holdMs, target } = this.options
    const idleMs = this.clock.monotonicMs() - this.progressMs
    if (holdMs > 0 && idleMs >= holdMs) return `no upload for ${Math.round(idleMs / 1000)} s`
    // A full disk alone is no reason: what is uploaded may be trimmed, and soon is.
    if (!failing || freeBytesMin === 0 || target?.freeBytes === undefined) return undefined
    const free = await target.freeBytes()
    return free < freeBytesMin ? `the disk has ${free} bytes free, at least ${freeBytesMin} are wanted` : undefined
  }
}
