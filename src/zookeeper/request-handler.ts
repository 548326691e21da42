// What each request of an open connection does: reads are answered from Zelos' committed state when their turn comes, updates
// and syncs go into the log and are answered when they come back.

import { DelosError } from '../base/delos-error.ts'
import type { UpdateOperation, UpdateResult } from '../zelos/requests.ts'
import type { Zxid } from '../zelos/znode.ts'
import { authenticate } from './authentication.ts'
import type { ClientConnection } from './client-connection.ts'
import { ERR } from './codec/error-codes.ts'
import type { JuteReader } from './codec/jute-reader.ts'
import { MarshallingError } from './codec/marshalling-error.ts'
import { OP, opName, XID } from './codec/opcodes.ts'
import {
  writeAclReply,
  writeChildrenReply,
  writeDataReply,
  writeHeaderReply,
  writePathReply,
  writeStatReply,
} from './codec/replies.ts'
import {
  type AuthRequest,
  type GetAclRequest,
  type MultiRequest,
  type ReadRequest,
  readRequest,
  type SetWatchesRequest,
  type SyncRequest,
  type WireRequest,
} from './codec/requests.ts'
import { PendingRequest } from './pending-request.ts'
import { statView, writeUpdateReply } from './reply-writer.ts'
import { isWrite, updateOperation } from './request-reader.ts'
import type { ServerContext } from './zookeeper-server.ts'

/** Operations of ZooKeeper that a later version will answer: refused without closing the connection. */
const NOT_YET: ReadonlySet<number> = new Set([
  OP.reconfig,
  OP.checkWatches,
  OP.removeWatches,
  OP.multiRead,
  OP.getEphemerals,
  OP.getAllChildrenNumber,
  OP.setWatches2,
  OP.addWatch,
  OP.whoAmI,
])

export class RequestHandler {
  private readonly server: ServerContext
  private readonly client: ClientConnection

  constructor(server: ServerContext, client: ClientConnection) {
    this.server = server
    this.client = client
  }

  // ── arrival ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Takes one request frame. Throws nothing: whatever is wrong with it is answered. */
  handle(frame: JuteReader, arrivedMs: number): void {
    let xid = 0
    let op: number = OP.notification
    let request: WireRequest | undefined
    try {
      xid = frame.int32()
      op = frame.int32()
      this.server.zelos.sessions.touch(this.client.requester.session)
      request = readRequest(op, frame)
    } catch (error) {
      if (!(error instanceof MarshallingError)) throw error
      return this.answerInOrder(xid, op, arrivedMs, ERR.marshallingError)
    }
    if (request === undefined) this.unknown(xid, op, arrivedMs)
    else this.dispatch(request, xid, arrivedMs)
  }

  private dispatch(request: WireRequest, xid: number, arrivedMs: number): void {
    if (isWrite(request)) {
      const operation = updateOperation(request)
      if (typeof operation === 'number') return this.answerInOrder(xid, request.op, arrivedMs, operation)
      this.server.zelos.write(this.client.requester, operation, this.pending(xid, request, arrivedMs))
      return
    }
    switch (request.op) {
      case OP.multi:
        return this.multi(request, xid, arrivedMs)
      case OP.sync:
        return this.server.zelos.sync(this.pending(xid, request, arrivedMs))
      case OP.auth:
        return this.authenticate(request, xid, arrivedMs)
      case OP.closeSession:
        return this.server.zelos.closeSession(this.client.requester, this.pending(xid, request, arrivedMs))
      default:
        return this.read(request, xid, arrivedMs)
    }
  }

  private pending(xid: number, request: WireRequest, arrivedMs: number): PendingRequest {
    const pending = new PendingRequest(this.client, xid, request, arrivedMs, false)
    this.client.enqueue(pending)
    return pending
  }

  private read(request: WireRequest, xid: number, arrivedMs: number): void {
    if (this.client.idle) this.answerRead(request, xid, arrivedMs)
    else this.client.enqueue(new PendingRequest(this.client, xid, request, arrivedMs, true))
  }

