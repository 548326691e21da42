// One client connection: handshake, frames in, replies and events out in order, back-pressure, its end. What requests mean is
// request-handler.ts'; sessions, data and watches are Zelos'.

import type { DelosError } from '../base/delos-error.ts'
import type { Connection, ConnectionEvents } from '../runtime/network.ts'
import type { Requester, SessionRecord } from '../zelos/requests.ts'
import type { SessionOwner, WatchEventType, WatchSink } from '../zelos/zelos.ts'
import type { Zxid } from '../zelos/znode.ts'
import { FrameSplitter, type SplitOutcome } from './codec/frame-splitter.ts'
import {
  type ConnectRequest,
  readConnectRequest,
  writeConnectRefusal,
  writeConnectResponse,
} from './codec/handshake.ts'
import { JuteReader } from './codec/jute-reader.ts'
import { JuteWriter } from './codec/jute-writer.ts'
import { MarshallingError } from './codec/marshalling-error.ts'
import { writeWatcherEvent } from './codec/replies.ts'
import { FOREIGN_SESSION, sessionHex } from './codec/session-id.ts'
import { EVENT_TYPE } from './codec/watch-codes.ts'
import { answerFourLetterWord } from './four-letter-words.ts'
import { type PendingRequest, RequestQueue } from './pending-request.ts'
import { RequestHandler } from './request-handler.ts'
import { type CloseReason, LatencyStats } from './server-stats.ts'
import type { ServerContext } from './zookeeper-server.ts'

const EVENT_TYPES = {
  created: EVENT_TYPE.nodeCreated,
  deleted: EVENT_TYPE.nodeDeleted,
  dataChanged: EVENT_TYPE.nodeDataChanged,
  childrenChanged: EVENT_TYPE.nodeChildrenChanged,
} as const satisfies Record<WatchEventType, number>

/** `connecting`: no session yet. `opening`: the session is being created or found. `open`. `closing`: what is written goes out, nothing comes in. */
type State = 'connecting' | 'opening' | 'open' | 'closing' | 'closed'

export class ClientConnection implements ConnectionEvents, SessionOwner, WatchSink {
  readonly connection: Connection
  readonly acceptedMs: number
  readonly latency = new LatencyStats()
  packetsReceived = 0
  packetsSent = 0
  lastOperation = 'NA'
  lastXid = 0
  lastZxid: Zxid = 0
  session: SessionRecord | undefined
  requester: Requester
  private readonly server: ServerContext
  private readonly splitter: FrameSplitter
  private readonly reader: JuteReader
  private readonly writer = new JuteWriter()
  private readonly queue = new RequestQueue()
  private readonly handler: RequestHandler
  private state: State = 'connecting'
  private handshake: ConnectRequest | undefined
  private chunkMs = 0
  private paused = false
  private flushScheduled = false
  private closeReason: CloseReason = 'client'

  constructor(server: ServerContext, connection: Connection) {
    this.server = server
    this.connection = connection
    this.acceptedMs = server.runtime.clock.monotonicMs()
    this.splitter = new FrameSplitter(server.limits.frameBytesMax)
    this.reader = new JuteReader(server.limits.frameBytesMax)
    this.requester = { session: 0, ownerEpoch: 0, address: connection.remoteAddress, identities: [] }
    this.handler = new RequestHandler(server, this)
  }

  /** Requests without a reply yet. */
  get outstanding(): number {
    return this.queue.length
  }

  get hasSession(): boolean {
    return this.state === 'open'
  }

  get isClosed(): boolean {
    return this.state === 'closed'
  }

