import { describe, expect, it } from 'vitest'
import { countingEngine } from '../../test/support/counting-engine.ts'
import { openEngineServer } from '../../test/support/engine-harness.ts'
import { engineConformance } from '../engine/engine.conformance.ts'
import { batchingEngine } from './batching-engine.ts'

const api = { describe, it, expect }

engineConformance('Batching', api, {
  factory: batchingEngine({ batchCountMax: 5 }),
  others: [countingEngine()],
  open: openEngineServer,
})

engineConformance('an engine with a header and a range of its own', api, {
  factory: countingEngine(),
  others: [batchingEngine({ batchCountMax: 5 })],
  open: openEngineServer,
})
