// A ZooKeeper protocol server in front of one Zelos database: listens, admits and counts connections, sends what they wrote
// once per turn of the event loop, drains. Owns no data.

import type { Logger } from '../runtime/logger.ts'
import type { Connection, ConnectionEvents, Listener, Network } from '../runtime/network.ts'
import type { Runtime, Timer } from '../runtime/runtime.ts'
import type { Zelos } from '../zelos/zelos.ts'
import type { Identity } from '../zelos/znode.ts'
import { AccessControl } from './access-control.ts'
import { type AccessOptions, type Chance, DEFAULT_ACCESS, NO_CHANCE } from './access-options.ts'
import { AnswerTurns } from './answer-turns.ts'
import { ClientConnection } from './client-connection.ts'
import { opName } from './codec/opcodes.ts'
import { answerFourLetterWord } from './four-letter-words.ts'
import type { Flushable, ServedConnection, ServerContext, SlowRequest } from './server-context.ts'
import {
  type BatchTimes,
  type ClientLimits,
  DEFAULT_CLIENT_LIMITS,
  DEFAULT_NODE_RULES,
  LISTEN_BACKLOG,
  type NodeRules,
  type ZooKeeperServerOptions,
} from './server-options.ts'
import { ServerStats } from './server-stats.ts'
import type { ConnectionView, ServerView } from './server-view.ts'
import { ThrottledLog } from './throttled-log.ts'

/** Ended connections get this long to take what was written, and to end as well. */
const LINGER_MS = 5_000
/** The same while the server closes. */
const LAST_LINGER_MS = 500

/** `random` is needed by what must not be guessed: SASL, read-only sessions, a throttle that refuses at random. */
type RuntimeParts = Pick<Runtime, 'clock' | 'timers' | 'network'> & { readonly random?: Chance }

/** What a network with TLS tells of a connection that it did not let in. */
export interface RefusedConnection {
  readonly kind: 'handshake' | 'certificate' | 'plain-text' | 'handshakes-max'
  readonly address: string
  readonly port: number
  readonly reason: string
}

export class ZooKeeperServer implements ServerContext, ServerView {
  readonly zelos: Zelos
  readonly log: ThrottledLog
  readonly limits: ClientLimits
  readonly nodes: NodeRules
  readonly options: ZooKeeperServerOptions
  readonly slowMs: number
  readonly timeoutRange: readonly [minMs: number, maxMs: number]
  readonly stats = new ServerStats()
  readonly access: AccessControl
  readonly turns: AnswerTurns
  unsentBytes = 0
  /** ZooKeeper's default. */
  traceMask = 306n
  readonly startedMs: number
  private readonly runtime: RuntimeParts
  private readonly logger: Logger
  private readonly clients = new Set<ClientConnection>()
  private readonly perIp = new Map<string, number>()
  /** What ends a connection that has no session yet, or that was ended. */
  private readonly deadlines = new Map<ServedConnection, Timer>()
  private toFlush: Flushable[] = []
  private listener: Listener | undefined
  private secureListener: Listener | undefined
  private readonly otherListeners: Listener[] = []
  private readonly atOtherPorts = new WeakSet<object>()
  private readonly linearizable = new WeakSet<Connection>()
  private closing: Promise<void> | undefined
  /** Called when the last connection is gone. */
  private emptied: () => void = () => undefined

  /** Throws INVALID_ARGUMENT for access options that can't be. */
  constructor(
    runtime: RuntimeParts,
    zelos: Zelos,
    options: ZooKeeperServerOptions,
    access: AccessOptions = DEFAULT_ACCESS,
  ) {
    this.runtime = runtime
    this.zelos = zelos
    this.options = options
    this.logger = options.logger
    this.log = new ThrottledLog(options.logger, () => this.nowMs())
    this.limits = { ...DEFAULT_CLIENT_LIMITS, ...options.limits }
    this.nodes = { ...DEFAULT_NODE_RULES, ...options.nodes }
    this.slowMs = options.slowMs > 0 ? options.slowMs : Number.POSITIVE_INFINITY
    const { tickMs } = options
    this.timeoutRange = [options.sessionTimeoutMinMs ?? 2 * tickMs, options.sessionTimeoutMaxMs ?? 20 * tickMs]
    this.startedMs = this.nowMs()
    this.turns = new AnswerTurns(
      (action) => this.soon(action),
      () => this.nowMs(),
    )
    const { timers, random = NO_CHANCE } = runtime
    this.access = new AccessControl(access, { zelos, timers, chance: random, nowMs: () => this.nowMs() })
  }

