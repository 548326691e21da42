// Prometheus metrics of stacks: the switches of each engine, what it says of itself, alarms, and the latencies of each joint as
// histograms. Read at scrape time, like the table in metrics.ts.

import { Gauge, Histogram, type Registry } from 'prom-client'
import type { HistogramSnapshot } from '../base/latency-histogram.ts'
import type { EngineStatus, StackStatus } from '../engine/stack.ts'
import type { ObserverSnapshot } from '../engines/observer-engine.ts'

/** What these metrics are read from. */
export interface StackReadable {
  stackStatus(): StackStatus
  joints(): readonly ObserverSnapshot[]
}

type Databases = ReadonlyMap<string, StackReadable>
type Labels = Readonly<Record<string, string>>
type Row = readonly [labels: Labels, value: number]

export function registerEngineMetrics(registry: Registry, databases: Databases): void {
  const perEngine = (read: (engine: EngineStatus) => number) => () =>
    [...databases].flatMap(([database, source]) =>
      source.stackStatus().engines.map((engine): Row => [{ database, engine: engine.name }, read(engine)]),
    )
  const perJoint = (read: (joint: ObserverSnapshot) => number) => () =>
    jointsOf(databases).map(([labels, joint]): Row => [labels, read(joint)])
  const gauge = (name: string, help: string, labelNames: string[], rows: () => Row[]): void => {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset()
        for (const [labels, value] of rows()) this.set(labels, value)
      },
    })
  }
  const engine = ['database', 'engine']
  gauge(
    'delos_engine_enabled',
    '1 if the engine is enabled.',
    engine,
    perEngine(({ enabled }) => Number(enabled)),
  )
  gauge(
    'delos_engine_level',
    'Level of the engine.',
    engine,
    perEngine(({ level }) => level),
  )
  gauge(
    'delos_engine_level_max',
    'The highest level that this build knows.',
    engine,
    perEngine(({ levelMax }) => levelMax),
  )
  gauge('delos_engine_detail', 'What the engine says of itself, in numbers.', [...engine, 'name'], () =>
    [...databases].flatMap(([database, source]) =>
      source.stackStatus().engines.flatMap((one) => details(database, one)),
    ),
  )
  gauge('delos_alarms', 'What an operator must look at now; delos stack tells what.', ['database'], () =>
    [...databases].map(([database, source]): Row => [{ database }, source.stackStatus().alarms.length]),
  )
  gauge(
    'delos_layer_apply_utilisation',
    'Share of the last ten seconds in apply and postApply above a joint.',
    ['database', 'below', 'above'],
    perJoint(({ applyUtilisation }) => applyUtilisation),
  )
  for (const [name, [help, read]] of Object.entries(LATENCIES)) {
    registry.registerMetric(
      new SnapshotHistogram(`delos_layer_${name}_seconds`, `${help}; of the timed sample.`, () =>
        jointsOf(databases).map(([labels, joint]) => [labels, read(joint)] as const),
      ),
    )
  }
}

const LATENCIES: Record<string, readonly [help: string, read: (joint: ObserverSnapshot) => HistogramSnapshot]> = {
  propose: ['From propose until the result, below a joint', (joint) => joint.propose],
  sync: ['Time of a sync, below a joint', (joint) => joint.sync],
  apply: ['Time in apply, above a joint', (joint) => joint.apply],
  post_apply: ['Time in postApply, above a joint', (joint) => joint.postApply],
}

function jointsOf(databases: Databases): (readonly [Labels, ObserverSnapshot])[] {
  return [...databases].flatMap(([database, source]) =>
    source.joints().map((joint) => [{ database, below: joint.below, above: joint.above }, joint] as const),
  )
}

function details(database: string, { name: engine, details }: EngineStatus): Row[] {
  return Object.entries(details).flatMap(([name, value]): Row[] =>
    typeof value === 'string' ? [] : [[{ database, engine, name }, Number(value)]],
  )
}

/** Of the bounds of a snapshot every fourth power of two: 1 µs, 4 µs, 16 µs … 16.8 s. */
const BOUNDS_MS: readonly number[] = Array.from({ length: 13 }, (_, i) => 4 ** i / 1000)

type Values = Awaited<ReturnType<Histogram['get']>>['values']

/** A histogram whose buckets were filled elsewhere. */
export class SnapshotHistogram extends Histogram {
  private readonly metric: { readonly name: string; readonly help: string }
  private readonly read: () => (readonly [Labels, HistogramSnapshot])[]

  constructor(name: string, help: string, read: () => (readonly [Labels, HistogramSnapshot])[]) {
    super({ name, help, registers: [] })
    this.metric = { name, help }
    this.read = read
  }

  // What the registry calls to render it.
  async getForPromString(): Promise<object> {
    const values = this.read().flatMap(([labels, snapshot]) => this.valuesOf(labels, snapshot))
    return { ...this.metric, type: 'histogram', aggregator: 'sum', values }
  }

  private valuesOf(labels: Labels, { boundsMs, counts, count, sumMs }: HistogramSnapshot): Values {
    const { name } = this.metric
    const values: Values = []
    let below = 0
    let at = 0
    for (const boundMs of BOUNDS_MS) {
      // A thousandth more, for bounds that are the same number computed in another way.
      for (; at < boundsMs.length && (boundsMs[at] as number) <= boundMs * 1.001; at++) below += counts[at] as number
      values.push({ labels: { ...labels, le: boundMs / 1000 }, value: below, metricName: `${name}_bucket` })
    }
    values.push({ labels: { ...labels, le: '+Inf' }, value: count, metricName: `${name}_bucket` })
    values.push({ labels, value: sumMs / 1000, metricName: `${name}_sum` })
    values.push({ labels, value: count, metricName: `${name}_count` })
    return values
  }
}
