import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { LatencyHistogram } from '../base/latency-histogram.ts'
import type { StackStatus } from '../engine/stack.ts'
import type { ObserverSnapshot } from '../engines/observer-engine.ts'
import { registerEngineMetrics } from './engine-metrics.ts'

describe('metrics of a stack', () => {
  it('are switches, details, alarms, and a histogram per joint of what it timed', async () => {
    const apply = new LatencyHistogram()
    for (const ms of [0.0005, 0.001, 0.003, 0.2, 60_000]) apply.record(ms)
    const empty = new LatencyHistogram().snapshot()
    const joint = {
      ...{ below: 'base', above: 'time', sampleEvery: 1, proposals: 1, rejections: 0, syncs: 0, applies: 5 },
      ...{ propose: empty, sync: empty, apply: apply.snapshot(), postApply: empty, applyMs: 1, applyUtilisation: 0.25 },
    } satisfies ObserverSnapshot
    const engine = { name: 'time', enabled: true, level: 1, levelMax: 2, details: { timers: 7, leader: 'a', ok: true } }
    const status = { engines: [engine], alarms: ['time: late'] } as unknown as StackStatus
    const registry = new Registry()
    registerEngineMetrics(registry, new Map([['zelos', { stackStatus: () => status, joints: () => [joint] }]]))
    const text = await registry.metrics()
    const lines = text.split('\n')
    expect(lines).toEqual(
      expect.arrayContaining([
        'delos_engine_enabled{database="zelos",engine="time"} 1',
        'delos_engine_level{database="zelos",engine="time"} 1',
        'delos_engine_level_max{database="zelos",engine="time"} 2',
        'delos_engine_detail{database="zelos",engine="time",name="timers"} 7',
        'delos_engine_detail{database="zelos",engine="time",name="ok"} 1',
        'delos_alarms{database="zelos"} 1',
        'delos_layer_apply_utilisation{database="zelos",below="base",above="time"} 0.25',
        '# TYPE delos_layer_apply_seconds histogram',
        'delos_layer_apply_seconds_count{database="zelos",below="base",above="time"} 5',
        'delos_layer_propose_seconds_count{database="zelos",below="base",above="time"} 0',
      ]),
    )
    expect(text).not.toContain('leader')
    const buckets = lines.filter((line) => line.startsWith('delos_layer_apply_seconds_bucket'))
    const of = buckets.map((line) => /le="([^"]+)"\} (\d+)/.exec(line)?.slice(1))
    expect(of.slice(0, 5)).toEqual([
      ['0.000001', '2'],
      ['0.000004', '3'],
      ['0.000016', '3'],
      ['0.000064', '3'],
      ['0.000256', '4'],
    ])
    expect(of.at(-1)).toEqual(['+Inf', '5'])
  })
})
