// What monitoring that was made for ZooKeeper asks of a running server: Telegraf's input for ZooKeeper, every query of Grafana
// dashboard 10465, and that what is shown moves when it happens.

import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startReference } from './oracle/servers.ts'
import { CertificateAuthority } from './support/certificate-authority.ts'
import { FrameConnection, fourLetterWord } from './support/frame-connection.ts'
import { MetricsPage } from './support/metrics-page.ts'
import { describeWith, peers } from './support/peers.ts'
import { freePort, serverKind, TestServer } from './support/server.ts'
import { delay } from './support/wait.ts'
import { succeeded, ZkClient } from './support/zk-client.ts'
import { Flags } from './support/zk-protocol.ts'

const page = readFileSync(new URL('../docs/zookeeper-metrics.md', import.meta.url), 'utf8')
const [shownPart = '', absentPart = ''] = page.split('## Not shown')
const SHOWN = [...shownPart.matchAll(/^\| `([a-z0-9_]+)` \|/gm)].map(([, name]) => name as string)
const ABSENT = new Set([...absentPart.matchAll(/`([a-z0-9_]+)`/g)].map(([, name]) => name as string))

/** The names that the queries of dashboard 10465 read. Labels are those that its legends show, beside Prometheus' own two. */
const DASHBOARD = `
  approximate_data_size avg_latency bytes_received_count commit_count connection_drop_count connection_drop_probability
  connection_rejected connection_request_count dbinittime dbinittime_count dbinittime_sum election_time election_time_count
  election_time_sum ensemble_auth_fail ensemble_auth_skip ensemble_auth_success ephemerals_count fsynctime fsynctime_count
  fsynctime_sum global_sessions last_client_response_size max_client_response_size max_latency min_client_response_size
  min_latency node_changed_watch_count_sum node_children_watch_count_sum node_created_watch_count_sum
  node_deleted_watch_count_sum num_alive_connections open_file_descriptor_count outstanding_requests packets_received
  packets_sent propagation_latency_sum proposal_count readlatency_sum sessionless_connections_expired snapshottime_count
  snapshottime_sum stale_sessions_expired startup_snap_load_time startup_snap_load_time_count startup_snap_load_time_sum
  startup_txns_loaded startup_txns_loaded_count startup_txns_loaded_sum sync_processor_request_queued tls_handshake_exceeded
  unrecoverable_error_count updatelatency_sum uptime watch_count znode_count
  jvm_gc_collection_seconds_sum jvm_memory_pool_bytes_used jvm_threads_current
`

/** Those for which there is nothing here to show. */
const DASHBOARD_ABSENT = `
  ack_latency_sum add_dead_watcher_stall_time close_session_prep_time_sum commit_commit_proc_req_queued_sum
  commit_process_time_sum commit_propagation_latency_sum concurrent_request_processing_in_commit_processor_sum
  connection_token_deficit_sum dead_watchers_cleaner_latency_sum dead_watchers_cleared dead_watchers_queued diff_count
  digest_mismatches_count follower_sync_time_sum last_proposal_size leader_uptime learner_commit_received_count
  learner_handler_qp_size_sum learners local_sessions local_write_committed_time_ms_sum looking_count max_proposal_size
  min_proposal_size om_commit_process_time_ms_sum om_proposal_process_time_ms_sum outstanding_changes_queued
  outstanding_changes_removed outstanding_tls_handshake pending_session_queue_size_sum prep_process_time_sum
  prep_processor_queue_size_sum prep_processor_queue_time_ms_sum prep_processor_request_queued
  proposal_ack_creation_latency proposal_latency_sum quit_leading_due_to_disloyal_voter quorum_ack_latency_sum quorum_size
  read_commit_proc_issued_sum read_commit_proc_req_queued_sum read_commitproc_time_ms_sum read_final_proc_time_ms_sum
  read_per_namespace_sum reads_after_write_in_session_queue_sum reads_issued_from_session_queue_sum request_commit_queued
  requests_in_session_queue_sum response_packet_cache_hits response_packet_cache_misses
  response_packet_get_children_cache_hits response_packet_get_children_cache_misses revalidate_count
  server_write_committed_time_ms_sum session_queues_drained_sum snap_count sync_process_time_sum
  sync_processor_batch_size_sum sync_processor_queue_flush_time_ms_sum sync_processor_queue_size_sum
  synced_non_voting_followers synced_observers time_waiting_empty_pool_in_commit_processor_read_ms_sum
  write_batch_time_in_commit_processor_sum write_commit_proc_issued_sum write_commit_proc_req_queued_sum
  write_commitproc_time_ms_sum write_final_proc_time_ms_sum write_per_namespace_sum
  jvm_classes_loaded jvm_pause_time_ms_sum jvm_threads_deadlocked jvm_threads_state
`
const LEGENDS: Readonly<Record<string, string>> = {
  dbinittime: 'quantile',
  election_time: 'quantile',
  fsynctime: 'quantile',
  startup_snap_load_time: 'quantile',
  startup_txns_loaded: 'quantile',
  jvm_gc_collection_seconds_sum: 'gc',
  jvm_memory_pool_bytes_used: 'pool',
}
const words = (text: string): string[] => text.trim().split(/\s+/)

