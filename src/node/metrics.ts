// Prometheus metrics of one server, as one table: what there is one of (a database, a joint of a stack, a limit ...), and for
// each of those the metrics with how to read them. Read at scrape time from the plain numbers that every layer keeps: no layer
// knows of Prometheus, and nothing is counted twice.

import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { TableStats } from '../table/table-stats.ts'
import type { Zelos } from '../zelos/zelos.ts'
import type { ZooKeeperServer } from '../zookeeper/zookeeper-server.ts'
import { registerEngineMetrics } from './engine-metrics.ts'
import type { Routes } from './http-listener.ts'
import type { Database } from './open-database.ts'
import { registerTableMetrics } from './table-metrics.ts'
import { productVersion } from './version.ts'
import { registerZooKeeperMetrics } from './zookeeper-metrics.ts'

/** What metrics are read from. */
export interface MetricSources {
  readonly databases: ReadonlyMap<string, Database>
  readonly zelos: () => Zelos | undefined
  readonly zookeeper: () => ZooKeeperServer | undefined
  /** Of DelosTable, where it is served. */
  readonly tables?: () => TableStats | undefined
}

/** `/metrics` for these sources. */
export function metricsRoutes(sources: MetricSources): Routes {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  for (const register of families(sources)) register(registry)
  registerEngineMetrics(registry, sources.databases)
  registerZooKeeperMetrics(registry, sources.zookeeper)
  registerTableMetrics(registry, sources.tables ?? (() => undefined))
  return (app) => {
    app.get('/metrics', async (_, reply) => reply.type(registry.contentType).send(await registry.metrics()))
  }
}

type Labels = Readonly<Record<string, string>>
type Metric<S> = readonly [type: 'counter' | 'gauge', name: string, help: string, read: (subject: S) => number]

/** Metrics of things of one kind, to be registered. */
type Family = (registry: Registry) => void

const KINDS = { counter: Counter, gauge: Gauge }

/** `subjects`: the things that there are now, each with the values of these labels. */
function family<S>(
  labelNames: readonly string[],
  subjects: () => Iterable<readonly [labels: Labels, subject: S]>,
  metrics: readonly Metric<S>[],
): Family {
  return (registry) => {
    for (const [type, name, help, read] of metrics) {
      new KINDS[type]({
        name,
        help,
        labelNames: [...labelNames],
        registers: [registry],
        // From nothing at every scrape, so that what is gone leaves nothing behind.
        collect() {
          this.reset()
          for (const [labels, subject] of subjects()) this.inc(labels, read(subject))
        },
      })
    }
  }
}