  // ── bytes in ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  data(chunk: Buffer): void {
    if (this.state === 'closing' || this.state === 'closed') return
    this.chunkMs = this.server.runtime.clock.monotonicMs()
    this.server.stats.bytesReceived += chunk.length
    this.afterSplit(this.splitter.push(chunk, this.frameArrived))
  }

  private readonly frameArrived = (source: Buffer, start: number, end: number): boolean => {
    if (this.state === 'connecting') {
      this.connect(source, start, end)
      return false
    }
    if (this.state !== 'open') return false
    this.packetsReceived++
    this.server.stats.packetsReceived++
    this.handler.handle(this.reader.reset(source, start, end), this.chunkMs)
    return this.state === 'open' && !this.overLimits()
  }

  private overLimits(): boolean {
    if (this.queue.length >= this.server.limits.outstandingMax) {
      this.server.stats.limitHit('outstandingMax')
      return true
    }
    return this.connection.bufferedBytes + this.writer.size > this.server.readPauseBytes
  }

  private afterSplit(outcome: SplitOutcome): void {
    if (outcome.kind === 'negative' || outcome.kind === 'too-long') {
      if (this.state === 'connecting' && this.answersFourLetterWord(outcome.length)) return
      this.server.stats.limitHit('frameBytesMax')
      this.warn(
        { length: outcome.length, frameBytesMax: this.server.limits.frameBytesMax },
        'frame length out of range',
      )
      this.end('bad-frame')
    } else if (outcome.kind === 'stopped' && !this.paused && this.state !== 'closed') {
      this.paused = true
      this.connection.pause()
    }
  }

  /** The first four bytes of a connection may be a word, which as a length is always out of range. */
  private answersFourLetterWord(length: number): boolean {
    const answer = answerFourLetterWord(length, this.server)
    if (answer === undefined) return false
    this.connection.write(Buffer.from(answer))
    this.end('four-letter-word')
    return true
  }

  /** Goes on reading after the session was opened, or the queue or the socket has room again. */
  private resumeReading(): void {
    if (!this.paused || this.state !== 'open') return
    if (this.queue.length > this.server.limits.outstandingMax / 2) return
    if (this.connection.bufferedBytes + this.writer.size > this.server.readPauseBytes / 2) return
    this.paused = false
    this.chunkMs = this.server.runtime.clock.monotonicMs()
    this.afterSplit(this.splitter.resume(this.frameArrived))
    if (!this.paused) this.connection.resume()
  }

  // ── handshake ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  private connect(source: Buffer, start: number, end: number): void {
    let request: ConnectRequest
    try {
      request = readConnectRequest(this.reader.reset(source, start, end))
    } catch (error) {
      if (!(error instanceof MarshallingError)) throw error
      this.warn({}, 'malformed connect request')
      this.end('bad-frame')
      return
    }
    this.state = 'opening'
    this.handshake = request
    if (request.lastZxidSeen <= this.server.zelos.lastZxid) this.openSession(request)
    else this.catchUpWithClient(request)
  }

  /** The client has seen more than this server: one sync; if the server is still behind, this is another history. */
  private catchUpWithClient(request: ConnectRequest): void {
    this.server.zelos.sync({
      resolve: () => {
        if (this.state !== 'opening') return
        if (request.lastZxidSeen <= this.server.zelos.lastZxid) return this.openSession(request)
        this.warn(
          { lastZxidSeen: request.lastZxidSeen, lastZxid: this.server.zelos.lastZxid },
          'client has seen a newer zxid',
        )
        this.end('client-zxid-ahead')
      },
      reject: (error) => this.databaseFailed(error),
    })
  }

  private openSession(request: ConnectRequest): void {
    const timeoutMs = this.server.negotiateTimeout(request.timeoutMs)
    const completion = {
      resolve: (session: SessionRecord | undefined) => this.sessionOpened(session),
      reject: (error: DelosError) => this.databaseFailed(error),
    }
    const { sessions } = this.server.zelos
    if (request.sessionId === 0) sessions.create(timeoutMs, this.requester.address, this, completion)
    else if (request.sessionId === FOREIGN_SESSION) this.sessionOpened(undefined)
    else {
      const password = request.password ?? new Uint8Array(0)
      sessions.reattach(request.sessionId, password, timeoutMs, this.requester.address, this, completion)
    }
  }

  private sessionOpened(session: SessionRecord | undefined): void {
    const request = this.handshake as ConnectRequest
    if (session !== undefined) this.session = session
    if (this.state !== 'opening') {
      if (session !== undefined) this.server.zelos.sessions.detach(session.id, this)
      return
    }
    if (session === undefined) {
      writeConnectRefusal(this.writer, request)
      this.end('session-refused')
      return
    }
    this.state = 'open'
    this.requester = { ...this.requester, session: session.id, ownerEpoch: session.ownerEpoch }
    writeConnectResponse(this.writer, request, {
      timeoutMs: session.timeoutMs,
      sessionId: session.id,
      password: session.password,
    })
    this.packetsSent++
    this.server.stats.packetsSent++
    this.scheduleFlush()
    // Not at once: the reply of a tick goes out first, and resume may run further frames that settle synchronously.
    this.server.runtime.timers.soon(() => this.resumeReading())
  }

  // ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** True if a reply may be written at once because nothing before it waits. */
  get idle(): boolean {
    return this.queue.length === 0
  }

  /** Where replies go; `replyWritten` must follow each. */
  get replies(): JuteWriter {
    return this.writer
  }

  enqueue(request: PendingRequest): void {
    this.queue.push(request)
  }

  requestSettled(request: PendingRequest): void {
    if (this.queue.peek() === request) this.answerSettled()
  }

  /** Writes the replies of all requests at the head of the queue that have their outcome. */
  private answerSettled(): void {
    for (let request = this.queue.peek(); request?.settled === true; request = this.queue.peek()) {
      this.queue.shift()
      if (this.state !== 'open') continue
      this.handler.answer(request)
    }
    if (this.paused) this.resumeReading()
  }

  /** Accounts for a reply that was written, and sees that it is sent in this tick. */
  replyWritten(arrivedMs: number, operation: string, xid: number, err: number): void {
    this.packetsSent++
    const { stats } = this.server
    stats.packetsSent++
    if (err !== 0) stats.requestsFailed++
    const latencyMs = this.server.nowMs() - arrivedMs
    this.latency.record(latencyMs)
    stats.latency.record(latencyMs)
    this.lastOperation = operation
    this.lastXid = xid
    this.lastZxid = this.server.zelos.lastZxid
    if (latencyMs >= this.server.slowMs) this.server.logSlow(this, operation, xid, arrivedMs, latencyMs)
    this.scheduleFlush()
  }

  // ── bytes out ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  watchFired(type: WatchEventType, path: string, zxid: Zxid): void {
    if (this.state !== 'open') return
    writeWatcherEvent(this.writer, zxid, EVENT_TYPES[type], path)
    this.packetsSent++
    this.server.stats.packetsSent++
    this.server.stats.watchEvents++
    this.scheduleFlush()
  }

  private scheduleFlush(): void {
    if (this.flushScheduled) return
    this.flushScheduled = true
    this.server.flushSoon(this)
  }

  /** One socket write for everything of this tick. */
  flush(): void {
    this.flushScheduled = false
    if (this.state === 'closed') return
    const bytes = this.writer.take()
    if (bytes.length === 0) return
    this.server.stats.bytesSent += bytes.length
    this.connection.write(bytes)
    if (this.connection.bufferedBytes > this.server.limits.unsentBytesMax) {
      this.server.stats.limitHit('unsentBytesMax')
      this.warn({ unsentBytes: this.connection.bufferedBytes }, 'client does not read its replies')
      this.abandon('limit')
    }
  }

  drain(): void {
    this.resumeReading()
  }

  // ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  sessionEnded(reason: 'expired' | 'closed' | 'moved'): void {
    // A session that the client closed itself is answered first; the reply's writer ends the connection.
    if (reason === 'closed' && this.queue.length > 0) return
    this.end('session-ended')
  }

  private databaseFailed(error: DelosError): void {
    this.warn({ code: error.code, reason: error.message }, 'the database refused the session')
    this.end('database')
  }

  warn(fields: object, message: string): void {
    this.server.logger.warn(
      {
        client: `${this.connection.remoteAddress}:${this.connection.remotePort}`,
        ...(this.session && { session: sessionHex(this.session.id) }),
        ...fields,
      },
      message,
    )
  }

  /** Sends what is written, then closes. */
  end(reason: CloseReason): void {
    if (this.state === 'closing' || this.state === 'closed') return
    this.flush()
    if (this.isClosed) return
    this.state = 'closing'
    this.closeReason = reason
    this.connection.end()
    this.server.closeLater(this)
  }

  /** Closes at once. */
  abandon(reason: CloseReason): void {
    if (this.state === 'closed') return
    if (this.state !== 'closing') this.closeReason = reason
    this.state = 'closing'
    this.connection.destroy()
  }

  closed(): void {
    if (this.state === 'closed') return
    this.state = 'closed'
    this.queue.clear()
    this.writer.reset()
    this.server.stats.closed(this.closeReason)
    this.server.zelos.removeSink(this)
    if (this.session !== undefined) this.server.zelos.sessions.detach(this.session.id, this)
    this.server.forget(this)
  }
}
