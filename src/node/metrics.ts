// Prometheus metrics of one server: reads the plain numbers that every layer keeps when they are scraped. No layer knows of
// Prometheus; nothing is counted twice.

import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { HistogramSnapshot } from '../engines/latency-histogram.ts'
import type { Zelos } from '../zelos/zelos.ts'
import type { ZooKeeperServer } from '../zookeeper/zookeeper-server.ts'
import type { Routes } from './http-listener.ts'
import type { Database } from './open-database.ts'
import { productVersion } from './version.ts'

/** What metrics are read from. */
export interface MetricSources {
  readonly databases: ReadonlyMap<string, Database>
  readonly zelos: () => Zelos | undefined
  readonly zookeeper: () => ZooKeeperServer | undefined
}

type Labels = Readonly<Record<string, string>>
type Sample = readonly [labels: Labels, value: number]

/** `/metrics` for these sources. */
export function metricsRoutes(sources: MetricSources): Routes {
  const registry = serverRegistry(sources)
  return (app) => {
    app.get('/metrics', async (_, reply) => reply.type(registry.contentType).send(await registry.metrics()))
  }
}

/** Metric definitions over one registry: values are read at scrape time. */
class Definitions {
  readonly registry = new Registry()

  counter(name: string, help: string, labelNames: readonly string[], samples: () => Iterable<Sample>): void {
    new Counter({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.registry],
      collect() {
        this.reset()
        for (const [labels, value] of samples()) this.inc(labels, value)
      },
    })
  }

  gauge(name: string, help: string, labelNames: readonly string[], samples: () => Iterable<Sample>): void {
    new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.registry],
      collect() {
        this.reset()
        for (const [labels, value] of samples()) this.set(labels, value)
      },
    })
  }
}

function serverRegistry(sources: MetricSources): Registry {
  const define = new Definitions()
  collectDefaultMetrics({ register: define.registry })
  define.gauge('delos_build_info', 'Always 1; the version is a label.', ['version'], () => [
    [{ version: productVersion() }, 1],
  ])
  defineDatabaseMetrics(define, sources.databases)
  defineUtilisation(define, sources.databases)
  defineLogMetrics(define, sources.databases)
  defineLayerMetrics(define, sources.databases)
  defineZelosMetrics(define, sources.zelos)
  defineZooKeeperMetrics(define, sources.zookeeper)
  return define.registry
}

type DatabaseReading = (database: Database) => number

function perDatabase(databases: ReadonlyMap<string, Database>, read: DatabaseReading): () => Iterable<Sample> {
  return () => [...databases].map(([name, database]) => [{ database: name }, read(database)] as const)
}

function defineDatabaseMetrics(define: Definitions, databases: ReadonlyMap<string, Database>): void {
  const labels = ['database']
  const gauges: Record<string, readonly [help: string, read: DatabaseReading]> = {
    delos_serving: ['1 while the database takes requests.', (db) => (db.stackStatus().state === 'serving' ? 1 : 0)],
    delos_applied_position: ['First log position not applied yet.', (db) => db.stackStatus().cursor],
    delos_durable_position: [
      'First log position whose effects are not durable in the store yet.',
      (db) => db.stackStatus().durableCursor,
    ],
    delos_log_tail_position: ['Tail of the log as known here.', (db) => db.stackStatus().knownTail],
    delos_log_oldest_position: ['Oldest readable log position.', (db) => db.log.oldest().pos],
    delos_pending_proposals: ['Proposals in flight.', (db) => db.stackStatus().pendingProposals],
    delos_pending_proposal_bytes: ['Bytes of proposals in flight.', (db) => db.stackStatus().pendingBytes],
    delos_store_layer_bytes: ['Bytes in the write-back layer.', (db) => db.store.stats.layerBytes],
    delos_store_layer_keys: ['Keys in the write-back layer.', (db) => db.store.stats.layerKeys],
    delos_store_open_views: ['Open views of the store.', (db) => db.store.stats.openViews],
  }
  const counters: Record<string, readonly [help: string, read: DatabaseReading]> = {
    delos_applied_entries_total: ['Log entries applied.', (db) => db.stackStatus().appliedEntries],
    delos_applied_bytes_total: ['Bytes of log entries applied.', (db) => db.stackStatus().appliedBytes],
    delos_transactions_total: ['Store transactions committed.', (db) => db.stackStatus().transactions],
    delos_apply_seconds_total: [
      'Time in apply; its rate is the utilisation of apply.',
      (db) => db.stackStatus().applyMs / 1000,
    ],
    delos_duplicates_dropped_total: ['Duplicate entries dropped.', (db) => db.stackStatus().duplicatesDropped],
    delos_appends_refused_total: ['Appends that the log refused.', (db) => db.stackStatus().refusedAppends],
    delos_appends_indeterminate_total: [
      'Appends whose outcome is unknown.',
      (db) => db.stackStatus().indeterminateAppends,
    ],
    delos_tail_checks_total: ['Checks of the log tail for sync.', (db) => db.stackStatus().tailChecks],
    delos_store_pushes_total: ['Write-back layers pushed to disk.', (db) => db.store.stats.pushes],
    delos_store_pushed_bytes_total: ['Bytes pushed to disk.', (db) => db.store.stats.pushedBytes],
    delos_store_flushes_total: ['Durable flushes of the store.', (db) => db.store.stats.flushes],
  }
  for (const [name, [help, read]] of Object.entries(gauges))
    define.gauge(name, help, labels, perDatabase(databases, read))
  for (const [name, [help, read]] of Object.entries(counters))
    define.counter(name, help, labels, perDatabase(databases, read))
}

