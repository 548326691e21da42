// What of the applied log nobody has claimed yet, and whether it is enough, or has waited long enough, for a segment or a snapshot.
// Not here: who uploads it (backup-worker.ts).

import type { LogPos } from '../../log/position.ts'
import type { Clock } from '../../runtime/runtime.ts'
import { type BackupState, CLAIMS_MAX, SNAPSHOTS_MAX } from './backup-state.ts'
import type { LogBackupOptions } from './log-backup-options.ts'

/** Where another server does the work, this one waits so many times longer before it steps in. */
const PATIENCE = 3

/** The backlog as it was at some moment. */
export interface BacklogMark {
  /** First position that was not applied. */
  readonly to: LogPos
  readonly bytes: number
  readonly newest: number
}

export class Backlog {
  /** First position not applied. */
  applied = 0 as LogPos
  /** The newest entry that is no word of backups: those are no reason for a segment. */
  newest = -1
  /** Another server was the last to claim something. */
  othersWork = false
  /** Whatever is waiting is due now. */
  hurry = false
  private readonly options: LogBackupOptions
  private readonly clock: Clock
  /** When the oldest entry came that nobody has claimed. */
  private sinceMs: number | undefined
  private unclaimedBytes = 0
  private unkeptBytes = 0

  constructor(options: LogBackupOptions, clock: Clock) {
    this.options = options
    this.clock = clock
  }

  /** Everything below `applied` has been applied, before anybody counted. */
  begin(applied: LogPos): void {
    this.applied = applied
    this.newest = applied - 1
    this.sinceMs = this.clock.monotonicMs()
  }

  /** An entry was applied; `own` if it is a word of backups. */
  advanced(pos: LogPos, bytes: number, own: boolean): void {
    this.applied = (pos + 1) as LogPos
    if (own) return
    this.newest = pos
    this.unclaimedBytes += bytes
    this.unkeptBytes += bytes
    this.sinceMs ??= this.clock.monotonicMs()
  }

  /** Enough for a segment, however young. */
  get isLarge(): boolean {
    return this.unclaimedBytes >= this.options.segmentBytes
  }

  mark(): BacklogMark {
    return { to: this.applied, bytes: this.unclaimedBytes, newest: this.newest }
  }

  /** This server has claimed, or tried to claim, what was waiting at that mark, up to `to`. */
  claimed(mark: BacklogMark, to: LogPos): void {
    const whole = to === mark.to
    this.unclaimedBytes = whole ? this.unclaimedBytes - mark.bytes : this.options.segmentBytes
    this.sinceMs = whole && this.newest === mark.newest ? undefined : this.clock.monotonicMs()
  }

  /** A snapshot is in the backup. */
  kept(): void {
    this.unkeptBytes = 0
  }

  segmentDue({ claimedTo, claims }: BackupState): boolean {
    const { intervalMs, segmentBytes } = this.options
    if (this.newest < claimedTo || claims.length >= CLAIMS_MAX) return false
    if (this.hurry || this.unclaimedBytes >= segmentBytes * this.patience) return true
    return this.sinceMs !== undefined && this.clock.monotonicMs() - this.sinceMs >= intervalMs * this.patience
  }

  snapshotDue({ gaps, history, snapshots }: BackupState): boolean {
    const { snapshotBytes, snapshotMs } = this.options
    if (this.hurry || snapshots.length >= SNAPSHOTS_MAX) return false
    const last = snapshots.at(-1)
    const needed = Math.max(history?.start ?? 0, gaps.at(-1)?.to ?? 0)
    if (last === undefined || last.cursor < needed) return true
    if (this.newest < last.cursor) return false
    if (this.unkeptBytes >= snapshotBytes * this.patience) return true
    return this.clock.wallMs() - last.wallMs >= snapshotMs * this.patience
  }

  private get patience(): number {
    return this.othersWork ? PATIENCE : 1
  }
}
