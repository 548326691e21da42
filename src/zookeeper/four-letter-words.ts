// ZooKeeper's four-letter words: plain text answers for operators and monitoring, on the client port. Line for line what
// ZooKeeper prints, since tools parse it; lines of our own stand where those tools do not look: last, or with a name of
// their own.

import type { Connection } from '../runtime/network.ts'
import type { SessionRecord } from '../zelos/requests.ts'
import type { Zelos } from '../zelos/zelos.ts'
import type { Zxid } from '../zelos/znode.ts'
import { type FourLetterWord, fourLetterWord, TELNET_CLOSE } from './codec/handshake.ts'
import { opName } from './codec/opcodes.ts'
import { sessionHex } from './codec/session-id.ts'
import { type ClientLimits, ZOOKEEPER_VERSION, type ZooKeeperServerOptions } from './server-options.ts'
import type { LatencyStats, ServerStats } from './server-stats.ts'

/** A connection, as these words show it. */
export interface ConnectionView {
  readonly connection: Pick<Connection, 'remoteAddress' | 'remotePort'>
  readonly hasSession: boolean
  readonly session: SessionRecord | undefined
  readonly outstanding: number
  readonly packetsReceived: number
  readonly packetsSent: number
  readonly acceptedMs: number
  readonly lastOp: number
  readonly lastXid: number
  readonly lastZxid: Zxid
  readonly lastReplyMs: number
  readonly lastLatencyMs: number
  readonly latency: LatencyStats
}

/** A server, as these words show it. */
export interface ServerView {
  readonly zelos: Pick<Zelos, 'lastZxid' | 'stats'>
  readonly stats: ServerStats
  readonly options: ZooKeeperServerOptions
  readonly limits: ClientLimits
  readonly timeoutRange: readonly [minMs: number, maxMs: number]
  readonly boundPort: number
  readonly connections: ReadonlySet<ConnectionView>
  readonly outstanding: number
  readonly startedMs: number
  nowMs(): number
  wallMs(): number
}

type Answer = (server: ServerView) => string

const ANSWERS: Partial<Record<FourLetterWord, Answer>> = {
  ruok: () => 'imok',
  isro: () => 'rw',
  srvr: (server) => `${zookeeperVersion()}${summary(server)}`,
  stat: (server) => `${zookeeperVersion()}Clients:\n${clients(server, briefly)}\n${summary(server)}`,
  cons: (server) => `${clients(server, inFull)}\n`,
  mntr: (server) => monitor(server),
  conf: (server) => configuration(server),
  envi: (server) => environment(server),
}

/** The answer to the word that these first four bytes of a connection are, or undefined if they are none. */
export function answerFourLetterWord(firstInt32: number, server: ServerView): string | undefined {
  if (firstInt32 === TELNET_CLOSE) return ''
  const word = fourLetterWord(firstInt32)
  if (word === undefined) return undefined
  const answer = ANSWERS[word]
  return answer === undefined ? `${word} is not executed because it is not in the whitelist.\n` : answer(server)
}

function zookeeperVersion(): string {
  return `Zookeeper version: ${ZOOKEEPER_VERSION}\n`
}

function summary(server: ServerView): string {
  const { stats, zelos } = server
  return [
    `Latency min/avg/max: ${latency(stats.latency)}`,
    `Received: ${stats.packetsReceived}`,
    `Sent: ${stats.packetsSent}`,
    `Connections: ${server.connections.size}`,
    `Outstanding: ${server.outstanding}`,
    `Zxid: 0x${zelos.lastZxid.toString(16)}`,
    'Mode: standalone',
    `Node count: ${zelos.stats.nodeCount}`,
    `Delos version: ${server.options.productVersion}`,
    '',
  ].join('\n')
}

function latency(stats: LatencyStats): string {
  return `${Math.round(stats.minMs)}/${decimal(stats.averageMs)}/${Math.round(stats.maxMs)}`
}

/** ZooKeeper prints at least one and at most four decimals. */
function decimal(value: number): string {
  const rounded = Math.round(value * 10_000) / 10_000
  return Number.isInteger(rounded) ? rounded.toFixed(1) : String(rounded)
}

function clients(server: ServerView, describe: (client: ConnectionView, server: ServerView) => string): string {
  return [...server.connections].map((client) => ` ${describe(client, server)})\n`).join('')
}

