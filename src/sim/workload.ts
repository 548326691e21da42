// What a workload is: a program that uses a part of the product in a simulated world and checks what comes back.

import type { Faults } from './faults.ts'
import type { PlantedBug } from './planted-bugs.ts'
import type { SeededRandom } from './seeded-random.ts'
import type { Simulation } from './simulation.ts'

export interface Workload {
  readonly name: string
  /** One line for `--help`. */
  readonly summary: string
  /** Operations of one seed, unless somebody asks for another number. Default: OPERATIONS. */
  readonly operations?: number
  /** Seeds that its tests run through, where fewer than those of others show as much. */
  readonly seeds?: number
  /** The planted bugs that it must find within 200 seeds. */
  readonly finds: readonly PlantedBug[]
  /** Counters that 200 seeds must all have reached, or they prove less than they say. */
  readonly mustReach: readonly string[]
  /** What goes wrong in the world of one seed. */
  faults(random: SeededRandom): Faults
  /** Does at least `operations` operations with at least five crashes; throws if a promise was broken. */
  run(world: Simulation, operations: number): Promise<void>
}

export const OPERATIONS = 1000

/** What a workload is meant for. */
export function operationsOf(workload: Workload): number {
  return workload.operations ?? OPERATIONS
}

/** A promise of the product was broken. */
export class CheckFailure extends Error {
  override readonly name = 'CheckFailure'
}

/** Throws CheckFailure unless `condition` holds. `message` says which promise was broken, and how. */
export function check(condition: unknown, message: string): asserts condition {
  if (!condition) throw new CheckFailure(message)
}
