// Every limit of Base with its default and unit.

import { ID_WINDOW } from './applied-ids.ts'
import type { ApplyLoopLimits } from './apply-loop.ts'
import type { FlushLimits } from './flush-loop.ts'
import type { PendingLimits } from './pending-proposals.ts'

export interface BaseLimits extends PendingLimits, ApplyLoopLimits, FlushLimits {
  /** From sync to TIMEOUT. */
  readonly syncDeadlineMs: number
  /** How long a proposal whose append is indeterminate may still be found in the log before its proposer is told. */
  readonly indeterminateMs: number
}

export const BASE_LIMITS: BaseLimits = {
  proposalsMax: ID_WINDOW / 4,
  proposalBytesMax: 64 * 1024 * 1024,
  // Far more than all engines of a server have under way at a time, which is a few each.
  controlReserve: 64,
  controlReserveBytes: 1024 * 1024,
  proposalDeadlineMs: 10_000,
  indeterminateMs: 3_000,
  syncDeadlineMs: 10_000,
  sliceMs: 5,
  sliceBytes: 1024 * 1024,
  readBytesMax: 1024 * 1024,
  retryMs: 10,
  flushMs: 1_000,
  flushBytes: 32 * 1024 * 1024,
}
