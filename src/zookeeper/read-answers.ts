// Answers reads from the committed state of the database: each call writes one whole reply frame. Knows nothing of turns and
// queues.

import { DelosError } from '../base/delos-error.ts'
import { limitNamedBy } from '../zelos/limits.ts'
import type { Requester } from '../zelos/requests.ts'
import type { AclResult, ChildrenResult, PastReads, WatchSelector, WatchSet, WatchSink, Zelos } from '../zelos/zelos.ts'
import type { Identity, ZCode, ZNode, Zxid } from '../zelos/znode.ts'
import { ERR } from './codec/error-codes.ts'
import type { JuteWriter } from './codec/jute-writer.ts'
import { OP } from './codec/opcodes.ts'
import {
  type MultiReadResult,
  writeAclReply,
  writeChildrenReply,
  writeCountReply,
  writeDataReply,
  writeErrorReply,
  writeHeaderReply,
  writeIdentitiesReply,
  writeMultiReadReply,
  writeStatReply,
} from './codec/replies.ts'
import { STAT_BYTES } from './codec/stat.ts'
import { WATCH_MODE, WATCHER_TYPE } from './codec/watch-codes.ts'
import type {
  AddWatchRequest,
  GetAclRequest,
  MultiReadRequest,
  ReadRequest,
  SetWatchesRequest,
  SubRead,
  WatcherRequest,
  WireRequest,
} from './codec/wire-requests.ts'
import type { DeferredParts, Walked } from './deferred-read.ts'
import { statView } from './reply-writer.ts'
import type { ClientLimitName, ClientLimits } from './server-options.ts'
import { statOf } from './stat-view.ts'

/** Who reads, where the reply goes, and who is told when a watch fires: one connection. */
export interface Reader extends WatchSink {
  readonly requester: Requester
  readonly replies: JuteWriter
}

/** A read that a limit forbids: it is answered with an error. Everything else that is thrown ends the connection. */
export interface RefusedRead {
  readonly error: DelosError
  /** Set if the limit is one of this server, and so counted here. */
  readonly limit: keyof ClientLimits | undefined
}

const SELECTORS: ReadonlyMap<number, WatchSelector> = new Map<number, WatchSelector>([
  [WATCHER_TYPE.children, 'children'],
  [WATCHER_TYPE.data, 'data'],
  [WATCHER_TYPE.any, 'any'],
  [WATCHER_TYPE.persistent, 'persistent'],
  [WATCHER_TYPE.persistentRecursive, 'recursive'],
])

type ReadState = Pick<PastReads, 'getData' | 'getChildren'>

export class ReadAnswers {
  private readonly zelos: Zelos
  private readonly limits: ClientLimits
  private readonly reader: Reader
  private readonly now: ReadState

  constructor(zelos: Zelos, limits: ClientLimits, reader: Reader) {
    this.zelos = zelos
    this.limits = limits
    this.reader = reader
    this.now = {
      getData: (requester, path) => zelos.getData(requester, path, undefined),
      getChildren: (requester, path, maxBytes) => zelos.getChildren(requester, path, undefined, maxBytes),
    }
  }

