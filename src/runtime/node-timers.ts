// Timers on Node's event loop. A pending timer keeps the process alive: whoever starts one cancels it on close.

import type { Timer, Timers } from './runtime.ts'

// Node turns a larger delay into 1 ms; 24 days are for ever here, and a caller that means it re-arms.
const DELAY_MS_MAX = 0x7fff_ffff

class NodeTimer implements Timer {
  private readonly handle: NodeJS.Timeout

  constructor(delayMs: number, callback: () => void) {
    // Node counts whole milliseconds from a truncated time: without one more, a timer fires up to 1 ms early.
    this.handle = setTimeout(callback, Math.min(Math.ceil(delayMs) + 1, DELAY_MS_MAX))
  }

  cancel(): void {
    clearTimeout(this.handle)
  }
}

/** Node's setTimeout and setImmediate. */
export const nodeTimers: Timers = {
  after: (delayMs, callback) => new NodeTimer(delayMs, callback),
  soon: (callback) => {
    setImmediate(callback)
  },
}
