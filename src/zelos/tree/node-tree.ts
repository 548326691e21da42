// The tree of znodes over the LocalStore: records, ephemeral index, and decoded nodes in memory. It keeps these
// consistent with one another and knows no rule of who may do what (tree-updates.ts).

import { textOfKey } from '../../base/key.ts'
import type { ReadTx } from '../../store/local-store.ts'
import type { SessionId, ZNode, Zxid } from '../znode.ts'
import type { ApplyState } from './apply-state.ts'
import { CachedNode, dataLengthOf, snapshotOf } from './cached-node.ts'
import { ChildFilters } from './child-filters.ts'
import {
  childNameKey,
  childRange,
  dataKey,
  dataKeyOf,
  descendantRange,
  ephemeralKey,
  ephemeralPath,
  ephemeralRange,
  nodeKey,
} from './key-space.ts'
import { decodeNode, encodeNode, inlineDataLengthOf, inlineDataOf, isDataApart, isLong } from './node-codec.ts'
import { NodeHistory } from './node-history.ts'
import { levelOf } from './node-path.ts'
import { type CacheLimits, StagedCache } from './staged-cache.ts'

/** What a decoded node costs besides its data: object, slot, map entry, path, key. */
const NODE_BYTES = 420
const EMPTY = Buffer.alloc(0)

export class NodeTree {
  /** Of the last transaction. */
  readonly history = new NodeHistory()
  private readonly state: ApplyState
  private readonly nodes: StagedCache<string, ZNode, CachedNode>
  private readonly filters = new ChildFilters()

  constructor(state: ApplyState, limits: CacheLimits) {
    this.state = state
    this.nodes = state.follow(
      new StagedCache(limits, {
        newSlot: (path) => new CachedNode(path),
        sizeOf: memoryOf,
        keeps: (node) => !isUntouched(node),
      }),
    )
    state.onForget(() => this.filters.clear())
    state.onBegin(() => this.history.clear())
  }

  // ── reads ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A node as committed, also while a transaction is open that may fail. Valid until the next commit. */
  read(reader: ReadTx, path: string): ZNode | undefined {
    return this.nodes.committed(path) ?? this.load(reader, path)
  }

  /** A node as a transaction sees it that this tree does not follow. */
  stored(tx: ReadTx, path: string): ZNode | undefined {
    const record = tx.get(nodeKey(path))
    return record === undefined ? undefined : decodeNode(record, () => tx.get(dataKey(path)))
  }

  /** A node as the open transaction sees it; only in apply. */
  node(tx: ReadTx, path: string): ZNode | undefined {
    const known = this.nodes.get(path)
    return known === undefined ? this.load(tx, path) : (known ?? undefined)
  }

  /** The same of many nodes that are about to go: what was not in memory stays out of it. About 3 µs a node that is on disk. */
  nodesOf(tx: ReadTx, paths: readonly string[]): (ZNode | undefined)[] {
    const known = paths.map((path) => this.nodes.get(path))
    const missing = paths.filter((_, at) => known[at] === undefined)
    const records = tx.getMany(missing.map(nodeKey))
    let next = 0
    return known.map((node) => {
      if (node !== undefined) return node ?? undefined
      const path = missing[next] as string
      const record = records[next++]
      return record === undefined ? undefined : decodeNode(record, () => tx.get(dataKey(path)))
    })
  }

  private load(reader: ReadTx, path: string): ZNode | undefined {
    const record = reader.get(nodeKey(path))
    if (record === undefined) return undefined
    const node = decodeNode(record, () => reader.get(dataKey(path)))
    this.nodes.admit(path, node)
    return node
  }

  /**
   * Names of the children in the order of their UTF-8 bytes. Undefined if they have more than `bytesMax` bytes, four a
   * name added, as they are counted in a reply. About 1 µs a name.
   */
  children(reader: ReadTx, path: string, bytesMax: number): string[] | undefined {
    const range = childRange(path)
    const names: string[] = []
    let bytes = 0
    for (const [key] of reader.scan(range, { keysOnly: true })) {
      const name = childNameKey(key, range)
      bytes += name.length + 4
      if (bytes > bytesMax) return undefined
      names.push(textOfKey(name))
    }
    return names
  }

  /** How many nodes are below `top`, and the bytes of their data; in apply. */
  sizeBelow(tx: ReadTx, top: string): { readonly nodes: number; readonly bytes: number } {
    let nodes = 0
    let bytes = 0
    for (let level = levelOf(top) + 1; ; level++) {
      const before = nodes
      for (const [key, record] of tx.scan(descendantRange(top, level))) {
        nodes++
        bytes += inlineDataLengthOf(record) ?? tx.get(dataKeyOf(key, level))?.length ?? 0
      }
      if (nodes === before) return { nodes, bytes }
    }
  }

  /** Paths of a session's ephemeral nodes, the first `limit` in the order of their bytes. */
  ephemerals(reader: ReadTx, session: SessionId, limit?: number): string[] {
    const paths: string[] = []
    const options = { keysOnly: true, ...(limit !== undefined && { limit }) }
    for (const [key] of reader.scan(ephemeralRange(session), options)) paths.push(ephemeralPath(key))
    return paths
  }

  get cachedNodes(): number {
    return this.nodes.entries
  }

