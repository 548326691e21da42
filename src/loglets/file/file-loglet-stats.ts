// What a file loglet counts, for metrics. Cumulative since it was opened.

import { LatencyHistogram } from '../../base/latency-histogram.ts'

export class FileLogletStats {
  appends = 0
  groups = 0
  syncs = 0
  /** Bytes written to segment files for groups, headers and padding included. */
  bytes = 0
  /** Appends refused because the disk is full or below its reserve. */
  refusedForSpace = 0
  /** Bytes of torn groups cut when it was opened. */
  cutBytes = 0
  /** Write and sync of the last group. */
  lastSyncMs = 0
  syncMsTotal = 0
  /** Write and sync of each group. */
  readonly syncTimes = new LatencyHistogram()

  noteGroup(latencyMs: number, appends: number, bytes: number): void {
    this.appends += appends
    this.groups++
    this.syncs++
    this.bytes += bytes
    this.lastSyncMs = latencyMs
    this.syncMsTotal += latencyMs
    this.syncTimes.record(latencyMs)
  }
}