  get connections(): ReadonlySet<ClientConnection> {
    return this.clients
  }

  get securePort(): number {
    return this.secureListener?.port ?? -1
  }

  isSecure(client: ConnectionView): boolean {
    return this.atOtherPorts.has(client)
  }

  readsLinearizably(connection: Connection): boolean {
    return this.options.linearizableReads === true || this.linearizable.has(connection)
  }

  get readOnly(): boolean {
    return this.access.readOnly.isOn
  }

  get outstanding(): number {
    let sum = 0
    for (const client of this.clients) sum += client.outstanding
    return sum
  }

  get boundPort(): number {
    return this.listener?.port ?? this.options.port
  }

  /** Starts accepting. Rejects with IN_USE or INVALID_ARGUMENT. Once. */
  async listen(): Promise<Listener> {
    const { host, port } = this.options
    const accept = (connection: Connection): ConnectionEvents => this.accept(connection)
    this.listener = await this.runtime.network.listen({ host, port, backlog: LISTEN_BACKLOG }, accept)
    return this.listener
  }

  /** Accepts at another port too, through a network of its own. */
  async listenAt(network: Network, port: number): Promise<Listener> {
    const accept = (connection: Connection): ConnectionEvents => {
      const client = this.accept(connection)
      this.atOtherPorts.add(client)
      return client
    }
    const listener = await network.listen({ host: this.options.host, port, backlog: LISTEN_BACKLOG }, accept)
    this.secureListener ??= listener
    this.otherListeners.push(listener)
    return listener
  }

  /** Accepts at a port whose connections read linearizably. */
  async listenLinearizably(port: number): Promise<Listener> {
    const accept = (connection: Connection): ConnectionEvents => {
      this.linearizable.add(connection)
      return this.accept(connection)
    }
    const at = { host: this.options.host, port, backlog: LISTEN_BACKLOG }
    const listener = await this.runtime.network.listen(at, accept)
    this.otherListeners.push(listener)
    return listener
  }

  /** A connection did not come about, because of TLS. */
  connectionRefused({ kind, address, port, reason }: RefusedConnection): void {
    const name = `tls-${kind}` as const
    this.access.stats.refused(name)
    this.log.warn(() => ({ client: `${address}:${port}`, reason }), 'a TLS connection was refused')
  }

  // ── connections ───────────────────────────────────────────────────────────────────────────────────────────────────────

  private accept(connection: Connection): ConnectionEvents {
    const { remoteAddress } = connection
    const ofIp = (this.perIp.get(remoteAddress) ?? 0) + 1
    if (this.closing !== undefined || this.isTooMany(connection, ofIp)) {
      connection.destroy()
      return IGNORED
    }
    this.stats.connectionsAccepted++
    this.perIp.set(remoteAddress, ofIp)
    const client = new ClientConnection(this, connection)
    this.clients.add(client)
    this.setDeadline(client, this.limits.handshakeMs, () => this.endHandshake(client))
    return client
  }

  private isTooMany({ remoteAddress, remotePort }: Connection, ofIp: number): boolean {
    const { connectionsMax, connectionsPerIpMax } = this.limits
    const limit =
      this.clients.size >= connectionsMax
        ? 'connectionsMax'
        : connectionsPerIpMax > 0 && ofIp > connectionsPerIpMax
          ? 'connectionsPerIpMax'
          : undefined
    if (limit === undefined) return false
    this.stats.limitHit(limit)
    this.log.warn(
      () => ({ client: `${remoteAddress}:${remotePort}`, [limit]: this.limits[limit] }),
      'too many connections',
    )
    return true
  }

  private endHandshake(client: ClientConnection): void {
    if (client.hasSession) return
    this.stats.limitHit('handshakeMs')
    client.warn({ handshakeMs: this.limits.handshakeMs }, 'a client has asked for no session in time')
    client.abandon('handshake-timeout')
  }

  closeLater(connection: ServedConnection): void {
    const lingerMs = this.closing === undefined ? LINGER_MS : LAST_LINGER_MS
    this.setDeadline(connection, lingerMs, () => connection.abandon('client'))
  }

