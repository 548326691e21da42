// The system's clocks. Holds no state; timers are node-timers.ts.

import type { Clock } from './runtime.ts'

/** The clocks of this machine. About 40 ns a reading. */
export const nodeClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
}
