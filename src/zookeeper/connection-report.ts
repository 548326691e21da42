// One client connection as operators see it: as a line of `cons` and `stat`, and as an object of the AdminServer.

import { opName } from './codec/opcodes.ts'
import { sessionHex, wireSessionId } from './codec/session-id.ts'
import { addressOf } from './operator-reports.ts'
import { type ConnectionView, LAST_OP, type ServerView } from './server-view.ts'

/** The digit behind the address is what the server waits for: 1 = requests. */
export function connectionLine(client: ConnectionView, server: ServerView, brief: boolean): string {
  const counts = `queued=${client.outstanding},recved=${client.packetsReceived},sent=${client.packetsSent}`
  const full = brief ? [] : sessionFields(client, server)
  return `/${addressOf(client.connection)}[${interest(client)}](${[counts, ...full].join(',')})`
}

function sessionFields(client: ConnectionView, server: ServerView): string[] {
  const { session, latency } = client
  if (session === undefined) return []
  return [
    `sid=${sessionHex(session.id)}`,
    `lop=${lastOperation(client)}`,
    `est=${establishedMs(client, server)}`,
    `to=${session.timeoutMs}`,
    ...(client.lastXid < 0 ? [] : [`lcxid=0x${client.lastXid.toString(16)}`]),
    `lzxid=0x${BigInt.asUintN(64, BigInt(client.lastZxid)).toString(16)}`,
    `lresp=${Math.round(client.lastReplyMs)}`,
    `llat=${Math.round(client.lastLatencyMs)}`,
    `minlat=${Math.round(latency.minMs)}`,
    `avglat=${Math.round(latency.averageMs)}`,
    `maxlat=${Math.round(latency.maxMs)}`,
  ]
}

/** With ZooKeeper's names. */
export function connectionObject(
  client: ConnectionView,
  server: ServerView,
  brief: boolean,
): Record<string, string | number | bigint> {
  const counts = {
    remote_socket_address: addressOf(client.connection),
    interest_ops: interest(client),
    outstanding_requests: client.outstanding,
    packets_received: client.packetsReceived,
    packets_sent: client.packetsSent,
  }
  if (brief) return counts
  const { session, latency } = client
  return {
    ...counts,
    session_id: session === undefined ? 0 : wireSessionId(session.id),
    last_operation: lastOperation(client),
    established: establishedMs(client, server),
    session_timeout: session?.timeoutMs ?? 0,
    last_cxid: client.lastXid,
    last_zxid: client.lastZxid,
    last_response_time: Math.round(client.lastReplyMs),
    last_latency: Math.round(client.lastLatencyMs),
    min_latency: Math.round(latency.minMs),
    avg_latency: Math.round(latency.averageMs),
    max_latency: Math.round(latency.maxMs),
  }
}

function interest({ hasSession }: ConnectionView): number {
  return hasSession ? 1 : 0
}

function lastOperation({ lastOp }: ConnectionView): string {
  if (lastOp === LAST_OP.reset) return 'NA'
  return lastOp === LAST_OP.onlySession ? 'SESS' : opName(lastOp).toUpperCase().slice(0, 4)
}

function establishedMs({ acceptedMs }: ConnectionView, server: ServerView): number {
  return Math.round(server.wallMs() - (server.nowMs() - acceptedMs))
}