/** Apply runs on one event loop, so 1 means that this server can't follow the log any faster. */
function defineUtilisation(define: Definitions, databases: ReadonlyMap<string, Database>): void {
  const last = new Map<string, { readonly applyMs: number; readonly atMs: number }>()
  const utilisation = (database: Database): number => {
    const before = last.get(database.name)
    const now = { applyMs: database.stackStatus().applyMs, atMs: performance.now() }
    last.set(database.name, now)
    if (before === undefined || now.atMs <= before.atMs) return 0
    return Math.min(1, (now.applyMs - before.applyMs) / (now.atMs - before.atMs))
  }
  const help = 'Share of the time since the last scrape that went into apply.'
  define.gauge('delos_apply_utilisation', help, ['database'], perDatabase(databases, utilisation))
}

function defineLogMetrics(define: Definitions, databases: ReadonlyMap<string, Database>): void {
  type Stats = ReturnType<Database['logletStats']>
  const reading = (read: (stats: Stats) => number) => perDatabase(databases, (database) => read(database.logletStats()))
  const labels = ['database']
  define.counter(
    'delos_loglet_appends_total',
    'Entries appended to loglets.',
    labels,
    reading((stats) => stats.appends),
  )
  define.counter(
    'delos_loglet_syncs_total',
    'Syncs (fdatasync) of loglets, one per group commit.',
    labels,
    reading((stats) => stats.syncs),
  )
  define.counter(
    'delos_loglet_bytes_total',
    'Bytes written to loglets.',
    labels,
    reading((stats) => stats.bytes),
  )
  define.counter(
    'delos_loglet_sync_seconds_total',
    'Time waiting for loglet syncs.',
    labels,
    reading((stats) => stats.syncMs / 1000),
  )
  define.counter(
    'delos_loglet_disk_full_total',
    'Appends refused for lack of disk space.',
    labels,
    reading((stats) => stats.refusedForSpace),
  )
}

/** Each joint of each stack: what passed, and time of the layers below (propose) and above (apply). */
function defineLayerMetrics(define: Definitions, databases: ReadonlyMap<string, Database>): void {
  const labels = ['database', 'below', 'above']
  const joints = (read: (joint: ReturnType<Database['joints']>[number]) => number) => () =>
    [...databases].flatMap(([name, database]) =>
      database
        .joints()
        .map((joint) => [{ database: name, below: joint.below, above: joint.above }, read(joint)] as const),
    )
  const seconds = (histogram: HistogramSnapshot) => histogram.sumMs / 1000
  define.counter(
    'delos_layer_proposals_total',
    'Proposals that passed a joint.',
    labels,
    joints((joint) => joint.proposals),
  )
  define.counter(
    'delos_layer_rejections_total',
    'Proposals rejected below a joint.',
    labels,
    joints((joint) => joint.rejections),
  )
  define.counter(
    'delos_layer_applies_total',
    'Entries applied above a joint.',
    labels,
    joints((joint) => joint.applies),
  )
  define.counter(
    'delos_layer_propose_seconds_total',
    'Time of sampled proposals below a joint.',
    labels,
    joints((joint) => seconds(joint.propose)),
  )
  define.counter(
    'delos_layer_propose_samples_total',
    'Sampled proposals.',
    labels,
    joints((joint) => joint.propose.count),
  )
  define.counter(
    'delos_layer_apply_seconds_total',
    'Estimated time in apply and postApply above a joint.',
    labels,
    joints((joint) => joint.applyMs / 1000),
  )
}

