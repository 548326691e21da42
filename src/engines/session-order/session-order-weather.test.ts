import { describe, expect, it } from 'vitest'
import { checkOnce, checkOrder, type RunOptions, run, STORM, seeds } from '../../../test/support/ordered-clients.ts'
import type { EngineFactory } from '../../engine/stack.ts'
import { reusesEpoch } from '../../sim/planted-epoch.ts'
import { batchingEngine } from '../batching-engine.ts'
import { sessionOrderEngine } from './session-order-engine.ts'

describe('SessionOrder over hostile loglets', () => {
  for (const window of [1, 2, 8, 64]) {
    it(`keeps order, applies once and answers everybody, with ${window} in flight at each of three servers`, async () => {
      const sums = { reproposed: 0, filteredDuplicate: 0, filteredEarly: 0 }
      await seeds(3, async (seed) => {
        const outcome = await run({
          seed,
          servers: ['a', 'b', 'c'],
          window,
          proposals: 40,
          weather: STORM,
          extends: 2,
        })
        checkOnce(outcome)
        checkOrder(outcome)
        for (const [text, { kind }] of outcome.fates) expect(kind, text).toBe('acknowledged')
        expect(outcome.texts.length).toBe(120)
        for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += outcome.sums[name]
      })
      // A run that never met the weather proves nothing.
      expect(sums.reproposed).toBeGreaterThan(10)
      if (window === 1) return
      expect(sums.filteredDuplicate).toBeGreaterThan(0)
      expect(sums.filteredEarly).toBeGreaterThan(20)
    })
  }

  it('keeps order below a Batching that has several batches in flight', async () => {
    const engines = [sessionOrderEngine(), batchingEngine({ inFlightMax: 4, batchCountMax: 5 })]
    await seeds(3, async (seed) => {
      const outcome = await run({ seed, servers: ['a', 'b'], window: 32, proposals: 80, weather: STORM, engines })
      checkOnce(outcome)
      checkOrder(outcome)
      for (const [text, { kind }] of outcome.fates) expect(kind, text).toBe('acknowledged')
    })
  })

  it('keeps order over crashes: nothing of a former life is applied behind the new one', async () => {
    let closed = 0
    await seeds(6, async (seed) => {
      const outcome = await run(crashing(seed))
      checkOnce(outcome)
      checkOrder(outcome)
      closed += outcome.sums.filteredClosed
    })
    expect(closed).toBeGreaterThan(5)
  })

  it('is caught when a server reuses the epoch of its former life', async () => {
    const findings: string[] = []
    for (let seed = 1; seed <= 5; seed++) {
      await run(crashing(seed, [reusesEpoch({})])).then(
        (outcome) => {
          try {
            checkOnce(outcome)
            checkOrder(outcome)
          } catch (error) {
            findings.push(String(error))
          }
        },
        (error: unknown) => findings.push(String(error)),
      )
    }
    expect(findings.join('\n')).toContain('was answered with its own place')
  })

  it('applies once while it is switched on and off under load', async () => {
    let closed = 0
    await seeds(5, async (seed) => {
      const outcome = await run({ seed, servers: ['a', 'b'], window: 16, proposals: 150, weather: STORM, switches: 8 })
      checkOnce(outcome)
      closed += outcome.sums.filteredClosed
    })
    expect(closed).toBeGreaterThan(50)
  })
})

describe('SessionOrder over loglets that keep order', () => {
  const calm = { servers: ['a', 'b'], window: 32, proposals: 2_000, weather: 'calm' } as const

  it('proposes nothing twice and drops nothing', async () => {
    const outcome = await run({ ...calm, seed: 1, extends: 2 })
    checkOnce(outcome)
    checkOrder(outcome)
    expect(outcome.sums).toEqual({ reproposed: 0, filteredDuplicate: 0, filteredEarly: 0, filteredClosed: 0 })
  })

  it('keeps order while it is switched on and off under load, and answers everybody', async () => {
    await seeds(5, async (seed) => {
      const slow = { delayMsMax: 0.001, delayRate: 0, duplicateRate: 0, indeterminateRate: 0 }
      const outcome = await run({ ...calm, weather: slow, seed, switches: 10, proposals: 400 })
      checkOnce(outcome)
      checkOrder(outcome)
      for (const [text, { kind }] of outcome.fates) expect(kind, text).toBe('acknowledged')
    })
  })
})

function crashing(seed: number, engines?: readonly EngineFactory[]): RunOptions {
  return {
    seed,
    servers: ['a', 'b'],
    window: 16,
    proposals: 120,
    // Slow to take entries in, so that some come when their server has begun another life.
    weather: { ...STORM, delayRate: 0.2, delayMsMax: 300 },
    crashes: 6,
    ...(engines === undefined ? {} : { engines }),
  }
}
