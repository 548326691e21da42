// Whether the disk has room for more log. Free space is asked for every so many bytes or seconds of appending, never by a
// timer: an idle loglet asks nothing, and a full one looks again when the next append comes.

import { DelosError } from '../../base/delos-error.ts'
import type { LogletAppendOutcome } from '../../log/loglet.ts'
import type { Disk } from '../../runtime/disk.ts'
import type { Clock } from '../../runtime/runtime.ts'

const CHECK_EVERY_BYTES = 1024 * 1024
const CHECK_EVERY_MS = 5_000
const RECHECK_AFTER_MS = 100

/** Refuses below a reserve of free bytes and recovers by itself. */
export class DiskSpace {
  /** True while appends are refused. */
  full = false
  readonly reserveBytes: number
  freeBytes = Number.POSITIVE_INFINITY
  private readonly disk: Disk
  private readonly directory: string
  private readonly clock: Clock
  private checkedAtMs = Number.NEGATIVE_INFINITY
  private bytesSince = 0
  private checking: Promise<void> | undefined

  private readonly onFull: () => void

  constructor(
    disk: Disk,
    directory: string,
    clock: Clock,
    options: { readonly reserveBytes: number; readonly onFull: () => void },
  ) {
    this.disk = disk
    this.directory = directory
    this.clock = clock
    this.reserveBytes = options.reserveBytes
    this.onFull = options.onFull
  }

  /** Counts bytes about to be written; looks at the disk in the background now and then. */
  count(bytes: number): void {
    this.bytesSince += bytes
    const due = this.bytesSince >= CHECK_EVERY_BYTES || this.clock.monotonicMs() - this.checkedAtMs >= CHECK_EVERY_MS
    if (due && !this.checking) void this.check()
  }

  /** A write just failed for lack of space. */
  markFull(): void {
    this.setFull(true)
    this.checkedAtMs = this.clock.monotonicMs()
  }

  /** The answer to an append while full. */
  refusal(): LogletAppendOutcome {
    const message = `${this.directory}: ${this.freeBytes} bytes free, the reserve is ${this.reserveBytes}`
    return { kind: 'refused', cause: new DelosError('DISK_FULL', message) }
  }

  /** While full: true once there is space again. */
  async recovered(): Promise<boolean> {
    if (this.full && this.clock.monotonicMs() - this.checkedAtMs >= RECHECK_AFTER_MS) await this.check()
    return !this.full
  }

  /** Looks at the disk now; concurrent calls share one look. */
  check(): Promise<void> {
    this.checking ??= this.look().finally(() => {
      this.checking = undefined
    })
    return this.checking
  }

  private setFull(full: boolean): void {
    if (full && !this.full) this.onFull()
    this.full = full
  }

  private async look(): Promise<void> {
    this.checkedAtMs = this.clock.monotonicMs()
    this.bytesSince = 0
    try {
      this.freeBytes = await this.disk.freeBytes(this.directory)
      this.setFull(this.freeBytes < this.reserveBytes)
    } catch {
      // A disk that can't tell its free space is judged by its writes alone.
      this.full = false
    }
  }
}