  /**
   * Writes the reply and returns its error code. `isBetween`: an update of its session behind it may be applied, and must not
   * be seen. Throws what the database throws, before anything was written.
   */
  write(request: WireRequest, xid: number, isBetween: boolean): number {
    const zxid = this.zelos.lastZxid
    if (isBetween) return this.writeAtCompletion(request, xid, zxid)
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
      case OP.multiRead:
        return this.multiRead(request, xid, zxid, this.now)
      case OP.whoAmI:
        return this.whoAmI(xid, zxid)
      case OP.addWatch:
        return this.addWatch(request, xid, zxid)
      case OP.checkWatches:
      case OP.removeWatches:
        return this.watcher(request, xid, zxid)
      default:
        return this.header(xid, zxid, ERR.ok)
    }
  }

  /** What is thrown by `write`, if it is a limit. */
  refused(thrown: unknown): RefusedRead | undefined {
    if (!(thrown instanceof DelosError) || thrown.code !== 'LIMIT_EXCEEDED') return undefined
    if (limitNamedBy(thrown) !== undefined) return { error: thrown, limit: undefined }
    const named = thrown.message.split(' ', 1)[0] as ClientLimitName
    return { error: thrown, limit: named in this.limits ? named : 'replyBytesMax' }
  }

  private header(xid: number, zxid: Zxid, err: number): number {
    writeHeaderReply(this.reader.replies, xid, zxid, err)
    return err
  }

  /** Such a read sets no watches: updates behind one that does are held. */
  private writeAtCompletion(request: WireRequest, xid: number, zxid: Zxid): number {
    const { requester } = this.reader
    const { atCompletion } = this.zelos
    switch (request.op) {
      case OP.getData:
        return this.dataReply(xid, zxid, atCompletion.getData(requester, request.path))
      case OP.exists:
        return this.statReply(xid, zxid, atCompletion.exists(requester, request.path))
      case OP.getChildren:
      case OP.getChildren2: {
        const found = atCompletion.getChildren(requester, request.path, this.limits.replyBytesMax)
        return this.childrenReply(request.op, xid, zxid, found)
      }
      case OP.getAcl:
        return this.aclReply(xid, zxid, atCompletion.getAcl(requester, request.path))
      case OP.multiRead:
        return this.multiRead(request, xid, zxid, atCompletion)
      case OP.whoAmI:
        return this.whoAmI(xid, zxid)
      default:
        return this.header(xid, zxid, ERR.ok)
    }
  }

  private getData({ path, watch }: ReadRequest, xid: number, zxid: Zxid): number {
    const { reader } = this
    return this.dataReply(xid, zxid, this.zelos.getData(reader.requester, path, watch ? reader : undefined))
  }

  private dataReply(xid: number, zxid: Zxid, found: ZNode | ZCode): number {
    if (typeof found === 'number') return this.header(xid, zxid, found)
    writeDataReply(this.reader.replies, xid, zxid, found.data, statView(found))
    return ERR.ok
  }

  private exists({ path, watch }: ReadRequest, xid: number, zxid: Zxid): number {
    const { reader } = this
    return this.statReply(xid, zxid, this.zelos.exists(reader.requester, path, watch ? reader : undefined))
  }

  private statReply(xid: number, zxid: Zxid, found: ZNode | ZCode): number {
    if (typeof found === 'number') return this.header(xid, zxid, found)
    writeStatReply(this.reader.replies, xid, zxid, statView(found))
    return ERR.ok
  }

  private getChildren({ op, path, watch }: ReadRequest, xid: number, zxid: Zxid): number {
    const { reader } = this
    const { replyBytesMax } = this.limits
    const found = this.zelos.getChildren(reader.requester, path, watch ? reader : undefined, replyBytesMax)
    return this.childrenReply(op, xid, zxid, found)
  }

  private childrenReply(op: number, xid: number, zxid: Zxid, found: ChildrenResult | ZCode): number {
    if (typeof found === 'number') return this.header(xid, zxid, found)
    const stat = op === OP.getChildren2 ? statView(found.node) : undefined
    writeChildrenReply(this.reader.replies, xid, zxid, found.children, stat)
    return ERR.ok
  }

  private getAcl({ path }: GetAclRequest, xid: number, zxid: Zxid): number {
    return this.aclReply(xid, zxid, this.zelos.getAcl(this.reader.requester, path))
  }

  private aclReply(xid: number, zxid: Zxid, found: AclResult | ZCode): number {
    if (typeof found === 'number') return this.header(xid, zxid, found)
    writeAclReply(this.reader.replies, xid, zxid, found.acl, statView(found.node))
    return ERR.ok
  }

  private multiRead({ reads }: MultiReadRequest, xid: number, zxid: Zxid, state: ReadState): number {
    const results: MultiReadResult[] = []
    const { multiReadNamesMax, multiReadsMax, replyBytesMax } = this.limits
    if (reads.length > multiReadsMax) throw tooMany('multiReadsMax', multiReadsMax)
    let bytesLeft = replyBytesMax
    let namesLeft = multiReadNamesMax
    for (const one of reads) {
      const result = this.subRead(one, state, Math.min(bytesLeft, namesLeft))
      const bytes = bytesOf(result)
      bytesLeft -= bytes
      if (bytesLeft < 0) throw tooMany('replyBytesMax', replyBytesMax)
      if (result.op === OP.getChildren) namesLeft -= bytes
      results.push(result)
    }
    writeMultiReadReply(this.reader.replies, xid, zxid, results)
    return ERR.ok
  }

  private subRead({ op, path }: SubRead, state: ReadState, maxBytes: number): MultiReadResult {
    if (op === OP.getChildren) {
      const found = this.subChildren(path, state, maxBytes)
      return typeof found === 'number' ? { op: OP.error, err: found } : { op, children: found.children }
    }
    const found = state.getData(this.reader.requester, path)
    return typeof found === 'number' ? { op: OP.error, err: found } : { op, data: found.data, stat: statOf(found) }
  }

  private subChildren(path: string, state: ReadState, maxBytes: number): ChildrenResult | ZCode {
    try {
      return state.getChildren(this.reader.requester, path, maxBytes)
    } catch (error) {
      if (!(error instanceof DelosError) || error.code !== 'LIMIT_EXCEEDED') throw error
      throw tooMany('multiReadNamesMax', this.limits.multiReadNamesMax)
    }
  }

  /** Starts such a request as looks at many nodes; undefined for all others. */
  walkOf(request: WireRequest): DeferredParts['walk'] {
    const { limits, reader, zelos } = this
    const { walks } = zelos
    if (request.op === OP.getAllChildrenNumber) {
      return (completion) => walks.countDescendants(reader.requester, request.path, completion)
    }
    if (request.op === OP.setWatches || request.op === OP.setWatches2) {
      const watches = watchSetOf(request)
      return (completion) => zelos.setWatches(reader, watches, completion)
    }
    if (request.op === OP.getChildren || request.op === OP.getChildren2) {
      const { path, watch } = request
      if (!walks.isLong(path)) return undefined
      const sink = watch ? reader : undefined
      return (completion) => walks.getChildren(reader.requester, path, sink, limits.replyBytesMax, completion)
    }
    if (request.op !== OP.getEphemerals) return undefined
    const prefix = ['', '/'].includes(request.prefix.trim()) ? '' : request.prefix
    return (completion) => walks.getEphemerals(reader.requester, prefix, limits.replyBytesMax, completion)
  }

  /** Writes the reply of one that was started. */
  writeWalked(walked: Walked, op: number, xid: number): number {
    const { reader } = this
    const zxid = this.zelos.lastZxid
    if (typeof walked === 'number') return this.header(xid, zxid, walked)
    if ('children' in walked) return this.childrenReply(op, xid, zxid, walked)
    if ('count' in walked) writeCountReply(reader.replies, xid, zxid, walked.count)
    else writeChildrenReply(reader.replies, xid, zxid, walked)
    return ERR.ok
  }

  private whoAmI(xid: number, zxid: Zxid): number {
    const { address, identities } = this.reader.requester
    const all = [{ scheme: 'ip', id: address }, ...identities]
    const shown = all.map((identity) => ({ scheme: identity.scheme, user: userOf(identity) }))
    writeIdentitiesReply(this.reader.replies, xid, zxid, shown)
    return ERR.ok
  }

  private addWatch({ path, mode }: AddWatchRequest, xid: number, zxid: Zxid): number {
    const { reader } = this
    if (mode === WATCH_MODE.persistent) this.zelos.addWatch(reader, path, 'persistent')
    else if (mode === WATCH_MODE.persistentRecursive) this.zelos.addWatch(reader, path, 'recursive')
    else return this.header(xid, zxid, ERR.marshallingError)
    writeErrorReply(reader.replies, xid, zxid, ERR.ok)
    return ERR.ok
  }

  private watcher({ op, path, type }: WatcherRequest, xid: number, zxid: Zxid): number {
    const selector = SELECTORS.get(type)
    if (selector === undefined) return this.header(xid, zxid, ERR.marshallingError)
    const { reader, zelos } = this
    const found =
      op === OP.checkWatches ? zelos.hasWatch(reader, path, selector) : zelos.removeWatches(reader, path, selector)
    return this.header(xid, zxid, found ? ERR.ok : ERR.noWatcher)
  }
}

function tooMany(name: ClientLimitName, limit: number): DelosError {
  return new DelosError('LIMIT_EXCEEDED', `${name} is ${limit}, this multiRead asks for more`)
}

function watchSetOf(request: SetWatchesRequest): WatchSet {
  return {
    relativeZxid: request.relativeZxid,
    data: request.dataWatches,
    exist: request.existWatches,
    child: request.childWatches,
    persistent: request.persistentWatches,
    recursive: request.persistentRecursiveWatches,
  }
}

/** Of the names or the data, as a limit counts them. */
function bytesOf(result: MultiReadResult): number {
  if (result.op === OP.getData) return STAT_BYTES + (result.data?.length ?? 0)
  let bytes = 0
  if (result.op === OP.getChildren) for (const name of result.children) bytes += Buffer.byteLength(name) + 4
  return bytes
}

/** As ZooKeeper shows a client what it is taken for: no password hash, and nothing for super. */
function userOf({ scheme, id }: Identity): string {
  if (scheme === 'super') return ''
  return scheme === 'digest' ? (id.split(':', 1)[0] as string) : id
}
