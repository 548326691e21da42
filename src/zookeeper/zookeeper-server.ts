// A ZooKeeper protocol server in front of one Zelos database: listens, admits and counts connections, sends what they wrote
// once per tick, drains. Owns no data.

import type { Logger } from '../runtime/logger.ts'
import type { Connection, ConnectionEvents, Listener } from '../runtime/network.ts'
import type { Runtime, Timer } from '../runtime/runtime.ts'
import type { Zelos } from '../zelos/zelos.ts'
import { ClientConnection } from './client-connection.ts'
import {
  type BatchTimes,
  type ClientLimits,
  DEFAULT_CLIENT_LIMITS,
  type ZooKeeperServerOptions,
} from './server-options.ts'
import { type CloseReason, ServerStats } from './server-stats.ts'

/** What connections need of their server. */
export interface ServerContext {
  readonly runtime: Runtime
  readonly zelos: Zelos
  readonly logger: Logger
  readonly limits: ClientLimits
  readonly stats: ServerStats
  readonly options: ZooKeeperServerOptions
  /** Unsent bytes of a connection from which on it is not read. */
  readonly readPauseBytes: number
  readonly slowMs: number
  readonly connections: ReadonlySet<ClientConnection>
  readonly outstanding: number
  readonly timeoutRange: readonly [minMs: number, maxMs: number]
  readonly boundPort: number
  negotiateTimeout(askedMs: number): number
  nowMs(): number
  /** Sends at the end of this turn of the event loop. */
  flushSoon(client: ClientConnection): void
  /** Destroys a connection that was ended but whose peer does not go away. */
  closeLater(client: ClientConnection): void
  forget(client: ClientConnection): void
  logSlow(client: ClientConnection, operation: string, xid: number, arrivedMs: number, latencyMs: number): void
  resetStats(): void
}

/** Ended connections get this long to take what was written. */
const LINGER_MS = 5_000
const READ_PAUSE_BYTES = 4 * 1024 * 1024

export class ZooKeeperServer implements ServerContext {
  readonly runtime: Runtime
  readonly zelos: Zelos
  readonly logger: Logger
  readonly limits: ClientLimits
  readonly options: ZooKeeperServerOptions
  readonly slowMs: number
  readonly readPauseBytes: number
  readonly timeoutRange: readonly [minMs: number, maxMs: number]
  stats = new ServerStats()
  private readonly clients = new Set<ClientConnection>()
  private readonly perIp = new Map<string, number>()
  private readonly linger = new Map<ClientConnection, Timer>()
  private toFlush: ClientConnection[] = []
  private listener: Listener | undefined

  constructor(runtime: Runtime, zelos: Zelos, options: ZooKeeperServerOptions) {
    this.runtime = runtime
    this.zelos = zelos
    this.options = options
    this.logger = options.logger
    this.limits = { ...DEFAULT_CLIENT_LIMITS, ...options.limits }
    this.slowMs = options.slowMs > 0 ? options.slowMs : Number.POSITIVE_INFINITY
    this.readPauseBytes = Math.min(READ_PAUSE_BYTES, this.limits.unsentBytesMax / 2)
    const { tickMs } = options
    this.timeoutRange = [options.sessionTimeoutMinMs ?? 2 * tickMs, options.sessionTimeoutMaxMs ?? 20 * tickMs]
  }

  get connections(): ReadonlySet<ClientConnection> {
    return this.clients
  }

  get outstanding(): number {
    let sum = 0
    for (const client of this.clients) sum += client.outstanding
    return sum
  }

  get boundPort(): number {
    return this.listener?.port ?? this.options.port
  }

  /** Starts accepting. Rejects with IN_USE or INVALID_ARGUMENT. */
  async listen(): Promise<Listener> {
    const { host, port } = this.options
    this.listener = await this.runtime.network.listen({ host, port, backlog: 1024 }, (connection) =>
      this.accept(connection),
    )
    return this.listener
  }

