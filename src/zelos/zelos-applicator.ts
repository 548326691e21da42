// The apply half of Zelos: a deterministic function of store, entry and position. What a change means to connections
// (watches, sessions that ended) is handed to one listener after the commit.

import { assert, unreachable } from '../base/assert.ts'
import type { Key } from '../base/key.ts'
import type { Applicator } from '../engine/engine.ts'
import type { Entry } from '../engine/entry.ts'
import type { TimerService } from '../engine/timer-service.ts'
import type { LogPos } from '../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../store/local-store.ts'
import { KeptChanges } from './kept-changes.ts'
import { decodeUpdate } from './request-codec.ts'
import type { OperationResult, Requester, SessionRecord, Update, UpdateOperation, UpdateResult } from './requests.ts'
import { DividedEnds } from './sessions/divided-ends.ts'
import type { StoredSession } from './sessions/session-codec.ts'
import { isEnding, SessionRecords } from './sessions/session-records.ts'
import { TimersAnew } from './timers-anew.ts'
import { AclStore } from './tree/acl-store.ts'
import { ApplyState } from './tree/apply-state.ts'
import { type Announcement, ConfigNode } from './tree/config-node.ts'
import { plantFirstNodes } from './tree/first-nodes.ts'
import { positionKey, ZELOS_PREFIX } from './tree/key-space.ts'
import { NodeLifetimes } from './tree/node-lifetimes.ts'
import { CONFIG_NODE } from './tree/node-path.ts'
import { NodeTree } from './tree/node-tree.ts'
import { unfinishedCounting } from './tree/quota-counting.ts'
import { type QuotaNotice, Quotas } from './tree/quotas.ts'
import type { Counters } from './tree/tree-counters.ts'
import { NO_CHANGES, type TreeChange, TreeUpdates, type UpdateContext } from './tree/tree-updates.ts'
import { asBuffer, readUint64, uint64Record } from './tree/uint64.ts'
import { type SessionId, ZCODE, type ZCode, type Zxid } from './znode.ts'

type EndReason = 'closed' | 'expired'

/** What an update did to a session. */
export type SessionChange =
  | { readonly kind: 'created' | 'moved'; readonly session: SessionRecord }
  | { readonly kind: EndReason; readonly id: SessionId }
  /** Its client has lost it, but not all of its ephemeral nodes are gone; then it is `over`. */
  | { readonly kind: 'ending'; readonly id: SessionId; readonly reason: EndReason }
  | { readonly kind: 'over'; readonly id: SessionId }

/** Hears of every applied update, after its commit, in log order. */
export interface AppliedListener {
  /** A commit begins to be told. */
  committed(): void
  treeChanged(changes: readonly TreeChange[], zxid: Zxid): void
  sessionChanged(change: SessionChange): void
  quotaExceeded(notice: QuotaNotice): void
}

export interface ApplicatorOptions {
  /** Decoded nodes in memory: at most about this many, and about this many bytes. */
  readonly cacheNodesMax?: number
  readonly cacheBytesMax?: number
}

const CACHE_NODES_MAX = 400_000
const CACHE_BYTES_MAX = 128 << 20
const ACL_CACHE = { entriesMax: 10_000, bytesMax: 16 << 20 }
const SESSION_CACHE = { entriesMax: 200_000, bytesMax: 64 << 20 }

/** Every so many updates the log position is noted, and so many notes are kept. */
export const POSITION_EVERY = 1000
export const POSITIONS_KEPT = 10_000

/** What is the same for everything that an update does. */
type Moment = Pick<UpdateContext, 'zxid' | 'wallMs' | 'enforceQuotas' | 'countInPieces'>

interface Applied {
  readonly result: UpdateResult
  readonly changes: readonly TreeChange[]
  readonly session: SessionChange | undefined
}

export class ZelosApplicator implements Applicator<UpdateResult> {
  readonly tree: NodeTree
  readonly acls: AclStore
  readonly sessions: SessionRecords
  readonly config: ConfigNode
  private readonly state = new ApplyState()
  private readonly updates: TreeUpdates
  private readonly kept: KeptChanges
  private readonly lifetimes: NodeLifetimes
  private readonly quotas: Quotas
  private readonly ends: DividedEnds
  private readonly anew: TimersAnew
  private hasTimers = false
  private listener: AppliedListener | undefined
  /** Applied in the open transaction, not yet told to the listener. */
  private applied: Applied[] = []

