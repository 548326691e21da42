// One server's figures under ZooKeeper's names: the one table that `mntr`, the AdminServer's `monitor` and Prometheus show. What
// ZooKeeper counts and this server can't is in docs/zookeeper-metrics.md, with the reason.

import { EMPTY_HISTOGRAM, type HistogramSnapshot, histogramOf } from '../base/latency-histogram.ts'
import type { Refusal } from './access-stats.ts'
import type { StorageFacts } from './server-options.ts'
import type { ServerView } from './server-view.ts'

export interface ServerFigure {
  readonly kind: 'gauge' | 'counter'
  readonly name: string
  readonly help: string
  /** Undefined: not known on this system. */
  readonly read: (server: ServerView) => number | undefined
  /** Always with a decimal point where it is text. */
  readonly fractional?: boolean
}

export interface ServerSummary {
  readonly kind: 'summary'
  readonly name: string
  readonly help: string
  /** ZooKeeper shows more quantiles of some than of others. */
  readonly quantiles: readonly number[]
  readonly read: (server: ServerView) => HistogramSnapshot
}

const BASIC = [0.5]
const ADVANCED = [0.5, 0.9, 0.99]

type Read = ServerFigure['read']

function gauge(name: string, help: string, read: Read, fractional = false): ServerFigure {
  return { kind: 'gauge', name, help, read, fractional }
}

function counter(name: string, help: string, read: Read): ServerFigure {
  return { kind: 'counter', name, help, read }
}

function summary(name: string, help: string, read: ServerSummary['read'], quantiles = BASIC): ServerSummary {
  return { kind: 'summary', name, help, quantiles, read }
}

function refusals(name: string, help: string, ...reasons: readonly Refusal[]): ServerFigure {
  const read: Read = ({ access }) => reasons.reduce((sum, reason) => sum + access.stats.refusals[reason], 0)
  return counter(name, help, read)
}

export const SERVER_FIGURES: readonly ServerFigure[] = [
  gauge('min_latency', 'Shortest time of a request, ms.', ({ stats }) => Math.round(stats.latency.minMs)),
  gauge('avg_latency', 'Mean time of a request, ms.', ({ stats }) => stats.latency.averageMs, true),
  gauge('max_latency', 'Longest time of a request, ms.', ({ stats }) => Math.round(stats.latency.maxMs)),
  gauge('packets_received', 'Requests received.', ({ stats }) => stats.shownPacketsReceived),
  gauge('packets_sent', 'Replies and events sent.', ({ stats }) => stats.shownPacketsSent),
  gauge('num_alive_connections', 'Open client connections.', ({ connections }) => connections.size),
  gauge('outstanding_requests', 'Requests without a reply yet.', ({ outstanding }) => outstanding),
  gauge('uptime', 'Time since the start, ms.', (server) => Math.round(server.nowMs() - server.startedMs)),
  gauge('znode_count', 'Znodes.', ({ zelos }) => zelos.stats.nodeCount),
  gauge('watch_count', 'Watches at this server.', ({ zelos }) => zelos.stats.watchCount),
  gauge('ephemerals_count', 'Ephemeral znodes.', ({ zelos }) => zelos.stats.ephemeralCount),
  gauge('approximate_data_size', 'Bytes of paths and data.', ({ zelos }) => zelos.stats.approximateDataBytes),
  gauge('global_sessions', 'Sessions.', ({ zelos }) => zelos.stats.sessionCount),
  gauge('open_file_descriptor_count', 'Open files.', ({ options }) => options.process?.fileDescriptors()?.open),
  gauge(
    'max_file_descriptor_count',
    'Files that may be open.',
    ({ options }) => options.process?.fileDescriptors()?.max,
  ),
  gauge('last_client_response_size', 'Bytes of the last reply; -1: none yet.', ({ stats }) => stats.responses.last),
  gauge('max_client_response_size', 'Bytes of the largest reply; -1: none yet.', ({ stats }) => stats.responses.max),
  gauge('min_client_response_size', 'Bytes of the smallest reply; -1: none yet.', ({ stats }) => stats.responses.min),
  gauge(
    'connection_drop_probability',
    'Chance that a new session is refused.',
    ({ access }) => access.connections.dropProbability,
    true,
  ),
  gauge('auth_failed_count', 'Authentications that failed.', ({ stats }) => stats.authFailures),

  counter('bytes_received_count', 'Bytes received from clients.', ({ stats }) => stats.bytesReceived),
  counter('connection_request_count', 'Connections accepted.', ({ stats }) => stats.connectionsAccepted),
  counter(
    'connection_rejected',
    'Connections and sessions refused because there were too many.',
    ({ stats: { limitsHit }, access }) =>
      limitsHit.connectionsMax + limitsHit.connectionsPerIpMax + access.stats.refusals['connection-throttle'],
  ),
  counter('connection_drop_count', 'Connections that the client ended.', ({ stats }) => stats.closes.client),
  counter(
    'connection_revalidate_count',
    'Clients that came back to their session.',
    ({ zelos }) => zelos.stats.sessionsReattached,
  ),
  counter(
    'sessionless_connections_expired',
    'Connections closed because they opened no session in time.',
    ({ stats }) => stats.limitsHit.handshakeMs,
  ),
  counter('stale_sessions_expired', 'Sessions that ran out.', ({ zelos }) => zelos.stats.sessionsExpired),
  counter(
    'large_requests_rejected',
    'Requests that were too large.',
    ({ stats, access }) => stats.limitsHit.frameBytesMax + access.stats.refusals['large-request'],
  ),
  counter(
    'request_throttle_wait_count',
    'Times that requests waited, or a client was not read from, until others were answered.',
    ({ stats: { limitsHit }, access }) =>
      limitsHit.outstandingMax + limitsHit.outstandingBytesMax + access.stats.throttleWaits,
  ),
  refusals('throttled_ops', 'Requests that waited too long for their turn.', 'request-throttle'),
  refusals('stale_requests_dropped', 'Requests whose connection was gone when their turn came.', 'stale-request'),
  refusals(
    'unsuccessful_handshake',
    'TLS connections that did not come about.',
    'tls-handshake',
    'tls-certificate',
    'tls-plain-text',
  ),
  refusals('tls_handshake_exceeded', 'TLS connections closed because too many were under way.', 'tls-handshakes-max'),
  refusals('ensemble_auth_fail', 'Clients that named another ensemble.', 'ensemble-name'),
  counter(
    'ensemble_auth_success',
    'Clients that named this ensemble.',
    ({ access }) => access.stats.ensembleNamesRight,
  ),
  counter('ensemble_auth_skip', 'Clients that named no ensemble.', ({ access }) => access.stats.ensembleNamesAbsent),
  counter('response_bytes', 'Bytes of replies.', ({ stats }) => stats.responses.bytes),
  counter('watch_bytes', 'Bytes of watch events.', ({ stats }) => stats.watchBytes),
  counter('insecure_admin_count', 'Connections to the AdminServer without TLS.', ({ stats }) => stats.adminConnections),
  counter('snapshot_error_count', 'Snapshots asked for over HTTP.', ({ stats }) => stats.snapshotErrors),
  counter('snapshot_rate_limited_count', 'The same, too soon after the last.', ({ stats }) => stats.snapshotsLimited),
  counter('restore_error_count', 'Restores asked for over HTTP.', ({ stats }) => stats.restoreErrors),
  counter('restore_rate_limited_count', 'The same, too soon after the last.', ({ stats }) => stats.restoresLimited),
  counter(
    'proposal_count',
    'Proposals put into the log by this server.',
    stored(({ proposals }) => proposals),
  ),
  counter(
    'commit_count',
    'Log entries applied.',
    stored(({ appliedEntries }) => appliedEntries),
  ),
  counter(
    'sync_processor_request_queued',
    'Log entries written to disk.',
    stored(({ appends }) => appends),
  ),
  counter(
    'unrecoverable_error_count',
    'Databases that stopped at an error.',
    stored(({ failures }) => failures),
  ),
]

