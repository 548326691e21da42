// Prometheus metrics of DelosTable: requests by kind and outcome, times, what is under way, the change log, indexes that are being
// built. Read at scrape time, like the table in metrics.ts.

import { Counter, Gauge, type Registry } from 'prom-client'
import type { TableStats } from '../table/table-stats.ts'
import { SnapshotHistogram } from './engine-metrics.ts'

type Labels = Readonly<Record<string, string>>
type Rows = readonly (readonly [labels: Labels, value: number])[]
type Metric = readonly [
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  labels: readonly string[],
  read: (stats: TableStats) => Rows,
]

const one = (value: number): Rows => [[{}, value]]

const METRICS: readonly Metric[] = [
  ['counter', 'requests_total', 'Requests by kind and outcome.', ['kind', 'outcome'], requestRows],
  [
    'counter',
    'conflicts_total',
    'Transactions that conflicted, each attempt.',
    [],
    (s) => one(s.requests.transaction.conflict),
  ],
  ['gauge', 'pending_transactions', "Transactions in the log's hands.", [], (s) => one(s.pending)],
  ['gauge', 'pending_transaction_bytes', "Bytes of transactions in the log's hands.", [], (s) => one(s.pendingBytes)],
  ['gauge', 'position', 'Changing transactions applied.', [], (s) => one(s.position)],
  ['gauge', 'change_log_oldest_position', 'Oldest position in the change log.', [], (s) => one(s.oldestChange)],
  ['gauge', 'change_log_bytes', 'Bytes of the change log.', [], (s) => one(s.changeBytes)],
  ['gauge', 'tokens', 'Tokens of transactions that are remembered.', [], (s) => one(s.tokens)],
  ['gauge', 'cached_rows', 'Rows in memory.', [], (s) => one(s.cachedRows)],
  ['gauge', 'cached_bytes', 'About the bytes of rows in memory.', [], (s) => one(s.cachedBytes)],
  ['counter', 'expired_rows_total', 'Rows that ended by their ttl.', [], (s) => one(s.expiredRows)],
  [
    'counter',
    'snapshot_walks_total',
    'Reads of the past that waited for a walk through the change log.',
    [],
    (s) => one(s.pastWalks),
  ],
  [
    'counter',
    'snapshot_transactions_total',
    'Transactions of the change log that reads of the past looked at.',
    [],
    (s) => one(s.pastTransactions),
  ],
  ['gauge', 'rows', 'Rows of a table.', ['table'], (s) => s.tables.map(({ name, rows }) => [{ table: name }, rows])],
  [
    'gauge',
    'indexes',
    'Indexes by state.',
    ['state'],
    (s) => Object.entries(s.indexes).map(([state, count]) => [{ state }, count]),
  ],
  [
    'gauge',
    'index_build_rows',
    'Rows that the building of an index has looked at; the rows of the table are where it ends.',
    ['table', 'index'],
    (s) => s.builds.map(({ index, rowsDone, table }) => [{ table, index }, rowsDone]),
  ],
]

const KINDS = { counter: Counter, gauge: Gauge }

export function registerTableMetrics(registry: Registry, stats: () => TableStats | undefined): void {
  for (const [type, name, help, labelNames, read] of METRICS) {
    new KINDS[type]({
      name: `delos_table_${name}`,
      help,
      labelNames: [...labelNames],
      registers: [registry],
      collect() {
        this.reset()
        const now = stats()
        if (now === undefined) return
        for (const [labels, value] of read(now)) this.inc(labels, value)
      },
    })
  }
  registry.registerMetric(
    new SnapshotHistogram('delos_table_request_seconds', 'From the call to the answer, by kind; of a sample.', () =>
      Object.entries(stats()?.times ?? {}).map(([kind, times]) => [{ kind }, times.snapshot()] as const),
    ),
  )
}

function requestRows({ requests }: TableStats): Rows {
  return Object.entries(requests).flatMap(([kind, outcomes]) =>
    Object.entries(outcomes).map(([outcome, count]) => [{ kind, outcome }, count] as const),
  )
}
