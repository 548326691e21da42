// Counters of one ZooKeeper protocol server, and of each connection. Plain numbers: node/ turns them into metrics, the
// four-letter words print them.

import type { ClientLimitName } from './server-options.ts'

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

/** Why a connection was closed by the server; label values of a metric. */
export type CloseReason =
  | 'client'
  | 'limit'
  | 'bad-frame'
  | 'handshake-timeout'
  | 'session-ended'
  | 'session-closed'
  | 'session-refused'
  | 'client-zxid-ahead'
  | 'unimplemented'
  | 'auth-failed'
  | 'database'
  | 'four-letter-word'
  | 'shutdown'

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
  readonly limitsHit: Partial<Record<ClientLimitName, number>> = {}
  readonly closes: Partial<Record<CloseReason, number>> = {}

  limitHit(name: ClientLimitName): void {
    this.limitsHit[name] = (this.limitsHit[name] ?? 0) + 1
  }

  closed(reason: CloseReason): void {
    this.closes[reason] = (this.closes[reason] ?? 0) + 1
  }
}