export const SERVER_SUMMARIES: readonly ServerSummary[] = [
  summary('readlatency', 'Time of reads, ms.', ({ stats }) => stats.readTimes.snapshot(), ADVANCED),
  summary('updatelatency', 'Time of updates, ms.', ({ stats }) => stats.updateTimes.snapshot(), ADVANCED),
  summary(
    'propagation_latency',
    'Time of updates from the proposal until they are applied, ms; a sample.',
    storedTimes(({ proposeTimes }) => proposeTimes),
    ADVANCED,
  ),
  summary(
    'election_time',
    'Times that the log moved to a new loglet, which is what an election is to ZooKeeper; how long it took is not known.',
    storedTimes(({ reconfigurations }) => reconfigurations),
  ),
  summary(
    'fsynctime',
    'Time of syncs of the log, ms.',
    storedTimes(({ syncTimes }) => syncTimes),
  ),
  summary(
    'snapshottime',
    'Time in which the store became durable, ms.',
    storedTimes(({ flushTimes }) => flushTimes),
  ),
  summary(
    'dbinittime',
    'Time until the database served, ms.',
    storedTimes(({ start }) => once(start && start.openMs + start.replayMs)),
  ),
  summary(
    'startup_snap_load_time',
    'Time until its store was open, ms.',
    storedTimes(({ start }) => once(start?.openMs)),
  ),
  summary(
    'startup_txns_load_time',
    'Time until its log was played, ms.',
    storedTimes(({ start }) => once(start?.replayMs)),
  ),
  summary(
    'startup_txns_loaded',
    'Log entries played at the start.',
    storedTimes(({ start }) => once(start?.replayedEntries)),
  ),
  summary('node_created_watch_count', 'Watches that a create fired.', ({ zelos }) =>
    zelos.inspection.watchersTold.created.snapshot(),
  ),
  summary('node_deleted_watch_count', 'Watches that a delete fired.', ({ zelos }) =>
    zelos.inspection.watchersTold.deleted.snapshot(),
  ),
  summary('node_changed_watch_count', 'Watches that a setData fired.', ({ zelos }) =>
    zelos.inspection.watchersTold.dataChanged.snapshot(),
  ),
  summary('node_children_watch_count', 'Watches that a change of children fired.', ({ zelos }) =>
    zelos.inspection.watchersTold.childrenChanged.snapshot(),
  ),
]

function stored(read: (facts: StorageFacts) => number): Read {
  return ({ options }) => {
    const facts = options.storage?.()
    return facts === undefined ? undefined : read(facts)
  }
}

function storedTimes(read: (facts: StorageFacts) => HistogramSnapshot): ServerSummary['read'] {
  return ({ options }) => {
    const facts = options.storage?.()
    return facts === undefined ? EMPTY_HISTOGRAM : read(facts)
  }
}

function once(value: number | undefined): HistogramSnapshot {
  return value === undefined ? EMPTY_HISTOGRAM : histogramOf(value)
}
