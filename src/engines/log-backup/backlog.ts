// What of the applied log nobody has claimed yet, and whether it is enough, or has waited long enough, for a segment or a snapshot.
// Not here: who uploads it (backup-worker.ts).

import type { LogPos } from '../../log/position.ts'
import type { Clock } from '../../runtime/runtime.ts'
import { type BackupState, CLAIMS_MAX, SNAPSHOTS_MAX } from './backup-state.ts'
import type { LogBackupOptions } from './log-backup-options.ts'

/** Where another server does the work, this one waits so many times longer before it steps in. */
const PATIENCE = 3
/** So much that was applied is read at a time, of a small segment a quarter: soon, since the log has it in memory then. */
const AHEAD_BYTES = 1024 * 1024
const READS_PER_SEGMENT = 4
/** How exactly it is known how much lies where. */
const STRETCHES_PER_SEGMENT = 64
/** Of a long backlog it is known less and less exactly. */
const STRETCHES_MAX = 1024

/** Entries that follow one another, and nobody has claimed. */
interface Stretch {
  readonly from: LogPos
  to: LogPos
  bytes: number
  /** When the first of them came. */
  sinceMs: number
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
  /** Ascending. */
  private stretches: Stretch[] = []
  private stretchBytes: number
  private unclaimedBytes = 0
  private unreadBytes = 0
  private unkeptBytes = 0

  constructor(options: LogBackupOptions, clock: Clock) {
    this.options = options
    this.clock = clock
    this.stretchBytes = options.segmentBytes / STRETCHES_PER_SEGMENT
  }

  /** Everything below `applied` has been applied, before anybody counted. */
  begin(applied: LogPos): void {
    this.applied = applied
    this.newest = applied - 1
    if (this.stretches.length > 0) return
    // How much there is of former lives isn't known.
    this.stretches.push({ from: applied, to: applied, bytes: 0, sinceMs: this.clock.monotonicMs() })
  }

  /** An entry was applied; `own` if it is a word of backups. */
  advanced(pos: LogPos, bytes: number, own: boolean): void {
    this.applied = (pos + 1) as LogPos
    if (own) return
    this.newest = pos
    this.unclaimedBytes += bytes
    this.unreadBytes += bytes
    this.unkeptBytes += bytes
    const last = this.stretches.at(-1)
    if (last !== undefined && last.bytes + bytes <= this.stretchBytes) {
      last.to = this.applied
      last.bytes += bytes
      return
    }
    this.stretches.push({ from: pos, to: this.applied, bytes, sinceMs: this.clock.monotonicMs() })
    if (this.stretches.length > STRETCHES_MAX) this.joinPairs()
  }

  /** Somebody has claimed, or given up, all below `to`. */
  claimed(to: LogPos): void {
    const { stretches } = this
    const whole = stretches.findIndex((stretch) => stretch.to > to)
    for (const { bytes } of stretches.splice(0, whole < 0 ? stretches.length : whole)) this.unclaimedBytes -= bytes
    const [cut] = stretches
    if (cut === undefined || cut.from >= to) return
    // How much of it is claimed isn't known: it still counts in full. What is left came later than its first entry.
    stretches[0] = { ...cut, from: to, sinceMs: this.clock.monotonicMs() }
  }

  /** What is applied is being read. */
  readingOn(): void {
    this.unreadBytes = 0
  }

  /** Enough for a segment, however young. */
  get isLarge(): boolean {
    return this.unclaimedBytes >= this.options.segmentBytes
  }

  /** Enough to read on, where this server is the one that is going to claim it. */
  get isReadable(): boolean {
    const { segmentBytes } = this.options
    const enough = Math.min(AHEAD_BYTES, segmentBytes / READS_PER_SEGMENT)
    return this.unreadBytes >= enough && !this.othersWork && this.unclaimedBytes < segmentBytes
  }

  /** A snapshot is in the backup. */
  kept(): void {
    this.unkeptBytes = 0
  }

  segmentDue({ claimedTo, claims }: BackupState): boolean {
    const { intervalMs, segmentBytes } = this.options
    if (this.newest < claimedTo || claims.length >= CLAIMS_MAX) return false
    if (this.hurry || this.unclaimedBytes >= segmentBytes * this.patience) return true
    const sinceMs = this.stretches[0]?.sinceMs
    return sinceMs !== undefined && this.clock.monotonicMs() - sinceMs >= intervalMs * this.patience
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

  private joinPairs(): void {
    this.stretchBytes *= 2
    this.stretches = this.stretches.flatMap((stretch, at, all) => {
      if (at % 2 === 1) return []
      const next = all[at + 1]
      return next === undefined ? [stretch] : [{ ...stretch, to: next.to, bytes: stretch.bytes + next.bytes }]
    })
  }
}
