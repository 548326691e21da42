// The production stacks, as data: which engines each database runs on, bottom to top. Base is below all of them, an Observer
// at every joint; both are added by open-database.ts.

import type { EngineFactory } from '../engine/stack.ts'
import { batchingEngine } from '../engines/batching-engine.ts'
import { brainDoctorEngine } from '../engines/brain-doctor/brain-doctor-engine.ts'
import { leaseEngine } from '../engines/lease/lease-engine.ts'
import { logBackupEngine } from '../engines/log-backup/log-backup-engine.ts'
import { sessionOrderEngine } from '../engines/session-order/session-order-engine.ts'
import { timeEngine } from '../engines/time/time-engine.ts'
import { viewTrackingEngine } from '../engines/view-tracking/view-tracking-engine.ts'

/** What Zelos runs on. */
export const ZELOS_STACK: readonly EngineFactory[] = [
  logBackupEngine(),
  brainDoctorEngine(),
  viewTrackingEngine(),
  sessionOrderEngine(),
  batchingEngine(),
  timeEngine(),
]

/** Every engine that a log of Zelos may need: for those who play it and can't know what its servers ran on. */
export const ZELOS_PLAYED: readonly EngineFactory[] = [...ZELOS_STACK, leaseEngine()]

/** ZELOS_STACK, with Lease on top if it is wanted; `address`: where its clients reach this server now. */
export function zelosStack(lease: boolean, address: () => string): readonly EngineFactory[] {
  return lease ? [...ZELOS_STACK, leaseEngine({ wants: true, address })] : ZELOS_STACK
}

/** What a database of one's own runs on unless it says otherwise. */
export const DEFAULT_STACK: readonly EngineFactory[] = [
  logBackupEngine(),
  brainDoctorEngine(),
  viewTrackingEngine(),
  batchingEngine(),
  timeEngine(),
]

/** What DelosTable runs on. */
export const TABLE_STACK: readonly EngineFactory[] = DEFAULT_STACK
