// When the log is no longer to be kept for a backup that does not go on: after a time, when the disk fills up meanwhile, or since it is
// trimmed already. Gives up, by an entry, what stands in the way. Not here: what that means in apply (backup-state.ts).

import { DelosError } from '../../base/delos-error.ts'
import type { LogPos } from '../../log/position.ts'
import type { Clock } from '../../runtime/runtime.ts'
import type { Backlog } from './backlog.ts'
import type { BackupTrouble } from './backup-jobs.ts'
import type { BackupMessage } from './backup-message.ts'
import type { BackupOutcome, BackupState } from './backup-state.ts'
import type { LogBackupOptions } from './log-backup-options.ts'

/** Of the text that tells why something was given up. */
const REASON_CHARS_MAX = 300

export interface HatchParts {
  readonly options: LogBackupOptions
  readonly clock: Clock
  readonly backlog: Backlog
  readonly state: BackupState
  readonly serverId: string
  readonly historyId: string
  /** Why uploads fail; undefined while they work. */
  uploadTrouble(): BackupTrouble | undefined
  say(message: BackupMessage): Promise<BackupOutcome>
  skipped(): void
}

export class EscapeHatch {
  private readonly parts: HatchParts
  /** When the backed-up prefix was last seen to grow, or had nothing to grow for. */
  private progressMs = 0
  private lastEnd = -1

  constructor(parts: HatchParts) {
    this.parts = parts
  }

  /** There is progress, or what stood in its way is given up. */
  progressed(): void {
    this.progressMs = this.parts.clock.monotonicMs()
  }

  /** To be called every so often. */
  look(): void {
    const { end } = this.parts.state
    if (end !== this.lastEnd || !this.isWaiting) this.progressed()
    this.lastEnd = end
  }

  /** Gives up everything that is waiting, if it is time for that. */
  async open(): Promise<void> {
    const { backlog, historyId, state } = this.parts
    if (!this.isWaiting || state.history?.historyId !== historyId) return
    const reason = await this.reason()
    if (reason !== undefined) await this.skip(backlog.applied, reason)
  }

  /** Only while nobody else is to do what is before it; until then it fails, and is looked at again after a pause. */
  async skipTrimmed(from: LogPos, oldest: LogPos): Promise<void> {
    const reason = 'the log was trimmed before it was backed up'
    if (from !== this.parts.state.end) throw new DelosError('TRIMMED', `${reason}: from ${from} to ${oldest}`)
    await this.skip(oldest, reason)
  }

  private get isWaiting(): boolean {
    const { backlog, state } = this.parts
    return backlog.newest >= state.end
  }

  /** Undefined: keep it. */
  private async reason(): Promise<string | undefined> {
    const { clock, options, uploadTrouble } = this.parts
    const { freeBytesMin, holdMs, target } = options
    const idleMs = clock.monotonicMs() - this.progressMs
    if (holdMs > 0 && idleMs >= holdMs) return `no upload for ${Math.round(idleMs / 1000)} s`
    // A full disk alone is no reason: what is uploaded may be trimmed, and soon is.
    if (uploadTrouble() === undefined || freeBytesMin === 0 || target?.freeBytes === undefined) return undefined
    const free = await target.freeBytes()
    return free < freeBytesMin ? `the disk has ${free} bytes free, at least ${freeBytesMin} are wanted` : undefined
  }

  private async skip(to: LogPos, why: string): Promise<void> {
    const { clock, say, serverId, skipped, state, uploadTrouble } = this.parts
    const trouble = uploadTrouble()
    const reason = (trouble === undefined ? why : `${why}; ${trouble.message}`).slice(0, REASON_CHARS_MAX)
    const outcome = await say({ kind: 'skip', serverId, from: state.end, to, wallMs: clock.wallMs(), reason })
    if (outcome.kind === 'done') skipped()
    this.progressed()
  }
}
