import { describe, expect, it } from 'vitest'
import { runSeed } from './run-seed.ts'
import { CheckFailure } from './workload.ts'
import { diskWorkload } from './workloads/disk-workload.ts'

describe('the disk workload', () => {
  it('passes 25 seeds', async () => {
    for (let seed = 1; seed <= 25; seed++) {
      const { failure } = await runSeed(diskWorkload, { seed, operations: 1_000 })
      expect(failure, `seed ${seed}`).toBeUndefined()
    }
  })

  it.each(diskWorkload.finds)('finds the planted bug %s', async (planted) => {
    const failed: unknown[] = []
    for (let seed = 1; seed <= 20; seed++) {
      const { failure } = await runSeed(diskWorkload, { seed, operations: 1_000, planted })
      if (failure) failed.push(failure)
    }
    expect(failed.some((failure) => failure instanceof CheckFailure)).toBe(true)
    expect(failed.length).toBeGreaterThan(10)
  })

  it('has the same trace for the same seed, failing or not, and another for another seed', async () => {
    const hash = async (seed: number, planted?: 'no-sync') =>
      (await runSeed(diskWorkload, { seed, operations: 300, planted })).hash
    expect(await hash(11)).toBe(await hash(11))
    expect(await hash(11, 'no-sync')).toBe(await hash(11, 'no-sync'))
    expect(new Set([await hash(11), await hash(12), await hash(11, 'no-sync')]).size).toBe(3)
  })
})
