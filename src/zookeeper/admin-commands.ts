// The commands of ZooKeeper's AdminServer, with its names, aliases and keys: what to answer to each. How they come in is the
// HTTP server's; whoever may connect may ask, except for what would replace or hand out the data.

import type { AdminJson, AdminObject } from './admin-json.ts'
import { wireSessionId } from './codec/session-id.ts'
import { connectionObject } from './connection-report.ts'
import { environmentRows } from './four-letter-words.ts'
import { JavaDouble } from './java-double.ts'
import { monitorRows } from './monitor-rows.ts'
import {
  ephemeralsBySession,
  type Grouped,
  REPORT_LINES_MAX,
  sessionExpiries,
  watchedPaths,
  watchingSessions,
  watchSummary,
} from './operator-reports.ts'
import { LISTEN_BACKLOG, ZOOKEEPER_VERSION } from './server-options.ts'
import type { ServerView } from './server-view.ts'

export interface AdminRequest {
  /** As in the address: `connections`, or an alias. */
  readonly name: string
  readonly method: 'GET' | 'POST'
  readonly query: Readonly<Record<string, string>>
  /** The header of that name. */
  readonly authorization: string | undefined
  /** Of the client. */
  readonly address: string
}

export interface AdminAnswer {
  readonly status: number
  readonly body: AdminObject
}

/** Whoever wants data or to replace it asks no more often. */
const TRANSFER_INTERVAL_MS = 300_000

const NOT_SERVING = 'This ZooKeeper instance is not currently serving requests'

type Run = (server: ServerView, query: AdminRequest['query']) => AdminObject

interface Command {
  readonly names: readonly [primary: string, ...aliases: string[]]
  readonly run: Run
}

const COMMANDS: readonly Command[] = [
  { names: ['connection_stat_reset', 'crst'], run: resetConnections },
  { names: ['configuration', 'conf', 'config'], run: configuration },
  { names: ['connections', 'cons'], run: (server) => connections(server, false) },
  { names: ['hash'], run: () => ({ digests: [] }) },
  { names: ['dirs'], run: directories },
  { names: ['dump'], run: dump },
  { names: ['environment', 'env', 'envi'], run: (server) => Object.fromEntries(environmentRows(server)) },
  { names: ['get_trace_mask', 'gtmk'], run: ({ traceMask }) => ({ tracemask: traceMask }) },
  { names: ['set_trace_mask', 'stmk'], run: setTraceMask },
  { names: ['initial_configuration', 'icfg'], run: initialConfiguration },
  { names: ['is_read_only', 'isro'], run: ({ readOnly }) => ({ read_only: readOnly }) },
  // No snapshot is ever made: what is durable is the log, and a store that follows it.
  { names: ['last_snapshot', 'lsnp'], run: () => ({ zxid: 'ffffffffffffffff', timestamp: -1 }) },
  { names: ['leader', 'lead'], run: () => ({ error: 'server is not initialized' }) },
  { names: ['monitor', 'mntr'], run: (server) => Object.fromEntries(monitorRows(server)) },
  { names: ['observer_connection_stat_reset', 'orst'], run: () => ({}) },
  { names: ['observers', 'obsr'], run: () => ({ synced_observers: 0, observers: [] }) },
  { names: ['ruok'], run: () => ({}) },
  { names: ['server_stats', 'srvr'], run: serverStats },
  { names: ['stats', 'stat'], run: (server) => ({ ...serverStats(server), ...connections(server, true) }) },
  { names: ['stat_reset', 'srst'], run: resetServer },
  { names: ['system_properties', 'sysp'], run: systemProperties },
  { names: ['voting_view'], run: () => ({ current_config: {} }) },
  { names: ['watches', 'wchc'], run: watches },
  { names: ['watches_by_path', 'wchp'], run: watchesByPath },
  { names: ['watch_summary', 'wchs'], run: summary },
  { names: ['zabstate'], run: () => ({ voting: false, zabstate: '' }) },
]

/** Commands that ask for permission on the whole tree, and how often they were tried. */
const TRANSFERS = {
  snapshot: { names: ['snapshot', 'snap'], method: 'GET', errors: 'snapshotErrors', limited: 'snapshotsLimited' },
  restore: { names: ['restore', 'rest'], method: 'POST', errors: 'restoreErrors', limited: 'restoresLimited' },
} as const

type Transfer = keyof typeof TRANSFERS

const BY_NAME: ReadonlyMap<string, Command> = new Map(
  COMMANDS.flatMap((command) => command.names.map((name) => [name, command] as const)),
)

