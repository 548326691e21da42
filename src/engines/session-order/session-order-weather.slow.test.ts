import { describe, expect, it } from 'vitest'
import { checkOnce, checkOrder, run, STORM, seeds } from '../../../test/support/ordered-clients.ts'
import { batchingEngine } from '../batching-engine.ts'
import { viewTrackingEngine } from '../view-tracking/view-tracking-engine.ts'
import { sessionOrderEngine } from './session-order-engine.ts'

const SERVERS = ['a', 'b', 'c']
const BELOW_BATCHING = [
  viewTrackingEngine(),
  sessionOrderEngine(),
  batchingEngine({ inFlightMax: 8, batchCountMax: 4 }),
]
const WEATHERS = [STORM, { ...STORM, delayRate: 0.2, delayMsMax: 300 }, { duplicateRate: 0.3, indeterminateRate: 0.3 }]

describe('SessionOrder over hostile loglets, many seeds', () => {
  it('keeps order over crashes and changes of loglets, alone and in a stack', async () => {
    let filtered = 0
    await seeds(90, async (seed) => {
      const weather = WEATHERS[seed % 3] as (typeof WEATHERS)[number]
      const engines = seed % 2 === 0 ? { engines: BELOW_BATCHING } : {}
      const window = 1 + ((seed * 7) % 64)
      const outcome = await run({
        seed,
        servers: SERVERS,
        window,
        proposals: 100,
        weather,
        crashes: 5,
        extends: 3,
        ...engines,
      })
      checkOnce(outcome)
      checkOrder(outcome)
      filtered += outcome.sums.filteredClosed + outcome.sums.filteredEarly
    })
    expect(filtered).toBeGreaterThan(1_000)
  })

  it('applies once while it is switched on and off, servers crash and loglets change', async () => {
    await seeds(60, async (seed) => {
      const weather = WEATHERS[seed % 3] as (typeof WEATHERS)[number]
      const engines = seed % 2 === 0 ? { engines: BELOW_BATCHING } : {}
      const window = 1 + ((seed * 7) % 64)
      checkOnce(
        await run({
          seed,
          servers: SERVERS,
          window,
          proposals: 100,
          weather,
          crashes: 3,
          switches: 8,
          extends: 2,
          ...engines,
        }),
      )
    })
  })
})