/** Without the closing bracket. The digit behind the address is what the server waits for: 1 = requests. */
function briefly(client: ConnectionView): string {
  const { remoteAddress, remotePort } = client.connection
  const host = remoteAddress.includes(':') ? `[${remoteAddress}]` : remoteAddress
  const counts = `queued=${client.outstanding},recved=${client.packetsReceived},sent=${client.packetsSent}`
  return `/${host}:${remotePort}[${client.hasSession ? 1 : 0}](${counts}`
}

function inFull(client: ConnectionView, server: ServerView): string {
  const { session } = client
  if (session === undefined) return briefly(client)
  const established = Math.round(server.wallMs() - (server.nowMs() - client.acceptedMs))
  const fields = [
    `sid=${sessionHex(session.id)}`,
    `lop=${client.lastOp === -1 ? 'SESS' : opName(client.lastOp).toUpperCase().slice(0, 4)}`,
    `est=${established}`,
    `to=${session.timeoutMs}`,
    ...(client.lastXid < 0 ? [] : [`lcxid=0x${client.lastXid.toString(16)}`]),
    `lzxid=0x${client.lastZxid.toString(16)}`,
    `lresp=${Math.round(client.lastReplyMs)}`,
    `llat=${Math.round(client.lastLatencyMs)}`,
    `minlat=${Math.round(client.latency.minMs)}`,
    `avglat=${Math.round(client.latency.averageMs)}`,
    `maxlat=${Math.round(client.latency.maxMs)}`,
  ]
  return `${briefly(client)},${fields.join(',')}`
}

type Row = readonly [key: string, value: string | number]

function monitor(server: ServerView): string {
  const rows: Row[] = [
    ['version', ZOOKEEPER_VERSION],
    ['delos_version', server.options.productVersion],
    ['server_state', 'standalone'],
    ...traffic(server),
    ...contents(server),
    ...fileDescriptors(server),
    ['uptime', Math.round(server.nowMs() - server.startedMs)],
  ]
  return rows.map(([key, value]) => `zk_${key}\t${value}\n`).join('')
}

function traffic(server: ServerView): Row[] {
  const { stats } = server
  const { limitsHit } = stats
  return [
    ['min_latency', Math.round(stats.latency.minMs)],
    ['avg_latency', decimal(stats.latency.averageMs)],
    ['max_latency', Math.round(stats.latency.maxMs)],
    ['packets_received', stats.packetsReceived],
    ['packets_sent', stats.packetsSent],
    ['bytes_received_count', stats.bytesReceived],
    ['num_alive_connections', server.connections.size],
    ['outstanding_requests', server.outstanding],
    ['auth_failed_count', stats.authFailures],
    ['connection_request_count', stats.connectionsAccepted],
    ['connection_rejected', limitsHit.connectionsMax + limitsHit.connectionsPerIpMax],
    ['sessionless_connections_expired', limitsHit.handshakeMs],
    ['large_requests_rejected', limitsHit.frameBytesMax],
  ]
}

function contents(server: ServerView): Row[] {
  const { stats } = server.zelos
  return [
    ['znode_count', stats.nodeCount],
    ['watch_count', stats.watchCount],
    ['ephemerals_count', stats.ephemeralCount],
    ['approximate_data_size', stats.approximateDataBytes],
    ['global_sessions', stats.sessionCount],
    ['local_sessions', 0],
  ]
}

function fileDescriptors(server: ServerView): Row[] {
  const found = server.options.process?.fileDescriptors()
  if (found === undefined) return []
  return [
    ['open_file_descriptor_count', found.open],
    ['max_file_descriptor_count', found.max],
  ]
}

function configuration(server: ServerView): string {
  const { options } = server
  const [minMs, maxMs] = server.timeoutRange
  return [
    `clientPort=${server.boundPort}`,
    'secureClientPort=-1',
    `dataDir=${options.dataDir}`,
    `dataLogDir=${options.dataDir}`,
    `tickTime=${options.tickMs}`,
    `maxClientCnxns=${server.limits.connectionsPerIpMax}`,
    `minSessionTimeout=${minMs}`,
    `maxSessionTimeout=${maxMs}`,
    'serverId=0',
    `maxCnxns=${server.limits.connectionsMax}`,
    '',
  ].join('\n')
}

function environment(server: ServerView): string {
  const rows: (readonly [string, string])[] = [
    ['zookeeper.version', ZOOKEEPER_VERSION],
    ...(server.options.process?.environment ?? []),
    ['delos.version', server.options.productVersion],
  ]
  return `Environment:\n${rows.map(([name, value]) => `${name}=${value}\n`).join('')}`
}
