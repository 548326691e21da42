// What each request of an open connection does: reads are answered from Zelos' committed state when their turn comes, updates
// and syncs go into the log and are answered when they come back.

import type { DelosError } from '../base/delos-error.ts'
import type { Connection } from '../runtime/network.ts'
import type { Requester, UpdateResult } from '../zelos/requests.ts'
import { ClientAuthentication } from './client-authentication.ts'
import { ClientThrottle } from './client-throttle.ts'
import { ERR } from './codec/error-codes.ts'
import type { JuteReader } from './codec/jute-reader.ts'
import { MarshallingError } from './codec/marshalling-error.ts'
import { isUpdate, OP, opName, readsNodes } from './codec/opcodes.ts'
import { writeHeaderReply, writePathReply } from './codec/replies.ts'
import { readRequest, type WireRequest } from './codec/wire-requests.ts'
import { type DeferredParts, DeferredRead } from './deferred-read.ts'
import { PendingRequest, RefusedRequest } from './pending-request.ts'
import { ReadAnswers } from './read-answers.ts'
import { readCostUs } from './read-cost.ts'
import { writeUpdateReply } from './reply-writer.ts'
import type { RequestClient } from './request-client.ts'
import type { ServerContext } from './server-context.ts'
import type { CloseReason } from './server-stats.ts'
import {
  isWrite,
  multiOperations,
  multiRefusal,
  refusal,
  updateOperation,
  type WriteRequest,
} from './update-operations.ts'

const HEADER_BYTES = 8

export class RequestHandler {
  private readonly server: ServerContext
  private readonly client: RequestClient
  private readonly reads: ReadAnswers
  private readonly authentication: ClientAuthentication
  private readonly isEnforced: boolean
  /** Every read of the connection sees what had completed anywhere when it arrived. */
  private readonly isLinearizable: boolean
  private readonly throttle: ClientThrottle | undefined

  constructor(server: ServerContext, client: RequestClient, connection: Connection) {
    const { access } = server
    this.server = server
    this.client = client
    this.authentication = new ClientAuthentication(server, client, connection.peerCertificate)
    this.isEnforced = access.authentication.isEnforced
    this.throttle = access.requests && new ClientThrottle(server, access.requests, client, this.proceed)
    this.reads = new ReadAnswers(server.zelos, server.limits, client)
    this.isLinearizable = server.readsLinearizably(connection)
  }

  // ── arrival ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Takes one request frame. Whatever is wrong with it is answered, or ends the connection. */
  handle(frame: JuteReader, arrivedMs: number): void {
    const bytes = frame.remaining
    if (bytes < HEADER_BYTES) {
      this.client.warn({ bytes }, 'a request without a header')
      return this.client.end('bad-frame')
    }
    const xid = frame.int32()
    const op = frame.int32()
    this.server.zelos.sessions.touch(this.client.requester.session)
    if (this.isEnforced && op !== OP.auth && op !== OP.sasl && !this.authentication.mayAsk(xid, op, arrivedMs)) return
    let request: WireRequest | undefined
    try {
      request = readRequest(op, frame)
    } catch (error) {
      if (!(error instanceof MarshallingError)) throw error
      this.client.warn({ op: opName(op), xid, reason: error.message }, 'a request can not be read')
      return this.refuse(xid, op, arrivedMs, ERR.marshallingError)
    }
    if (request === undefined) this.unknown(xid, op, arrivedMs)
    else if (this.throttle === undefined) this.dispatch(request, xid, arrivedMs, bytes)
    else this.throttle.arrived(request, xid, arrivedMs, bytes)
  }

  /** A request of this connection waits for its turn among those of all connections. */
  get isWaiting(): boolean {
    return this.throttle?.isWaiting ?? false
  }

  /** Requests have left the queue. */
  queueChanged(): void {
    this.throttle?.queueChanged()
  }

  /** The connection answers no more requests. */
  ended(): void {
    this.client.queue.clear()
    this.throttle?.ended()
  }

  private readonly proceed = (
    request: WireRequest,
    xid: number,
    arrivedMs: number,
    bytes: number,
    isLate: boolean,
  ): void => {
    try {
      if (isLate) this.refuse(xid, request.op, arrivedMs, ERR.throttledOp)
      else this.dispatch(request, xid, arrivedMs, bytes)
    } catch (thrown) {
      // Called by the throttle, which has others to serve.
      this.client.failed(thrown)
    }
  }

