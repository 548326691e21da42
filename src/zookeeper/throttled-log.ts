// Warnings that clients can cause at will, at a bounded rate: a flood of them must cost neither disk nor time. Counters tell
// the rest.

import type { Logger } from '../runtime/logger.ts'

const WINDOW_MS = 1000
const LINES_MAX = 50

export class ThrottledLog {
  private readonly logger: Logger
  private readonly nowMs: () => number
  private windowEndsMs = 0
  private lines = 0
  private leftOut = 0

  constructor(logger: Logger, nowMs: () => number) {
    this.logger = logger
    this.nowMs = nowMs
  }

  /** Logs, or only counts if there were 50 lines in this second; the next line then says how many were left out. */
  warn(fields: () => object, message: string): void {
    const now = this.nowMs()
    if (now >= this.windowEndsMs) this.nextWindow(now)
    if (this.lines >= LINES_MAX) {
      this.leftOut++
      return
    }
    this.lines++
    this.logger.warn(fields(), message)
  }

  private nextWindow(now: number): void {
    this.windowEndsMs = now + WINDOW_MS
    this.lines = 0
    if (this.leftOut === 0) return
    this.logger.warn({ leftOut: this.leftOut }, 'warnings about clients were left out')
    this.leftOut = 0
  }
}
