import { describe, expect, it } from 'vitest'
import { addedLatency, bestStep, checkEngineFloors, MANY, type SocketSample, type Step } from './engines-figures.ts'
import type { LatencyPair } from './load.ts'
import { withPart } from './results-file.ts'

const step = (inFlight: number, opsPerSecond: number, p99Us: number, p50Us = 1000): Step => ({
  inFlight,
  opsPerSecond,
  p50Us,
  p99Us,
})

function held(
  samples: SocketSample[],
  pairs: LatencyPair[] = [],
  slow?: { without: Step[]; with: Step[] },
  utilisation?: number,
) {
  const empty = { without: [], with: [] }
  const reached = { wantedPerSecond: 10_000, opsPerSecond: 9900, p50Us: 1, p99Us: 1 }
  const paced = { ...reached, applyUtilisation: utilisation ?? 0, shares: [] }
  return checkEngineFloors({
    samples,
    pairs,
    shares: [],
    paced: utilisation === undefined ? undefined : paced,
    inProcess: slow && { slow, file: empty },
  }).map(({ holds }) => holds)
}

const sample = (stack: 'full' | 'bare', workload: string, opsPerSecond: number): SocketSample => ({
  ...{ stack, workload, opsPerSecond, p50Us: 1, p99Us: 1 },
})

describe('floors of the engines', () => {
  it('hold at their bounds and not past them', () => {
    const bare = sample('bare', MANY, 100)
    expect(held([sample('full', MANY, 85), bare], [[110, 100]]).slice(0, 2)).toEqual([true, true])
    expect(held([sample('full', MANY, 84), bare], [[110.1, 100]]).slice(0, 2)).toEqual([false, false])
    const without = [step(1, 900, 1100), step(64, 50, 1000)]
    expect(held([], [], { without, with: [step(1, 900, 1100, 1050), step(64, 1800, 9000)] }).slice(2, 4)).toEqual([
      true,
      true,
    ])
    expect(held([], [], { without, with: [step(1, 900, 1100, 1051), step(64, 1799, 9000)] }).slice(2, 4)).toEqual([
      false,
      false,
    ])
    expect([held([], [], undefined, 0.1)[4], held([], [], undefined, 0.11)[4]]).toEqual([true, false])
  })

  it('say nothing about what was not measured', () => {
    expect(held([])).toEqual([undefined, undefined, undefined, undefined, undefined])
  })

  it('take the differences within pairs, however the pairs drift', () => {
    const pairs = Array.from({ length: 100 }, (_, at): LatencyPair => [at * 10 + 5 + (at % 3), at * 10])
    expect(addedLatency(pairs)).toMatchObject({ median: 6 })
  })

  it('take the most throughput among what keeps the bound on p99', () => {
    expect(bestStep([step(1, 10, 1), step(2, 30, 19_999), step(3, 90, 20_000)])?.inFlight).toBe(2)
    expect(bestStep([step(1, 10, 20_000)])).toBeUndefined()
  })
})

describe('the page of results', () => {
  it('keeps the parts of other benchmarks', () => {
    const page = withPart(withPart('', 'a', 'one'), 'b', 'two')
    expect(withPart(withPart(page, 'a', 'three'), 'b', 'four')).toBe(withPart(withPart('', 'a', 'three'), 'b', 'four'))
    expect(withPart(page, 'a', 'three')).toContain('two')
  })
})
