// A decoded znode that stays in memory while its content changes: a commit writes into it, so that neither the cache's map nor
// the garbage collector has much to do with an update. Not here: when it does (staged-cache.ts).

import type { Key } from '../../base/key.ts'
import type { Lifetime, SessionId, ZNode, Zxid } from '../znode.ts'
import { nodeKey } from './key-space.ts'
import { CacheSlot } from './staged-cache.ts'

/** As a ZNode it is what is committed now: whoever looks at it after the next commit sees another node. See `snapshotOf`. */
export class CachedNode extends CacheSlot<string, ZNode> implements ZNode {
  data: Uint8Array | null = null
  /** Its bytes, 0 if null: here, since the buffer itself is often in no cache of the processor any more. */
  dataLength = 0
  czxid: Zxid = 0
  mzxid: Zxid = 0
  pzxid: Zxid = 0
  ctime = 0
  mtime = 0
  version = 0
  createdChildren = 0
  aversion = 0
  ephemeralOwner: SessionId = 0
  aclId = 0
  numChildren = 0
  lifetime: Lifetime | undefined = undefined
  private known = false
  private madeKey: Key | undefined = undefined

  get committed(): ZNode | undefined {
    return this.known ? this : undefined
  }

  /** Where the node's record is in the store. Made once: making, hashing and comparing a key is a good part of an update. */
  get recordKey(): Key {
    this.madeKey ??= nodeKey(this.key)
    return this.madeKey
  }

  // Field by field here and below: spreading an object costs several times as much, and this runs in every update.
  learn(node: ZNode): void {
    this.known = true
    this.data = node.data
    this.dataLength = dataLengthOf(node)
    this.czxid = node.czxid
    this.mzxid = node.mzxid
    this.pzxid = node.pzxid
    this.ctime = node.ctime
    this.mtime = node.mtime
    this.version = node.version
    this.createdChildren = node.createdChildren
    this.aversion = node.aversion
    this.ephemeralOwner = node.ephemeralOwner
    this.aclId = node.aclId
    this.numChildren = node.numChildren
    this.lifetime = node.lifetime
  }

  unlearn(): void {
    this.known = false
    this.data = null
    this.dataLength = 0
  }
}

export function dataLengthOf(node: ZNode): number {
  if (node instanceof CachedNode) return node.dataLength
  return node.data === null ? 0 : node.data.length
}

/** The node as it is now, for good. */
export function snapshotOf(node: ZNode): ZNode {
  if (!(node instanceof CachedNode)) return node
  return {
    data: node.data,
    czxid: node.czxid,
    mzxid: node.mzxid,
    pzxid: node.pzxid,
    ctime: node.ctime,
    mtime: node.mtime,
    version: node.version,
    createdChildren: node.createdChildren,
    aversion: node.aversion,
    ephemeralOwner: node.ephemeralOwner,
    aclId: node.aclId,
    numChildren: node.numChildren,
    lifetime: node.lifetime,
  }
}