/** What only happens inside, at a start, or in a moment that can't be met from outside: see the tests beside src/node/. */
const NOT_FROM_OUTSIDE = `min_latency outstanding_requests max_file_descriptor_count unrecoverable_error_count election_time
  dbinittime startup_snap_load_time startup_txns_load_time startup_txns_loaded jvm_threads_current`

const OPEN_LIMIT = 12

/** A server with one page before anything happened, and one after. */
interface Watched extends AsyncDisposable {
  readonly server: TestServer
  readonly before: MetricsPage
  readonly after: () => Promise<MetricsPage>
}

async function watched(flags: Readonly<Record<string, string>>): Promise<Watched> {
  const metricsPort = await freePort()
  const all = { 'metrics-port': String(metricsPort), ...flags }
  const server = await TestServer.start({
    tickMs: 200,
    sessionTimeoutMinMs: 400,
    flags: Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]),
  })
  const read = (): Promise<MetricsPage> => MetricsPage.of(metricsPort)
  return { server, before: await read(), after: read, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

/** What clients do all day, and what they should not. */
async function clientsCome(port: number): Promise<ZkClient> {
  await using other = await ZkClient.connect(port)
  const client = await ZkClient.connect(port)
  const big = Buffer.alloc(200_000, 'x')
  succeeded(await client.create('/m', big))
  await Promise.all(Array.from({ length: 20 }, () => client.setData('/m', big)))
  succeeded(await client.create('/m/e', '', Flags.ephemeral))
  succeeded(await client.getData('/m'))
  succeeded(await client.getData('/m', true))
  succeeded(await client.getChildren('/m', true))
  await client.exists('/m/new', true)
  await client.exists('/never', true)
  succeeded(await other.create('/m/new'))
  succeeded(await other.setData('/m', 'y'))
  succeeded(await client.getData('/m/new', true))
  succeeded(await other.delete('/m/new'))
  for (const name of ['', 'blue']) succeeded(await client.auth('ensemble', name))
  for (const [scheme, credential] of [
    ['ensemble', 'red'],
    ['nonsense', 'x'],
  ] as const) {
    const refused = await ZkClient.connect(port)
    await refused.auth(scheme, credential).catch(() => undefined)
    await refused.closed
  }
  const gone = await ZkClient.connect(port, { timeoutMs: 400, keepAlive: false })
  gone.drop()
  const back = await ZkClient.connect(port, { timeoutMs: 10_000 })
  back.drop()
  const again = await ZkClient.connect(port, { session: back.session })
  await again.close()
  const large = await FrameConnection.open(port)
  large.write(Buffer.from([0x7f, 0xff, 0xff, 0xff]))
  await large.closed
  return client
}

async function tooManyCome(port: number): Promise<void> {
  const many = await Promise.all(Array.from({ length: OPEN_LIMIT + 2 }, () => FrameConnection.open(port)))
  await Promise.race(many.map(({ closed }) => closed))
  for (const one of many) one.destroy()
}

/** An operator asks for what is not to be had here, and asks again. */
async function operatorAsks(adminPort: number): Promise<void> {
  const headers = { authorization: 'digest ann:secret' }
  for (let i = 0; i < 2; i++) {
    await fetch(`http://127.0.0.1:${adminPort}/commands/snapshot`, { headers })
    const restore = { ...headers, 'content-type': 'application/octet-stream' }
    await fetch(`http://127.0.0.1:${adminPort}/commands/restore`, { headers: restore, method: 'POST', body: 'x' })
  }
}

/** More at once than the throttles let through; one goes before its turn. */
async function hurry(port: number): Promise<void> {
  const [client, leaving] = [await ZkClient.connect(port), await ZkClient.connect(port)]
  succeeded(await client.create('/t'))
  const sets = Array.from({ length: 300 }, () => client.setData('/t', Buffer.alloc(10_000)).catch(() => undefined))
  for (let i = 0; i < 300; i++) void leaving.setData('/t', 'x').catch(() => undefined)
  await delay(1)
  leaving.drop()
  await Promise.all(sets)
  client.drop()
  for (let i = 0; i < 8; i++)
    await ZkClient.connect(port).then(
      (one) => one.drop(),
      () => undefined,
    )
}

/** Plain text where TLS is spoken, and more handshakes than may be under way. */
async function strangersCome(securePort: number): Promise<void> {
  await ZkClient.connect(securePort).catch(() => undefined)
  const open = () => connect({ port: securePort, host: '127.0.0.1' }).on('error', () => undefined)
  const sockets = [open(), open(), open()]
  await Promise.race(sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve))))
  for (const socket of sockets) socket.destroy()
}

