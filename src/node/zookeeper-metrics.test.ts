// Every metric under a name of ZooKeeper moves when what it counts happens, and every metric of ZooKeeper is either there or
// listed with a reason in docs/zookeeper-metrics.md.

import { readFileSync } from 'node:fs'
import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import {
  create,
  getData,
  type HarnessOptions,
  setData,
  ZooKeeperHarness,
} from '../../test/support/zookeeper-harness.ts'
import { EMPTY_HISTOGRAM, histogramOf } from '../base/latency-histogram.ts'
import type { Refusal } from '../zookeeper/access-stats.ts'
import { OP } from '../zookeeper/codec/opcodes.ts'
import type { WireRequest } from '../zookeeper/codec/wire-requests.ts'
import { SERVER_FIGURES, SERVER_SUMMARIES } from '../zookeeper/server-metrics.ts'
import type { StorageFacts } from '../zookeeper/server-options.ts'
import { registerZooKeeperMetrics } from './zookeeper-metrics.ts'

/** What the tests make of the storage below; that a real one's figures move is in open-server.slow.test.ts. */
const QUIET: StorageFacts = {
  storeBytes: 0,
  logBytes: 0,
  proposals: 0,
  appliedEntries: 0,
  appends: 0,
  failures: 0,
  proposeTimes: EMPTY_HISTOGRAM,
  syncTimes: EMPTY_HISTOGRAM,
  flushTimes: EMPTY_HISTOGRAM,
  reconfigurations: EMPTY_HISTOGRAM,
  start: undefined,
}

class Scene {
  readonly harness: ZooKeeperHarness
  storage: StorageFacts = QUIET
  openFiles = 10
  private readonly registry = new Registry()

  private constructor(harness: ZooKeeperHarness) {
    this.harness = harness
    registerZooKeeperMetrics(this.registry, () => harness.server)
  }

  static async start(options: HarnessOptions): Promise<Scene> {
    let scene: Scene | undefined
    const server = {
      storage: () => scene?.storage ?? QUIET,
      process: {
        environment: [],
        fileDescriptors: () => ({ open: scene?.openFiles ?? 0, max: scene?.openFiles ?? 0 }),
      },
      ...options.server,
    }
    scene = new Scene(await ZooKeeperHarness.start({ ...options, server }))
    return scene
  }

  async value(line: string): Promise<number> {
    const text = await this.registry.metrics()
    const found = text.split('\n').find((one) => one.startsWith(`${line} `))
    if (found === undefined) throw new Error(`no line ${line}`)
    return Number(found.slice(line.length + 1))
  }
}

type Drive = (scene: Scene) => void

const refused =
  (reason: Refusal): Drive =>
  ({ harness }) =>
    harness.server.access.stats.refused(reason)

const stored =
  (facts: Partial<StorageFacts>): Drive =>
  (scene) => {
    scene.storage = { ...QUIET, ...facts }
  }
const START = { openMs: 5, replayMs: 7, replayedEntries: 9 }

const request: Drive = ({ harness }) => harness.client().create('/a')

/** A request that takes so long. */
const late =
  (ms: number): Drive =>
  ({ harness }) => {
    const client = harness.client()
    harness.hold()
    client.send(create('/late'))
    harness.pass(ms)
    harness.release()
  }

/** Refused before it opened a session. */
const tooMany: Drive = ({ harness }) => {
  for (let i = 0; i < 4; i++) harness.socket('10.9.9.9')
}

const authFails: Drive = ({ harness }) => {
  const client = harness.client()
  client.send({ op: OP.auth, scheme: 'nonsense', credential: Buffer.from('x') })
  harness.turn()
}

const watchAnd =
  (...requests: readonly WireRequest[]): Drive =>
  ({ harness }) => {
    const client = harness.client()
    client.create('/w')
    client.ask(getData('/w', true))
    client.ask({ op: OP.getChildren, path: '/w', watch: true })
    client.ask({ op: OP.exists, path: '/w/new', watch: true })
    client.send(...requests)
    harness.turn()
  }

const openFile: Drive = (scene) => {
  scene.openFiles++
}

const reset: Drive = ({ harness }) => harness.server.stats.reset()

