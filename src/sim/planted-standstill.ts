// The planted bug `standstill-counts`: a Time that makes up for the ticks it missed, and so counts the time in which its process
// stood still.

import type { EngineFactory } from '../engine/stack.ts'
import { type TimeOptions, timeEngine } from '../engines/time/time-engine.ts'
import type { Clock, Timers } from '../runtime/runtime.ts'
import type { PlantedBug } from './planted-bugs.ts'

/** `timeEngine`, with the bug or without. */
export function sessionTimers(planted: PlantedBug | undefined, options: Partial<TimeOptions>): EngineFactory {
  const engine = timeEngine(options)
  if (planted !== 'standstill-counts') return engine
  return { ...engine, create: (context) => engine.create({ ...context, ...makesUp(context.clock, context.timers) }) }
}

/** A clock that only goes on with its timers, each of which is on time by it. */
function makesUp(clock: Clock, timers: Timers): { readonly clock: Clock; readonly timers: Timers } {
  let ownMs = clock.monotonicMs()
  return {
    clock: { monotonicMs: () => ownMs, wallMs: () => clock.wallMs() },
    timers: {
      soon: (callback) => timers.soon(callback),
      after: (delayMs, callback) => {
        const dueMs = ownMs + delayMs
        return timers.after(Math.max(0, dueMs - clock.monotonicMs()), () => {
          ownMs = dueMs
          callback()
        })
      },
    },
  }
}
