// What is told of a position that the change log does not reach back to.

import { DelosError } from '../../base/delos-error.ts'
import type { TableState } from '../apply/table-state.ts'

/** `begins`: the first position that can be read. */
export function snapshotGone(state: TableState, position: number, begins: number): DelosError {
  const { counters, histories, retention } = state
  const transactions = histories.count(counters.oldestChange, counters.position) + 1
  const kept = `${transactions} transactions of ${retention.transactions}, ${counters.changeBytes} bytes of ${retention.bytes}`
  const why = `what is kept begins at ${begins} (${kept}: \`keepChanges\` sets how much)`
  return new DelosError('SNAPSHOT_GONE', `position ${position} is gone: ${why}`)
}
