// Watches of the connections at this server: who waits for what, and who is told of a change, by ZooKeeper's rules. Soft
// state: nothing of it is stored or replicated.
//
// Two tables, as in ZooKeeper: *data* (set by getData and exists; told of created, deleted, dataChanged of the path) and
// *child* (set by getChildren; told of childrenChanged, and of deleted of the path itself). A persistent watch is in both and
// stays there; a recursive one is in *data* and hears of everything below its path too, but never of childrenChanged.

import { LatencyHistogram } from '../base/latency-histogram.ts'
import type { LimitGuard } from './limits.ts'
import { isPermitted, OPEN_ACL } from './tree/acl-rules.ts'
import { parentOf, ROOT } from './tree/node-path.ts'
import type { TreeChange } from './tree/tree-updates.ts'
import type { WatchEventType, WatchMode, WatchSelector, WatchSink } from './zelos.ts'
import type { Acl, Zxid } from './znode.ts'

export type WatchKind = 'data' | 'child'

/** What a connection's watch of a path in one table is made of, as bits: each can be set and removed alone. */
const ONE_SHOT = 1
const PERSISTENT = 2
const RECURSIVE = 4
const ANY_MODE = ONE_SHOT | PERSISTENT | RECURSIVE

interface SinkPaths {
  readonly data: Set<string>
  readonly child: Set<string>
  /** Of the paths in both. */
  chars: number
  /** Modes of the paths that are watched otherwise than once; undefined if there never was one. */
  lasting: { readonly data: Map<string, number>; readonly child: Map<string, number> } | undefined
}

type Sinks = ReadonlySet<WatchSink>

const NOBODY: Sinks = new Set()

export class Watches {
  private readonly guard: LimitGuard
  private readonly tables: Readonly<Record<WatchKind, Map<string, Set<WatchSink>>>> = {
    data: new Map(),
    child: new Map(),
  }
  /** Those of the data table with a recursive watch: the only ones that a change below their path asks. */
  private readonly recursive = new Map<string, Set<WatchSink>>()
  private readonly sinks = new Map<WatchSink, SinkPaths>()
  private watchCount = 0
  private watchChars = 0
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

  /** Watches: combinations of table, path and sink, whatever the modes. */
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

  // ── setting and removing ──────────────────────────────────────────────────────────────────────────────────────────────

  /** Sets a watch that fires once; one that is there already stays one. Throws LIMIT_EXCEEDED: nothing is set then. */
  add(kind: WatchKind, path: string, sink: WatchSink): void {
    if (!this.enter(kind, path, sink)) this.include(kind, path, sink, ONE_SHOT)
  }

  /** Sets a watch that stays. Throws LIMIT_EXCEEDED: nothing is set then. */
  addLasting(mode: WatchMode, path: string, sink: WatchSink): void {
    if (mode === 'recursive') {
      this.addMode('data', path, sink, RECURSIVE)
      const below = this.recursive.get(path)
      if (below === undefined) this.recursive.set(path, new Set([sink]))
      else below.add(sink)
    } else {
      this.addMode('child', path, sink, PERSISTENT)
      try {
        this.addMode('data', path, sink, PERSISTENT)
      } catch (error) {
        this.removeModes('child', path, sink, PERSISTENT)
        throw error
      }
    }
  }

  /** Does the sink have such a watch? */
  has(selector: WatchSelector, path: string, sink: WatchSink): boolean {
    switch (selector) {
      case 'children':
        return (this.modes('child', path, sink) & ONE_SHOT) !== 0
      case 'data':
        return (this.modes('data', path, sink) & ONE_SHOT) !== 0
      case 'persistent':
        return (this.modes('data', path, sink) & PERSISTENT) !== 0
      case 'recursive':
        return (this.modes('data', path, sink) & RECURSIVE) !== 0
      default:
        return (this.modes('data', path, sink) | this.modes('child', path, sink)) !== 0
    }
  }

  /** Is the sink told of what happens to the node itself by a watch that stays? */
  hearsOf(path: string, sink: WatchSink): boolean {
    if (this.sinks.get(sink)?.lasting === undefined) return false
    if (this.has('persistent', path, sink)) return true
    for (let at = path; !this.has('recursive', at, sink); at = parentOf(at)) if (at === ROOT) return false
    return true
  }

