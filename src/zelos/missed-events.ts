// What a connection that comes back is told of the time it was away, for watches that stay. From the changes that are kept it hears
// every event, as if it had been there; of a time whose changes are not (too many ago, or before an older build was replaced, or
// the database restored) it hears what the nodes themselves show. Sets no watches.

import type { ReadTx } from '../store/local-store.ts'
import type { ChangeHistory, MissedChanges } from './change-history.ts'
import type { CommittedReads } from './committed-reads.ts'
import type { LimitGuard } from './limits.ts'
import { OPEN_ACL } from './tree/acl-rules.ts'
import { childOf, parentOf, ROOT } from './tree/node-path.ts'
import type { NodeTree } from './tree/node-tree.ts'
import type { TreeChange } from './tree/tree-updates.ts'
import { deliver, type Watches } from './watches.ts'
import type { WatchEventType, WatchSet, WatchSink } from './zelos.ts'
import type { Acl, ZNode, Zxid } from './znode.ts'

export interface MissedEventsContext {
  readonly history: ChangeHistory
  readonly reads: CommittedReads
  readonly tree: NodeTree
  readonly store: { read(): ReadTx }
  readonly guard: LimitGuard
  readonly watches: Watches
  /** Of the newest update that connections were told of. */
  readonly lastZxid: () => Zxid
}

/** Paths of which events were told: a one-shot watch of them has fired with it. */
export interface Told {
  /** created, deleted or dataChanged */
  readonly data: ReadonlySet<string>
  /** childrenChanged or deleted */
  readonly child: ReadonlySet<string>
}

interface Missed {
  readonly type: WatchEventType
  readonly path: string
  readonly zxid: Zxid
  readonly acl: readonly Acl[]
}

export class MissedEvents {
  /** Connections that were told every event, and those that were told what the nodes show. */
  replayed = 0
  compared = 0
  private readonly context: MissedEventsContext

  constructor(context: MissedEventsContext) {
    this.context = context
  }

  /** `awaySinceMs`: what was applied until then, by the monotonic clock, the connection was told. */
  tell(sink: WatchSink, watches: WatchSet, awaySinceMs: number): MissedTelling {
    return new MissedTelling(this.context, this, sink, watches, awaySinceMs)
  }
}

/** Tells one connection what its watches have missed, in the order of the zxids. Holds the changes of 8 MB at most meanwhile. */
export class MissedTelling implements Told {
  readonly data = new Set<string>()
  readonly child = new Set<string>()
  private readonly context: MissedEventsContext
  private readonly counts: MissedEvents
  private readonly sink: WatchSink
  private readonly persistent: ReadonlySet<string>
  private readonly recursive: ReadonlySet<string>
  private readonly prefix: Buffer
  private readonly awaySinceMs: number
  /** What comes later is told by those watches too that the connection has already. */
  private readonly begunAt: Zxid
  /** All up to here is told. */
  private reached: Zxid
  /** Of those up to `until` some are told. */
  private changes: MissedChanges | undefined
  private until: Zxid
  private isReplayed = false

  constructor(
    context: MissedEventsContext,
    counts: MissedEvents,
    sink: WatchSink,
    { relativeZxid, persistent = [], recursive = [] }: WatchSet,
    awaySinceMs: number,
  ) {
    this.context = context
    this.counts = counts
    this.sink = sink
    this.persistent = new Set(persistent)
    this.recursive = new Set(recursive)
    this.prefix = Buffer.from(commonPrefix([...persistent, ...recursive]))
    this.awaySinceMs = awaySinceMs
    this.begunAt = context.lastZxid()
    this.reached = persistent.length + recursive.length === 0 ? Number.POSITIVE_INFINITY : relativeZxid
    this.until = relativeZxid
  }

  /**
   * Looks at `rows` more changes. True if all is told that connections were told of by now: what comes then is for the watches
   * themselves, set in the same section. It ends, since what is too old is not told one by one.
   */
  step(rows: number): boolean {
    for (let left = rows; left > 0; left--) {
      const last = this.context.lastZxid()
      if (this.reached >= last) return true
      if (this.changes === undefined && !this.lookUp(last)) continue
      if (!this.changes?.visit(this.prefix, this.until, left, this.replay)) this.reached = this.until
      else return false
      this.changes = undefined
    }
    return false
  }

  /** False if the changes are not kept, and the nodes have told instead. */
  private lookUp(last: Zxid): boolean {
    const { awaySinceMs, context, counts, isReplayed, reached } = this
    this.changes = context.history.since(reached, awaySinceMs, last)
    this.until = last
    if (this.changes !== undefined) {
      if (!isReplayed) counts.replayed++
      this.isReplayed = true
      return true
    }
    counts.compared++
    const comparison = new Comparison(context, reached, last)
    for (const path of this.persistent) comparison.ofNode(path)
    for (const path of this.recursive) comparison.ofTree(path)
    for (const { type, path, acl, zxid } of comparison.inOrder()) this.tell(type, path, acl, zxid)
    this.reached = last
    return false
  }