  private multi(request: MultiRequest, xid: number, arrivedMs: number): void {
    const { multiOperationsMax } = this.server.limits
    if (request.operations.length > multiOperationsMax) {
      this.server.stats.limitHit('multiOperationsMax')
      this.client.warn({ operations: request.operations.length, multiOperationsMax }, 'multi has too many operations')
      return this.answerInOrder(xid, OP.multi, arrivedMs, ERR.badArguments)
    }
    const operations: UpdateOperation[] = []
    for (const wire of request.operations) {
      const operation = updateOperation(wire)
      if (typeof operation === 'number') return this.answerInOrder(xid, OP.multi, arrivedMs, operation)
      operations.push(operation)
    }
    this.server.zelos.multi(this.client.requester, operations, this.pending(xid, request, arrivedMs))
  }

  /** Carried out on arrival, as ZooKeeper does: later requests of the connection have the identity. */
  private authenticate(request: AuthRequest, xid: number, arrivedMs: number): void {
    const outcome = authenticate(request.scheme, request.credential)
    const { requester } = this.client
    const full = outcome.kind === 'identity' && requester.identities.length >= this.server.limits.identitiesMax
    if (full) this.server.stats.limitHit('identitiesMax')
    if (outcome.kind === 'refused' || full) {
      this.client.warn(
        { reason: outcome.kind === 'refused' ? outcome.reason : 'identitiesMax' },
        'authentication failed',
      )
      this.reply(XID.auth, OP.auth, arrivedMs, ERR.authFailed)
      this.client.end('auth-failed')
      return
    }
    if (outcome.kind === 'identity') {
      const known = requester.identities.some(
        (one) => one.scheme === outcome.identity.scheme && one.id === outcome.identity.id,
      )
      if (!known) this.client.requester = { ...requester, identities: [...requester.identities, outcome.identity] }
    }
    this.reply(xid, OP.auth, arrivedMs, ERR.ok)
  }

  private unknown(xid: number, op: number, arrivedMs: number): void {
    if (op === OP.sasl) {
      this.client.warn({}, 'SASL authentication is not available in this version')
      this.reply(xid, op, arrivedMs, ERR.authFailed)
      return this.client.end('auth-failed')
    }
    if (NOT_YET.has(op)) return this.answerInOrder(xid, op, arrivedMs, ERR.unimplemented)
    this.client.warn({ op }, 'no such operation')
    this.reply(xid, op, arrivedMs, ERR.unimplemented)
    this.client.end('unimplemented')
  }

  /** An error that is known on arrival still waits for the replies before it. */
  private answerInOrder(xid: number, op: number, arrivedMs: number, err: number): void {
    if (this.client.idle) return this.reply(xid, op, arrivedMs, err)
    this.client.enqueue(new RefusedRequest(this.client, xid, op, arrivedMs, err))
  }

  private reply(xid: number, op: number, arrivedMs: number, err: number): void {
    writeHeaderReply(this.client.replies, xid, this.server.zelos.lastZxid, err)
    this.client.replyWritten(arrivedMs, opName(op), xid, err)
  }

  // ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Writes the reply of a request whose turn has come. */
  answer(pending: PendingRequest): void {
    if (pending instanceof RefusedRequest) return this.reply(pending.xid, pending.op, pending.arrivedMs, pending.err)
    if (pending.error !== undefined) return this.answerFailure(pending, pending.error)
    const { request } = pending
    if (request.op === OP.sync) return this.answerSync(request, pending)
    if (pending.result !== undefined) return this.answerUpdate(pending, pending.result)
    this.answerRead(request, pending.xid, pending.arrivedMs)
  }

  private answerUpdate(pending: PendingRequest, result: UpdateResult): void {
    const { request, xid } = pending
    writeUpdateReply(this.client.replies, xid, this.server.zelos.lastZxid, request, result)
    this.client.replyWritten(pending.arrivedMs, opName(request.op), xid, result.err)
    if (request.op === OP.closeSession) this.client.end('session-closed')
    // ZooKeeper never tells a client that its session has moved: the connection it moved away from is closed.
    else if (result.err === ERR.sessionMoved) this.client.end('session-ended')
  }

  private answerSync(request: SyncRequest, pending: PendingRequest): void {
    writePathReply(this.client.replies, pending.xid, this.server.zelos.lastZxid, request.path)
    this.client.replyWritten(pending.arrivedMs, 'sync', pending.xid, ERR.ok)
  }