  get cachedBytes(): number {
    return this.nodes.bytes
  }

  /** Is there a child `path` of `parent`? In apply, before a create; as `node`, but often without asking the store. */
  hasChild(parentPath: string, parent: ZNode, path: string): boolean {
    const { state, filters } = this
    if (parent.numChildren === 0) {
      if (!state.attempting) filters.start(parentPath)
      return false
    }
    return !filters.isAbsent(parentPath, path) && this.node(state.tx, path) !== undefined
  }

  // ── changes, inside apply ─────────────────────────────────────────────────────────────────────────────────────────────

  /** Adds a new node, which the tree takes over, and counts it at its parent. */
  add(path: string, node: ZNode, parentPath: string, parent: ZNode): ZNode {
    const { tx, counters } = this.state
    this.history.note(counters.zxid, path, null)
    const stored = this.write(path, node)
    this.filters.add(parentPath, path)
    if (node.ephemeralOwner !== 0) {
      tx.put(ephemeralKey(node.ephemeralOwner, path), EMPTY)
      counters.ephemerals++
    }
    counters.nodes++
    counters.dataBytes += path.length + dataLengthOf(node)
    this.replaceStat(parentPath, parent, withChildren(parent, node.czxid, 1, 1))
    return stored
  }

  /** Removes a node without children; its parent is told by `lost`, once for many. */
  remove(path: string, node: ZNode): void {
    const { tx, counters } = this.state
    this.history.note(counters.zxid, path, snapshotOf(node))
    const slot = this.nodes.slot(path)
    tx.delete(slot?.recordKey ?? nodeKey(path))
    this.nodes.stageIn(slot, path, null)
    if (isLong(dataLengthOf(node))) tx.delete(dataKey(path))
    if (node.ephemeralOwner !== 0) {
      tx.delete(ephemeralKey(node.ephemeralOwner, path))
      counters.ephemerals--
    }
    counters.nodes--
    counters.dataBytes -= path.length + dataLengthOf(node)
  }

  /** So many of its children were removed. */
  lost(parentPath: string, parent: ZNode, zxid: Zxid, children: number): void {
    this.replaceStat(parentPath, parent, withChildren(parent, zxid, 0, -children))
  }

  /** Replaces a node by one with other data, which the tree takes over. */
  replaceData(path: string, before: ZNode, after: ZNode): ZNode {
    const { tx, counters } = this.state
    this.history.note(counters.zxid, path, snapshotOf(before))
    if (isLong(dataLengthOf(before)) && !isLong(dataLengthOf(after))) tx.delete(dataKey(path))
    counters.dataBytes += dataLengthOf(after) - dataLengthOf(before)
    return this.write(path, after)
  }

  /** Replaces a node by one with the same data. */
  replaceStat(path: string, before: ZNode, after: ZNode): void {
    const { tx, counters } = this.state
    this.history.note(counters.zxid, path, snapshotOf(before))
    const slot = this.nodes.slot(path)
    tx.put(slot?.recordKey ?? nodeKey(path), encodeNode(after))
    this.nodes.stageIn(slot, path, after)
  }

  /** Writes a node without looking at its surroundings: for the first nodes of a new store. */
  plant(path: string, node: ZNode): void {
    const { counters } = this.state
    this.write(path, node)
    counters.nodes++
    counters.dataBytes += path.length + dataLengthOf(node)
  }

  // The node is the caller's to give away. Its data is replaced by what lies in a buffer of the store, since the log's batch
  // that the update came in must not be kept alive. In place: a copy of every node would be a good part of an update's cost.
  private write(path: string, node: ZNode): ZNode {
    const record = encodeNode(node)
    const slot = this.nodes.slot(path)
    this.state.tx.put(slot?.recordKey ?? nodeKey(path), record)
    const own = node as { data: Uint8Array | null }
    if (own.data !== null) own.data = this.storedData(path, own.data, record)
    this.nodes.stageIn(slot, path, node)
    return node
  }

  private storedData(path: string, data: Uint8Array, record: Buffer): Buffer {
    if (!isDataApart(data)) return inlineDataOf(record)
    const copy = Buffer.from(data)
    this.state.tx.put(dataKey(path), copy)
    return copy
  }
}

// Written out field by field: spreading an object costs several times as much, and this runs in every create.
function withChildren(node: ZNode, pzxid: Zxid, created: number, added: number): ZNode {
  return {
    data: node.data,
    czxid: node.czxid,
    mzxid: node.mzxid,
    pzxid,
    ctime: node.ctime,
    mtime: node.mtime,
    version: node.version,
    createdChildren: (node.createdChildren + created) | 0,
    aversion: node.aversion,
    ephemeralOwner: node.ephemeralOwner,
    aclId: node.aclId,
    numChildren: node.numChildren + added,
    lifetime: node.lifetime,
  }
}

function memoryOf(node: ZNode): number {
  return NODE_BYTES + dataLengthOf(node)
}

// As it was created. Many such nodes are not read for a while, or never, and to keep them decoded is a sixth of a create:
// objects that outlive collections, and a large map that grows. Decoding one that is read after all costs 2 µs from the
// write-back layer, 5 µs from the disk, once.
function isUntouched(node: ZNode): boolean {
  return node.mzxid === node.czxid && node.createdChildren === 0 && node.aversion === 0
}