  private dispatch(request: WireRequest, xid: number, arrivedMs: number, bytes: number): void {
    if (this.client.isReadOnly && this.isRefusedReadOnly(request, xid, arrivedMs)) return
    if (isWrite(request)) return this.write(request, xid, arrivedMs, bytes)
    switch (request.op) {
      case OP.multi: {
        const err = multiRefusal(request)
        if (err !== undefined) return this.refuse(xid, OP.multi, arrivedMs, err)
        return this.update(request, xid, arrivedMs, bytes)
      }
      case OP.sync:
      case OP.closeSession:
        return this.update(request, xid, arrivedMs, bytes)
      case OP.reconfig:
        return this.refuse(xid, OP.reconfig, arrivedMs, this.reconfigRefusal)
      case OP.auth:
        return this.authentication.auth(request, xid, arrivedMs)
      case OP.sasl:
        return this.authentication.sasl(request, xid, arrivedMs)
      default:
        return this.read(request, xid, arrivedMs, bytes)
    }
  }

  /** The members of a log are not changed by its clients. */
  private get reconfigRefusal(): number {
    return this.server.nodes.reconfig ? ERR.unimplemented : ERR.reconfigDisabled
  }

  private write(request: WriteRequest, xid: number, arrivedMs: number, bytes: number): void {
    const err = refusal(request, this.server.nodes)
    if (err === undefined) this.update(request, xid, arrivedMs, bytes)
    else this.refuse(xid, request.op, arrivedMs, err)
  }

  private update(request: WireRequest, xid: number, arrivedMs: number, bytes: number): void {
    const { client } = this
    const pending = new PendingRequest(client, xid, request, arrivedMs, bytes, false)
    const { mayLog } = client.flow
    if (!mayLog) pending.held = client.requester
    client.queue.push(pending)
    if (mayLog) this.submit(pending, client.requester)
  }

  private read(request: WireRequest, xid: number, arrivedMs: number, bytes: number): void {
    const { client } = this
    const walk = this.reads.walkOf(request)
    const needsSync = this.isLinearizable && readsNodes(request.op)
    if (walk !== undefined || needsSync)
      this.defer(request, xid, arrivedMs, bytes, { needsSync, walk, isNext: this.isNext })
    else if (client.queue.length === 0) this.answerRead(request, xid, arrivedMs)
    else {
      const pending = new PendingRequest(client, xid, request, arrivedMs, bytes, true)
      pending.costUs = readCostUs(this.server.zelos.walks, request, client.queue)
      client.queue.push(pending)
    }
  }

  private defer(request: WireRequest, xid: number, arrivedMs: number, bytes: number, parts: DeferredParts): void {
    const { client } = this
    const read = new DeferredRead(client, xid, request, arrivedMs, bytes, parts)
    client.queue.push(read)
    if (parts.needsSync) this.server.zelos.sync(read)
    else if (this.isNext(read)) client.requestSettled(read)
  }

  private readonly isNext = (request: PendingRequest): boolean => this.client.queue.peek() === request

  /** The turn of a request has come that is not settled: what it still needs begins, a read only if it may be answered. True if it is settled now. */
  prepare(head: PendingRequest, mayAnswer: boolean): boolean {
    if (head.held !== undefined) this.client.queue.forEachReleasable(this.release)
    else if (head instanceof DeferredRead && mayAnswer) head.begin()
    return head.settled
  }

  /** Hands an update that was held to the database. */
  private readonly release = (pending: PendingRequest): void => {
    const requester = pending.held as Requester
    pending.held = undefined
    this.submit(pending, requester)
  }

  private submit(pending: PendingRequest, requester: Requester): void {
    const { nodes, zelos } = this.server
    const { request } = pending
    if (isWrite(request)) zelos.write(requester, updateOperation(request, nodes), pending)
    else if (request.op === OP.multi) zelos.multi(requester, multiOperations(request, nodes), pending)
    else if (request.op === OP.sync) zelos.sync(pending)
    else zelos.closeSession(requester, pending)
  }

  /** What a session that only reads can't do. To end one is no update if only this server knows it. */
  private isRefusedReadOnly(request: WireRequest, xid: number, arrivedMs: number): boolean {
    const { client, server } = this
    const { op } = request
    const isEnd = op === OP.closeSession && server.access.readOnly.isOwn(client.requester.session)
    if (isEnd) {
      this.refuse(xid, op, arrivedMs, ERR.ok, 'session-closed')
      return true
    }
    if (!isUpdate(op) && op !== OP.sync) return false
    server.access.stats.refused('read-only')
    client.warn({ op: opName(op) }, 'an update was refused: the log takes none for now')
    this.refuse(xid, op, arrivedMs, ERR.notReadOnly)
    return true
  }