/** The table. */
function families({ databases, zelos, zookeeper }: MetricSources): Family[] {
  /** What `read` takes from each database. */
  const perDatabase =
    <S>(read: (database: Database) => S) =>
    () =>
      [...databases].map(([name, database]) => [{ database: name }, read(database)] as const)
  const perJoint = () =>
    [...databases].flatMap(([name, database]) =>
      database.joints().map((joint) => [{ database: name, below: joint.below, above: joint.above }, joint] as const),
    )
  return [
    family(['version'], () => [[{ version: productVersion() }, 1]], [
      ['gauge', 'delos_build_info', 'Always 1; the version is a label.', asItIs],
    ]),

    family(
      ['database'],
      perDatabase((database) => database.stackStatus()),
      [
        ['gauge', 'delos_serving', '1 while the database takes requests.', (s) => (s.state === 'serving' ? 1 : 0)],
        ['gauge', 'delos_applied_position', 'First log position not applied yet.', (s) => s.cursor],
        [
          'gauge',
          'delos_durable_position',
          'First log position whose effects are not durable in the store yet.',
          (s) => s.durableCursor,
        ],
        ['gauge', 'delos_log_tail_position', 'Tail of the log as known here.', (s) => s.knownTail],
        ['gauge', 'delos_pending_proposals', 'Proposals in flight.', (s) => s.pendingProposals],
        ['gauge', 'delos_pending_proposal_bytes', 'Bytes of proposals in flight.', (s) => s.pendingBytes],
        ['counter', 'delos_applied_entries_total', 'Log entries applied.', (s) => s.appliedEntries],
        ['counter', 'delos_applied_bytes_total', 'Bytes of log entries applied.', (s) => s.appliedBytes],
        ['counter', 'delos_transactions_total', 'Store transactions committed.', (s) => s.transactions],
        [
          'counter',
          'delos_apply_seconds_total',
          'Time in apply; its rate is the utilisation of apply.',
          (s) => s.applyMs / 1000,
        ],
        ['counter', 'delos_duplicates_dropped_total', 'Duplicate entries dropped.', (s) => s.duplicatesDropped],
        ['counter', 'delos_appends_refused_total', 'Appends that the log refused.', (s) => s.refusedAppends],
        [
          'counter',
          'delos_appends_indeterminate_total',
          'Appends whose outcome is unknown.',
          (s) => s.indeterminateAppends,
        ],
        ['counter', 'delos_tail_checks_total', 'Checks of the log tail for sync.', (s) => s.tailChecks],
      ],
    ),

    family(
      ['database'],
      perDatabase((database) => database),
      [
        [
          'gauge',
          'delos_log_oldest_position',
          'Oldest readable log position.',
          (database) => database.log.oldest().pos,
        ],
        [
          'gauge',
          'delos_apply_utilisation',
          'Share of the time since the last scrape that went into apply.',
          applyUtilisation(),
        ],
      ],
    ),

    family(
      ['database'],
      perDatabase((database) => database.store.stats),
      [
        ['gauge', 'delos_store_layer_bytes', 'Bytes in the write-back layer.', (s) => s.layerBytes],
        ['gauge', 'delos_store_layer_keys', 'Keys in the write-back layer.', (s) => s.layerKeys],
        ['gauge', 'delos_store_open_views', 'Open views of the store.', (s) => s.openViews],
        ['counter', 'delos_store_pushes_total', 'Write-back layers pushed to disk.', (s) => s.pushes],
        ['counter', 'delos_store_pushed_bytes_total', 'Bytes pushed to disk.', (s) => s.pushedBytes],
        ['counter', 'delos_store_flushes_total', 'Durable flushes of the store.', (s) => s.flushes],
      ],
    ),

    family(
      ['database'],
      perDatabase((database) => database.logletStats()),
      [
        ['counter', 'delos_loglet_appends_total', 'Entries appended to loglets.', (s) => s.appends],
        ['counter', 'delos_loglet_syncs_total', 'Syncs (fdatasync) of loglets, one per group commit.', (s) => s.syncs],
        ['counter', 'delos_loglet_bytes_total', 'Bytes written to loglets.', (s) => s.bytes],
        ['counter', 'delos_loglet_sync_seconds_total', 'Time waiting for loglet syncs.', (s) => s.syncMs / 1000],
        [
          'counter',
          'delos_loglet_disk_full_total',
          'Appends refused for lack of disk space.',
          (s) => s.refusedForSpace,
        ],
      ],
    ),

    // Each joint of each stack: what passed, and time of the layers below (propose) and above (apply).
    family(['database', 'below', 'above'], perJoint, [
      ['counter', 'delos_layer_proposals_total', 'Proposals that passed a joint.', (j) => j.proposals],
      ['counter', 'delos_layer_rejections_total', 'Proposals rejected below a joint.', (j) => j.rejections],
      ['counter', 'delos_layer_applies_total', 'Entries applied above a joint, estimated.', (j) => j.applies],
      [
        'counter',
        'delos_layer_propose_seconds_total',
        'Time of sampled proposals below a joint.',
        (j) => j.propose.sumMs / 1000,
      ],
      ['counter', 'delos_layer_propose_samples_total', 'Sampled proposals.', (j) => j.propose.count],
      [
        'counter',
        'delos_layer_apply_seconds_total',
        'Estimated time in apply and postApply above a joint.',
        (j) => j.applyMs / 1000,
      ],
    ]),

    family([], () => present(zelos()), [
      ['gauge', 'delos_zelos_znodes', 'Znodes.', (db) => db.stats.nodeCount],
      ['gauge', 'delos_zelos_ephemerals', 'Ephemeral znodes.', (db) => db.stats.ephemeralCount],
      ['gauge', 'delos_zelos_sessions', 'Sessions.', (db) => db.stats.sessionCount],
      ['gauge', 'delos_zelos_watches', 'Watches at this server.', (db) => db.stats.watchCount],
      [
        'gauge',
        'delos_zelos_data_bytes',
        'Approximate bytes of paths and data.',
        (db) => db.stats.approximateDataBytes,
      ],
      ['gauge', 'delos_zelos_pending_updates', 'Updates in flight.', (db) => db.stats.pendingUpdates],
      ['gauge', 'delos_zelos_cached_nodes', 'Decoded znodes in memory.', (db) => db.stats.cachedNodes],
      ['gauge', 'delos_zelos_cached_bytes', 'Bytes of decoded znodes in memory.', (db) => db.stats.cachedBytes],
      ['gauge', 'delos_zelos_zxid', 'The last zxid applied.', (db) => db.lastZxid],
    ]),
    family(['from'], () => perKey('from', catchUps(zelos())), [
      [
        'counter',
        'delos_zelos_watch_catch_ups_total',
        'Clients that came back with persistent watches and were told of changes, or of what nodes show.',
        asItIs,
      ],
    ]),
    family(['outcome'], () => perKey('outcome', quotas(zelos())), [
      ['counter', 'delos_zelos_quota_exceeded_total', 'Updates that went beyond a quota.', asItIs],
    ]),
    family(['limit'], () => perKey('limit', zelos()?.stats.limitsExceeded), [
      ['counter', 'delos_zelos_limit_exceeded_total', 'Requests refused by a limit of the database.', asItIs],
    ]),

    family([], () => present(zookeeper()), [
      ['gauge', 'delos_zookeeper_connections', 'Open client connections.', (zk) => zk.connections.size],
      ['gauge', 'delos_zookeeper_outstanding_requests', 'Requests without a reply yet.', (zk) => zk.outstanding],
      ['counter', 'delos_zookeeper_connections_total', 'Connections accepted.', (zk) => zk.stats.connectionsAccepted],
      ['counter', 'delos_zookeeper_packets_received_total', 'Requests received.', (zk) => zk.stats.packetsReceived],
      ['counter', 'delos_zookeeper_packets_sent_total', 'Replies and events sent.', (zk) => zk.stats.packetsSent],
      ['counter', 'delos_zookeeper_received_bytes_total', 'Bytes received.', (zk) => zk.stats.bytesReceived],
      ['counter', 'delos_zookeeper_sent_bytes_total', 'Bytes sent.', (zk) => zk.stats.bytesSent],
      [
        'counter',
        'delos_zookeeper_failed_requests_total',
        'Requests answered with an error code.',
        (zk) => zk.stats.requestsFailed,
      ],
      [
        'counter',
        'delos_zookeeper_slow_requests_total',
        'Requests slower than slow-ms.',
        (zk) => zk.stats.slowRequests,
      ],
      [
        'counter',
        'delos_zookeeper_oversize_replies_total',
        "Replies longer than ZooKeeper's jute.maxbuffer, which clients may not take.",
        (zk) => zk.stats.oversizeReplies,
      ],
      ['counter', 'delos_zookeeper_watch_events_total', 'Watch events sent.', (zk) => zk.stats.watchEvents],
      [
        'counter',
        'delos_zookeeper_request_seconds_total',
        'Time from arrival to reply, all requests.',
        ({ stats }) => (stats.readTimes.sumMs + stats.updateTimes.sumMs) / 1000,
      ],
      ['counter', 'delos_zookeeper_requests_total', 'Requests answered.', requestCount],
    ]),
    family(['limit'], () => perKey('limit', zookeeper()?.stats.limitsHit), [
      ['counter', 'delos_zookeeper_limit_exceeded_total', 'Times a client met a limit.', asItIs],
    ]),
    family(['reason'], () => perKey('reason', zookeeper()?.access.stats.refusals), [
      ['counter', 'delos_zookeeper_refused_total', 'Clients and requests that were refused, by reason.', asItIs],
    ]),
    family([], () => present(zookeeper()?.access), [
      [
        'counter',
        'delos_zookeeper_authentications_total',
        'Authentications that gave an identity.',
        (access) => access.stats.authentications,
      ],
      [
        'counter',
        'delos_zookeeper_throttle_waits_total',
        'Requests that waited for their turn.',
        (access) => access.stats.throttleWaits,
      ],
      [
        'counter',
        'delos_zookeeper_read_only_sessions_total',
        'Sessions that only read.',
        (access) => access.readOnly.sessionsOpened,
      ],
    ]),
    family(['reason'], () => perKey('reason', zookeeper()?.stats.closes), [
      ['counter', 'delos_zookeeper_closed_connections_total', 'Connections closed, by reason.', asItIs],
    ]),
  ]
}

