// What the protocol server tells operators of the log and the store below it: read when it is asked for, files at most every
// few seconds.

import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { EMPTY_HISTOGRAM, type HistogramSnapshot } from '../base/latency-histogram.ts'
import type { DatabasePaths } from '../store/data-directory.ts'
import type { StorageFacts } from '../zookeeper/server-options.ts'
import type { Database, StartTimes } from './open-database.ts'

/** Whoever asks for sizes again and again is told the same for so long. */
const SIZES_MS = 5000

/** A live view: each property is as of now. */
export class DatabaseFacts implements StorageFacts {
  private readonly database: Database
  private readonly paths: DatabasePaths
  private readonly nowMs: () => number
  private readonly stopped: () => number
  private sizes = { storeBytes: 0, logBytes: 0, readMs: Number.NEGATIVE_INFINITY }

  /** `stopped`: how many databases of the process stopped at an error. */
  constructor(database: Database, paths: DatabasePaths, nowMs: () => number, stopped: () => number) {
    this.database = database
    this.paths = paths
    this.nowMs = nowMs
    this.stopped = stopped
  }

  get storeBytes(): number {
    return this.recentSizes().storeBytes
  }

  get logBytes(): number {
    return this.recentSizes().logBytes
  }

  get proposals(): number {
    return this.database.joints().at(-1)?.proposals ?? 0
  }

  get appliedEntries(): number {
    return this.database.stackStatus().appliedEntries
  }

  get appends(): number {
    return this.database.logletStats().appends
  }

  get failures(): number {
    return this.stopped()
  }

  get proposeTimes(): HistogramSnapshot {
    return this.database.joints().at(-1)?.propose ?? EMPTY_HISTOGRAM
  }

  get syncTimes(): HistogramSnapshot {
    return this.database.logletStats().syncTimes
  }

  get flushTimes(): HistogramSnapshot {
    return this.database.store.stats.flushTimes.snapshot()
  }

  get reconfigurations(): HistogramSnapshot {
    return this.database.reconfigurations.snapshot()
  }

  get start(): StartTimes | undefined {
    return this.database.startTimes()
  }

  private recentSizes(): { readonly storeBytes: number; readonly logBytes: number } {
    const now = this.nowMs()
    if (now - this.sizes.readMs >= SIZES_MS) {
      this.sizes = { storeBytes: bytesIn(this.paths.store), logBytes: bytesIn(this.paths.log), readMs: now }
    }
    return this.sizes
  }
}

/** Of all files below a directory; files that come and go meanwhile count as nothing. */
function bytesIn(directory: string): number {
  let bytes = 0
  for (const entry of entriesOf(directory)) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) bytes += bytesIn(path)
    else bytes += statSync(path, { throwIfNoEntry: false })?.size ?? 0
  }
  return bytes
}

function entriesOf(directory: string) {
  try {
    return readdirSync(directory, { withFileTypes: true })
  } catch {
    // It is gone, or was never there.
    return []
  }
}
