// The planted bug `stale-vote`: a Time that counts votes for a timer as it was armed before, as if they were for the present one.

import type { EngineFactory } from '../engine/stack.ts'
import { TIME_OPTIONS, TimeEngine, type TimeOptions, timeEngine } from '../engines/time/time-engine.ts'

/** In place of `timeEngine`. */
export function countsStaleVotes(options: Partial<TimeOptions>): EngineFactory {
  return {
    ...timeEngine(options),
    create: (context) => new StaleVotes(context, { ...TIME_OPTIONS, ...options }),
  }
}

class StaleVotes extends TimeEngine {
  protected override isCurrent(): boolean {
    return true
  }
}
