// ZooKeeper's four-letter words: plain text answers for operators and monitoring, on the client port.

import type { ClientConnection } from './client-connection.ts'
import { type FourLetterWord, fourLetterWord, TELNET_CLOSE } from './codec/handshake.ts'
import { sessionHex } from './codec/session-id.ts'
import type { ServerContext } from './zookeeper-server.ts'

/** The version that clients and dashboards are told: the ZooKeeper whose behaviour this server has. */
export const ZOOKEEPER_VERSION = '3.9.5'

type Answer = (server: ServerContext) => string

const ANSWERS: Partial<Record<FourLetterWord, Answer>> = {
  ruok: () => 'imok',
  isro: () => 'rw',
  srvr: (server) => `${versionLines(server)}${summary(server)}`,
  stat: (server) => `${versionLines(server)}Clients:\n${clients(server, briefly)}\n${summary(server)}`,
  cons: (server) => `${clients(server, inFull)}\n`,
  mntr: (server) => monitor(server),
  conf: (server) => configuration(server),
  envi: (server) => environment(server),
}

/** The answer to the word that these first four bytes of a connection are, or undefined if they are none. */
export function answerFourLetterWord(firstInt32: number, server: ServerContext): string | undefined {
  if (firstInt32 === TELNET_CLOSE) return ''
  const word = fourLetterWord(firstInt32)
  if (word === undefined) return undefined
  const answer = ANSWERS[word]
  return answer === undefined ? `${word} is not executed because it is not in the whitelist.\n` : answer(server)
}

function versionLines(server: ServerContext): string {
  return `Zookeeper version: ${ZOOKEEPER_VERSION}\nDelos version: ${server.options.productVersion}\n`
}

function summary(server: ServerContext): string {
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
    '',
  ].join('\n')
}

function latency(stats: { minMs: number; averageMs: number; maxMs: number }): string {
  return `${Math.round(stats.minMs)}/${decimal(stats.averageMs)}/${Math.round(stats.maxMs)}`
}

/** ZooKeeper prints at least one and at most four decimals. */
function decimal(value: number): string {
  const rounded = Math.round(value * 10_000) / 10_000
  return Number.isInteger(rounded) ? rounded.toFixed(1) : String(rounded)
}

function clients(server: ServerContext, describe: (client: ClientConnection, server: ServerContext) => string): string {
  return [...server.connections].map((client) => `${describe(client, server)}\n`).join('')
}

function briefly(client: ClientConnection): string {
  const { remoteAddress, remotePort } = client.connection
  const counts = `queued=${client.outstanding},recved=${client.packetsReceived},sent=${client.packetsSent}`
  return ` /${remoteAddress}:${remotePort}[${client.hasSession ? 1 : 0}](${counts})`
}

function inFull(client: ClientConnection, server: ServerContext): string {
  const { session } = client
  if (session === undefined) return briefly(client)
  const established = Math.round(server.runtime.clock.wallMs() - (server.nowMs() - client.acceptedMs))
  const fields = [
    `sid=${sessionHex(session.id)}`,
    `lop=${client.lastOperation.toUpperCase().slice(0, 4)}`,
    `est=${established}`,
    `to=${session.timeoutMs}`,
    `lcxid=0x${(client.lastXid >>> 0).toString(16)}`,
    `lzxid=0x${client.lastZxid.toString(16)}`,
    `minlat=${Math.round(client.latency.minMs)}`,
    `avglat=${Math.round(client.latency.averageMs)}`,
    `maxlat=${Math.round(client.latency.maxMs)}`,
  ]
  return `${briefly(client).slice(0, -1)},${fields.join(',')})`
}

function monitor(server: ServerContext): string {
  const { stats, zelos } = server
  const database = zelos.stats
  const rows: [string, string | number][] = [
    ['zk_version', `${ZOOKEEPER_VERSION}, delos ${server.options.productVersion}`],
    ['zk_server_state', 'standalone'],
    ['zk_min_latency', Math.round(stats.latency.minMs)],
    ['zk_avg_latency', decimal(stats.latency.averageMs)],
    ['zk_max_latency', Math.round(stats.latency.maxMs)],
    ['zk_packets_received', stats.packetsReceived],
    ['zk_packets_sent', stats.packetsSent],
    ['zk_num_alive_connections', server.connections.size],
    ['zk_outstanding_requests', server.outstanding],
    ['zk_znode_count', database.nodeCount],
    ['zk_watch_count', database.watchCount],
    ['zk_ephemerals_count', database.ephemeralCount],
    ['zk_approximate_data_size', database.approximateDataBytes],
    ['zk_global_sessions', database.sessionCount],
  ]
  return rows.map(([key, value]) => `${key}\t${value}\n`).join('')
}

function configuration(server: ServerContext): string {
  const { options } = server
  const [minMs, maxMs] = server.timeoutRange
  return [
    `clientPort=${server.boundPort}`,
    `dataDir=${options.dataDir}`,
    `tickTime=${options.tickMs}`,
    `maxClientCnxns=${server.limits.connectionsPerIpMax}`,
    `maxCnxns=${server.limits.connectionsMax}`,
    `minSessionTimeout=${minMs}`,
    `maxSessionTimeout=${maxMs}`,
    'serverId=0',
    '',
  ].join('\n')
}

function environment(server: ServerContext): string {
  const rows: (readonly [string, string])[] = [
    ['zookeeper.version', ZOOKEEPER_VERSION],
    ['delos.version', server.options.productVersion],
    ...(server.options.environment ?? []),
  ]
  return `Environment:\n${rows.map(([name, value]) => `${name}=${value}\n`).join('')}`
}