  private unknown(xid: number, op: number, arrivedMs: number): void {
    this.client.warn({ op }, 'no such operation')
    this.refuse(xid, op, arrivedMs, ERR.unimplemented, 'unimplemented')
  }

  /** An error that is known on arrival still waits for the replies before it. */
  private refuse(xid: number, op: number, arrivedMs: number, err: number, close?: CloseReason): void {
    const { client } = this
    const refused = new RefusedRequest(client, xid, op, arrivedMs, err, close)
    if (client.queue.length === 0) this.answer(refused)
    else client.queue.push(refused)
  }

  // ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Writes the reply of a request whose turn has come. */
  answer(pending: PendingRequest): void {
    if (pending.result !== undefined) return this.answerUpdate(pending, pending.result)
    if (pending.error !== undefined) return this.answerFailure(pending, pending.error)
    if (pending instanceof RefusedRequest) return this.answerRefused(pending)
    const { request, xid, arrivedMs } = pending
    if (pending instanceof DeferredRead && pending.walked !== undefined) {
      return this.client.replyWritten(
        arrivedMs,
        request.op,
        xid,
        this.reads.writeWalked(pending.walked, request.op, xid),
      )
    }
    if (request.op !== OP.sync) return this.answerRead(request, xid, arrivedMs)
    writePathReply(this.client.replies, xid, this.server.zelos.lastZxid, request.path)
    this.client.replyWritten(arrivedMs, OP.sync, xid, ERR.ok)
  }

  private answerUpdate(pending: PendingRequest, result: UpdateResult): void {
    const { client } = this
    const { request, xid } = pending
    const { nodes, zelos } = this.server
    writeUpdateReply(client.replies, xid, zelos.lastZxid, request, result, nodes)
    client.replyWritten(pending.arrivedMs, request.op, xid, result.err)
    if (request.op === OP.closeSession) client.end('session-closed')
    // ZooKeeper never tells a client that its session has moved: the connection it moved away from is closed.
    else if (result.err === ERR.sessionMoved) client.end('session-ended')
  }

  private answerRefused({ xid, op, arrivedMs, err, close }: RefusedRequest): void {
    this.reply(xid, op, arrivedMs, err)
    if (close !== undefined) this.client.end(close)
  }

  private answerRead(request: WireRequest, xid: number, arrivedMs: number): void {
    let err: number
    try {
      err = this.reads.write(request, xid, this.client.queue.hasUpdatesInLog)
    } catch (thrown) {
      if (!this.isRefused(thrown, request, xid, arrivedMs)) this.client.failed(thrown)
      return
    }
    this.client.replyWritten(arrivedMs, request.op, xid, err)
  }

  /** True if a limit forbids the read, and its client was told. */
  private isRefused(thrown: unknown, request: WireRequest, xid: number, arrivedMs: number): boolean {
    const refused = this.reads.refused(thrown)
    if (refused === undefined) return false
    if (refused.limit !== undefined) this.server.stats.limitHit(refused.limit)
    this.client.warn({ op: opName(request.op), reason: refused.error.message }, 'a read was refused')
    this.reply(xid, request.op, arrivedMs, ERR.systemError)
    return true
  }

  /**
   * An update that may have happened has one honest answer in this protocol: the connection is lost. What was definitely
   * not applied gets an error that every client library knows.
   */
  private answerFailure(pending: PendingRequest, error: DelosError): void {
    const { request, xid, arrivedMs } = pending
    if (pending instanceof DeferredRead && this.isRefused(error, request, xid, arrivedMs)) return
    const { code, message } = error
    this.client.warn({ op: opName(request.op), xid, code, reason: message }, 'the database refused a request')
    switch (code) {
      case 'LIMIT_EXCEEDED':
        return this.reply(xid, request.op, arrivedMs, ERR.badArguments)
      case 'OVERLOADED':
      case 'DISK_FULL':
        return this.reply(xid, request.op, arrivedMs, ERR.systemError)
      default:
        return this.client.end('database')
    }
  }

  private reply(xid: number, op: number, arrivedMs: number, err: number): void {
    writeHeaderReply(this.client.replies, xid, this.server.zelos.lastZxid, err)
    this.client.replyWritten(arrivedMs, op, xid, err)
  }
}
