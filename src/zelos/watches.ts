// One-shot watches of the connections at this server: who waits for what, and who is told of a change, by ZooKeeper's rules.
// Soft state: nothing of it is stored or replicated.
//
// Two tables, as in ZooKeeper: *data* (set by getData and exists; told of created, deleted, dataChanged of the path) and
// *child* (set by getChildren; told of childrenChanged, and of deleted of the path itself).

import { LatencyHistogram } from '../base/latency-histogram.ts'
import type { LimitGuard } from './limits.ts'
import { isPermitted, OPEN_ACL } from './tree/acl-rules.ts'
import { parentOf } from './tree/node-path.ts'
import type { TreeChange } from './tree/tree-updates.ts'
import type { WatchEventType, WatchSink } from './zelos.ts'
import type { Acl, Zxid } from './znode.ts'

export type WatchKind = 'data' | 'child'

interface SinkPaths {
  readonly data: Set<string>
  readonly child: Set<string>
}

type Sinks = ReadonlySet<WatchSink>

const NOBODY: Sinks = new Set()

export class Watches {
  private readonly guard: LimitGuard
  private readonly tables: Readonly<Record<WatchKind, Map<string, Set<WatchSink>>>> = {
    data: new Map(),
    child: new Map(),
  }
  private readonly sinks = new Map<WatchSink, SinkPaths>()
  private watchCount = 0
  /** Of each event that somebody waited for: how many did. */
  readonly told: Readonly<Record<WatchEventType, LatencyHistogram>> = {
    created: new LatencyHistogram(),
    deleted: new LatencyHistogram(),
    dataChanged: new LatencyHistogram(),
    childrenChanged: new LatencyHistogram(),
  }

  constructor(guard: LimitGuard) {
    this.guard = guard
  }

  /** Watches: pairs of table, path and sink. */
  get count(): number {
    return this.watchCount
  }

  /** Paths with at least one watch, counted once a table. */
  get pathCount(): number {
    return this.tables.data.size + this.tables.child.size
  }

  /** For reports. */
  get dataWatches(): ReadonlyMap<string, Sinks> {
    return this.tables.data
  }

  /** The same by who waits. */
  *dataWatchesBySink(): Iterable<readonly [sink: WatchSink, paths: ReadonlySet<string>]> {
    for (const [sink, { data }] of this.sinks) if (data.size > 0) yield [sink, data]
  }

  /** Sets a watch; one that is there already stays one. Throws LIMIT_EXCEEDED: nothing is set then. */
  add(kind: WatchKind, path: string, sink: WatchSink): void {
    const paths = this.sinks.get(sink)
    if (paths?.[kind].has(path)) return
    this.checkLimits(paths)
    const table = this.tables[kind]
    const watchers = table.get(path)
    if (watchers === undefined) table.set(path, new Set([sink]))
    else watchers.add(sink)
    if (paths === undefined) this.sinks.set(sink, newSinkPaths(kind, path))
    else paths[kind].add(path)
    this.watchCount++
  }

  /** Forgets all watches of a sink. Costs as much as it has watches. */
  removeSink(sink: WatchSink): void {
    const paths = this.sinks.get(sink)
    if (paths === undefined) return
    this.sinks.delete(sink)
    for (const path of paths.data) this.forget('data', path, sink)
    for (const path of paths.child) this.forget('child', path, sink)
  }

  /** Tells whoever watches. A sink hears at most once of one type for one path, also if it watches data and children. */
  fire(change: TreeChange, zxid: Zxid): void {
    if (this.watchCount === 0) return
    const { type, path, acl } = change
    if (type === 'dataChanged') {
      this.trigger('data', path, type, acl, zxid, NOBODY)
      return
    }
    const told = this.trigger('data', path, type, acl, zxid, NOBODY)
    if (type === 'deleted') this.trigger('child', path, type, acl, zxid, told)
    this.trigger('child', parentOf(path), 'childrenChanged', change.parentAcl ?? OPEN_ACL, zxid, NOBODY)
  }

  /** Takes the watches of a path out of a table and tells those who may read the node and have not heard of it yet. */
  private trigger(
    kind: WatchKind,
    path: string,
    type: WatchEventType,
    acl: readonly Acl[],
    zxid: Zxid,
    told: Sinks,
  ): Sinks {
    const table = this.tables[kind]
    const watchers = table.get(path)
    if (watchers === undefined) return NOBODY
    table.delete(path)
    this.told[type].record(watchers.size)
    this.watchCount -= watchers.size
    for (const sink of watchers) {
      this.forgetPath(kind, path, sink)
      if (!told.has(sink)) deliver(sink, type, path, acl, zxid)
    }
    return watchers
  }

  private forget(kind: WatchKind, path: string, sink: WatchSink): void {
    const watchers = this.tables[kind].get(path)
    if (watchers?.delete(sink) !== true) return
    this.watchCount--
    if (watchers.size === 0) this.tables[kind].delete(path)
  }

  private forgetPath(kind: WatchKind, path: string, sink: WatchSink): void {
    const paths = this.sinks.get(sink)
    if (paths === undefined) return
    paths[kind].delete(path)
    if (paths.data.size === 0 && paths.child.size === 0) this.sinks.delete(sink)
  }

  private checkLimits(paths: SinkPaths | undefined): void {
    const own = paths === undefined ? 0 : paths.data.size + paths.child.size
    const error =
      this.guard.check('watchesPerConnectionMax', own + 1) ?? this.guard.check('watchesMax', this.watchCount + 1)
    if (error !== undefined) throw error
  }
}

/** Tells one sink, if it may read the node. */
export function deliver(sink: WatchSink, type: WatchEventType, path: string, acl: readonly Acl[], zxid: Zxid): void {
  if (acl === OPEN_ACL || isPermitted(acl, 1, sink.requester)) sink.watchFired(type, path, zxid)
}

function newSinkPaths(kind: WatchKind, path: string): SinkPaths {
  return kind === 'data' ? { data: new Set([path]), child: new Set() } : { data: new Set(), child: new Set([path]) }
}
