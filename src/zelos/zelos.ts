// The wrapper half of Zelos as protocol servers use it: sessions, updates, reads, watches. This file is the interface; the
// class that implements it is in zelos-database.ts. Everything is called from the one event loop.

import type { LatencyHistogram } from '../base/latency-histogram.ts'
import type { Completion } from '../engine/engine.ts'
import type { ZelosLimitName } from './limits.ts'
import type { Requester, SessionRecord, UpdateOperation, UpdateResult } from './requests.ts'
import type { Acl, SessionId, ZCode, ZNode, Zxid } from './znode.ts'

export type WatchEventType = 'created' | 'deleted' | 'dataChanged' | 'childrenChanged'

/**
 * A watch that stays until it is removed: `persistent` of one node, its data and its list of children; `recursive` of a node and
 * all below it, which is never told of childrenChanged.
 */
export type WatchMode = 'persistent' | 'recursive'

/** Watches of one path by kind: `children` and `data` are those that fire once. */
export type WatchSelector = 'children' | 'data' | 'any' | WatchMode

/** A connection, as the receiver of watch events. Identity matters: one event per sink and change. */
export interface WatchSink {
  /** Called from postApply, before any reply that shows the change. Must not throw. */
  watchFired(type: WatchEventType, path: string, zxid: Zxid): void
  /** Who is told: the event is delivered only if they may READ the node. */
  readonly requester: Requester
}

/** Watches to set again after a reconnect. */
export interface WatchSet {
  readonly relativeZxid: Zxid
  readonly data: readonly string[]
  readonly exist: readonly string[]
  readonly child: readonly string[]
  readonly persistent?: readonly string[]
  readonly recursive?: readonly string[]
}

export interface ChildrenResult {
  readonly children: readonly string[]
  readonly node: ZNode
}

export interface AclResult {
  readonly acl: readonly Acl[]
  readonly node: ZNode
}

/** What a session owner is told by the session table. */
export interface SessionOwner {
  /** The session ended: expired, closed elsewhere, or moved to another connection or server. Close the connection. */
  sessionEnded(reason: 'expired' | 'closed' | 'moved'): void
}

export interface ZelosReads {
  /** Zxid of the last applied update: what reply headers carry. */
  readonly lastZxid: Zxid
  /** Reads see every update applied so far at this server. A number is an error code. `watch` is set as ZooKeeper does (exists: also on NO_NODE). */
  exists(requester: Requester, path: string, watch: WatchSink | undefined): ZNode | ZCode
  getData(requester: Requester, path: string, watch: WatchSink | undefined): ZNode | ZCode
  // A watch above a limit (per connection, or all) makes any of the three throw DelosError LIMIT_EXCEEDED.
  /** LIMIT: throws DelosError LIMIT_EXCEEDED if the names alone exceed `maxBytes`. */
  getChildren(
    requester: Requester,
    path: string,
    watch: WatchSink | undefined,
    maxBytes: number,
  ): ChildrenResult | ZCode
  /** Without ADMIN the digest hashes are masked. */
  getAcl(requester: Requester, path: string): AclResult | ZCode
}

/** Who waits for a read that looks at many nodes. */
export interface WalkCompletion<R> extends Completion<R> {
  /** False: nobody waits any more, the outcome may be left out. */
  readonly isWanted: boolean
}

/**
 * Reads that look at many nodes, a slice a turn of the event loop: what changes meanwhile may be seen or not, unless it says
 * otherwise. The completion of a short one is called at once.
 */
export interface ZelosWalks {
  /** Are there so many children that they should be listed by a walk? */
  isLong(path: string): boolean
  /** To plan by, whoever may read it; 0 if there is no such node. */
  childCount(path: string): number
  dataBytes(path: string): number
  /** As `Zelos.getChildren`: names, node and watch of one moment, at the end. Rejects with LIMIT_EXCEEDED. */
  getChildren(
    requester: Requester,
    path: string,
    watch: WatchSink | undefined,
    maxBytes: number,
    completion: WalkCompletion<ChildrenResult | ZCode>,
  ): void
  /**
   * The ephemeral nodes of the requester's session whose paths start with `prefix` (any text), in the order of their bytes. Rejects
   * with LIMIT_EXCEEDED if the paths alone exceed `maxBytes`.
   */
  getEphemerals(
    requester: Requester,
    prefix: string,
    maxBytes: number,
    completion: WalkCompletion<readonly string[]>,
  ): void
  /** How many nodes are below this one, at any depth. */
  countDescendants(
    requester: Requester,
    path: string,
    completion: WalkCompletion<{ readonly count: number } | ZCode>,
  ): void
}

/** The same without watches: an event that was missed could not be made up for. */
export interface PastReads {
  exists(requester: Requester, path: string): ZNode | ZCode
  getData(requester: Requester, path: string): ZNode | ZCode
  /** Throws DelosError LIMIT_EXCEEDED if the names alone exceed `maxBytes`. In no particular order. */
  getChildren(requester: Requester, path: string, maxBytes: number): ChildrenResult | ZCode
  getAcl(requester: Requester, path: string): AclResult | ZCode
}

