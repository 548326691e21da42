// The wrapper half of Zelos at one server: turns requests into updates for the log, answers reads from the committed state,
// holds watches and sessions of its connections. Everything runs on the one event loop.

import { DelosError } from '../base/delos-error.ts'
import type { Completion } from '../engine/engine.ts'
import { entryOf } from '../engine/entry.ts'
import type { ReadTx } from '../store/local-store.ts'
import { ChangeHistory } from './change-history.ts'
import { Chores } from './chores.ts'
import { CommittedReads, ReadsAtCompletion } from './committed-reads.ts'
import { CommittedInspection } from './inspection.ts'
import { checkAcls, LimitGuard } from './limits.ts'
import { MissedEvents, type MissedTelling } from './missed-events.ts'
import { PendingUpdate } from './pending-update.ts'
import { UpdateEncoder } from './request-codec.ts'
import type { Requester, Update, UpdateOperation, UpdateResult } from './requests.ts'
import { AwaitedEnds } from './sessions/awaited-ends.ts'
import { SessionRenewals } from './sessions/session-renewals.ts'
import { SessionTable } from './sessions/session-table.ts'
import { ToldUntil } from './told-until.ts'
import { admitOperation, type OptionalScheme } from './tree/acl-schemes.ts'
import type { QuotaNotice } from './tree/quotas.ts'
import type { TreeChange } from './tree/tree-updates.ts'
import { TreeWalks } from './tree-walks.ts'
import { WatchReset, type WatchResetParts } from './watch-resets.ts'
import { Watches } from './watches.ts'
import type {
  AclResult,
  ChildrenResult,
  WalkCompletion,
  WatchMode,
  WatchSelector,
  WatchSet,
  WatchSink,
  Zelos,
  ZelosSessions,
  ZelosStats,
} from './zelos.ts'
import type { AppliedListener, SessionChange, ZelosApplicator } from './zelos-applicator.ts'
import type { UpdateLog, ZelosDatabaseOptions } from './zelos-database-options.ts'
import { type SessionId, ZCODE, type ZCode, type ZNode, type Zxid } from './znode.ts'

const PASSWORD_BYTES = 16

/** Of whoever asks for so little that it is done at once. */
const THROWING: WalkCompletion<unknown> = {
  isWanted: true,
  resolve: () => undefined,
  reject: (error) => {
    throw error
  },
}

export class ZelosDatabase implements Zelos, AppliedListener {
  readonly sessions: ZelosSessions
  readonly atCompletion: ReadsAtCompletion
  readonly inspection: CommittedInspection
  readonly walks: TreeWalks
  /** Others have to wait for these. */
  private readonly resets: TreeWalks
  private readonly resetParts: WatchResetParts
  private readonly runtime: ZelosDatabaseOptions['runtime']
  private readonly applicator: ZelosApplicator
  private readonly log: UpdateLog
  private readonly store: { read(): ReadTx }
  private readonly reads: CommittedReads
  private readonly guard: LimitGuard
  private readonly aclSchemes: ReadonlySet<OptionalScheme>
  private readonly watches: Watches
  private readonly history: ChangeHistory
  private readonly missed: MissedEvents
  private readonly told = new ToldUntil()
  /** When the newest commit was told, by the monotonic clock. */
  private committedMs = 0
  private readonly table: SessionTable
  private readonly renewals: SessionRenewals
  private readonly ends = new AwaitedEnds()
  private readonly chores: Chores
  private readonly encoder: UpdateEncoder
  private readonly onQuotaExceeded: ZelosDatabaseOptions['onQuotaExceeded']
  private quotaWarnings = 0
  private quotaRefusals = 0
  private pendingUpdates = 0
  private pendingBytes = 0
  private serving = false

