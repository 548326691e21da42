// Counters of one ZooKeeper protocol server, and of each connection. Plain numbers: node/ turns them into metrics, the
// four-letter words print them.

import { type ClientLimitName, DEFAULT_CLIENT_LIMITS } from './server-options.ts'

/** Smallest, largest and mean of request latencies, in milliseconds. */
export class LatencyStats {
  count = 0
  totalMs = 0
  minMs = 0
  maxMs = 0

  record(latencyMs: number): void {
    if (this.count === 0 || latencyMs < this.minMs) this.minMs = latencyMs
    if (latencyMs > this.maxMs) this.maxMs = latencyMs
    this.count++
    this.totalMs += latencyMs
  }

  get averageMs(): number {
    return this.count === 0 ? 0 : this.totalMs / this.count
  }
}

/** Why a connection was closed; label values of a metric. */
export const CLOSE_REASONS = [
  'client',
  'limit',
  'bad-frame',
  'handshake-timeout',
  'session-ended',
  'session-closed',
  'session-refused',
  'client-zxid-ahead',
  'unimplemented',
  'auth-failed',
  'database',
  'internal',
  'four-letter-word',
  'shutdown',
] as const

export type CloseReason = (typeof CLOSE_REASONS)[number]

/** Counts since the start of the server. */
export class ServerStats {
  readonly latency = new LatencyStats()
  packetsReceived = 0
  packetsSent = 0
  bytesReceived = 0
  bytesSent = 0
  connectionsAccepted = 0
  requestsFailed = 0
  slowRequests = 0
  watchEvents = 0
  authFailures = 0
  /** How often each limit was met. */
  readonly limitsHit = zeros(Object.keys(DEFAULT_CLIENT_LIMITS) as ClientLimitName[])
  /** Connections closed, by reason. */
  readonly closes = zeros(CLOSE_REASONS)

  limitHit(name: ClientLimitName): void {
    this.limitsHit[name]++
  }

  closed(reason: CloseReason): void {
    this.closes[reason]++
  }
}

function zeros<K extends string>(names: readonly K[]): Record<K, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<K, number>
}
