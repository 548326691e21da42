// Counters of one ZooKeeper protocol server, and of each connection. Plain numbers: node/ turns them into metrics, the
// four-letter words print them.

import { LatencyHistogram } from '../base/latency-histogram.ts'
import { isUpdate } from './codec/opcodes.ts'
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

  reset(): void {
    this.count = 0
    this.totalMs = 0
    this.minMs = 0
    this.maxMs = 0
  }

  get averageMs(): number {
    return this.count === 0 ? 0 : this.totalMs / this.count
  }
}

/** Bytes of replies; -1 where there is none yet. */
export class ResponseSizes {
  bytes = 0
  last = -1
  min = -1
  max = -1

  record(bytes: number): void {
    this.bytes += bytes
    this.last = bytes
    if (bytes > this.max) this.max = bytes
    if (bytes < this.min || this.min === -1) this.min = bytes
  }

  /** All but their sum, which only grows. */
  reset(): void {
    this.last = -1
    this.min = -1
    this.max = -1
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

/** Counts since the start of the server; what operators may reset says so. */
export class ServerStats {
  /** Resettable. */
  readonly latency = new LatencyStats()
  readonly readTimes = new LatencyHistogram()
  readonly updateTimes = new LatencyHistogram()
  readonly responses = new ResponseSizes()
  packetsReceived = 0
  packetsSent = 0
  bytesReceived = 0
  bytesSent = 0
  connectionsAccepted = 0
  requestsFailed = 0
  slowRequests = 0
  /** Replies longer than what clients take unless they are told to take more. */
  oversizeReplies = 0
  watchEvents = 0
  watchBytes = 0
  authFailures = 0
  adminConnections = 0
  snapshotErrors = 0
  snapshotsLimited = 0
  restoreErrors = 0
  restoresLimited = 0
  private receivedAtReset = 0
  private sentAtReset = 0
  /** How often each limit was met. */
  readonly limitsHit = zeros(Object.keys(DEFAULT_CLIENT_LIMITS) as ClientLimitName[])
  /** Connections closed, by reason. */
  readonly closes = zeros(CLOSE_REASONS)

  /** Since the last reset. */
  get shownPacketsReceived(): number {
    return this.packetsReceived - this.receivedAtReset
  }

  get shownPacketsSent(): number {
    return this.packetsSent - this.sentAtReset
  }

  adminConnected(): void {
    this.adminConnections++
  }

  /** What ZooKeeper resets by `srst`. Everything else only grows, as counters of a monitoring system must. */
  reset(): void {
    this.latency.reset()
    this.responses.reset()
    this.receivedAtReset = this.packetsReceived
    this.sentAtReset = this.packetsSent
  }

  /** A reply of so many bytes was written. */
  answered(op: number, err: number, latencyMs: number, bytes: number): void {
    this.packetsSent++
    if (err !== 0) this.requestsFailed++
    this.latency.record(latencyMs)
    if (isUpdate(op)) this.updateTimes.record(latencyMs)
    else this.readTimes.record(latencyMs)
    this.responses.record(bytes)
  }

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