  constructor(options: ZelosDatabaseOptions) {
    this.runtime = options.runtime
    this.applicator = options.applicator
    this.log = options.log
    this.store = options.store
    this.encoder = new UpdateEncoder(options.enforceQuotas, true)
    this.onQuotaExceeded = options.onQuotaExceeded
    this.reads = new CommittedReads(options.applicator, options.store)
    this.atCompletion = new ReadsAtCompletion(options.applicator, options.store)
    this.guard = new LimitGuard(options.limits)
    this.aclSchemes = new Set(options.aclSchemes ?? ['digest'])
    this.watches = new Watches(this.guard)
    this.history = new ChangeHistory(options.store)
    const { history, reads, guard } = this
    const walks = {
      runtime: options.runtime,
      applicator: options.applicator,
      store: options.store,
      reads,
      watches: this.watches,
    }
    this.walks = new TreeWalks(walks)
    this.resets = new TreeWalks(walks)
    this.resetParts = {
      reads,
      watches: this.watches,
      lastZxid: () => this.lastZxid,
      begin: (sink, set) => this.missedBy(sink, set),
      setLasting: (sink, set) => this.setLasting(sink, set),
    }
    this.missed = new MissedEvents({
      history,
      reads,
      guard,
      tree: options.applicator.tree,
      store: options.store,
      watches: this.watches,
      lastZxid: () => this.atCompletion.zxid ?? this.lastZxid,
    })
    const { memberCount = () => 1, timerService } = options
    this.renewals = new SessionRenewals({
      clock: options.runtime.clock,
      timers: options.runtime.timers,
      isNeeded: () => timerService !== undefined && memberCount() > 1,
      propose: (update, completion) => this.propose(update, completion),
    })
    this.table = new SessionTable(
      {
        propose: (update, completion) => this.propose(update, completion),
        checkRoom: () => this.guard.check('sessionsMax', this.counters.sessions + 1),
        noRoom: () => this.guard.exceed('sessionsMax', this.counters.sessions + 1),
        isPassword: (id, password) => this.isPassword(id, password),
        newPassword: () => this.runtime.random.bytes(PASSWORD_BYTES),
        sessionCount: () => this.counters.sessions,
        cameBack: (id) => this.told.cameBack(id, this.nowMs()),
      },
      timerService,
      this.renewals,
    )
    this.sessions = this.table
    this.inspection = new CommittedInspection(options.applicator, options.store, this.table, this.watches)
    const { applicator, member = () => undefined, store } = options
    this.chores = new Chores({
      timers: options.runtime.timers,
      next: () => applicator.chore(store.read(), member()),
      propose: (update, completion) => this.propose(update, completion),
    })
    this.applicator.listen(this)
  }

  /** Clients may come. Call when caught up. Throws FORMAT if another version of Zelos wrote the store. */
  startServing(): void {
    if (this.serving) return
    const { zxid } = this.applicator.counters(this.store.read())
    this.history.startAt(zxid, this.runtime.clock.monotonicMs())
    this.serving = true
    this.table.load(this.applicator.sessions.all(this.store.read()))
    this.renewals.start()
    this.ends.start()
    this.chores.start()
  }

  /** No session is renewed any more. Updates in flight are still completed by the log. */
  stopServing(): void {
    this.serving = false
    this.renewals.stop()
    this.chores.stop()
    this.ends.stop()
  }

  close(): void {
    this.stopServing()
  }