const TRANSFER_BY_NAME: ReadonlyMap<string, Transfer> = new Map(
  (Object.keys(TRANSFERS) as Transfer[]).flatMap((transfer) =>
    TRANSFERS[transfer].names.map((name) => [name, transfer] as const),
  ),
)

/** As the start page lists them. */
export const ADMIN_COMMAND_NAMES: readonly string[] = [
  ...COMMANDS.map(({ names }) => names[0]),
  ...Object.keys(TRANSFERS),
].sort()

export interface AdminCommandsOptions {
  /** The protocol server while it serves. */
  readonly server: () => ServerView | undefined
  /** Tells the operator; `fields` name who and why. */
  readonly warn: (fields: object, message: string) => void
}

export class AdminCommands {
  private readonly options: AdminCommandsOptions
  private readonly lastMs = new Map<Transfer, number>()

  constructor(options: AdminCommandsOptions) {
    this.options = options
  }

  run(request: AdminRequest): AdminAnswer {
    const { name, method, query } = request
    const transfer = TRANSFER_BY_NAME.get(name)
    const command = BY_NAME.get(name)
    if (command === undefined && transfer === undefined) return failure(200, name, `Unknown command: ${name}`)
    const allowed = transfer === undefined ? 'GET' : TRANSFERS[transfer].method
    if (method !== allowed) return failure(405, name, `This command is asked for by ${allowed}`)
    const server = this.options.server()
    if (server === undefined) return failure(200, name, NOT_SERVING)
    if (transfer !== undefined) return this.transfer(transfer, request, server)
    const [primary] = (command as Command).names
    const result = (command as Command).run(server, query)
    // An error of a command stands where the command put it.
    return { status: 200, body: { ...result, command: primary, ...('error' in result ? {} : { error: null }) } }
  }

  /** Delos can't offer either; whoever asks must prove all the same that they might. */
  private transfer(transfer: Transfer, request: AdminRequest, server: ServerView): AdminAnswer {
    const { errors, limited } = TRANSFERS[transfer]
    const refused = this.refusal(request, server)
    if (refused !== undefined) return refused
    const now = server.nowMs()
    if (now - (this.lastMs.get(transfer) ?? Number.NEGATIVE_INFINITY) < TRANSFER_INTERVAL_MS) {
      server.stats[limited]++
      return failure(429, transfer, `Asked for again within ${TRANSFER_INTERVAL_MS / 1000} s`)
    }
    this.lastMs.set(transfer, now)
    server.stats[errors]++
    return failure(
      503,
      transfer,
      "Delos neither writes nor reads ZooKeeper's snapshots: to move data, copy the data directory of a stopped server, or the nodes by a client",
    )
  }

  /** As ZooKeeper: `Authorization: digest user:password`, and every permission on the root. */
  private refusal({ name, authorization, address }: AdminRequest, server: ServerView): AdminAnswer | undefined {
    if (authorization === undefined) return failure(401, name, 'Auth info is missing for the command')
    const [scheme = '', credential = '', ...rest] = authorization.split(' ')
    const identities = rest.length > 0 ? undefined : server.identify(scheme, Buffer.from(credential))
    if (identities === undefined || (scheme === 'digest' && credential === '')) {
      server.stats.authFailures++
      this.options.warn({ client: address, command: name, scheme: scheme.slice(0, 64) }, 'authentication failed')
      return failure(401, name, 'Not authenticated')
    }
    const requester = { session: 0, ownerEpoch: 0, address, identities }
    if (server.zelos.inspection.mayDoAll(requester, '/')) return undefined
    this.options.warn({ client: address, command: name }, 'an admin command needs every permission on /')
    return failure(403, name, 'Not authorized')
  }
}

function failure(status: number, command: string, error: string): AdminAnswer {
  return { status, body: { command, error } }
}

// ── commands ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function resetConnections(server: ServerView): AdminObject {
  for (const client of server.connections) client.resetStats()
  return {}
}

function resetServer({ stats }: ServerView): AdminObject {
  stats.reset()
  return {}
}

function configuration(server: ServerView): AdminObject {
  const { options, limits, timeoutRange } = server
  return {
    client_port: server.boundPort,
    data_dir: options.dataDir,
    data_log_dir: options.dataDir,
    tick_time: options.tickMs,
    max_client_cnxns: limits.connectionsPerIpMax,
    min_session_timeout: timeoutRange[0],
    max_session_timeout: timeoutRange[1],
    server_id: 0,
    client_port_listen_backlog: LISTEN_BACKLOG,
  }
}