/** What makes each metric change; a new one without a line fails below. */
const DRIVES: Readonly<Record<string, Drive>> = {
  min_latency: request,
  avg_latency: request,
  max_latency: late(100),
  packets_received: request,
  packets_sent: request,
  num_alive_connections: ({ harness }) => void harness.socket(),
  outstanding_requests: ({ harness }) => {
    const client = harness.client()
    harness.hold()
    client.send(create('/held'))
  },
  uptime: ({ harness }) => harness.pass(1000),
  znode_count: request,
  watch_count: watchAnd(),
  ephemerals_count: ({ harness }) => harness.client().create('/e', '', 1),
  approximate_data_size: request,
  global_sessions: ({ harness }) => void harness.client(),
  open_file_descriptor_count: openFile,
  max_file_descriptor_count: openFile,
  last_client_response_size: ({ harness }) => void harness.client().ask(getData('/')),
  max_client_response_size: ({ harness }) => void harness.client().ask(getData('/')),
  min_client_response_size: reset,
  auth_failed_count: authFails,
  connection_drop_probability: ({ harness }) => {
    harness.server.access.connections.dropProbability = 0.5
  },
  throttled_ops: refused('request-throttle'),
  stale_requests_dropped: refused('stale-request'),
  unsuccessful_handshake: refused('tls-certificate'),
  tls_handshake_exceeded: refused('tls-handshakes-max'),
  ensemble_auth_fail: refused('ensemble-name'),
  ensemble_auth_success: ({ harness }) => void harness.server.access.stats.ensembleNamesRight++,
  ensemble_auth_skip: ({ harness }) => void harness.server.access.stats.ensembleNamesAbsent++,
  bytes_received_count: request,
  connection_request_count: request,
  connection_rejected: tooMany,
  connection_drop_count: ({ harness }) => harness.client().socket.close(),
  connection_revalidate_count: ({ harness }) => {
    const { connected, socket } = harness.client()
    socket.close()
    harness.zelos.zelos.sessions.reattach(
      1,
      connected?.password ?? new Uint8Array(16),
      9000,
      '127.0.0.1',
      { sessionEnded: () => undefined },
      { resolve: () => undefined, reject: () => undefined },
    )
  },
  sessionless_connections_expired: ({ harness }) => {
    harness.socket()
    harness.pass(10_001)
  },
  stale_sessions_expired: ({ harness }) => {
    harness.client({ timeoutMs: 4000 }).socket.close()
    for (let i = 0; i < 20; i++) harness.pass(1000)
  },
  large_requests_rejected: ({ harness }) => harness.client().socket.send(Buffer.from([0x7f, 0xff, 0xff, 0xff])),
  request_throttle_wait_count: ({ harness }) => {
    const client = harness.client()
    harness.hold()
    client.send(create('/1'), create('/2'), create('/3'))
  },
  response_bytes: request,
  watch_bytes: watchAnd(setData('/w', 'x')),
  insecure_admin_count: ({ harness }) => harness.server.stats.adminConnected(),
  snapshot_error_count: ({ harness }) => void harness.server.stats.snapshotErrors++,
  snapshot_rate_limited_count: ({ harness }) => void harness.server.stats.snapshotsLimited++,
  restore_error_count: ({ harness }) => void harness.server.stats.restoreErrors++,
  restore_rate_limited_count: ({ harness }) => void harness.server.stats.restoresLimited++,
  proposal_count: stored({ proposals: 1 }),
  commit_count: stored({ appliedEntries: 1 }),
  sync_processor_request_queued: stored({ appends: 1 }),
  unrecoverable_error_count: stored({ failures: 1 }),
  readlatency: ({ harness }) => void harness.client().ask(getData('/')),
  updatelatency: request,
  propagation_latency: stored({ proposeTimes: histogramOf(3) }),
  election_time: stored({ reconfigurations: histogramOf(0) }),
  fsynctime: stored({ syncTimes: histogramOf(3) }),
  snapshottime: stored({ flushTimes: histogramOf(3) }),
  dbinittime: stored({ start: START }),
  startup_snap_load_time: stored({ start: START }),
  startup_txns_load_time: stored({ start: START }),
  startup_txns_loaded: stored({ start: START }),
  node_created_watch_count: watchAnd(create('/w/new')),
  node_deleted_watch_count: watchAnd({ op: OP.delete, path: '/w', version: -1 }),
  node_changed_watch_count: watchAnd(setData('/w', 'x')),
  node_children_watch_count: watchAnd(create('/w/new')),
}

const LIMITS = { limits: { connectionsPerIpMax: 3, outstandingMax: 2 } }