  constructor(options: ApplicatorOptions = {}) {
    const entriesMax = options.cacheNodesMax ?? CACHE_NODES_MAX
    this.tree = new NodeTree(this.state, { entriesMax, bytesMax: options.cacheBytesMax ?? CACHE_BYTES_MAX })
    this.acls = new AclStore(this.state, ACL_CACHE)
    this.sessions = new SessionRecords(this.state, SESSION_CACHE)
    this.kept = new KeptChanges(this.state)
    this.lifetimes = new NodeLifetimes(this.state, this.tree, () => this.kept.begun)
    this.quotas = new Quotas(this.state, this.tree)
    this.ends = new DividedEnds(this.state, this.tree, () => this.kept.begun)
    this.anew = new TimersAnew(this.sessions, this.lifetimes)
    this.config = new ConfigNode(this.state, this.tree)
    this.updates = new TreeUpdates(this.state, this.tree, this.acls, this.lifetimes, this.quotas)
  }

  /**
   * Sessions, containers and TTL nodes end by these timers, as the service is enabled; without any they never do. Once, before
   * anything is applied. When the service is switched on in mid-flight, every session and node has its full time from there.
   */
  useTimers(timers: TimerService): void {
    assert(!this.hasTimers, 'there are timers already')
    this.hasTimers = true
    this.sessions.useTimers(timers)
    this.lifetimes.useTimers(timers)
    timers.onSwitched((tx, enabled) => {
      this.anew.switched(tx, enabled)
    })
  }

  /** At most one. */
  listen(listener: AppliedListener): void {
    assert(this.listener === undefined, 'a second listener')
    this.listener = listener
  }

  /** The counters as committed; outside of apply. `reader` is asked the first time. */
  counters(reader: ReadTx): Readonly<Counters> {
    return this.state.load(reader)
  }

  /** What a server should propose next, by what is stored; `member`: what it would announce of itself. */
  chore(reader: ReadTx, member: Announcement | undefined): Update | undefined {
    if (member !== undefined && !this.config.isKnown(reader, member)) return { kind: 'announceMember', ...member }
    const begun = this.ends.chore(reader) ?? this.anew.chore(reader)
    if (begun !== undefined) return begun
    const quota = unfinishedCounting(reader)
    return quota === undefined ? undefined : { kind: 'countQuota', quota }
  }

  /** Containers and TTL nodes. */
  timedNodes(reader: ReadTx): number {
    return this.lifetimes.count(reader)
  }

  /** Of the last committed update; undefined before `counters` was called. */
  get lastZxid(): Zxid | undefined {
    return this.state.committedZxid
  }

  edited(_tx: ReadTx, keys: readonly Key[]): void {
    if (keys.some((key) => key.startsWith(ZELOS_PREFIX))) this.forget()
  }

  /** Forgets what memory holds of the store, after somebody else has written to Zelos' range. */
  forget(): void {
    this.state.forget()
    this.applied = []
  }

  apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): UpdateResult {
    assert(entry.payload !== undefined, 'an entry without payload')
    const { wallMs, update, enforceQuotas, countInPieces, keepChanges } = decodeUpdate(entry.payload)
    const { state } = this
    if (state.begin(tx, pos, entry.index)) this.applied = []
    const { counters } = state
    if (counters.zxid === 0) plantFirstNodes(this.tree, this.acls)
    const zxid = ++counters.zxid
    if (zxid % POSITION_EVERY === 0) this.notePosition(zxid, pos)
    if (keepChanges) this.kept.begin(zxid, wallMs)
    const applied = this.run(update, { zxid, wallMs, enforceQuotas, countInPieces }, pos)
    if (applied.changes.length > 0) this.kept.note(applied.changes, zxid, wallMs)
    if (update.kind === 'newHistory') this.kept.breakOff(counters.zxid)
    state.end()
    this.applied.push(applied)
    return applied.result
  }

  /**
   * The first call after a commit tells the listener of everything that was committed, so that no completion of an earlier
   * update can show a later one before its watches have fired.
   */
  postApply(_entry: Entry, _pos: LogPos, _result: UpdateResult): void {
    const { applied, listener } = this
    if (applied.length === 0) return
    this.applied = []
    this.state.commit()
    if (listener === undefined) return
    for (const notice of this.quotas.takeNotices()) listener.quotaExceeded(notice)
    listener.committed()
    for (const one of applied) {
      if (one.changes.length > 0) listener.treeChanged(one.changes, one.result.zxid)
      if (one.session !== undefined) listener.sessionChanged(one.session)
    }
  }

  /** The log position of the newest noted update at or before `zxid`; undefined if none is noted that far back. */
  positionOf(reader: ReadTx, zxid: Zxid): LogPos | undefined {
    const record = reader.get(positionKey(zxid - (zxid % POSITION_EVERY)))
    return record === undefined ? undefined : (readUint64(asBuffer(record), 0) as LogPos)
  }

  private run(update: Update, moment: Moment, pos: LogPos): Applied {
    const { zxid } = moment
    switch (update.kind) {
      case 'write':
        return this.write(update.operation, contextOf(update.requester, moment))
      case 'multi':
        return this.multi(update.operations, contextOf(update.requester, moment))
      case 'createSession': {
        const session = this.sessions.create(zxid, update, pos)
        if (session === undefined) return quiet({ zxid, err: ZCODE.BAD_ARGUMENTS })
        return quiet({ zxid, err: ZCODE.OK, session }, { kind: 'created', session })
      }
      case 'moveSession': {
        const session = this.sessions.move(update, pos)
        if (session !== undefined) return quiet({ zxid, err: ZCODE.OK, session }, { kind: 'moved', session })
        return quiet({ zxid, err: this.isEnding(update.session) ? ZCODE.SESSION_MOVED : ZCODE.SESSION_EXPIRED })
      }
      case 'closeSession':
        return this.close(contextOf(update.requester, moment))
      case 'renewSessions':
        for (const renewal of update.sessions) this.sessions.renew(renewal, pos)
        return quiet({ zxid, err: ZCODE.OK })
      case 'expireNode':
        return this.expireNode(contextOf(NOBODY, moment), update)
      case 'expireSession':
        return this.expire(update.session, update.heardAt, moment)
      case 'endSession':
        return this.endOn(update.session, moment)
      case 'armTimers':
        this.anew.goOn(this.state.tx)
        return quiet({ zxid, err: ZCODE.OK })
      case 'countQuota':
        this.quotas.countOn(update.quota)
        return quiet({ zxid, err: ZCODE.OK })
      case 'announceMember':
        return this.announceMember(update, moment)
      case 'newHistory':
        return this.newHistory(update.zxidAbove, moment)
      default:
        return unreachable(update)
    }
  }

  private write(operation: UpdateOperation, context: UpdateContext): Applied {
    const { zxid } = context
    const refusal = this.sessions.check(context.requester)
    if (refusal !== ZCODE.OK) return quiet({ zxid, err: refusal })
    const { err, path, node } = this.updates.run(operation, context)
    const { changes } = context
    if (node === undefined) return { result: { zxid, err }, changes, session: undefined }
    const result = path === undefined ? { zxid, err, node } : { zxid, err, path, node }
    return { result, changes, session: undefined }
  }

  /** All or nothing; later operations see earlier ones. `err` is OK also when an operation failed: see `results`. */
  private multi(operations: readonly UpdateOperation[], context: UpdateContext): Applied {
    const { zxid } = context
    const refusal = this.sessions.check(context.requester)
    if (refusal !== ZCODE.OK) return quiet({ zxid, err: refusal })
    const results: OperationResult[] = []
    const kept = this.state.attempt(() =>
      operations.every((operation) => {
        const result = this.updates.run(operation, context)
        results.push(result)
        return result.err === ZCODE.OK
      }),
    )
    if (kept) return { result: { zxid, err: ZCODE.OK, results }, changes: context.changes, session: undefined }
    return quiet({ zxid, err: ZCODE.OK, results: failedResults(operations.length, results) })
  }

  /** Of a session that is gone already: nothing to do, and no error, as in ZooKeeper. */
  private close(context: UpdateContext): Applied {
    const { requester, zxid } = context
    const refusal = this.sessions.check(requester)
    if (refusal === ZCODE.SESSION_EXPIRED) return quiet({ zxid, err: ZCODE.OK })
    if (refusal !== ZCODE.OK) return quiet({ zxid, err: refusal })
    return this.end(requester.session, 'closed', context)
  }

  /** Void (SESSION_MOVED) if a sign of life was logged that the proposer had not seen. */
  private expire(id: SessionId, heardAt: number, moment: Moment): Applied {
    const { zxid } = moment
    const session = this.sessions.session(this.state.tx, id)
    if (session === undefined) return quiet({ zxid, err: ZCODE.SESSION_EXPIRED })
    if (session.renewedAt > heardAt || isEnding(session)) return quiet({ zxid, err: ZCODE.SESSION_MOVED })
    return this.end(id, 'expired', contextOf(NOBODY, moment))
  }

  /** Of most sessions that is all; of one with very many ephemeral nodes it is the first piece. */
  private end(id: SessionId, reason: EndReason, context: UpdateContext): Applied {
    const { paths, isLast } = this.ends.nextPiece(id)
    // Record and timer first: they are read in the transaction, which is dear when it has removed many nodes.
    if (isLast) this.sessions.end(id)
    else {
      this.sessions.beginEnd(this.sessions.session(this.state.tx, id) as StoredSession)
      this.ends.begun(id)
    }
    this.updates.removeEphemerals(paths, context)
    const session: SessionChange = isLast ? { kind: reason, id } : { kind: 'ending', id, reason }
    return { result: { zxid: context.zxid, err: ZCODE.OK }, changes: context.changes, session }
  }

  private endOn(id: SessionId, moment: Moment): Applied {
    const result = { zxid: moment.zxid, err: ZCODE.OK }
    if (!this.isEnding(id)) return quiet(result)
    const context = contextOf(NOBODY, moment)
    const { paths, isLast } = this.ends.nextPiece(id)
    if (isLast) {
      this.sessions.end(id)
      this.ends.over(id)
    }
    this.updates.removeEphemerals(paths, context)
    return { result, changes: context.changes, session: isLast ? { kind: 'over', id } : undefined }
  }

  /** As the open transaction sees it. */
  private isEnding(id: SessionId): boolean {
    const session = this.sessions.session(this.state.tx, id)
    return session !== undefined && isEnding(session)
  }

  private announceMember(announcement: Announcement, { zxid, wallMs }: Moment): Applied {
    const changed = this.config.announce(announcement, wallMs)
    const result = { zxid, err: ZCODE.OK }
    if (changed === undefined) return quiet(result)
    const acl = this.acls.list(this.state.tx, changed.before.aclId)
    const change: TreeChange = { type: 'dataChanged', path: CONFIG_NODE, acl, parentAcl: undefined }
    return { result, changes: [change], session: undefined }
  }

  /** Before anybody is connected: nobody is told of the sessions that end. */
  private newHistory(zxidAbove: Zxid, moment: Moment): Applied {
    const { state } = this
    const context = contextOf(NOBODY, moment)
    for (const session of this.sessions.all(state.tx)) {
      const { id } = session
      this.sessions.end(id)
      if (isEnding(session)) this.ends.over(id)
      this.updates.removeEphemerals(this.tree.ephemerals(state.tx, id), context)
    }
    state.counters.zxid = Math.max(state.counters.zxid, zxidAbove)
    return { result: { zxid: moment.zxid, err: ZCODE.OK }, changes: context.changes, session: undefined }
  }

  /** Void (BAD_VERSION) if the node has changed since, or is gone. */
  private expireNode(context: UpdateContext, expiry: Extract<Update, { kind: 'expireNode' }>): Applied {
    const err = this.updates.expire(expiry, context) ? ZCODE.OK : ZCODE.BAD_VERSION
    return { result: { zxid: context.zxid, err }, changes: context.changes, session: undefined }
  }

  private notePosition(zxid: Zxid, pos: LogPos): void {
    const { tx } = this.state
    tx.put(positionKey(zxid), uint64Record(pos))
    const outdated = zxid - POSITIONS_KEPT * POSITION_EVERY
    if (outdated > 0) tx.delete(positionKey(outdated))
  }
}

const NOBODY: Requester = { session: 0, ownerEpoch: 0, address: '', identities: [] }

function contextOf(requester: Requester, { zxid, wallMs, enforceQuotas, countInPieces }: Moment): UpdateContext {
  return { requester, zxid, wallMs, enforceQuotas, countInPieces, changes: NO_CHANGES }
}

function quiet(result: UpdateResult, session?: SessionChange): Applied {
  return { result, changes: NO_CHANGES, session }
}

/** Those before the failing operation 0, its own code, those after it RUNTIME_INCONSISTENCY. */
function failedResults(count: number, results: readonly OperationResult[]): OperationResult[] {
  const failing = results.length - 1
  const err = (results[failing] as OperationResult).err
  return Array.from({ length: count }, (_, i): OperationResult => {
    const code: ZCode = i < failing ? ZCODE.OK : i === failing ? err : ZCODE.RUNTIME_INCONSISTENCY
    return { err: code }
  })
}