  /** Removes such watches of the sink. False if there were none. */
  remove(selector: WatchSelector, path: string, sink: WatchSink): boolean {
    switch (selector) {
      case 'children':
        return this.removeModes('child', path, sink, ONE_SHOT)
      case 'data':
        return this.removeModes('data', path, sink, ONE_SHOT)
      case 'recursive':
        return this.removeModes('data', path, sink, RECURSIVE)
      default: {
        const modes = selector === 'persistent' ? PERSISTENT : ANY_MODE
        const ofChildren = this.removeModes('child', path, sink, modes)
        return this.removeModes('data', path, sink, modes) || ofChildren
      }
    }
  }

  /** Forgets all watches of a sink. Costs as much as it has watches. */
  removeSink(sink: WatchSink): void {
    const paths = this.sinks.get(sink)
    if (paths === undefined) return
    this.sinks.delete(sink)
    this.watchChars -= paths.chars
    for (const path of paths.data) this.forget('data', path, sink)
    for (const path of paths.child) this.forget('child', path, sink)
    if (paths.lasting === undefined) return
    for (const [path, modes] of paths.lasting.data) if ((modes & RECURSIVE) !== 0) this.forgetRecursive(path, sink)
  }

  // ── telling ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Tells whoever watches. A sink hears at most once of one type for one path, however many watches of its see it. */
  fire(change: TreeChange, zxid: Zxid): void {
    if (this.watchCount === 0) return
    const { type, path, acl } = change
    const told = this.trigger('data', path, type, acl, zxid, NOBODY)
    if (type === 'dataChanged') return
    if (type === 'deleted') this.trigger('child', path, type, acl, zxid, told)
    this.trigger('child', parentOf(path), 'childrenChanged', change.parentAcl ?? OPEN_ACL, zxid, NOBODY)
  }

  /** Takes the one-shot watches of a path out of a table, then tells those who may read the node and have not heard of it yet. */
  private trigger(
    kind: WatchKind,
    path: string,
    type: WatchEventType,
    acl: readonly Acl[],
    zxid: Zxid,
    told: Sinks,
  ): Sinks {
    let watchers = this.takeOneShots(kind, path)
    if (kind === 'data' && this.recursive.size > 0) watchers = this.withAncestors(path, watchers)
    if (watchers.size === 0) return NOBODY
    this.told[type].record(watchers.size)
    for (const sink of watchers) if (!told.has(sink)) deliver(sink, type, path, acl, zxid)
    return watchers
  }

  /** All who watch the path itself. The tables are as they will be: whom it is told of may go away meanwhile. */
  private takeOneShots(kind: WatchKind, path: string): Sinks {
    const table = this.tables[kind]
    const watchers = table.get(path)
    if (watchers === undefined) return NOBODY
    let staying: Set<WatchSink> | undefined
    for (const sink of watchers) {
      const paths = this.sinks.get(sink) as SinkPaths
      const lasting = paths.lasting?.[kind]
      const modes = lasting?.get(path)
      if (modes === undefined) this.leave(paths, kind, path, sink)
      else {
        if ((modes & ONE_SHOT) !== 0) lasting?.set(path, modes & ~ONE_SHOT)
        if (staying === undefined) staying = new Set([sink])
        else staying.add(sink)
      }
    }
    if (staying === undefined) table.delete(path)
    else table.set(path, staying)
    this.watchCount -= watchers.size - (staying?.size ?? 0)
    return watchers
  }

  /** One look into a map for each name in the path. */
  private withAncestors(path: string, watchers: Sinks): Sinks {
    let all: Set<WatchSink> | undefined
    for (let at = path; at !== ROOT && at !== ''; ) {
      at = parentOf(at)
      const sinks = this.recursive.get(at)
      if (sinks === undefined) continue
      all ??= new Set(watchers)
      for (const sink of sinks) all.add(sink)
    }
    return all ?? watchers
  }

