// The planted bug `trim-past-durable`: a ViewTracking that reports the position up to which its server has applied the log, and not
// the one up to which that is durable. The others then trim what the server needs after a crash.

import type { EngineContext } from '../engine/engine-layer.ts'
import type { EngineFactory } from '../engine/stack.ts'
import { loadCursor } from '../engines/base-engine/cursor.ts'
import type { LogPos } from '../log/position.ts'

/** Wraps the factory of ViewTracking. */
export function reportsApplied(inner: EngineFactory): EngineFactory {
  return { ...inner, create: (context) => inner.create({ ...context, durableCursor: appliedCursor(context) }) }
}

function appliedCursor(context: EngineContext): () => LogPos {
  let last = context.durableCursor()
  return () => {
    try {
      last = loadCursor(context.read())
    } catch {
      // The process is dead, and somebody looks at what it knew.
    }
    return last
  }
}
