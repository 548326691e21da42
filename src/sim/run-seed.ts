// Runs one workload under one seed and says how it went. Not here: many seeds, and printing (main.ts).

import type { Counters } from './counters.ts'
import type { PlantedBug } from './planted-bugs.ts'
import { SeededRandom } from './seeded-random.ts'
import { Simulation } from './simulation.ts'
import type { Workload } from './workload.ts'

export interface SeedOptions {
  readonly seed: number
  readonly operations: number
  readonly planted?: PlantedBug | undefined
}

export interface SeedResult {
  readonly seed: number
  /** Equal for equal options and equal code. */
  readonly hash: string
  readonly events: number
  readonly virtualMs: number
  readonly counters: Counters
  /** What was thrown, if the run failed. */
  readonly failure: Error | undefined
  /** The last things that happened, oldest first. */
  readonly tail: readonly string[]
}

/** Runs it. Resolves also when the run failed. */
export async function runSeed(workload: Workload, { seed, operations, planted }: SeedOptions): Promise<SeedResult> {
  const faults = workload.faults(new SeededRandom(seed, 'faults'))
  const world = new Simulation({ seed, faults, planted })
  let failure: Error | undefined
  try {
    await world.run(() => workload.run(world, operations))
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error))
  }
  const { trace, queue, counters } = world
  return { seed, hash: trace.hash, events: queue.ran, virtualMs: queue.nowMs, counters, failure, tail: trace.lines(30) }
}