describe.skipIf(serverKind !== 'delos')('the metrics of a running server', () => {
  let daily: Watched
  let throttled: Watched
  let pages: readonly (readonly [before: MetricsPage, after: MetricsPage])[]

  beforeAll(async () => {
    const [adminPort, securePort] = [await freePort(), await freePort()]
    daily = await watched({
      'admin-port': String(adminPort),
      'max-connections-per-ip': String(OPEN_LIMIT),
      'ensemble-names': 'blue',
    })
    const silent = await FrameConnection.open(daily.server.port)
    const silentSince = performance.now()
    await using client = await clientsCome(daily.server.port)
    await tooManyCome(daily.server.port)
    await operatorAsks(adminPort)

    const authority = new CertificateAuthority()
    const { cert, key } = authority.issue('server', '/CN=localhost')
    throttled = await watched({
      'request-throttle-limit': '1',
      'throttled-op-wait-ms': '1',
      'connection-tokens': '5',
      'connection-token-fill-ms': '3600000',
      'connection-freeze-ms': '1',
      'connection-drop-increase': '0.5',
      'secure-client-port': String(securePort),
      'tls-cert': cert,
      'tls-key': key,
      'tls-ca': authority.ca,
      'tls-handshakes-max': '1',
    })
    await hurry(throttled.server.port)
    await strangersCome(securePort)

    await silent.closed
    expect(performance.now() - silentSince).toBeGreaterThan(9_000)
    pages = [
      [daily.before, await daily.after()],
      [throttled.before, await throttled.after()],
    ]
    succeeded(await client.getData('/m'))
  })
  afterAll(async () => {
    await daily?.[Symbol.asyncDispose]()
    await throttled?.[Symbol.asyncDispose]()
  })

  it.each(words(DASHBOARD))('%s is there for dashboard 10465', (name) => {
    const samples = pages[0]?.[1].named(name) ?? []
    expect(samples).not.toEqual([])
    const legend = LEGENDS[name]
    if (legend !== undefined) expect(samples.every(({ labels }) => labels[legend] !== undefined)).toBe(true)
    else expect(samples).toMatchObject([{ labels: {} }])
  })

  it('are missing for the dashboard only where the documents say why', () => {
    const absent = words(DASHBOARD_ABSENT)
    expect(absent.filter((name) => !ABSENT.has(name) && !ABSENT.has(name.replace(/_sum$/, '')))).toEqual([])
    expect(absent.filter((name) => pages[0]?.[1].named(name).length !== 0)).toEqual([])
  })

  it('leave the labels to Prometheus by which the dashboard chooses servers', () => {
    const labels = pages.flatMap(([, after]) => after.samples.flatMap((sample) => Object.keys(sample.labels)))
    expect(labels.filter((label) => ['instance', 'job'].includes(label))).toEqual([])
  })

  it.each(SHOWN.filter((name) => !words(NOT_FROM_OUTSIDE).includes(name)))('%s moves', (name) => {
    const moved = pages.map(([before, after]) => before.state(name) !== after.state(name))
    expect(moved).toContain(true)
  })
})

