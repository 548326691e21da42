// The top of a stack as Zelos sees it: where the stack has a lease and this server holds it, a sync is a look at the clock. Not here:
// the lease (engines/lease).

import type { Stack } from '../engine/stack.ts'
import type { UpdateResult } from '../zelos/requests.ts'
import type { UpdateLog } from '../zelos/zelos-database-options.ts'

/** `stack` itself, if it has no lease. */
export function leasedLog(stack: Stack<UpdateResult>): UpdateLog {
  const { leasedReads } = stack
  if (leasedReads === undefined) return stack
  return {
    submit: (entry, completion) => stack.submit(entry, completion),
    sync: () => leasedReads.read((tx) => tx),
  }
}
