// The figures of the protocol server as Prometheus metrics under ZooKeeper's names, for dashboards that were made for ZooKeeper.
// They stand beside our own (metrics.ts) and are read from the same numbers, at scrape time.

import { Counter, Gauge, type Registry, Summary } from 'prom-client'
import { type HistogramSnapshot, quantileMs } from '../base/latency-histogram.ts'
import { SERVER_FIGURES, SERVER_SUMMARIES } from '../zookeeper/server-metrics.ts'
import type { ServerView } from '../zookeeper/server-view.ts'
import { registerJvmMetrics } from './jvm-metrics.ts'

/** `server`: undefined while there is none, and so no figures. */
export function registerZooKeeperMetrics(registry: Registry, server: () => ServerView | undefined): void {
  for (const { kind, name, help, read } of SERVER_FIGURES) {
    const Kind = kind === 'gauge' ? Gauge : Counter
    new Kind({
      name,
      help,
      registers: [registry],
      collect() {
        this.remove()
        const view = server()
        const value = view === undefined ? undefined : read(view)
        if (value === undefined) return
        if (this instanceof Gauge) this.set(value)
        else this.inc(value)
      },
    })
  }
  for (const { name, help, quantiles, read } of SERVER_SUMMARIES) {
    const source = (): HistogramSnapshot | undefined => {
      const view = server()
      return view === undefined ? undefined : read(view)
    }
    registry.registerMetric(new HistogramSummary(name, help, quantiles, source))
  }
  registerJvmMetrics(registry)
}

/** A summary that shows a histogram which somebody else keeps. */
class HistogramSummary extends Summary {
  private readonly shape: { readonly name: string; readonly help: string }
  private readonly quantiles: readonly number[]
  private readonly source: () => HistogramSnapshot | undefined

  constructor(name: string, help: string, quantiles: readonly number[], source: () => HistogramSnapshot | undefined) {
    super({ name, help, registers: [] })
    this.shape = { name, help }
    this.quantiles = quantiles
    this.source = source
  }

  override async get(): ReturnType<Summary['get']> {
    const { name } = this.shape
    const histogram = this.source()
    const rows = histogram === undefined ? [] : summaryRows(name, this.quantiles, histogram)
    return { ...(await super.get()), values: rows }
  }
}

function summaryRows(name: string, quantiles: readonly number[], histogram: HistogramSnapshot) {
  const { count, sumMs } = histogram
  return [
    ...quantiles.map((quantile) => ({
      metricName: name,
      labels: { quantile },
      // As ZooKeeper's client library shows a summary that has seen nothing.
      value: count === 0 ? Number.NaN : quantileMs(histogram, quantile),
    })),
    { metricName: `${name}_sum`, labels: {}, value: sumMs },
    { metricName: `${name}_count`, labels: {}, value: count },
  ]
}
