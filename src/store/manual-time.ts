// Time that a test moves by hand, for the deadlines of a store under test. Turns of the event loop stay real.

import type { Clock, Timer, Timers } from '../runtime/runtime.ts'

export class ManualTime implements Clock, Timers {
  readonly soon: Timers['soon']
  private nowMs = 0
  private readonly pending = new Set<{ readonly atMs: number; readonly callback: () => void }>()

  constructor(soon: Timers['soon']) {
    this.soon = soon
  }

  monotonicMs(): number {
    return this.nowMs
  }

  wallMs(): number {
    return this.nowMs
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer = { atMs: this.nowMs + delayMs, callback }
    this.pending.add(timer)
    return { cancel: () => this.pending.delete(timer) }
  }

  advance(ms: number): void {
    this.nowMs += ms
    for (const timer of [...this.pending].sort((a, b) => a.atMs - b.atMs)) {
      if (timer.atMs > this.nowMs || !this.pending.delete(timer)) continue
      timer.callback()
    }
  }
}
