// Whom this server has not heard for too long: a stopwatch per other member on its own monotonic clock. A server that was
// itself not well (late, or without its own entries back from the log) starts all of them again, and accuses nobody.

import type { LogPos } from '../../log/position.ts'

export interface SilenceLimits {
  /** Between two looks. */
  readonly heartbeatMs: number
  /** How long a member must be silent before it is accused. */
  readonly silentMs: number
}

/** What was last heard of one server: the position of its last entry. */
export interface LastHeard {
  readonly serverId: string
  readonly lastHeard: LogPos
}

/** Looks further apart than this many intervals mean that this server stood still. */
const LATE_INTERVALS = 2
/** Looks in a row that may find no newer entry of one's own: an idle server proposes at least one per two intervals. */
const OWN_MISSED_MAX = 1

export class SilenceWatch {
  private readonly limits: SilenceLimits
  private lastLookMs: number | undefined
  private ownLastHeard: LogPos | undefined
  private ownMissed = 0
  private stopwatches = new Map<string, { readonly lastHeard: LogPos; readonly startedMs: number }>()

  constructor(limits: SilenceLimits) {
    this.limits = limits
  }

  /**
   * Called once per interval with what this server has applied; answers whom to accuse. A stopwatch starts again at the look
   * that finds a newer entry, so a member is silent for at least `silentMs`, at most one interval longer.
   */
  look(nowMs: number, own: LogPos | undefined, others: readonly LastHeard[]): LastHeard[] {
    const { heartbeatMs, silentMs } = this.limits
    const late = this.lastLookMs === undefined || nowMs - this.lastLookMs > LATE_INTERVALS * heartbeatMs
    this.ownMissed = own === this.ownLastHeard ? this.ownMissed + 1 : 0
    this.lastLookMs = nowMs
    this.ownLastHeard = own
    const well = own !== undefined && !late && this.ownMissed <= OWN_MISSED_MAX
    const before = well ? this.stopwatches : new Map<string, never>()
    this.stopwatches = new Map()
    const silent: LastHeard[] = []
    for (const { serverId, lastHeard } of others) {
      let stopwatch = before.get(serverId)
      if (stopwatch?.lastHeard !== lastHeard) stopwatch = { lastHeard, startedMs: nowMs }
      this.stopwatches.set(serverId, stopwatch)
      if (nowMs - stopwatch.startedMs >= silentMs) silent.push({ serverId, lastHeard })
    }
    return silent
  }
}