type Field = bigint | string

/**
 * What Telegraf's input for ZooKeeper makes of `mntr`: each line has to match, or the whole reading fails; a value is an integer
 * of 64 bits or a text; the state is a tag.
 */
async function telegraf(port: number): Promise<{ fields: Map<string, Field>; state: string }> {
  const answer = await fourLetterWord(port, 'mntr\n')
  const fields = new Map<string, Field>()
  let state = ''
  // Its scanner of lines gives no last empty one.
  for (const line of answer.replace(/\n$/, '').split('\n')) {
    const [, name, value] = /^zk_(\w[\w.-]*)\s+([\w.-]+)/.exec(line) ?? []
    if (name === undefined || value === undefined) throw new Error(`unexpected line in mntr response: ${line}`)
    if (name === 'server_state') state = value
    else fields.set(name, /^[-+]?\d+$/.test(value) ? BigInt(value) : value)
  }
  return { fields, state }
}

/** What the plugin's handbook promises of a server of its own. */
const TELEGRAF = `approximate_data_size ephemerals_count max_file_descriptor_count max_latency min_latency num_alive_connections
  open_file_descriptor_count outstanding_requests packets_received packets_sent watch_count znode_count`

describe.skipIf(serverKind !== 'delos')("Telegraf's input for ZooKeeper", () => {
  it('reads every line, whole numbers as such, the version and the state', async () => {
    await using server = await TestServer.start()
    await using client = await ZkClient.connect(server.port)
    succeeded(await client.create('/telegraf', 'x'))
    const { fields, state } = await telegraf(server.port)
    expect(state).toBe('standalone')
    expect(fields.get('version')).toMatch(/^3\.9\.5/)
    const numbers = words(TELEGRAF).filter((name) => typeof fields.get(name) !== 'bigint')
    expect(numbers).toEqual([])
    // The client's and, as in ZooKeeper, the one that asks.
    expect(fields.get('num_alive_connections')).toBe(2n)
    expect([...fields.values()].filter((value) => typeof value === 'bigint' && value >= 2n ** 63n)).toEqual([])
  })

  describeWith(peers.zookeeper, 'beside a real ZooKeeper', () => {
    it('gets each field of the same type', async () => {
      await using mine = await TestServer.start()
      await using theirs = await startReference()
      const [ours, reference] = await Promise.all([telegraf(mine.port), telegraf(theirs.port)])
      expect(ours.state).toBe(reference.state)
      const kinds = ({ fields }: { fields: Map<string, Field> }) =>
        [...fields].map(([name, value]) => [name, typeof value] as const)
      const known = new Map(kinds(reference))
      expect(kinds(ours).filter(([name, kind]) => (known.get(name) ?? kind) !== kind)).toEqual([])
    })
  })
})
