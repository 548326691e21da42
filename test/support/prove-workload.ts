// What every workload of the simulator has to show under 200 seeds, as tests. Each workload has a file of its own, so that
// several run at a time.

import { describe, expect, it } from 'vitest'
import { Counters } from '../../src/sim/counters.ts'
import { runSeed } from '../../src/sim/run-seed.ts'
import { SimulationStuck } from '../../src/sim/time/driver.ts'
import { CheckFailure, type Workload } from '../../src/sim/workload.ts'

const SEEDS = 200
const OPERATIONS = 1_000
const CRASHES_MIN = 5

export function proveWorkload(workload: Workload): void {
  describe(`the workload ${workload.name}`, () => {
    it('passes 200 seeds of 1000 operations, and reaches every fault and rare branch that it names', async () => {
      const sum = new Counters()
      for (let seed = 1; seed <= SEEDS; seed++) {
        const { counters, failure } = await runSeed(workload, { seed, operations: OPERATIONS })
        expect(failure, `seed ${seed}`).toBeUndefined()
        expect(counters.get('crash') + counters.get('kill'), `seed ${seed}`).toBeGreaterThanOrEqual(CRASHES_MIN)
        sum.add(counters)
      }
      expect(sum.requireAll(workload.mustReach)).toEqual([])
    })

    it.each(workload.finds)('finds the planted bug %s within 200 seeds', async (planted) => {
      for (let seed = 1; seed <= SEEDS; seed++) {
        const { failure } = await runSeed(workload, { seed, operations: OPERATIONS, planted })
        if (failure === undefined) continue
        expect(failure instanceof CheckFailure || failure instanceof SimulationStuck, failure.stack).toBe(true)
        return
      }
      expect.unreachable(`${planted} was not found`)
    })

    it('has the same trace for the same seed', async () => {
      for (const seed of [3, 17]) {
        const [once, again] = [
          await runSeed(workload, { seed, operations: OPERATIONS }),
          await runSeed(workload, { seed, operations: OPERATIONS }),
        ]
        expect(again.hash).toBe(once.hash)
        expect(again.events).toBe(once.events)
      }
    })
  })
}