  /**
   * An update that may have happened has one honest answer in this protocol: the connection is lost. What was definitely
   * not applied is answered if ZooKeeper has a code for it.
   */
  private answerFailure(pending: PendingRequest, error: DelosError): void {
    const { request, xid, arrivedMs } = pending
    this.client.warn(
      { op: opName(request.op), xid, code: error.code, reason: error.message },
      'the database refused a request',
    )
    switch (error.code) {
      case 'OVERLOADED':
        return this.reply(xid, request.op, arrivedMs, ERR.throttledOp)
      case 'LIMIT_EXCEEDED':
        return this.reply(xid, request.op, arrivedMs, ERR.badArguments)
      case 'DISK_FULL':
        return this.reply(xid, request.op, arrivedMs, ERR.systemError)
      default:
        return this.client.abandon('database')
    }
  }

  // ── reads ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private answerRead(request: WireRequest, xid: number, arrivedMs: number): void {
    let err: number
    try {
      err = this.writeRead(request, xid, this.server.zelos.lastZxid)
    } catch (error) {
      err = this.refuseRead(xid, error)
    }
    this.client.replyWritten(arrivedMs, opName(request.op), xid, err)
  }

  /** Writes the reply to a read and returns its error code. */
  private writeRead(request: WireRequest, xid: number, zxid: Zxid): number {
    switch (request.op) {
      case OP.getData:
        return this.getData(request, xid, zxid)
      case OP.exists:
        return this.exists(request, xid, zxid)
      case OP.getChildren:
      case OP.getChildren2:
        return this.getChildren(request, xid, zxid)
      case OP.getAcl:
        return this.getAcl(request, xid, zxid)
      case OP.setWatches:
        return this.setWatches(request, xid, zxid)
      default:
        return this.header(xid, zxid, ERR.ok)
    }
  }

  private header(xid: number, zxid: Zxid, err: number): number {
    writeHeaderReply(this.client.replies, xid, zxid, err)
    return err
  }

  private getData(request: ReadRequest, xid: number, zxid: Zxid): number {
    const { client } = this
    const found = this.server.zelos.getData(client.requester, request.path, request.watch ? client : undefined)
    if (typeof found === 'number') return this.header(xid, zxid, found)
    writeDataReply(client.replies, xid, zxid, found.data, statView(found))
    return ERR.ok
  }

  private exists(request: ReadRequest, xid: number, zxid: Zxid): number {
    const { client } = this
    const found = this.server.zelos.exists(client.requester, request.path, request.watch ? client : undefined)
    if (typeof found === 'number') return this.header(xid, zxid, found)
    writeStatReply(client.replies, xid, zxid, statView(found))
    return ERR.ok
  }

  private getChildren(request: ReadRequest, xid: number, zxid: Zxid): number {
    const { client, server } = this
    const watch = request.watch ? client : undefined
    const found = server.zelos.getChildren(client.requester, request.path, watch, server.limits.replyBytesMax)
    if (typeof found === 'number') return this.header(xid, zxid, found)
    const stat = request.op === OP.getChildren2 ? statView(found.node) : undefined
    writeChildrenReply(client.replies, xid, zxid, found.children, stat)
    return ERR.ok
  }

  private getAcl(request: GetAclRequest, xid: number, zxid: Zxid): number {
    const found = this.server.zelos.getAcl(this.client.requester, request.path)
    if (typeof found === 'number') return this.header(xid, zxid, found)
    writeAclReply(this.client.replies, xid, zxid, found.acl, statView(found.node))
    return ERR.ok
  }

  private setWatches(request: SetWatchesRequest, xid: number, zxid: Zxid): number {
    this.server.zelos.setWatches(this.client, {
      relativeZxid: request.relativeZxid,
      data: request.dataWatches,
      exist: request.existWatches,
      child: request.childWatches,
    })
    return this.header(xid, zxid, ERR.ok)
  }

  /** A limit that a read meets (watches, bytes of a reply) becomes systemError, visible in the log with its name. */
  private refuseRead(xid: number, error: unknown): number {
    if (!(error instanceof DelosError) || error.code !== 'LIMIT_EXCEEDED') throw error
    this.server.stats.limitHit('replyBytesMax')
    this.client.warn({ reason: error.message }, 'a read was refused')
    return this.header(xid, this.server.zelos.lastZxid, ERR.systemError)
  }
}

/** Takes the place of a request that was refused on arrival, so that its reply keeps its turn. */
class RefusedRequest extends PendingRequest {
  readonly op: number
  readonly err: number

  constructor(client: ClientConnection, xid: number, op: number, arrivedMs: number, err: number) {
    super(client, xid, { op: OP.ping }, arrivedMs, true)
    this.op = op
    this.err = err
  }
}
