import { describe, expect, it } from 'vitest'
import { Counters } from './counters.ts'
import { runSeed } from './run-seed.ts'
import { WORKLOADS } from './workloads.ts'

const SEEDS = 200
const OPERATIONS = 1_000
const CRASHES_MIN = 5

describe.each([...WORKLOADS.values()])('the workload $name', (workload) => {
  it('passes 200 seeds of 1000 operations, and reaches every fault and rare branch that it names', async () => {
    const sum = new Counters()
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { failure, counters } = await runSeed(workload, { seed, operations: OPERATIONS })
      expect(failure, `seed ${seed}`).toBeUndefined()
      expect(counters.get('crash') + counters.get('kill'), `seed ${seed}`).toBeGreaterThanOrEqual(CRASHES_MIN)
      sum.add(counters)
    }
    expect(sum.requireAll(workload.mustReach)).toEqual([])
  })

  it.each(workload.finds)('finds the planted bug %s within 200 seeds', async (planted) => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { failure } = await runSeed(workload, { seed, operations: OPERATIONS, planted })
      if (failure) return
    }
    expect.unreachable(`${planted} was not found`)
  })
})
