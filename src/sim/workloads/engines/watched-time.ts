// Time, watched: tells when a vote was void, which nothing else shows. Changes nothing.

import type { EngineFactory } from '../../../engine/stack.ts'
import { TIME_OPTIONS, TimeEngine, type TimeOptions, timeEngine } from '../../../engines/time/time-engine.ts'
import type { Vote } from '../../../engines/time/time-header.ts'
import type { StoredTimer } from '../../../engines/time/timer-records.ts'

/** `isVoid` is called in apply of a vote for an earlier generation. */
export function watchedTime(options: Partial<TimeOptions>, isVoid: () => void): EngineFactory {
  return {
    ...timeEngine(options),
    create: (context) => {
      const engine = new WatchedTime(context, { ...TIME_OPTIONS, ...options })
      engine.isVoid = isVoid
      return engine
    },
  }
}

class WatchedTime extends TimeEngine {
  isVoid: () => void = () => undefined

  protected override isCurrent(timer: StoredTimer, vote: Vote): boolean {
    const isCurrent = super.isCurrent(timer, vote)
    if (!isCurrent) this.isVoid()
    return isCurrent
  }
}
