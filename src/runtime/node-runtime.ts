// The outside world of a production server, as one value for the composition root.

import { nodeClock } from './node-clock.ts'
import { NodeDisk } from './node-disk.ts'
import { nodeNetwork } from './node-network.ts'
import { NodeRandom } from './node-random.ts'
import { nodeTimers } from './node-timers.ts'
import type { Runtime } from './runtime.ts'

/** This machine. */
export function nodeRuntime(): Runtime {
  return { clock: nodeClock, timers: nodeTimers, random: new NodeRandom(), disk: new NodeDisk(), network: nodeNetwork }
}
