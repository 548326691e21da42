// What every workload of the simulator has to show under 200 seeds, as tests. Each workload has a file of its own, so that
// several run at a time.

import { describe, expect, it } from 'vitest'
import { Counters } from '../../src/sim/counters.ts'
import { runSeed } from '../../src/sim/run-seed.ts'
import { SimulationStuck } from '../../src/sim/time/driver.ts'
import { CheckFailure, operationsOf, type Workload } from '../../src/sim/workload.ts'

/** A bug must be found within so many. */
const SEEDS = 200
const CRASHES_MIN = 5

/** Seeds that a workload runs through here. A slow one has several files, each with a part of them. */
export interface Part {
  readonly from: number
  readonly to: number
  /** The planted bugs that this part looks for; default: all. */
  readonly finds?: Workload['finds']
}

export function proveWorkload(workload: Workload, part: Part = { from: 1, to: workload.seeds ?? SEEDS }): void {
  const { from, to, finds = workload.finds } = part
  const operations = operationsOf(workload)
  describe(`the workload ${workload.name}`, () => {
    it(`passes seeds ${from} to ${to} of ${operations} operations, and reaches every fault and rare branch that it names`, async () => {
      const sum = new Counters()
      for (let seed = from; seed <= to; seed++) {
        const { counters, failure } = await runSeed(workload, { seed, operations })
        expect(failure, `seed ${seed}`).toBeUndefined()
        expect(counters.get('crash') + counters.get('kill'), `seed ${seed}`).toBeGreaterThanOrEqual(CRASHES_MIN)
        sum.add(counters)
      }
      expect(sum.requireAll(workload.mustReach)).toEqual([])
    })

    it.each(finds)('finds the planted bug %s within 200 seeds', async (planted) => {
      for (let seed = 1; seed <= SEEDS; seed++) {
        const { failure } = await runSeed(workload, { seed, operations, planted })
        if (failure === undefined) continue
        expect(failure instanceof CheckFailure || failure instanceof SimulationStuck, failure.stack).toBe(true)
        return
      }
      expect.unreachable(`${planted} was not found`)
    })

    it('has the same trace for the same seed', async () => {
      for (const seed of workload.seeds === undefined ? [from + 2, from + 16] : [from]) {
        const [once, again] = [
          await runSeed(workload, { seed, operations }),
          await runSeed(workload, { seed, operations }),
        ]
        expect(again.hash).toBe(once.hash)
        expect(again.events).toBe(once.events)
      }
    })
  })
}
