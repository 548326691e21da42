// The client's side of the protocol: encodes requests and decodes replies. For clients in tests and in the simulator; not written for speed.

import { unreachable } from '../../base/assert.ts'
import type { JuteReader } from './jute-reader.ts'
import type { JuteWriter } from './jute-writer.ts'
import { BAD_MULTI } from './marshalling-error.ts'
import { OP } from './opcodes.ts'
import type { MultiReadResult, MultiResult } from './replies.ts'
import { type Acl, readAcl, type Stat, writeAcl } from './stat.ts'
import type { MultiOperation, WireRequest } from './wire-requests.ts'

/** A connect request to any ZooKeeper server, whose session ids need all 64 bits. */
export interface ClientConnect {
  readonly lastZxidSeen: number
  readonly timeoutMs: number
  readonly sessionId: bigint
  readonly password: Uint8Array
  /** Undefined leaves the field out, as clients up to 3.3 do. */
  readonly readOnly?: boolean
}

/** A server's answer to it. A `timeoutMs` of 0 says that the session is gone. */
export interface ClientConnected {
  readonly timeoutMs: number
  readonly sessionId: bigint
  readonly password: Buffer | null
  readonly readOnly: boolean | undefined
}

export interface ReplyHeader {
  readonly xid: number
  readonly zxid: number
  readonly err: number
}

/** A watch notification, whose reply header has the xid of a notification. */
export interface WatcherEvent {
  readonly type: number
  readonly state: number
  readonly path: string
}

/** A Stat from any ZooKeeper server, whose session ids need all 64 bits. Zxids past 2^53 are rounded. */
export interface ClientStat extends Omit<Stat, 'ephemeralOwner'> {
  readonly ephemeralOwner: bigint
}

/** What the body of a reply holds, as far as the operation has it. */
export interface ReplyBody {
  readonly path?: string | null
  readonly data?: Buffer | null
  readonly stat?: ClientStat
  readonly children?: string[]
  readonly acl?: readonly Acl[]
  readonly results?: MultiResult<ClientStat>[]
  readonly reads?: MultiReadResult<ClientStat>[]
  readonly count?: number
  readonly identities?: { readonly scheme: string; readonly user: string }[]
}

export function writeConnectRequest(to: JuteWriter, connect: ClientConnect): void {
  to.beginFrame()
  to.int32(0)
  to.int64(connect.lastZxidSeen)
  to.int32(connect.timeoutMs)
  to.bigint64(connect.sessionId)
  to.bytes(connect.password)
  if (connect.readOnly !== undefined) to.bool(connect.readOnly)
  to.endFrame()
}

export function readConnectResponse(from: JuteReader): ClientConnected {
  from.int32()
  const timeoutMs = from.int32()
  const sessionId = from.bigint64()
  const password = from.bytes()
  return { timeoutMs, sessionId, password, readOnly: from.remaining > 0 ? from.bool() : undefined }
}

/** Writes a request as one frame. Use the xids of `XID` for ping, auth and setWatches. */
export function writeRequest(to: JuteWriter, xid: number, request: WireRequest): void {
  to.beginFrame()
  to.int32(xid)
  to.int32(request.op)
  writeRequestRecord(to, request)
  to.endFrame()
}

export function readReplyHeader(from: JuteReader): ReplyHeader {
  return { xid: from.int32(), zxid: from.int64(), err: from.int32() }
}

export function readWatcherEvent(from: JuteReader): WatcherEvent {
  return { type: from.int32(), state: from.int32(), path: from.string() }
}

/** The body that follows a reply header without an error, for the operation that was asked. Throws MarshallingError. */
export function readReplyBody(op: WireRequest['op'], from: JuteReader): ReplyBody {
  switch (op) {
    case OP.create:
    case OP.sync:
      return { path: from.nullableString() }
    case OP.create2:
    case OP.createContainer:
    case OP.createTtl:
      return { path: from.nullableString(), stat: readStat(from) }
    case OP.exists:
    case OP.setData:
    case OP.setAcl:
      return { stat: readStat(from) }
    case OP.getData:
      return { data: from.bytes(), stat: readStat(from) }
    case OP.getChildren:
      return { children: from.strings() }
    case OP.getChildren2:
      return { children: from.strings(), stat: readStat(from) }
    case OP.getAcl:
      return { acl: readAcl(from), stat: readStat(from) }
    case OP.multi:
      return { results: readMultiResults(from) }
    case OP.multiRead:
      return { reads: readMultiReadResults(from) }
    case OP.getEphemerals:
      return { children: from.strings() }
    case OP.getAllChildrenNumber:
      return { count: from.int32() }
    case OP.whoAmI:
      return { identities: readIdentities(from) }
    case OP.sasl:
      return { data: from.bytes() }
    case OP.delete:
    case OP.ping:
    case OP.auth:
    case OP.setWatches:
    case OP.setWatches2:
    case OP.checkWatches:
    case OP.removeWatches:
    case OP.closeSession:
    case OP.reconfig:
      return {}
    case OP.addWatch:
      from.int32()
      return {}
    default:
      return unreachable(op)
  }
}