  /** As Watches.fire would have told the sink. */
  private readonly replay = (change: TreeChange, zxid: Zxid): void => {
    const { begunAt, context, persistent, recursive, sink } = this
    const { type, path, acl, parentAcl = OPEN_ACL } = change
    const isTold = zxid > begunAt && context.watches.hearsOf(path, sink)
    if (!isTold && (persistent.has(path) || isAtOrBelow(path, recursive))) this.tell(type, path, acl, zxid)
    if (type === 'dataChanged') return
    const parent = parentOf(path)
    if (!persistent.has(parent) || (zxid > begunAt && context.watches.has('persistent', parent, sink))) return
    this.tell('childrenChanged', parent, parentAcl, zxid)
  }

  private tell(type: WatchEventType, path: string, acl: readonly Acl[], zxid: Zxid): void {
    if (!deliver(this.sink, type, path, acl, zxid)) return
    if (type !== 'childrenChanged') this.data.add(path)
    if (type === 'childrenChanged' || type === 'deleted') this.child.add(path)
  }
}

function isAtOrBelow(path: string, tops: ReadonlySet<string>): boolean {
  if (tops.size === 0) return false
  for (let at = path; !tops.has(at); at = parentOf(at)) if (at === ROOT) return false
  return true
}

function commonPrefix(paths: readonly string[]): string {
  let prefix = paths[0] ?? ''
  for (const path of paths) {
    let length = 0
    while (length < prefix.length && prefix.charCodeAt(length) === path.charCodeAt(length)) length++
    prefix = prefix.slice(0, length)
  }
  return prefix
}

/** Tells from zxids in the nodes what has happened to them: the last change of each kind, not those before it. */
class Comparison {
  private readonly context: MissedEventsContext
  private readonly since: Zxid
  private readonly last: Zxid
  private readonly missed: Missed[] = []
  /** Paths that were looked at for events of their own data. */
  private readonly seen = new Set<string>()
  private nodesLeft: number

  constructor(context: MissedEventsContext, since: Zxid, last: Zxid) {
    this.context = context
    this.since = since
    this.last = last
    this.nodesLeft = context.guard.limits.comparedNodesMax
  }

  inOrder(): readonly Missed[] {
    return this.missed.sort((a, b) => a.zxid - b.zxid)
  }

  ofNode(path: string): void {
    const node = this.context.reads.node(path)
    if (node === undefined) return this.absent(path)
    this.ownEvents(path, node)
    const { pzxid } = node
    if (pzxid > this.since && pzxid > node.czxid) this.add('childrenChanged', path, pzxid, node)
  }

  /** Stops at the limit: of nodes beyond it nothing is told. What was deleted below the top is not known. */
  ofTree(top: string): void {
    const node = this.context.reads.node(top)
    if (node === undefined) return this.absent(top)
    const waiting: [path: string, node: ZNode][] = [[top === '' ? ROOT : top, node]]
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [path, found] = next
      this.ownEvents(path, found)
      if (!this.push(waiting, path, found)) return
    }
  }

  private push(waiting: [path: string, node: ZNode][], parent: string, { numChildren }: ZNode): boolean {
    if (numChildren === 0) return true
    const { guard, tree, store } = this.context
    this.nodesLeft -= numChildren
    if (this.nodesLeft < 0) {
      const { comparedNodesMax } = guard.limits
      guard.check('comparedNodesMax', comparedNodesMax - this.nodesLeft)
      return false
    }
    const reader = store.read()
    for (const name of tree.children(reader, parent, Number.MAX_SAFE_INTEGER) ?? []) {
      const path = childOf(parent, name)
      const child = tree.read(reader, path)
      if (child !== undefined) waiting.push([path, child])
    }
    return true
  }

  private ownEvents(path: string, node: ZNode): void {
    if (this.seen.has(path)) return
    this.seen.add(path)
    const { czxid, mzxid } = node
    if (czxid > this.since) this.add('created', path, czxid, node)
    if (mzxid > this.since && mzxid > czxid) this.add('dataChanged', path, mzxid, node)
  }

  /** It may have been there: then the children of its nearest ancestor have changed. */
  private absent(path: string): void {
    if (this.seen.has(path) || path === ROOT) return
    this.seen.add(path)
    const ancestor = this.nearestAncestor(path)
    if (ancestor === undefined || ancestor.pzxid <= this.since) return
    this.missed.push({ type: 'deleted', path, zxid: this.last, acl: OPEN_ACL })
  }

  // From the top: a path may have half a million names, the tree has not.
  private nearestAncestor(path: string): ZNode | undefined {
    const { reads } = this.context
    let nearest = reads.node(ROOT)
    for (let slash = path.indexOf('/', 1); slash !== -1; slash = path.indexOf('/', slash + 1)) {
      const next = reads.node(path.slice(0, slash))
      if (next === undefined) return nearest
      nearest = next
    }
    return nearest
  }

  private add(type: WatchEventType, path: string, zxid: Zxid, node: ZNode): void {
    if (zxid > this.last) return
    this.missed.push({ type, path, zxid, acl: this.context.reads.aclOf(node) })
  }
}
