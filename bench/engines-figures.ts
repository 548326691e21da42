// What `bench -- engines` measures and demands, as data: figures, floors, and how one follows from the other. Pure functions.
import type { StackShare } from './engines-stack.ts'
import type { LatencyPair } from './load.ts'
import { medianWithin, type Spread, spreadOf } from './statistics.ts'

export const STACKS = ['full', 'bare'] as const
export type StackName = (typeof STACKS)[number]

/** One workload on one stack in one round. */
export type SocketSample = {
  readonly stack: StackName
  readonly workload: string
  readonly opsPerSecond: number
  readonly p50Us: number
  readonly p99Us: number
}

/** At one number of requests in flight. */
export type Step = {
  readonly inFlight: number
  readonly opsPerSecond: number
  readonly p50Us: number
  readonly p99Us: number
}

export type BatchingFigures = { readonly without: readonly Step[]; readonly with: readonly Step[] }

export type InProcessFigures = { readonly slow: BatchingFigures; readonly file: BatchingFigures }

export type PacedFigures = {
  readonly wantedPerSecond: number
  readonly opsPerSecond: number
  readonly p50Us: number
  readonly p99Us: number
  /** By the lowest Observer, of the last ten seconds of the load, 0 to 1. */
  readonly applyUtilisation: number
  readonly shares: readonly StackShare[]
}

export type EngineFigures = {
  readonly samples: readonly SocketSample[]
  /** p50 at one request in flight, of the full and of the bare stack, both from the same moments. */
  readonly pairs: readonly LatencyPair[]
  /** Of the full stack after its last round at 10 × 100. */
  readonly shares: readonly StackShare[]
  readonly paced: PacedFigures | undefined
  readonly inProcess: InProcessFigures | undefined
}

export const MANY = 'set:10x100'
export const ONE = 'set:1x1'
/** The paper's bound on the tail of latency for its comparison of throughput. */
export const P99_US_MAX = 20_000
/** The load must have reached this share of what was asked for, or its utilisation says nothing. */
const PACED_SHARE_MIN = 0.98

export type EngineFloor = {
  readonly name: string
  readonly bound: 'at least' | 'at most'
  readonly value: number
  readonly unit: '×' | 'µs' | '%'
  /** Absent if it was not measured; then `holds` is too. */
  readonly measured?: number
  readonly holds?: boolean
}

export function samplesOf(samples: readonly SocketSample[], stack: StackName, workload: string): SocketSample[] {
  return samples.filter((sample) => sample.stack === stack && sample.workload === workload)
}

export function spreadOver(samples: readonly SocketSample[], figure: 'opsPerSecond' | 'p50Us' | 'p99Us'): Spread {
  return spreadOf(samples.map((sample) => sample[figure]))
}

/** The step of most throughput among those within the bound on p99. */
export function bestStep(steps: readonly Step[]): Step | undefined {
  const within = steps.filter(({ p99Us }) => p99Us < P99_US_MAX)
  return within.reduce<Step | undefined>(
    (best, step) => (best === undefined || step.opsPerSecond > best.opsPerSecond ? step : best),
    undefined,
  )
}

/** How much longer the full stack takes for one request at a time: the median of the pairs' differences, in microseconds. */
export function addedLatency(pairs: readonly LatencyPair[]): Spread | undefined {
  return pairs.length === 0 ? undefined : medianWithin(pairs.map(([full, bare]) => full - bare))
}

export function checkEngineFloors({ samples, pairs, inProcess, paced }: EngineFigures): readonly EngineFloor[] {
  const medianOf = (stack: StackName, workload: string, figure: 'opsPerSecond' | 'p50Us'): number | undefined => {
    const chosen = samplesOf(samples, stack, workload)
    return chosen.length === 0 ? undefined : spreadOver(chosen, figure).median
  }
  const slow = inProcess?.slow
  const alone = (steps: readonly Step[] | undefined): number | undefined =>
    steps?.find(({ inFlight }) => inFlight === 1)?.p50Us
  const reached = paced !== undefined && paced.opsPerSecond >= paced.wantedPerSecond * PACED_SHARE_MIN
  return [
    floor(
      `full stack, ${MANY} requests/s beside Base and Batching alone`,
      'at least',
      0.85,
      '×',
      ratio(medianOf('full', MANY, 'opsPerSecond'), medianOf('bare', MANY, 'opsPerSecond')),
    ),
    floor(`full stack, ${ONE} p50 more than Base and Batching alone`, 'at most', 10, 'µs', addedLatency(pairs)?.median),
    floor(
      'Batching, requests/s beside none, log of 1 ms, p99 under 20 ms',
      'at least',
      2,
      '×',
      ratio(slow && bestStep(slow.with)?.opsPerSecond, slow && bestStep(slow.without)?.opsPerSecond),
    ),
    floor(
      'Batching, p50 beside none, log of 1 ms, one in flight',
      'at most',
      1.05,
      '×',
      ratio(alone(slow?.with), alone(slow?.without)),
    ),
    floor(
      'apply utilisation at 10 k writes/s',
      'at most',
      10,
      '%',
      reached ? paced.applyUtilisation * 100 : paced && 100,
    ),
  ]
}

function floor(
  name: string,
  bound: EngineFloor['bound'],
  value: number,
  unit: EngineFloor['unit'],
  measured: number | undefined,
): EngineFloor {
  if (measured === undefined) return { name, bound, value, unit }
  return { name, bound, value, unit, measured, holds: bound === 'at least' ? measured >= value : measured <= value }
}

function ratio(ours: number | undefined, theirs: number | undefined): number | undefined {
  return ours === undefined || theirs === undefined ? undefined : ours / theirs
}