export interface ZelosSessions {
  /** Logs a createSession; the session is owned by `owner` from then on. */
  create(timeoutMs: number, address: string, owner: SessionOwner, completion: Completion<SessionRecord>): void
  /** Reconnect: checks the password in apply. Resolves with undefined if there is no such session or the password is wrong. */
  reattach(
    id: SessionId,
    password: Uint8Array,
    timeoutMs: number,
    address: string,
    owner: SessionOwner,
    completion: Completion<SessionRecord | undefined>,
  ): void
  /** A sign of life of the client. Cheap: no log entry. */
  touch(id: SessionId): void
  /** The session as this server knows it; undefined if it knows none of this id, or the password is wrong. Logs nothing. */
  find(id: SessionId, password: Uint8Array): SessionRecord | undefined
  /** The connection is gone; the session lives on until it expires or comes back. */
  detach(id: SessionId, owner: SessionOwner): void
  readonly count: number
}

/** A session as this server knows it. */
export interface KnownSessionView {
  readonly id: SessionId
  readonly timeoutMs: number
  /** When it was last without a connection here, or became known; milliseconds of the monotonic clock. */
  readonly leftMs: number
}

/** What operators may look at: no access checks; it costs what it shows, so whoever prints it sets the limit. */
export interface ZelosInspection {
  sessions(): Iterable<KnownSessionView>
  /** Ephemeral nodes by session, at most `limit` paths together; `cut`: there are more. */
  ephemerals(limit: number): { readonly bySession: ReadonlyMap<SessionId, readonly string[]>; readonly cut: boolean }
  /** Watches of the data of nodes, which is what ZooKeeper's reports show; those of children are counted only. */
  readonly watchesByPath: ReadonlyMap<string, ReadonlySet<WatchSink>>
  watchesBySink(): Iterable<readonly [sink: WatchSink, paths: ReadonlySet<string>]>
  /** Of each event that somebody waited for: how many did. */
  readonly watchersTold: Readonly<Record<WatchEventType, Pick<LatencyHistogram, 'snapshot'>>>
  /** Has the requester every permission there is on the node? False if there is no such node. */
  mayDoAll(requester: Requester, path: string): boolean
}

/** A Zelos database at one server. */
export interface Zelos extends ZelosReads {
  readonly sessions: ZelosSessions
  readonly walks: ZelosWalks
  /**
   * Inside the completion of an update, the tree as that update left it, although later ones of the same transaction are applied:
   * for a read that stands between two updates of a session. Elsewhere the tree as it is.
   */
  readonly atCompletion: PastReads
  /** One write. The completion is called after postApply, in log order. */
  write(requester: Requester, operation: UpdateOperation, completion: Completion<UpdateResult>): void
  multi(requester: Requester, operations: readonly UpdateOperation[], completion: Completion<UpdateResult>): void
  closeSession(requester: Requester, completion: Completion<UpdateResult>): void
  /** A log tail check: afterwards reads see everything that completed anywhere before the call. Linearizable. */
  sync(completion: Completion<Zxid>): void
  /** Logs an entry that changes nothing: resolves if the log takes updates. */
  probe(completion: Completion<unknown>): void
  /**
   * Sets watches again. Those that fire once do so at once if their change was missed (ZooKeeper's rules). Those that stay are
   * told what they missed, in the order of the zxids: every change if all since are kept, otherwise what the nodes show.
   * Many are set in several turns of the event loop. Rejects with LIMIT_EXCEEDED; those before it are set then.
   */
  setWatches(sink: WatchSink, watches: WatchSet, completion: WalkCompletion<ZCode>): void
  /** The node need not exist, and nobody is asked for a permission. Throws DelosError LIMIT_EXCEEDED. */
  addWatch(sink: WatchSink, path: string, mode: WatchMode): void
  /** Does the sink watch the path like that? */
  hasWatch(sink: WatchSink, path: string, selector: WatchSelector): boolean
  /** Removes such watches of the path. False if there was none. */
  removeWatches(sink: WatchSink, path: string, selector: WatchSelector): boolean
  /** Forgets every watch of a closed connection. */
  removeSink(sink: WatchSink): void
  /** For operators. */
  readonly inspection: ZelosInspection
  readonly stats: ZelosStats
}

export interface ZelosStats {
  readonly nodeCount: number
  readonly ephemeralCount: number
  readonly watchCount: number
  readonly watchPathCount: number
  /** Connections that came back with watches that stay: told every event they missed, and told what the nodes show. */
  readonly missedReplayed: number
  readonly missedCompared: number
  readonly sessionCount: number
  /** Since the start: sessions that ran out, and clients that came back to theirs. */
  readonly sessionsExpired: number
  readonly sessionsReattached: number
  readonly approximateDataBytes: number
  /** Updates of this server that are in the log's hands, and their bytes. */
  readonly pendingUpdates: number
  readonly pendingBytes: number
  /** Decoded nodes in memory. */
  readonly cachedNodes: number
  readonly cachedBytes: number
  /** Updates that went beyond a quota, at whatever server, while this one was serving: let through, and refused. */
  readonly quotaWarnings: number
  readonly quotaRefusals: number
  /** How often each limit was exceeded, by its name in limits.ts. */
  readonly limitsExceeded: Readonly<Record<ZelosLimitName, number>>
}
