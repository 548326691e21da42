// Makes what was applied durable at a bounded rate, then releases the log below it: prefixTrim to what the layers above
// allow, never past the durable cursor. Idle databases flush nothing.

import { DelosError } from '../../base/delos-error.ts'
import { LOG_START, type LogPos } from '../../log/position.ts'
import type { SharedLog } from '../../log/shared-log.ts'
import type { Timer, Timers } from '../../runtime/runtime.ts'
import type { LocalStore } from '../../store/local-store.ts'

export interface FlushLimits {
  /** The longest that something applied waits for the disk; also the least time between two flushes that size did not force. */
  readonly flushMs: number
  /** Log bytes applied since the last flush that start one at once. */
  readonly flushBytes: number
}

export interface FlushParts extends FlushLimits {
  readonly log: SharedLog
  readonly store: LocalStore
  readonly timers: Timers
  cursor(): LogPos
  /** The store failed for good. */
  failed(error: DelosError): void
}

export class FlushLoop {
  private readonly parts: FlushParts
  private durable: LogPos = LOG_START
  private allowed: LogPos = LOG_START
  private trimmed: LogPos = LOG_START
  private dirtyBytes = 0
  private timer: Timer | undefined
  private running: Promise<void> | undefined
  private stopped = false
  private trimFailures = 0

  constructor(parts: FlushParts) {
    this.parts = parts
  }

  /** Everything below is applied and durable. */
  get durableCursor(): LogPos {
    return this.durable
  }

  get trimPrefix(): LogPos {
    return this.allowed
  }

  /** Trims that the log could not do; each is tried again after the next flush. */
  get failedTrims(): number {
    return this.trimFailures
  }

  /** What the store holds at start is durable. */
  startedAt(cursor: LogPos): void {
    this.durable = cursor
  }

  /** The layers above need nothing below `pos`. Trimming waits for the next flush. */
  setTrimPrefix(pos: LogPos): void {
    if (pos > this.allowed) this.allowed = pos
  }

  /** `bytes` of the log were applied and committed. */
  committed(bytes: number): void {
    this.dirtyBytes += bytes
    if (this.stopped || this.running !== undefined) return
    if (this.dirtyBytes >= this.parts.flushBytes) this.flushNow()
    else if (this.timer === undefined) this.timer = this.parts.timers.after(this.parts.flushMs, () => this.flushNow())
  }

  /** Ends with a last flush, if the store still can. */
  async stop(lastFlush: boolean): Promise<void> {
    this.stopped = true
    this.timer?.cancel()
    await this.running
    if (lastFlush && this.durable !== this.parts.cursor()) await this.flush()
  }

  private flushNow(): void {
    this.timer?.cancel()
    this.timer = undefined
    if (this.running !== undefined || this.stopped) return
    this.running = this.flush().then(() => {
      this.running = undefined
      if (this.dirtyBytes > 0) this.committed(0)
    })
  }

  private async flush(): Promise<void> {
    const cursor = this.parts.cursor()
    this.dirtyBytes = 0
    try {
      await this.parts.store.flush()
    } catch (thrown) {
      this.stopped = true
      this.parts.failed(DelosError.from(thrown, 'IO_ERROR', 'the store could not be flushed'))
      return
    }
    this.durable = cursor
    const trim = Math.min(this.allowed, cursor) as LogPos
    if (trim <= this.trimmed) return
    try {
      await this.parts.log.prefixTrim(trim)
      this.trimmed = trim
    } catch {
      // Trimming frees space, no more: the mark only grows, so the next flush asks again. Counted for the operator.
      this.trimFailures++
    }
  }
}
