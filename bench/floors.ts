// What `--check` demands of the comparison with ZooKeeper. A floor is stated on the ratio of the medians.
import type { Comparison, Figure } from './comparison.ts'
import { workloadName } from './workloads.ts'

export type Floor = {
  readonly workload: string
  readonly figure: Figure
  readonly bound: 'at least' | 'at most'
  /** Times ZooKeeper's figure. */
  readonly times: number
}

export const FLOORS: readonly Floor[] = [
  { workload: 'set:10x100', figure: 'opsPerSecond', bound: 'at least', times: 1.3 },
  { workload: 'create:10x100', figure: 'opsPerSecond', bound: 'at least', times: 1.3 },
  { workload: 'get:10x100', figure: 'opsPerSecond', bound: 'at least', times: 3 },
  { workload: 'set:1x1', figure: 'p50Us', bound: 'at most', times: 1.2 },
  { workload: 'create:1x1', figure: 'p50Us', bound: 'at most', times: 1.2 },
  { workload: 'get:1x1', figure: 'p50Us', bound: 'at most', times: 1.2 },
]

export type FloorOutcome = Floor & {
  /** The measured ratio; absent if the workload was left out of this run, and then `holds` is too. */
  readonly measured?: number
  readonly holds?: boolean
}

export function checkFloors(comparisons: readonly Comparison[]): readonly FloorOutcome[] {
  return FLOORS.map((floor) => {
    const comparison = comparisons.find(({ workload }) => workloadName(workload) === floor.workload)
    const measured = comparison?.ratio?.[floor.figure].median
    if (measured === undefined) return floor
    return { ...floor, measured, holds: floor.bound === 'at least' ? measured >= floor.times : measured <= floor.times }
  })
}