export function readStat(from: JuteReader): ClientStat {
  return {
    czxid: from.int64(),
    mzxid: from.int64(),
    ctime: from.int64(),
    mtime: from.int64(),
    version: from.int32(),
    cversion: from.int32(),
    aversion: from.int32(),
    ephemeralOwner: from.bigint64(),
    dataLength: from.int32(),
    numChildren: from.int32(),
    pzxid: from.int64(),
  }
}

function writeRequestRecord(to: JuteWriter, request: WireRequest): void {
  switch (request.op) {
    case OP.exists:
    case OP.getData:
    case OP.getChildren:
    case OP.getChildren2:
      to.string(request.path)
      to.bool(request.watch)
      break
    case OP.create:
    case OP.create2:
    case OP.createContainer:
    case OP.createTtl:
    case OP.delete:
    case OP.setData:
      writeOperation(to, request)
      break
    case OP.getAcl:
    case OP.sync:
      to.string(request.path)
      break
    case OP.setAcl:
      to.string(request.path)
      writeAcl(to, request.acl)
      to.int32(request.version)
      break
    case OP.multiRead:
      for (const { op, path } of request.reads) {
        writeMultiHeader(to, op, false)
        to.string(path)
        to.bool(false)
      }
      writeMultiHeader(to, -1, true)
      break
    case OP.getEphemerals:
      to.string(request.prefix)
      break
    case OP.getAllChildrenNumber:
      to.string(request.path)
      break
    case OP.reconfig:
      to.string(request.joining)
      to.string(request.leaving)
      to.string(request.members)
      to.int64(request.configId)
      break
    case OP.multi:
      writeMultiOperations(to, request.operations)
      break
    case OP.auth:
      to.int32(0)
      to.string(request.scheme)
      to.bytes(request.credential)
      break
    case OP.sasl:
      to.bytes(request.token)
      break
    case OP.setWatches:
    case OP.setWatches2:
      to.int64(request.relativeZxid)
      to.strings(request.dataWatches)
      to.strings(request.existWatches)
      to.strings(request.childWatches)
      if (request.op === OP.setWatches) break
      to.strings(request.persistentWatches)
      to.strings(request.persistentRecursiveWatches)
      break
    case OP.addWatch:
      to.string(request.path)
      to.int32(request.mode)
      break
    case OP.checkWatches:
    case OP.removeWatches:
      to.string(request.path)
      to.int32(request.type)
      break
    case OP.ping:
    case OP.closeSession:
    case OP.whoAmI:
      break
    default:
      unreachable(request)
  }
}

function writeOperation(to: JuteWriter, operation: MultiOperation): void {
  to.string(operation.path)
  switch (operation.op) {
    case OP.delete:
    case OP.check:
      to.int32(operation.version)
      break
    case OP.setData:
      to.bytes(operation.data)
      to.int32(operation.version)
      break
    case OP.create:
    case OP.create2:
    case OP.createContainer:
    case OP.createTtl:
      to.bytes(operation.data)
      writeAcl(to, operation.acl)
      to.int32(operation.flags)
      if (operation.op === OP.createTtl) to.int64(operation.ttlMs)
      break
    default:
      unreachable(operation)
  }
}

function writeMultiOperations(to: JuteWriter, operations: readonly MultiOperation[]): void {
  for (const operation of operations) {
    writeMultiHeader(to, operation.op, false)
    writeOperation(to, operation)
  }
  writeMultiHeader(to, -1, true)
}

function writeMultiHeader(to: JuteWriter, op: number, done: boolean): void {
  to.int32(op)
  to.bool(done)
  to.int32(-1)
}

function readIdentities(from: JuteReader): { scheme: string; user: string }[] {
  return Array.from({ length: from.int32() }, () => ({ scheme: from.string(), user: from.string() }))
}

function readMultiReadResults(from: JuteReader): MultiReadResult<ClientStat>[] {
  return readEach(from, (op): MultiReadResult<ClientStat> => {
    if (op === OP.getData) return { op, data: from.bytes(), stat: readStat(from) }
    return op === OP.getChildren ? { op, children: from.strings() } : { op: OP.error, err: from.int32() }
  })
}

function readMultiResults(from: JuteReader): MultiResult<ClientStat>[] {
  return readEach(from, (op) => readMultiResult(op, from))
}

/** What stands behind each header, up to the one that ends it. */
function readEach<R>(from: JuteReader, readOne: (op: number) => R): R[] {
  const results: R[] = []
  for (;;) {
    const op = from.int32()
    const done = from.bool()
    from.int32()
    if (done) return results
    results.push(readOne(op))
  }
}

function readMultiResult(op: number, from: JuteReader): MultiResult<ClientStat> {
  switch (op) {
    case OP.create:
      return { op, path: from.string() }
    case OP.create2:
      return { op, path: from.string(), stat: readStat(from) }
    case OP.setData:
      return { op, stat: readStat(from) }
    case OP.delete:
    case OP.check:
      return { op }
    case OP.error:
      return { op, err: from.int32() }
    default:
      throw BAD_MULTI
  }
}