  // ── tables ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** True if the sink was not in the table for the path. */
  private enter(kind: WatchKind, path: string, sink: WatchSink): boolean {
    let paths = this.sinks.get(sink)
    if (paths?.[kind].has(path)) return false
    this.checkLimits(paths, path.length)
    const table = this.tables[kind]
    const watchers = table.get(path)
    if (watchers === undefined) table.set(path, new Set([sink]))
    else watchers.add(sink)
    if (paths === undefined) {
      paths = { data: new Set(), child: new Set(), chars: 0, lasting: undefined }
      this.sinks.set(sink, paths)
    }
    paths[kind].add(path)
    paths.chars += path.length
    this.watchChars += path.length
    this.watchCount++
    return true
  }

  private addMode(kind: WatchKind, path: string, sink: WatchSink, mode: number): void {
    const isNew = this.enter(kind, path, sink)
    const paths = this.sinks.get(sink) as SinkPaths
    paths.lasting ??= { data: new Map(), child: new Map() }
    const before = isNew ? 0 : (paths.lasting[kind].get(path) ?? ONE_SHOT)
    paths.lasting[kind].set(path, before | mode)
  }

  /** Adds a mode to a watch that is there. */
  private include(kind: WatchKind, path: string, sink: WatchSink, mode: number): void {
    const lasting = this.sinks.get(sink)?.lasting?.[kind]
    const modes = lasting?.get(path)
    if (modes !== undefined) lasting?.set(path, modes | mode)
  }

  private modes(kind: WatchKind, path: string, sink: WatchSink): number {
    const paths = this.sinks.get(sink)
    if (!paths?.[kind].has(path)) return 0
    return paths.lasting?.[kind].get(path) ?? ONE_SHOT
  }

  private removeModes(kind: WatchKind, path: string, sink: WatchSink, modes: number): boolean {
    const before = this.modes(kind, path, sink)
    if ((before & modes) === 0) return false
    const paths = this.sinks.get(sink) as SinkPaths
    const after = before & ~modes
    if ((before & modes & RECURSIVE) !== 0) this.forgetRecursive(path, sink)
    if (after === 0 || after === ONE_SHOT) paths.lasting?.[kind].delete(path)
    else paths.lasting?.[kind].set(path, after)
    if (after === 0) {
      this.forget(kind, path, sink)
      this.leave(paths, kind, path, sink)
    }
    return true
  }

  private forget(kind: WatchKind, path: string, sink: WatchSink): void {
    const watchers = this.tables[kind].get(path)
    if (watchers?.delete(sink) !== true) return
    this.watchCount--
    if (watchers.size === 0) this.tables[kind].delete(path)
  }

  private forgetRecursive(path: string, sink: WatchSink): void {
    const sinks = this.recursive.get(path)
    sinks?.delete(sink)
    if (sinks?.size === 0) this.recursive.delete(path)
  }

  private leave(paths: SinkPaths, kind: WatchKind, path: string, sink: WatchSink): void {
    paths[kind].delete(path)
    paths.chars -= path.length
    this.watchChars -= path.length
    if (paths.data.size === 0 && paths.child.size === 0) this.sinks.delete(sink)
  }

  private checkLimits(paths: SinkPaths | undefined, chars: number): void {
    const { guard } = this
    const own = paths === undefined ? 0 : paths.data.size + paths.child.size
    const error =
      guard.check('watchesPerConnectionMax', own + 1) ??
      guard.check('watchesMax', this.watchCount + 1) ??
      guard.check('watchCharsPerConnectionMax', (paths?.chars ?? 0) + chars) ??
      guard.check('watchCharsMax', this.watchChars + chars)
    if (error !== undefined) throw error
  }
}

/** Tells one sink, if it may read the node. True if it may. */
export function deliver(sink: WatchSink, type: WatchEventType, path: string, acl: readonly Acl[], zxid: Zxid): boolean {
  if (!mayHear(sink, acl)) return false
  sink.watchFired(type, path, zxid)
  return true
}

/** May it read a node with this list? */
export function mayHear(sink: WatchSink, acl: readonly Acl[]): boolean {
  return acl === OPEN_ACL || isPermitted(acl, 1, sink.requester)
}
