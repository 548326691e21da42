import { describe, expect, it } from 'vitest'
import { compare, type Sample } from './comparison.ts'
import { checkFloors, FLOORS } from './floors.ts'
import type { PeerName } from './peers.ts'
import { WORKLOADS, workloadName } from './workloads.ts'

function sample(name: string, peer: PeerName, opsPerSecond: number, p50Us: number): Sample {
  const workload = WORKLOADS.find((one) => workloadName(one) === name)
  if (workload === undefined) throw new Error(`no workload ${name}`)
  return {
    workload,
    peer,
    measurement: { opsPerSecond, p50Us, p99Us: p50Us, maxUs: p50Us, cores: 1, foreignShare: 0, counted: {} },
  }
}

function outcome(name: string, samples: readonly Sample[]) {
  return checkFloors(compare(samples)).find(({ workload }) => workload === name)
}

describe('floors', () => {
  it('are stated only on workloads that are measured', () => {
    expect(FLOORS.filter(({ workload }) => !WORKLOADS.some((one) => workloadName(one) === workload))).toEqual([])
  })

  it('hold for throughput exactly at the bound and not below', () => {
    const theirs = sample('set:10x100', 'zookeeper', 100, 10)
    expect(outcome('set:10x100', [sample('set:10x100', 'delos', 130, 10), theirs])).toMatchObject({
      measured: 1.3,
      holds: true,
    })
    expect(outcome('set:10x100', [sample('set:10x100', 'delos', 129, 10), theirs])).toMatchObject({ holds: false })
  })

  it('hold for latency exactly at the bound and not above', () => {
    const theirs = sample('get:1x1', 'zookeeper', 1, 100)
    expect(outcome('get:1x1', [sample('get:1x1', 'delos', 1, 120), theirs])).toMatchObject({
      measured: 1.2,
      holds: true,
    })
    expect(outcome('get:1x1', [sample('get:1x1', 'delos', 1, 121), theirs])).toMatchObject({ holds: false })
  })

  it('say nothing about what only one server was measured at', () => {
    expect(outcome('get:1x1', [sample('get:1x1', 'delos', 1, 500)])).not.toHaveProperty('holds')
  })
})