describe("metrics under ZooKeeper's names", () => {
  it.each(SERVER_FIGURES.map(({ name }) => name))('%s moves', async (name) => {
    const scene = await Scene.start(LIMITS)
    // Something has happened already.
    late(50)(scene)
    const before = await scene.value(name)
    DRIVES[name]?.(scene)
    const after = await scene.value(name)
    expect(after).not.toBe(before)
  })

  it.each(SERVER_SUMMARIES.map(({ name, quantiles }) => [name, quantiles] as const))(
    '%s moves',
    async (name, quantiles) => {
      const scene = await Scene.start(LIMITS)
      const before = [await scene.value(`${name}_count`), await scene.value(`${name}_sum`)]
      DRIVES[name]?.(scene)
      expect(await scene.value(`${name}_count`)).toBeGreaterThan(before[0] as number)
      for (const quantile of quantiles)
        expect(await scene.value(`${name}{quantile="${quantile}"}`)).toBeGreaterThanOrEqual(0)
      if (!name.endsWith('latency') && name !== 'election_time')
        expect(await scene.value(`${name}_sum`)).toBeGreaterThan(before[1] as number)
    },
  )

  it('are not there while there is no server, but for those of the process', async () => {
    const registry = new Registry()
    registerZooKeeperMetrics(registry, () => undefined)
    const lines = (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    expect(lines.filter((line) => !line.startsWith('jvm_'))).toEqual([])
  })

  it('are those that dashboard 10465 and the alert rules of ZooKeeper read', async () => {
    const shown = new Set([...SERVER_FIGURES, ...SERVER_SUMMARIES].map(({ name }) => name))
    const read =
      'znode_count num_alive_connections approximate_data_size watch_count open_file_descriptor_count election_time fsynctime snapshottime avg_latency'
    expect(read.split(' ').filter((name) => !shown.has(name))).toEqual([])
  })
})

/** All that a ZooKeeper 3.9.5 registers. */
const OF_ZOOKEEPER = `
  approximate_data_size auth_failed_count avg_latency connection_drop_probability ephemerals_count global_sessions
  last_client_response_size last_proposal_size leader_uptime learners local_sessions max_client_response_size
  max_file_descriptor_count max_latency max_proposal_size min_client_response_size min_latency min_proposal_size
  non_mtls_local_conn_count non_mtls_remote_conn_count num_alive_connections open_file_descriptor_count outstanding_requests
  outstanding_tls_handshake packets_received packets_sent pending_syncs quorum_size synced_followers
  synced_non_voting_followers synced_observers uptime watch_count znode_count quota_count_limit_per_namespace
  quota_bytes_limit_per_namespace quota_count_usage_per_namespace quota_bytes_usage_per_namespace
  quota_exceeded_error_per_namespace

  add_dead_watcher_stall_time bytes_received_count cnxn_closed_without_zk_server_running commit_count connection_drop_count
  connection_rejected connection_request_count connection_revalidate_count dead_watchers_cleared dead_watchers_queued
  diff_count digest_mismatches_count ensemble_auth_fail ensemble_auth_skip ensemble_auth_success insecure_admin_count
  large_requests_rejected learner_commit_received_count learner_proposal_received_count looking_count
  outstanding_changes_queued outstanding_changes_removed prep_processor_request_queued proposal_count
  quit_leading_due_to_disloyal_voter request_commit_queued request_throttle_wait_count
  requests_not_forwarded_to_commit_processor response_bytes response_packet_cache_hits response_packet_cache_misses
  response_packet_get_children_cache_hits response_packet_get_children_cache_misses restore_error_count
  restore_rate_limited_count revalidate_count sessionless_connections_expired skip_learner_request_to_next_processor_count
  snap_count snapshot_error_count snapshot_rate_limited_count stale_replies stale_requests stale_requests_dropped
  stale_sessions_expired sync_processor_request_queued throttled_ops tls_handshake_exceeded unrecoverable_error_count
  unsuccessful_handshake watch_bytes

  close_session_prep_time commit_commit_proc_req_queued commit_process_time commit_propagation_latency
  concurrent_request_processing_in_commit_processor connection_token_deficit dbinittime dead_watchers_cleaner_latency
  election_time follower_sync_time fsynctime inflight_diff_count inflight_snap_count jvm_pause_time_ms leader_unavailable_time
  learner_request_processor_queue_size local_write_committed_time_ms netty_queued_buffer_capacity node_changed_watch_count
  node_children_watch_count node_created_watch_count node_deleted_watch_count observer_sync_time om_commit_process_time_ms
  om_proposal_process_time_ms pending_session_queue_size prep_process_time prep_processor_queue_size
  prep_processor_queue_time_ms propagation_latency proposal_ack_creation_latency proposal_latency proposal_process_time
  quorum_ack_latency read_commit_proc_issued read_commit_proc_req_queued read_commitproc_time_ms read_final_proc_time_ms
  readlatency reads_after_write_in_session_queue reads_issued_from_session_queue request_throttle_queue_time_ms
  requests_in_session_queue restore_time server_write_committed_time_ms session_queues_drained snapshottime
  socket_closing_time startup_snap_load_time startup_txns_load_time startup_txns_loaded sync_process_time
  sync_processor_batch_size sync_processor_queue_and_flush_time_ms sync_processor_queue_flush_time_ms
  sync_processor_queue_size sync_processor_queue_time_ms time_waiting_empty_pool_in_commit_processor_read_ms unavailable_time
  updatelatency write_batch_time_in_commit_processor write_commit_proc_issued write_commit_proc_req_queued
  write_commitproc_time_ms write_final_proc_time_ms ack_latency learner_handler_qp_size learner_handler_qp_time_ms
  read_per_namespace write_per_namespace
`

describe('docs/zookeeper-metrics.md', () => {
  const page = readFileSync(new URL('../../docs/zookeeper-metrics.md', import.meta.url), 'utf8')
  const [shown, absent] = page
    .split('## Not shown')
    .map((part) => [...part.matchAll(/`([a-z0-9_]+)`/g)].map((match) => match[1]))

  it("names each of ZooKeeper's metrics once: as shown, or with the reason why not", () => {
    const all = OF_ZOOKEEPER.trim().split(/\s+/)
    expect(all.filter((name) => !shown?.includes(name) && !absent?.includes(name))).toEqual([])
    const exported = [...SERVER_FIGURES, ...SERVER_SUMMARIES].map(({ name }) => name)
    expect(exported.filter((name) => !all.includes(name))).toEqual([])
    expect(exported.filter((name) => absent?.includes(name))).toEqual([])
  })
})
