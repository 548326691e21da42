// The planted bug `epoch-reused`: a server that starts again goes on in the epoch of its former life, behind the last number
// that it has applied. What that life left in the log is then taken for the new one's.

import type { EngineFactory } from '../engine/stack.ts'
import { SESSION_ORDER_LIMITS } from '../engines/session-order/order-limits.ts'
import {
  SessionOrderEngine,
  type SessionOrderOptions,
  sessionOrderEngine,
} from '../engines/session-order/session-order-engine.ts'

/** In place of `sessionOrderEngine`. */
export function epochReused(options: SessionOrderOptions = {}): EngineFactory {
  return {
    ...sessionOrderEngine(options),
    create: (context) => new ReusingEngine(context, { ...SESSION_ORDER_LIMITS, ...options }),
  }
}

class ReusingEngine extends SessionOrderEngine {
  protected override begin(): void {
    const former = this.epochs.find(this.context.read(), this.context.serverId)
    if (former === undefined) super.begin()
    else this.sequencer.adopt(former.epoch, former.last)
  }
}