  private accept(connection: Connection): ConnectionEvents {
    const client = new ClientConnection(this, connection)
    this.stats.connectionsAccepted++
    const { remoteAddress } = connection
    const ofIp = (this.perIp.get(remoteAddress) ?? 0) + 1
    this.perIp.set(remoteAddress, ofIp)
    this.clients.add(client)
    const { connectionsMax, connectionsPerIpMax } = this.limits
    if (this.clients.size > connectionsMax) this.refuse(client, 'connectionsMax', connectionsMax)
    else if (connectionsPerIpMax > 0 && ofIp > connectionsPerIpMax)
      this.refuse(client, 'connectionsPerIpMax', connectionsPerIpMax)
    else this.expectHandshake(client)
    return client
  }

  private refuse(client: ClientConnection, limit: 'connectionsMax' | 'connectionsPerIpMax', value: number): void {
    this.stats.limitHit(limit)
    client.warn({ limit, value }, 'too many connections')
    client.abandon('limit')
  }

  private expectHandshake(client: ClientConnection): void {
    const timer = this.runtime.timers.after(this.limits.handshakeMs, () => {
      this.linger.delete(client)
      if (client.hasSession) return
      this.stats.limitHit('handshakeMs')
      client.abandon('handshake-timeout')
    })
    this.linger.set(client, timer)
  }

  negotiateTimeout(askedMs: number): number {
    const [minMs, maxMs] = this.timeoutRange
    return Math.min(Math.max(askedMs, minMs), maxMs)
  }

  nowMs(): number {
    return this.runtime.clock.monotonicMs()
  }

  flushSoon(client: ClientConnection): void {
    if (this.toFlush.push(client) === 1) this.runtime.timers.soon(this.flushAll)
  }

  private readonly flushAll = (): void => {
    const clients = this.toFlush
    this.toFlush = []
    for (const client of clients) client.flush()
  }

  closeLater(client: ClientConnection): void {
    this.linger.get(client)?.cancel()
    this.linger.set(
      client,
      this.runtime.timers.after(LINGER_MS, () => client.abandon('client')),
    )
  }

  forget(client: ClientConnection): void {
    if (!this.clients.delete(client)) return
    this.linger.get(client)?.cancel()
    this.linger.delete(client)
    const { remoteAddress } = client.connection
    const left = (this.perIp.get(remoteAddress) ?? 1) - 1
    if (left > 0) this.perIp.set(remoteAddress, left)
    else this.perIp.delete(remoteAddress)
  }

  logSlow(client: ClientConnection, operation: string, xid: number, arrivedMs: number, latencyMs: number): void {
    this.stats.slowRequests++
    const times = this.options.batchTimes?.()
    client.warn(
      { operation, xid, latencyMs: round(latencyMs), ...layers(arrivedMs, this.nowMs(), times) },
      'slow request',
    )
  }

  resetStats(): void {
    this.stats = new ServerStats()
  }

  /** Stops accepting, lets outstanding requests be answered for up to `drainMs`, then closes every connection. Idempotent. */
  async close(drainMs: number): Promise<void> {
    await this.listener?.close()
    const deadline = this.nowMs() + drainMs
    while (this.outstanding > 0 && this.nowMs() < deadline) {
      await new Promise<void>((resolve) => this.runtime.timers.after(5, resolve))
    }
    this.flushAll()
    const reason: CloseReason = 'shutdown'
    for (const client of [...this.clients]) client.end(reason)
    await new Promise<void>((resolve) => this.runtime.timers.soon(resolve))
    for (const client of [...this.clients]) client.abandon(reason)
    for (const timer of this.linger.values()) timer.cancel()
    this.linger.clear()
  }
}

/** Where the time of a request went: waiting to be proposed, in the log, waiting for apply, in apply, waiting for its reply. */
function layers(arrivedMs: number, nowMs: number, times: BatchTimes | undefined): object {
  if (times === undefined || times.proposedMs < arrivedMs) return {}
  return {
    batchingMs: round(times.proposedMs - arrivedMs),
    logMs: round(times.appendedMs - times.proposedMs),
    playbackMs: round(times.applyStartMs - times.appendedMs),
    applyMs: round(times.applyEndMs - times.applyStartMs),
    replyMs: round(nowMs - times.applyEndMs),
  }
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000
}