/** Not of the figures that an operator may reset. */
function requestCount({ stats }: ZooKeeperServer): number {
  return stats.readTimes.count + stats.updateTimes.count
}

const asItIs = (count: number): number => count

function present<S>(subject: S | undefined): [Labels, S][] {
  return subject === undefined ? [] : [[{}, subject]]
}

/** One subject a key of a record of counts. */
function perKey(label: string, counts: Readonly<Record<string, number>> = {}): [Labels, number][] {
  return Object.entries(counts).map(([key, count]) => [{ [label]: key }, count])
}

function quotas(zelos: Zelos | undefined): Record<string, number> {
  if (zelos === undefined) return {}
  return { warned: zelos.stats.quotaWarnings, refused: zelos.stats.quotaRefusals }
}

function catchUps(zelos: Zelos | undefined): Record<string, number> {
  if (zelos === undefined) return {}
  return { changes: zelos.stats.missedReplayed, nodes: zelos.stats.missedCompared }
}

/** Apply runs on one event loop, so 1 means that this server can't follow the log any faster. */
function applyUtilisation(): (database: Database) => number {
  const last = new Map<string, { readonly applyMs: number; readonly atMs: number }>()
  return (database) => {
    const before = last.get(database.name)
    const now = { applyMs: database.stackStatus().applyMs, atMs: performance.now() }
    last.set(database.name, now)
    if (before === undefined || now.atMs <= before.atMs) return 0
    return Math.min(1, (now.applyMs - before.applyMs) / (now.atMs - before.atMs))
  }
}
