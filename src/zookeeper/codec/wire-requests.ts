// Decodes the records of client requests, sub-operations of a multi included. Judges only what ZooKeeper's own record reading
// judges; paths, flags, versions and permissions are for the database.

import type { JuteReader } from './jute-reader.ts'
import { BAD_MULTI } from './marshalling-error.ts'
import { OP } from './opcodes.ts'
import { type Acl, readAcl } from './stat.ts'

/** exists, getData, getChildren, getChildren2. */
export interface ReadRequest {
  readonly op: typeof OP.exists | typeof OP.getData | typeof OP.getChildren | typeof OP.getChildren2
  readonly path: string
  readonly watch: boolean
}

/**
 * All four kinds of create. `data` is a view of the frame. `flags` are as sent: see `createMode`, and mind that any of the
 * operations may carry any flags. `ttlMs` is 0 but for createTtl.
 */
export interface CreateRequest {
  readonly op: typeof OP.create | typeof OP.create2 | typeof OP.createContainer | typeof OP.createTtl
  readonly path: string
  readonly data: Buffer | null
  readonly acl: readonly Acl[]
  readonly flags: number
  readonly ttlMs: number
}

export interface DeleteRequest {
  readonly op: typeof OP.delete
  readonly path: string
  readonly version: number
}

/** `data` is a view of the frame. A null path is read as '' (both are badArguments). */
export interface SetDataRequest {
  readonly op: typeof OP.setData
  readonly path: string
  readonly data: Buffer | null
  readonly version: number
}

export interface GetAclRequest {
  readonly op: typeof OP.getAcl
  readonly path: string
}

/** `version` is compared with the node's aversion. A null path is read as '' (both are badArguments). */
export interface SetAclRequest {
  readonly op: typeof OP.setAcl
  readonly path: string
  readonly acl: readonly Acl[]
  readonly version: number
}

/** The path is not looked at by anybody, only sent back. */
export interface SyncRequest {
  readonly op: typeof OP.sync
  readonly path: string | null
}

/** Inside a multi only. A null path is read as '' (both are badArguments). */
export interface CheckRequest {
  readonly op: typeof OP.check
  readonly path: string
  readonly version: number
}

export type MultiOperation = CreateRequest | DeleteRequest | SetDataRequest | CheckRequest

/** Of a multiRead; that it should set a watch is read and means nothing. */
export interface SubRead {
  readonly op: typeof OP.getData | typeof OP.getChildren
  readonly path: string
}

/** Each answered by itself. May be empty. */
export interface MultiReadRequest {
  readonly op: typeof OP.multiRead
  readonly reads: SubRead[]
}

/** Of the session's own nodes those whose path starts with `prefix`, whatever comes there; null is read as '': all. */
export interface GetEphemeralsRequest {
  readonly op: typeof OP.getEphemerals
  readonly prefix: string
}

/** How many nodes are below this one, at any depth. */
export interface DescendantsRequest {
  readonly op: typeof OP.getAllChildrenNumber
  readonly path: string
}

export interface ReconfigRequest {
  readonly op: typeof OP.reconfig
  readonly joining: string | null
  readonly leaving: string | null
  readonly members: string | null
  readonly configId: number
}

/** All or nothing. May be empty. The frame bounds the number of operations (17 bytes each at least). */
export interface MultiRequest {
  readonly op: typeof OP.multi
  readonly operations: MultiOperation[]
}

/** `credential` is a view of the frame. */
export interface AuthRequest {
  readonly op: typeof OP.auth
  readonly scheme: string
  readonly credential: Buffer | null
}

/** One step of a SASL exchange. `token` is a view of the frame. */
export interface SaslRequest {
  readonly op: typeof OP.sasl
  readonly token: Buffer | null
}

/** What a client that reconnects was watching when it had seen `relativeZxid`. The last two lists are setWatches2's. */
export interface SetWatchesRequest {
  readonly op: typeof OP.setWatches | typeof OP.setWatches2
  readonly relativeZxid: number
  readonly dataWatches: string[]
  readonly existWatches: string[]
  readonly childWatches: string[]
  readonly persistentWatches: string[]
  readonly persistentRecursiveWatches: string[]
}

/** `mode` is as sent: see `WATCH_MODE`. */
export interface AddWatchRequest {
  readonly op: typeof OP.addWatch
  readonly path: string
  readonly mode: number
}

/** Are there such watches of this connection, or: remove them. `type` is as sent: see `WATCHER_TYPE`. */
export interface WatcherRequest {
  readonly op: typeof OP.checkWatches | typeof OP.removeWatches
  readonly path: string
  readonly type: number
}

/** ping, closeSession, whoAmI: a header and nothing else. */
export interface HeaderRequest {
  readonly op: typeof OP.ping | typeof OP.closeSession | typeof OP.whoAmI
}

export type WireRequest =
  | ReadRequest
  | CreateRequest
  | DeleteRequest
  | SetDataRequest
  | GetAclRequest
  | SetAclRequest
  | SyncRequest
  | MultiRequest
  | AuthRequest
  | SaslRequest
  | SetWatchesRequest
  | AddWatchRequest
  | WatcherRequest
  | MultiReadRequest
  | GetEphemeralsRequest
  | DescendantsRequest
  | ReconfigRequest
  | HeaderRequest

