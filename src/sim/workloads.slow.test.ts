import { describe, expect, it } from 'vitest'
import { PLANTED_BUGS } from './planted-bugs.ts'
import { runSeed } from './run-seed.ts'
import { operationsOf } from './workload.ts'
import { WORKLOADS } from './workloads.ts'

describe('the workloads', () => {
  it.each([...WORKLOADS.values()])('$name passes its first seeds', async (workload) => {
    for (let seed = 1; seed <= (workload.seeds === undefined ? 5 : 1); seed++) {
      const { failure } = await runSeed(workload, { seed, operations: operationsOf(workload) })
      expect(failure, `seed ${seed}`).toBeUndefined()
    }
  })

  it('find every planted bug', () => {
    const found = [...WORKLOADS.values()].flatMap((workload) => workload.finds)
    expect(Object.keys(PLANTED_BUGS).filter((bug) => !found.some((name) => name === bug))).toEqual([])
  })
})