  // ── reads ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  get lastZxid(): Zxid {
    return this.applicator.lastZxid ?? this.counters.zxid
  }

  exists(requester: Requester, path: string, watch: WatchSink | undefined): ZNode | ZCode {
    const found = this.reads.exists(requester, path)
    if (watch !== undefined && (typeof found !== 'number' || found === ZCODE.NO_NODE)) {
      this.watches.add('data', path, watch)
    }
    return found
  }

  getData(requester: Requester, path: string, watch: WatchSink | undefined): ZNode | ZCode {
    const found = this.reads.getData(requester, path)
    if (watch !== undefined && typeof found !== 'number') this.watches.add('data', path, watch)
    return found
  }

  getChildren(
    requester: Requester,
    path: string,
    watch: WatchSink | undefined,
    maxBytes: number,
  ): ChildrenResult | ZCode {
    const found = this.reads.getChildren(requester, path, maxBytes)
    if (watch !== undefined && typeof found !== 'number') this.watches.add('child', path, watch)
    return found
  }

  getAcl(requester: Requester, path: string): AclResult | ZCode {
    return this.reads.getAcl(requester, path)
  }

  // ── updates ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  write(requester: Requester, operation: UpdateOperation, completion: Completion<UpdateResult>): void {
    const refused = this.refusalOf([operation])
    if (refused !== undefined) return completion.reject(refused)
    const admitted = admitOperation(operation, this.aclSchemes)
    this.submit(this.encoder.encodeWrite(requester, admitted, this.wallMs()), completion)
  }

  multi(requester: Requester, operations: readonly UpdateOperation[], completion: Completion<UpdateResult>): void {
    const refused = this.guard.check('multiOperationsMax', operations.length) ?? this.refusalOf(operations)
    if (refused !== undefined) return completion.reject(refused)
    const admitted = operations.map((operation) => admitOperation(operation, this.aclSchemes))
    this.propose({ kind: 'multi', requester, operations: admitted }, completion)
  }

  closeSession(requester: Requester, completion: Completion<UpdateResult>): void {
    this.propose({ kind: 'closeSession', requester }, this.ends.of(requester.session, completion))
  }

  sync(completion: Completion<Zxid>): void {
    this.log.sync().then(
      () => completion.resolve(this.lastZxid),
      (error: unknown) => completion.reject(DelosError.from(error, 'STOPPED', 'sync')),
    )
  }

  probe(completion: Completion<unknown>): void {
    this.propose({ kind: 'renewSessions', sessions: [] }, completion)
  }

  private isPassword(id: SessionId, password: Uint8Array): boolean {
    const session = this.applicator.sessions.session(this.store.read(), id)
    return session !== undefined && Buffer.compare(session.password, password) === 0
  }

  private propose(update: Update, completion: Completion<UpdateResult>): void {
    this.submit(this.encoder.encode(update, this.wallMs()), completion)
  }

  private submit(payload: Buffer, completion: Completion<UpdateResult>): void {
    const bytes = payload.length
    const { guard } = this
    const refused =
      guard.check('updateBytesMax', bytes) ??
      guard.check('pendingUpdatesMax', this.pendingUpdates + 1) ??
      guard.check('pendingBytesMax', this.pendingBytes + bytes)
    if (refused !== undefined) return completion.reject(refused)
    this.pendingUpdates++
    this.pendingBytes += bytes
    this.log.submit(entryOf(payload), new PendingUpdate(this, bytes, completion))
  }

  /** Called by PendingUpdate alone. */
  updateSettled(bytes: number): void {
    this.pendingUpdates--
    this.pendingBytes -= bytes
  }

  /** Called by PendingUpdate alone. */
  complete(completion: Completion<UpdateResult>, result: UpdateResult): void {
    const { atCompletion } = this
    const outer = atCompletion.zxid
    atCompletion.zxid = result.zxid
    completion.resolve(result)
    atCompletion.zxid = outer
  }

  /** Before the log, where the client can be told why. */
  private refusalOf(operations: readonly UpdateOperation[]): DelosError | undefined {
    const timed = operations.filter((one) => one.op === 'create' && one.lifetime !== undefined).length
    const tooMany =
      timed === 0 ? undefined : this.guard.check('timedNodesMax', this.applicator.timedNodes(this.store.read()) + timed)
    return tooMany ?? checkAcls(this.guard, operations)
  }

  private nowMs(): number {
    return this.runtime.clock.monotonicMs()
  }

  private wallMs(): number {
    return Math.max(0, Math.floor(this.runtime.clock.wallMs()))
  }

  // ── watches and sessions ──────────────────────────────────────────────────────────────────────────────────────────────

  setWatches(sink: WatchSink, watches: WatchSet, completion: WalkCompletion<ZCode> = THROWING): void {
    const reset = new WatchReset(this.resetParts, sink, watches)
    this.resets.start(reset, completion, () => completion.resolve(ZCODE.OK))
  }

  private missedBy(sink: WatchSink, watches: WatchSet): MissedTelling {
    const { relativeZxid, persistent = [], recursive = [] } = watches
    const refused = this.guard.check('lastingWatchesPerResetMax', persistent.length + recursive.length)
    if (refused !== undefined) throw refused
    return this.missed.tell(sink, watches, this.awaySinceMs(sink, relativeZxid))
  }

  private setLasting(sink: WatchSink, { persistent = [], recursive = [] }: WatchSet): void {
    for (const path of persistent) this.addWatch(sink, path, 'persistent')
    for (const path of recursive) this.addWatch(sink, path, 'recursive')
  }

  /** Of a new session nothing is known. */
  private awaySinceMs(sink: WatchSink, relativeZxid: Zxid): number {
    const { session: id } = sink.requester
    const session = id > relativeZxid ? undefined : this.applicator.sessions.session(this.store.read(), id)
    return session === undefined ? Number.NEGATIVE_INFINITY : this.told.surelyOf(id, session.timeoutMs, this.nowMs())
  }

  addWatch(sink: WatchSink, path: string, mode: WatchMode): void {
    this.watches.addLasting(mode, path, sink)
    this.told.watches(sink, this.nowMs())
  }

  hasWatch(sink: WatchSink, path: string, selector: WatchSelector): boolean {
    return this.watches.has(selector, path, sink)
  }

  removeWatches(sink: WatchSink, path: string, selector: WatchSelector): boolean {
    return this.watches.remove(selector, path, sink)
  }

  removeSink(sink: WatchSink): void {
    this.watches.removeSink(sink)
    this.told.left(sink, this.nowMs())
  }

  committed(): void {
    this.committedMs = this.nowMs()
  }

  treeChanged(changes: readonly TreeChange[], zxid: Zxid): void {
    this.walks.changed(changes)
    this.resets.changed(changes)
    for (const change of changes) this.watches.fire(change, zxid)
    this.history.told(zxid, this.committedMs)
  }

  quotaExceeded(notice: QuotaNotice): void {
    if (!this.serving) return
    if (notice.refused) this.quotaRefusals++
    else this.quotaWarnings++
    this.onQuotaExceeded?.(notice)
  }

  sessionChanged(change: SessionChange): void {
    if ('id' in change) this.told.ended(change.id)
    this.table.sessionChanged(change)
    this.ends.sessionChanged(change)
    if (change.kind === 'ending' && this.serving) this.chores.hurry()
  }

  // ── state ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  get stats(): ZelosStats {
    const { counters, watches, guard } = this
    return {
      nodeCount: counters.nodes,
      ephemeralCount: counters.ephemerals,
      watchCount: watches.count,
      watchPathCount: watches.pathCount,
      missedReplayed: this.missed.replayed,
      missedCompared: this.missed.compared,
      sessionCount: counters.sessions,
      sessionsExpired: this.table.expired,
      sessionsReattached: this.table.reattached,
      approximateDataBytes: counters.dataBytes,
      pendingUpdates: this.pendingUpdates,
      pendingBytes: this.pendingBytes,
      cachedNodes: this.applicator.tree.cachedNodes,
      cachedBytes: this.applicator.tree.cachedBytes,
      quotaWarnings: this.quotaWarnings,
      quotaRefusals: this.quotaRefusals,
      limitsExceeded: guard.exceeded,
    }
  }

  private get counters() {
    return this.applicator.counters(this.store.read())
  }
}