const PING: HeaderRequest = { op: OP.ping }
const CLOSE_SESSION: HeaderRequest = { op: OP.closeSession }
const WHO_AM_I: HeaderRequest = { op: OP.whoAmI }

/**
 * The record after a request header, whose two fields (`xid`, then `op`, both int32) the caller has read. Undefined for
 * operations that have no decoder here, a check outside of a multi among them: all of them are answered unimplemented.
 * Bytes after the record are ignored, as ZooKeeper does. Throws MarshallingError.
 */
export function readRequest(op: number, from: JuteReader): WireRequest | undefined {
  switch (op) {
    case OP.exists:
    case OP.getData:
    case OP.getChildren:
    case OP.getChildren2:
      return { op, path: from.string(), watch: from.bool() }
    case OP.setData:
      return readSetData(from)
    case OP.create:
    case OP.create2:
    case OP.createContainer:
    case OP.createTtl:
      return readCreate(op, from)
    case OP.delete:
      return { op, path: from.string(), version: from.int32() }
    case OP.multi:
      return { op, operations: readMulti(from) }
    case OP.ping:
      return PING
    case OP.closeSession:
      return CLOSE_SESSION
    case OP.sync:
      return { op, path: from.nullableString() }
    case OP.getAcl:
      return { op, path: from.string() }
    case OP.setAcl:
      return { op, path: from.nullableString() ?? '', acl: readAcl(from), version: from.int32() }
    case OP.auth:
      return readAuth(from)
    case OP.sasl:
      return { op, token: from.bytes() }
    case OP.setWatches:
    case OP.setWatches2:
      return readSetWatches(op, from)
    case OP.addWatch:
      return { op, path: from.string(), mode: from.int32() }
    case OP.checkWatches:
    case OP.removeWatches:
      return { op, path: from.string(), type: from.int32() }
    case OP.multiRead:
      return { op, reads: readSubReads(from) }
    case OP.getEphemerals:
      return { op, prefix: from.nullableString() ?? '' }
    case OP.getAllChildrenNumber:
      return { op, path: from.string() }
    case OP.whoAmI:
      return WHO_AM_I
    case OP.reconfig:
      return readReconfig(from)
    default:
      return undefined
  }
}

function readCreate(op: CreateRequest['op'], from: JuteReader): CreateRequest {
  const path = from.string()
  const data = from.bytes()
  const acl = readAcl(from)
  const flags = from.int32()
  return { op, path, data, acl, flags, ttlMs: op === OP.createTtl ? from.int64() : 0 }
}

function readSetData(from: JuteReader): SetDataRequest {
  return { op: OP.setData, path: from.nullableString() ?? '', data: from.bytes(), version: from.int32() }
}

function readMulti(from: JuteReader): MultiOperation[] {
  const operations: MultiOperation[] = []
  for (;;) {
    const op = from.int32()
    const done = from.bool()
    from.int32() // an error code, without meaning in a request
    if (done) return operations
    operations.push(readMultiOperation(op, from))
  }
}

function readSubReads(from: JuteReader): SubRead[] {
  const reads: SubRead[] = []
  for (;;) {
    const op = from.int32()
    const done = from.bool()
    from.int32() // an error code, without meaning in a request
    if (done) return reads
    if (op !== OP.getData && op !== OP.getChildren) throw BAD_MULTI
    reads.push({ op, path: from.string() })
    from.bool() // a watch, which ZooKeeper does not set either
  }
}

function readReconfig(from: JuteReader): ReconfigRequest {
  const joining = from.nullableString()
  const leaving = from.nullableString()
  const members = from.nullableString()
  return { op: OP.reconfig, joining, leaving, members, configId: from.int64() }
}

function readMultiOperation(op: number, from: JuteReader): MultiOperation {
  switch (op) {
    case OP.create:
    case OP.create2:
    case OP.createContainer:
    case OP.createTtl:
      return readCreate(op, from)
    case OP.delete:
      return { op, path: from.string(), version: from.int32() }
    case OP.setData:
      return readSetData(from)
    case OP.check:
      return { op, path: from.nullableString() ?? '', version: from.int32() }
    default:
      throw BAD_MULTI
  }
}

function readAuth(from: JuteReader): AuthRequest {
  from.int32() // a type, always 0 and never looked at
  return { op: OP.auth, scheme: from.nullableString() ?? '', credential: from.bytes() }
}

function readSetWatches(op: SetWatchesRequest['op'], from: JuteReader): SetWatchesRequest {
  const relativeZxid = from.int64()
  const dataWatches = from.strings()
  const existWatches = from.strings()
  const childWatches = from.strings()
  const persistentWatches = op === OP.setWatches2 ? from.strings() : []
  const persistentRecursiveWatches = op === OP.setWatches2 ? from.strings() : []
  return { op, relativeZxid, dataWatches, existWatches, childWatches, persistentWatches, persistentRecursiveWatches }
}