function connections(server: ServerView, brief: boolean): AdminObject {
  const all = [...server.connections]
  const shown = (secure: boolean): AdminObject[] =>
    all.filter((client) => server.isSecure(client) === secure).map((client) => connectionObject(client, server, brief))
  return { connections: shown(false), secure_connections: shown(true) }
}

function directories({ options }: ServerView): AdminObject {
  const { storeBytes = 0, logBytes = 0 } = options.storage?.() ?? {}
  return { datadir_size: storeBytes, logdir_size: logBytes }
}

function dump(server: ServerView): AdminObject {
  const expiries = sessionExpiries(server)
  const ephemerals = ephemeralsBySession(server)
  return {
    expiry_time_to_session_ids: object(expiries, String, wireSessionId),
    session_id_to_ephemeral_paths: object(ephemerals, idText, asItIs),
    ...cut(expiries.cut || ephemerals.cut),
  }
}

function watches(server: ServerView): AdminObject {
  const found = watchedPaths(server)
  return { session_id_to_watched_paths: object(found, idText, asItIs), ...cut(found.cut) }
}

function watchesByPath(server: ServerView): AdminObject {
  const found = watchingSessions(server)
  return { path_to_session_ids: object(found, asItIs, wireSessionId), ...cut(found.cut) }
}

function summary(server: ServerView): AdminObject {
  const { connections, paths, watches: all } = watchSummary(server)
  return { num_connections: connections, num_paths: paths, num_total_watches: all }
}

function setTraceMask(server: ServerView, { traceMask }: AdminRequest['query']): AdminObject {
  const needed = 'setTraceMask requires long traceMask argument'
  if (traceMask === undefined) return { error: needed }
  if (!/^[+-]?\d{1,19}$/.test(traceMask)) return { error: `${needed}, got ${traceMask}` }
  const mask = BigInt(traceMask.replace('+', ''))
  if (BigInt.asIntN(64, mask) !== mask) return { error: `${needed}, got ${traceMask}` }
  server.traceMask = mask
  return { tracemask: mask }
}

// ZooKeeper shows its file with the secrets that are in it.
function initialConfiguration({ options }: ServerView): AdminObject {
  const text = options.initialConfiguration ?? ''
  return { initial_configuration: text.replace(/^([^\n=:]*(?:password|secret|digest)[^\n=:]*[=:]).*$/gim, '$1***') }
}

function systemProperties(server: ServerView): AdminObject {
  return Object.fromEntries(environmentRows(server).toSorted(([one], [other]) => (one < other ? -1 : 1)))
}

function serverStats(server: ServerView): AdminObject {
  const { stats, options, zelos } = server
  const { storeBytes = 0, logBytes = 0 } = options.storage?.() ?? {}
  const { last, min, max } = stats.responses
  const responses = { last_buffer_size: last, min_buffer_size: min, max_buffer_size: max }
  return {
    version: ZOOKEEPER_VERSION,
    read_only: server.readOnly,
    server_stats: {
      packets_sent: stats.shownPacketsSent,
      packets_received: stats.shownPacketsReceived,
      fsync_threshold_exceed_count: 0,
      client_response_stats: responses,
      data_dir_size: storeBytes,
      log_dir_size: logBytes,
      provider_null: false,
      server_state: server.readOnly ? 'read-only' : 'standalone',
      last_processed_zxid: zelos.lastZxid,
      outstanding_requests: server.outstanding,
      avg_latency: new JavaDouble(stats.latency.averageMs),
      max_latency: Math.round(stats.latency.maxMs),
      min_latency: Math.round(stats.latency.minMs),
      num_alive_client_connections: server.connections.size,
      uptime: Math.round(server.nowMs() - server.startedMs),
      auth_failed_count: stats.authFailures,
      non_mtlsremote_conn_count: 0,
      non_mtlslocal_conn_count: 0,
    },
    client_response: responses,
    node_count: zelos.stats.nodeCount,
  }
}

// ── grouped answers ─────────────────────────────────────────────────────────────────────────────────────────────────────

function object<K, V>({ groups }: Grouped<K, V>, key: (key: K) => string, show: (value: V) => AdminJson): AdminObject {
  return Object.fromEntries([...groups].map(([group, values]) => [key(group), values.map(show)]))
}

function cut(isCut: boolean): AdminObject {
  return isCut ? { cut_after: REPORT_LINES_MAX } : {}
}

function idText(session: number): string {
  return String(wireSessionId(session))
}

function asItIs(text: string): string {
  return text
}