  private setDeadline(connection: ServedConnection, delayMs: number, action: () => void): void {
    this.deadlines.get(connection)?.cancel()
    const timer = this.runtime.timers.after(delayMs, () => {
      this.deadlines.delete(connection)
      action()
    })
    this.deadlines.set(connection, timer)
  }

  forget(connection: ServedConnection): void {
    const client = connection as ClientConnection
    if (!this.clients.delete(client)) return
    this.deadlines.get(client)?.cancel()
    this.deadlines.delete(client)
    const { remoteAddress } = client.connection
    const left = (this.perIp.get(remoteAddress) ?? 1) - 1
    if (left > 0) this.perIp.set(remoteAddress, left)
    else this.perIp.delete(remoteAddress)
    if (this.clients.size === 0) this.emptied()
  }

  flushSoon(outgoing: Flushable): void {
    if (this.toFlush.push(outgoing) === 1) this.runtime.timers.soon(this.flushAll)
  }

  private readonly flushAll = (): void => {
    const written = this.toFlush
    this.toFlush = []
    for (const outgoing of written) outgoing.flush()
  }

  // ── what connections ask ──────────────────────────────────────────────────────────────────────────────────────────────

  negotiateTimeout(askedMs: number): number {
    const [minMs, maxMs] = this.timeoutRange
    return Math.min(Math.max(askedMs, minMs), maxMs)
  }

  nowMs(): number {
    return this.runtime.clock.monotonicMs()
  }

  wallMs(): number {
    return this.runtime.clock.wallMs()
  }

  soon(action: () => void): void {
    this.runtime.timers.soon(action)
  }

  identify(scheme: string, credential: Uint8Array): readonly Identity[] | undefined {
    const outcome = this.access.authentication.authenticate(scheme, credential, undefined)
    return outcome.kind === 'accepted' ? outcome.identities : undefined
  }

  answerWord(firstInt32: number, tail: Uint8Array): string | undefined {
    return answerFourLetterWord(firstInt32, this, tail)
  }

  logSlow({ op, xid, arrivedMs, latencyMs }: SlowRequest, client: object): void {
    this.stats.slowRequests++
    const times = this.options.batchTimes?.()
    const request = (): object => ({ ...client, operation: opName(op), xid, latencyMs: round(latencyMs) })
    const now = this.nowMs()
    this.log.warn(() => ({ ...request(), ...layers(arrivedMs, now, times) }), 'slow request')
  }

  /** It is sent, as ZooKeeper does; what most clients do then is lose the connection, and ask again. */
  logOversize(op: number, bytes: number, client: object): void {
    this.stats.oversizeReplies++
    const reason = `clients take replies of at most jute.maxbuffer, by default as here ${this.limits.frameBytesMax}`
    this.log.warn(() => ({ ...client, op: opName(op), bytes, reason }), 'a reply is longer than a client may take')
  }

  logBug(thrown: unknown, client: object): void {
    const stack = thrown instanceof Error ? thrown.stack : String(thrown)
    this.logger.error({ ...client, stack }, 'a request met a bug, or a disk that failed: its connection is closed')
  }

  // ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Stops accepting and reading, lets what was read be answered for up to `drainMs`, closes every connection. Idempotent. */
  close(drainMs: number): Promise<void> {
    this.closing ??= this.closeOnce(drainMs)
    return this.closing
  }

  private async closeOnce(drainMs: number): Promise<void> {
    await this.listener?.close()
    for (const listener of this.otherListeners) await listener.close()
    for (const client of [...this.clients]) client.finish('shutdown')
    if (this.clients.size > 0 && drainMs > 0) await this.untilEmpty(drainMs)
    for (const client of [...this.clients]) client.abandon('shutdown')
    this.access.readOnly.stop()
    for (const timer of this.deadlines.values()) timer.cancel()
    this.deadlines.clear()
  }

  private untilEmpty(deadlineMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.runtime.timers.after(deadlineMs, resolve)
      this.emptied = () => {
        timer.cancel()
        resolve()
      }
    })
  }
}

/** For connections that are closed at once. */
const IGNORED: ConnectionEvents = { data: ignore, drain: ignore, closed: ignore }

function ignore(): void {
  // There is nobody left to tell.
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
