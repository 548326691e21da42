import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../seeded-random.ts'
import { Simulation } from '../../simulation.ts'
import { operationsOf } from '../../workload.ts'
import { EnginesRun } from './engines-run.ts'
import { enginesWorkload } from './engines-workload.ts'
import type { TallyFault } from './tally-engine.ts'

/** What a run with such an engine in its stack says. */
async function finding(seed: number, fault: TallyFault): Promise<string> {
  const world = new Simulation({ seed, faults: enginesWorkload.faults(new SeededRandom(seed, 'faults')) })
  try {
    await world.run(() => new EnginesRun(world, operationsOf(enginesWorkload), { fault }).run())
    return 'nothing'
  } catch (thrown) {
    return String(thrown)
  }
}

async function findings(fault: TallyFault): Promise<string[]> {
  const texts: string[] = []
  for (let seed = 1; seed <= 4; seed++) texts.push(await finding(seed, fault))
  return texts
}

describe('an engine that breaks the contract', () => {
  it('by writing outside its range is caught at once', async () => {
    for (const text of await findings('writes elsewhere')) expect(text).toContain('wrote outside its key range')
  })

  it('by writing while it is disabled is caught', async () => {
    expect(await findings('writes while disabled')).toContainEqual(
      expect.stringContaining('wrote before it was enabled'),
    )
  })

  it('by not understanding its content once it is disabled is caught', async () => {
    const texts = await findings('forgets content when disabled')
    expect(texts.filter((text) => text !== 'nothing')).not.toEqual([])
  })
})
