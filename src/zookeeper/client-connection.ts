// One client connection: frames in, replies and events out in order, its end. How they leave is outgoing.ts', what requests
// mean is request-handler.ts'; sessions, data and watches are Zelos'.

import type { Connection, ConnectionEvents } from '../runtime/network.ts'
import type { Requester, SessionRecord } from '../zelos/requests.ts'
import type { SessionOwner, WatchEventType } from '../zelos/zelos.ts'
import type { Zxid } from '../zelos/znode.ts'
import { FrameSplitter, type SplitOutcome } from './codec/frame-splitter.ts'
import {
  type ConnectRequest,
  readConnectRequest,
  writeConnectRefusal,
  writeConnectResponse,
} from './codec/handshake.ts'
import { JuteReader } from './codec/jute-reader.ts'
import type { JuteWriter } from './codec/jute-writer.ts'
import { MarshallingError } from './codec/marshalling-error.ts'
import { OP } from './codec/opcodes.ts'
import { writeWatcherEvent } from './codec/replies.ts'
import { sessionHex } from './codec/session-id.ts'
import { FlowControl } from './flow-control.ts'
import { Outgoing } from './outgoing.ts'
import type { PendingRequest } from './pending-request.ts'
import { EVENT_TYPES } from './reply-writer.ts'
import type { RequestClient } from './request-client.ts'
import { RequestHandler } from './request-handler.ts'
import { RequestQueue } from './request-queue.ts'
import type { ServedConnection, ServerContext } from './server-context.ts'
import { type CloseReason, LatencyStats } from './server-stats.ts'
import { LAST_OP } from './server-view.ts'
import { type HandshakeOutcome, openSession } from './session-handshake.ts'

/** `connecting`: no session yet. `opening`: the session is being created or found. `open`. `closing`: what is written goes out, nothing comes in. */
type State = 'connecting' | 'opening' | 'open' | 'closing' | 'closed'

export class ClientConnection implements ConnectionEvents, SessionOwner, RequestClient, ServedConnection {
  readonly connection: Connection
  readonly acceptedMs: number
  readonly latency = new LatencyStats()
  readonly queue: RequestQueue
  readonly flow: FlowControl
  /** Where replies go. */
  readonly replies: JuteWriter
  packetsReceived = 0
  packetsSent = 0
  /** Of the last reply, or one of LAST_OP. */
  lastOp: number = LAST_OP.onlySession
  /** Of the last request that a client counts; specials (ping, auth) don't. */
  lastXid = -1
  lastZxid: Zxid = 0
  lastReplyMs = 0
  lastLatencyMs = 0
  session: SessionRecord | undefined
  requester: Requester
  /** Its session only reads. */
  isReadOnly = false
  private readonly server: ServerContext
  private readonly splitter: FrameSplitter
  private readonly reader: JuteReader
  private readonly handler: RequestHandler
  private readonly outgoing: Outgoing
  private state: State = 'connecting'
  /** The chunk that is being read, until the first frame is complete: a four-letter word may have more behind it. */
  private firstChunk: Buffer | undefined
  /** Set: nothing more is read, and the connection ends when all is answered. */
  private finishing: CloseReason | undefined
  private closeReason: CloseReason = 'client'

  constructor(server: ServerContext, connection: Connection) {
    const { frameBytesMax } = server.limits
    this.server = server
    this.connection = connection
    this.acceptedMs = server.nowMs()
    this.splitter = new FrameSplitter(frameBytesMax)
    this.reader = new JuteReader(frameBytesMax)
    this.outgoing = new Outgoing(server, connection, this.unread)
    this.replies = this.outgoing.writer
    this.requester = { session: 0, ownerEpoch: 0, address: connection.remoteAddress, identities: [] }
    this.queue = new RequestQueue(server.access.options.requestThrottle.largeRequestBytes)
    this.handler = new RequestHandler(server, this, connection)
    this.flow = new FlowControl({
      server,
      connection,
      queue: this.queue,
      outgoing: this.outgoing,
      throttle: this.handler,
      goOn: () => this.answerSettled(),
    })
  }

  /** Requests without a reply yet. */
  get outstanding(): number {
    return this.queue.length
  }

  get hasSession(): boolean {
    return this.state === 'open'
  }

  private get isEnding(): boolean {
    return this.state === 'closing' || this.state === 'closed'
  }