function defineZelosMetrics(define: Definitions, zelos: () => Zelos | undefined): void {
  const stats: Record<string, readonly [help: string, read: (zelos: Zelos) => number]> = {
    delos_zelos_znodes: ['Znodes.', (db) => db.stats.nodeCount],
    delos_zelos_ephemerals: ['Ephemeral znodes.', (db) => db.stats.ephemeralCount],
    delos_zelos_sessions: ['Sessions.', (db) => db.stats.sessionCount],
    delos_zelos_watches: ['Watches at this server.', (db) => db.stats.watchCount],
    delos_zelos_data_bytes: ['Approximate bytes of paths and data.', (db) => db.stats.approximateDataBytes],
    delos_zelos_pending_updates: ['Updates in flight.', (db) => db.stats.pendingUpdates],
    delos_zelos_cached_nodes: ['Decoded znodes in memory.', (db) => db.stats.cachedNodes],
    delos_zelos_cached_bytes: ['Bytes of decoded znodes in memory.', (db) => db.stats.cachedBytes],
    delos_zelos_zxid: ['The last zxid applied.', (db) => db.lastZxid],
  }
  for (const [name, [help, read]] of Object.entries(stats)) {
    define.gauge(name, help, [], () => {
      const database = zelos()
      return database === undefined ? [] : [[{}, read(database)]]
    })
  }
  define.counter('delos_zelos_limit_exceeded_total', 'Requests refused by a limit of the database.', ['limit'], () =>
    Object.entries(zelos()?.stats.limitsExceeded ?? {}).map(([limit, count]) => [{ limit }, count]),
  )
}

function defineZooKeeperMetrics(define: Definitions, server: () => ZooKeeperServer | undefined): void {
  const one = (read: (server: ZooKeeperServer) => number) => (): Iterable<Sample> => {
    const running = server()
    return running === undefined ? [] : [[{}, read(running)]]
  }
  define.gauge(
    'delos_zookeeper_connections',
    'Open client connections.',
    [],
    one((zk) => zk.connections.size),
  )
  define.gauge(
    'delos_zookeeper_outstanding_requests',
    'Requests without a reply yet.',
    [],
    one((zk) => zk.outstanding),
  )
  const counters: Record<string, readonly [help: string, read: (server: ZooKeeperServer) => number]> = {
    delos_zookeeper_connections_total: ['Connections accepted.', (zk) => zk.stats.connectionsAccepted],
    delos_zookeeper_packets_received_total: ['Requests received.', (zk) => zk.stats.packetsReceived],
    delos_zookeeper_packets_sent_total: ['Replies and events sent.', (zk) => zk.stats.packetsSent],
    delos_zookeeper_received_bytes_total: ['Bytes received.', (zk) => zk.stats.bytesReceived],
    delos_zookeeper_sent_bytes_total: ['Bytes sent.', (zk) => zk.stats.bytesSent],
    delos_zookeeper_failed_requests_total: ['Requests answered with an error code.', (zk) => zk.stats.requestsFailed],
    delos_zookeeper_slow_requests_total: ['Requests slower than slow-ms.', (zk) => zk.stats.slowRequests],
    delos_zookeeper_watch_events_total: ['Watch events sent.', (zk) => zk.stats.watchEvents],
    delos_zookeeper_request_seconds_total: [
      'Time from arrival to reply, all requests.',
      (zk) => zk.stats.latency.totalMs / 1000,
    ],
    delos_zookeeper_requests_total: ['Requests answered.', (zk) => zk.stats.latency.count],
  }
  for (const [name, [help, read]] of Object.entries(counters)) define.counter(name, help, [], one(read))
  define.counter('delos_zookeeper_limit_exceeded_total', 'Times a client met a limit.', ['limit'], () =>
    Object.entries(server()?.stats.limitsHit ?? {}).map(([limit, count]) => [{ limit }, count]),
  )
  define.counter('delos_zookeeper_closed_connections_total', 'Connections closed, by reason.', ['reason'], () =>
    Object.entries(server()?.stats.closes ?? {}).map(([reason, count]) => [{ reason }, count]),
  )
}
