// The planted bug `epoch-reused`: a SessionOrder that goes on in the epoch of its former process instead of opening one. Sequence
// numbers that the former one gave out, and that are still on their way, are then given out again.

import type { EngineFactory } from '../engine/stack.ts'
import { SESSION_ORDER_LIMITS } from '../engines/session-order/order-limits.ts'
import {
  SessionOrderEngine,
  type SessionOrderOptions,
  sessionOrderEngine,
} from '../engines/session-order/session-order-engine.ts'

/** In place of `sessionOrderEngine`. */
export function reusesEpoch(options: SessionOrderOptions): EngineFactory {
  return {
    ...sessionOrderEngine(options),
    create: (context) => new EpochReuser(context, { ...SESSION_ORDER_LIMITS, ...options }),
  }
}

class EpochReuser extends SessionOrderEngine {
  protected override begin(): void {
    const { read, serverId } = this.context
    const former = this.epochs.find(read(), serverId)
    if (former === undefined) super.begin()
    else this.sequencer.adopt(former.epoch, former.last)
  }
}
