// What `mntr` and the AdminServer's `monitor` list: the table of figures, as ZooKeeper's default provider of metrics writes it.

import { type HistogramSnapshot, quantileMs, rangeMs } from '../base/latency-histogram.ts'
import { JavaDouble } from './java-double.ts'
import { SERVER_FIGURES, SERVER_SUMMARIES, type ServerSummary } from './server-metrics.ts'
import { ZOOKEEPER_VERSION } from './server-options.ts'
import type { ServerView } from './server-view.ts'

export type MonitorRow = readonly [key: string, value: string | number | JavaDouble]

export function monitorRows(server: ServerView): MonitorRow[] {
  return [
    ['version', ZOOKEEPER_VERSION],
    ['delos_version', server.options.productVersion],
    ['server_state', server.readOnly ? 'read-only' : 'standalone'],
    ...SERVER_FIGURES.flatMap(({ name, read, fractional }): MonitorRow[] => {
      const value = read(server)
      return value === undefined ? [] : [[name, fractional ? new JavaDouble(value) : value]]
    }),
    // There are no others; tools expect the line.
    ['local_sessions', 0],
    ...SERVER_SUMMARIES.flatMap((summary) => summaryRows(summary, summary.read(server))),
  ]
}

const PERCENTILES = [
  ['p50', 0.5],
  ['p95', 0.95],
  ['p99', 0.99],
  ['p999', 0.999],
] as const

function summaryRows({ name, quantiles }: ServerSummary, histogram: HistogramSnapshot): MonitorRow[] {
  const { count, sumMs } = histogram
  const [min, max] = rangeMs(histogram)
  const rows: MonitorRow[] = [
    [`avg_${name}`, new JavaDouble(count === 0 ? 0 : sumMs / count)],
    [`min_${name}`, Math.floor(min)],
    [`max_${name}`, Math.ceil(max)],
    [`cnt_${name}`, count],
    [`sum_${name}`, Math.round(sumMs)],
  ]
  if (quantiles.length === 1) return rows
  return [
    ...rows,
    ...PERCENTILES.map(([key, share]): MonitorRow => [`${key}_${name}`, Math.round(quantileMs(histogram, share))]),
  ]
}