  // ── bytes in ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  data(chunk: Buffer): void {
    if (this.isEnding) return
    this.flow.arrived()
    this.server.stats.bytesReceived += chunk.length
    if (this.state === 'connecting') this.firstChunk = chunk
    this.afterSplit(this.splitter.push(chunk, this.frameArrived))
    this.flow.hasRead()
    // One write for all replies of this chunk; waiting for the end of the turn would only make the client wait with us.
    if (this.replies.size > 0) this.outgoing.flush()
  }

  private readonly frameArrived = (source: Buffer, start: number, end: number): boolean => {
    this.packetsReceived++
    this.server.stats.packetsReceived++
    const frame = this.reader.reset(source, start, end)
    if (this.state === 'connecting') {
      this.connect(frame)
      return false
    }
    try {
      this.handler.handle(frame, this.flow.readMs)
    } catch (thrown) {
      this.failed(thrown)
    }
    return this.state === 'open' && this.flow.mayReadNext()
  }

  private afterSplit(outcome: SplitOutcome): void {
    if (outcome.kind === 'negative' || outcome.kind === 'too-long') this.impossibleLength(outcome.length)
    else if (outcome.kind === 'stopped' && !this.isEnding) this.flow.pause()
  }

  /** The first four bytes of a connection may be a word, which as a length is always out of range. */
  private impossibleLength(length: number): void {
    const { limits, stats } = this.server
    this.packetsReceived++
    stats.packetsReceived++
    const tail = this.firstChunk?.subarray(4) ?? Buffer.alloc(0)
    const answer = this.state === 'connecting' ? this.server.answerWord(length, tail) : undefined
    if (answer !== undefined) {
      this.connection.write(Buffer.from(answer))
      return this.end('four-letter-word')
    }
    const { frameBytesMax } = limits
    if (length > frameBytesMax) stats.limitHit('frameBytesMax')
    this.warn({ length, frameBytesMax }, 'frame length out of range')
    this.end('bad-frame')
  }

  /** Goes on reading after the session was opened, or the queue or the socket has room again. */
  readonly resumeReading = (): void => {
    if (this.state !== 'open' || !this.flow.mayReadAgain()) return
    this.afterSplit(this.splitter.resume(this.frameArrived))
    if (!this.isEnding) this.flow.resume()
  }

  // ── handshake ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  private connect(frame: JuteReader): void {
    let request: ConnectRequest
    try {
      request = readConnectRequest(frame)
    } catch (error) {
      if (!(error instanceof MarshallingError)) throw error
      this.warn({}, 'malformed connect request')
      return this.end('bad-frame')
    }
    this.state = 'opening'
    this.firstChunk = undefined
    openSession(this.server, request, this.requester.address, this, (outcome) => this.shakenHands(request, outcome))
  }

  private shakenHands(request: ConnectRequest, outcome: HandshakeOutcome): void {
    if ('session' in outcome) this.session = outcome.session
    if (this.state !== 'opening') {
      // The client went meanwhile.
      if (this.session !== undefined) this.server.zelos.sessions.detach(this.session.id, this)
      return
    }
    switch (outcome.kind) {
      case 'opened':
      case 'read-only':
        this.isReadOnly = outcome.kind === 'read-only'
        return this.opened(request, outcome.session)
      case 'throttled':
        this.warn({ reason: 'connection throttle' }, 'too many new sessions')
        return this.end('limit')
      case 'refused':
        this.warn(
          { asked: sessionHex(request.sessionId), reason: 'no such session, or not its password' },
          'a client was refused',
        )
        writeConnectRefusal(this.replies, request)
        return this.end('session-refused')
      case 'ahead':
        this.warn({ lastZxidSeen: request.lastZxidSeen }, 'client has seen a newer zxid')
        return this.end('client-zxid-ahead')
      default:
        this.warn({ code: outcome.error.code, reason: outcome.error.message }, 'the database refused the session')
        this.end('database')
    }
  }

  private opened(request: ConnectRequest, session: SessionRecord): void {
    this.state = 'open'
    if (this.isReadOnly) this.server.access.readOnly.add(this)
    this.requester = { ...this.requester, session: session.id, ownerEpoch: session.ownerEpoch }
    writeConnectResponse(this.replies, request, {
      timeoutMs: session.timeoutMs,
      sessionId: session.id,
      password: session.password,
      readOnly: this.isReadOnly,
    })
    this.packetsSent++
    this.server.stats.packetsSent++
    this.outgoing.schedule()
    if (this.finishing !== undefined) return this.end(this.finishing)
    // Not at once: this runs inside the database's completions, and what is resumed may carry out further requests.
    this.server.soon(this.resumeReading)
  }

  // ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  requestSettled(request: PendingRequest): void {
    if (this.queue.peek() === request) this.answerSettled()
  }

  /** Writes the replies of all requests at the head of the queue that have their outcome. */
  private answerSettled(): void {
    const { flow, handler, queue } = this
    if (!flow.beginAnswers()) return
    try {
      for (let head = queue.peek(); head !== undefined && this.state === 'open'; head = queue.peek()) {
        const mayAnswer = flow.mayAnswer(head)
        if (!head.settled && !handler.prepare(head, mayAnswer)) break
        if (!mayAnswer && !head.isCarriedOut) break
        queue.shift()
        handler.answer(head)
      }
    } catch (thrown) {
      this.failed(thrown)
    }
    flow.endAnswers()
    handler.queueChanged()
    if (flow.isHeldBack) this.touch()
    this.resumeReading()
    if (this.finishing !== undefined && queue.length === 0) this.end(this.finishing)
  }

  replyWritten(arrivedMs: number, op: number, xid: number, err: number): void {
    const { server } = this
    const bytes = this.replies.lastFrameBytes
    const now = server.nowMs()
    const latencyMs = now - arrivedMs
    this.packetsSent++
    this.latency.record(latencyMs)
    server.stats.answered(op, err, latencyMs, bytes)
    if (bytes > server.limits.frameBytesMax) server.logOversize(op, bytes, this.name)
    this.lastOp = op
    if (xid >= 0) this.lastXid = xid
    this.lastZxid = server.zelos.lastZxid
    this.lastReplyMs = now
    this.lastLatencyMs = latencyMs
    this.flow.replied(now)
    if (latencyMs >= server.slowMs) server.logSlow({ op, xid, arrivedMs, latencyMs }, this.name)
    this.outgoing.schedule()
  }

  // ── bytes out ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  watchFired(type: WatchEventType, path: string, zxid: Zxid): void {
    if (this.state !== 'open') return
    writeWatcherEvent(this.replies, zxid, EVENT_TYPES[type], path)
    this.packetsSent++
    this.server.stats.packetsSent++
    this.server.stats.watchEvents++
    this.server.stats.watchBytes += this.replies.lastFrameBytes
    this.outgoing.schedule()
  }

  private readonly unread = (fields: object): void => {
    this.warn(fields, 'client does not read its replies')
    this.abandon('limit')
  }

  drain(): void {
    this.outgoing.drained()
    this.touch()
    this.answerSettled()
  }

  /** While it is not read its pings are not seen; that it takes replies, or waits for its turn, is as good. */
  private touch(): void {
    if (this.session !== undefined) this.server.zelos.sessions.touch(this.session.id)
  }

  /** For an operator. */
  resetStats(): void {
    this.packetsReceived = 0
    this.packetsSent = 0
    this.lastOp = LAST_OP.reset
    this.lastXid = -1
    this.lastZxid = -1
    this.lastReplyMs = 0
    this.lastLatencyMs = 0
    this.latency.reset()
  }

  // ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  sessionEnded(reason: 'expired' | 'closed' | 'moved'): void {
    // Who closes a session itself is answered first; that ends the connection.
    if (reason === 'closed' && this.queue.includes(OP.closeSession)) return
    this.end('session-ended')
  }

  /** Reads nothing more, answers what is there, and ends. */
  finish(reason: CloseReason): void {
    if (this.isEnding || this.finishing !== undefined) return
    if (this.state === 'connecting') return this.end(reason)
    this.finishing = reason
    this.flow.finish()
    if (this.state === 'open' && this.queue.length === 0) this.end(reason)
  }

  end(reason: CloseReason): void {
    if (this.isEnding) return
    this.outgoing.flush()
    // Sending may have shown that the client reads nothing.
    if (this.isEnding) return
    this.outgoing.stop()
    this.state = 'closing'
    this.closeReason = reason
    this.handler.ended()
    // What still comes is dropped, so that the peer's end is seen, and nothing unread makes the system reset the connection.
    this.connection.resume()
    this.connection.end()
    this.server.closeLater(this)
  }

  abandon(reason: CloseReason): void {
    if (this.state === 'closed') return
    if (this.state !== 'closing') this.closeReason = reason
    this.state = 'closing'
    this.outgoing.stop()
    this.handler.ended()
    this.connection.destroy()
  }

  /** Requests change nothing but through the log, so a bug that one of them meets need not end more than its connection. */
  failed(thrown: unknown): void {
    this.server.logBug(thrown, this.name)
    this.abandon('internal')
  }

  closed(): void {
    if (this.state === 'closed') return
    this.state = 'closed'
    this.handler.ended()
    if (this.isReadOnly) this.server.access.readOnly.remove(this)
    this.outgoing.closed()
    this.server.stats.closed(this.closeReason)
    this.server.zelos.removeSink(this)
    if (this.session !== undefined) this.server.zelos.sessions.detach(this.session.id, this)
    this.server.forget(this)
  }

  warn(fields: object, message: string): void {
    this.server.log.warn(() => ({ ...this.name, ...fields }), message)
  }

  /** How log lines call it. */
  private get name(): object {
    const { remoteAddress, remotePort } = this.connection
    const client = `${remoteAddress}:${remotePort}`
    return this.session === undefined ? { client } : { client, session: sessionHex(this.session.id) }
  }
}
