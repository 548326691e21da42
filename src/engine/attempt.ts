// One helper for rejections inside apply: what the function wrote is undone if it returns a rejection. Not for exceptions:
// those leave apply and stop the database.

import type { ReadWriteTx } from '../store/local-store.ts'

/**
 * Runs `fn` behind a savepoint and returns its result. If `isRejection(result)`, every write of `fn` is undone; what was
 * written before the call stays (a failed ZooKeeper update still takes a zxid). May be nested.
 */
export function attempt<T>(tx: ReadWriteTx, fn: () => T, isRejection: (result: T) => boolean): T {
  const savepoint = tx.savepoint()
  const result = fn()
  if (isRejection(result)) tx.rollbackTo(savepoint)
  return result
}
