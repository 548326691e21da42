import { describe, expect, it } from 'vitest'
import { countingEngine } from '../../test/support/counting-engine.ts'
import { openEngineServer } from '../../test/support/engine-harness.ts'
import { engineConformance } from '../engine/engine.conformance.ts'
import { batchingEngine } from './batching-engine.ts'
import { brainDoctorEngine } from './brain-doctor/brain-doctor-engine.ts'
import { leaseEngine } from './lease/lease-engine.ts'
import { logBackupEngine } from './log-backup/log-backup-engine.ts'
import { sessionOrderEngine } from './session-order/session-order-engine.ts'
import { timeEngine } from './time/time-engine.ts'
import { viewTrackingEngine } from './view-tracking/view-tracking-engine.ts'

const api = { describe, it, expect }

engineConformance('Batching', api, {
  factory: batchingEngine({ batchCountMax: 5 }),
  others: [countingEngine()],
  open: openEngineServer,
})

engineConformance('BrainDoctor', api, {
  factory: brainDoctorEngine(),
  others: [countingEngine(), batchingEngine({ batchCountMax: 5 })],
  open: openEngineServer,
})

engineConformance('LogBackup', api, {
  factory: logBackupEngine(),
  others: [countingEngine(), batchingEngine({ batchCountMax: 5 })],
  open: openEngineServer,
})

engineConformance('Lease', api, {
  factory: leaseEngine(),
  others: [countingEngine(), batchingEngine({ batchCountMax: 5 })],
  open: openEngineServer,
})

engineConformance('SessionOrder', api, {
  factory: sessionOrderEngine(),
  others: [countingEngine(), batchingEngine({ batchCountMax: 5, inFlightMax: 3 })],
  open: openEngineServer,
})

engineConformance('an engine with a header and a range of its own', api, {
  factory: countingEngine(),
  others: [batchingEngine({ batchCountMax: 5 })],
  open: openEngineServer,
})

engineConformance('Time', api, {
  factory: timeEngine(),
  others: [batchingEngine({ batchCountMax: 5 }), countingEngine()],
  open: openEngineServer,
})

engineConformance('ViewTracking', api, {
  factory: viewTrackingEngine(),
  others: [countingEngine(), batchingEngine({ batchCountMax: 5 })],
  open: openEngineServer,
})
