// Base, the lowest engine: plays the shared log into the LocalStore and hands proposals to it. Needs no neighbour; must be at
// the bottom. Joins the parts of this folder; what each promises is written there.

import { DelosError, type ErrorCode } from '../../base/delos-error.ts'
import type { Key } from '../../base/key.ts'
import {
  type ApplyTimes,
  type BottomEngine,
  type BottomStatus,
  type ProposalCounts,
  type StackState,
  type StopReport,
  stoppedError,
} from '../../engine/bottom-engine.ts'
import type { PositionedDigest } from '../../engine/digest.ts'
import type { Applicator, Completion } from '../../engine/engine.ts'
import type { Entry } from '../../engine/entry.ts'
import { encodeStamped } from '../../engine/entry-codec.ts'
import type { EngineLevels } from '../../engine/membership.ts'
import type { LogPos } from '../../log/position.ts'
import type { AppendOutcome, SharedLog } from '../../log/shared-log.ts'
import type { Clock, Timers } from '../../runtime/runtime.ts'
import type { LocalStore, ReadTx } from '../../store/local-store.ts'
import { ApplyLoop } from './apply-loop.ts'
import { BASE_LIMITS, type BaseLimits } from './base-limits.ts'
import { loadCursor } from './cursor.ts'
import { DigestTaker } from './digest-taker.ts'
import { DuplicateFilter } from './duplicate-filter.ts'
import { FlushLoop } from './flush-loop.ts'
import { nextIncarnation } from './incarnation.ts'
import { type Pending, PendingProposals } from './pending-proposals.ts'
import { BASE, Stamper } from './proposal-stamp.ts'
import { report, SliceRunner } from './slice-runner.ts'
import { SyncBus } from './sync-bus.ts'

export interface BaseOptions {
  readonly serverId: string
  readonly log: SharedLog
  readonly store: LocalStore
  readonly clock: Clock
  readonly timers: Timers
  readonly limits?: Partial<BaseLimits>
}

/** Parts that exist from start on, when the incarnation and the known engines are. */
interface Running {
  readonly stamper: Stamper
  readonly duplicates: DuplicateFilter
  readonly slices: SliceRunner
  readonly loop: ApplyLoop
}

/** Refusals that no later append can escape. */
const FINAL_REFUSALS: ReadonlySet<ErrorCode> = new Set(['IO_ERROR', 'CORRUPT'])

const NO_TIMES: ApplyTimes = { proposedMs: 0, appendedMs: 0, applyStartMs: 0, applyEndMs: 0 }

export class BaseEngine implements BottomEngine {
  readonly name = BASE
  readonly maxEntryBytes: number
  private readonly options: BaseOptions
  private readonly limits: BaseLimits
  private readonly pending: PendingProposals
  private readonly flushes: FlushLoop
  private readonly syncs: SyncBus
  private readonly digests: DigestTaker
  private above!: Applicator<unknown>
  private running: Running | undefined
  private state: StackState = 'starting'
  private failure: StopReport | undefined
  private tailAtStart = 0 as LogPos
  private lastLocalId = 0
  private refusedAppends = 0
  private indeterminateAppends = 0
  private endTailListener: (() => void) | undefined
  private renewing: Promise<void> | undefined
  private stopping: Promise<void> | undefined
  private readonly stateListeners: ((state: StackState) => void)[] = []

  constructor(options: BaseOptions) {
    this.options = options
    this.limits = { ...BASE_LIMITS, ...options.limits }
    this.maxEntryBytes = options.log.maxEntryBytes
    const { clock, log, store, timers } = options
    this.pending = new PendingProposals(this.limits, clock, timers)
    this.flushes = new FlushLoop({
      ...this.limits,
      log,
      store,
      timers,
      cursor: () => this.cursor,
      failed: (error) => this.fail(report(error, this.cursor, undefined)),
    })
    this.digests = new DigestTaker({ store, failed: (error) => this.stopWith(error) })
    this.syncs = new SyncBus({
      timers,
      deadlineMs: this.limits.syncDeadlineMs,
      checkTail: () => log.checkTail(),
      tailSeen: (tail) => this.running?.loop.raiseTarget(tail),
      cursor: () => this.cursor,
      read: () => store.read(),
    })
  }

  get durableCursor(): LogPos {
    return this.flushes.durableCursor
  }

  get lastTimes(): ApplyTimes {
    return this.running?.slices.times ?? NO_TIMES
  }

  get proposals(): ProposalCounts {
    return { waiting: this.pending.count, answered: this.running?.slices.counts.answered ?? 0 }
  }

  get lastDigest(): PositionedDigest | undefined {
    return this.digests.last
  }

  edited(tx: ReadTx, keys: readonly Key[]): void {
    this.running?.duplicates.edited(tx, keys)
  }

  stopWith(error: DelosError): void {
    this.fail(report(error, this.cursor, undefined))
  }

  private get cursor(): LogPos {
    return this.running?.loop.cursor ?? (0 as LogPos)
  }

  registerUpcall(applicator: Applicator<unknown>): void {
    this.above = applicator
  }

  setTrimPrefix(pos: LogPos): void {
    this.flushes.setTrimPrefix(pos)
  }

  read(): ReadTx {
    return this.options.store.read()
  }

  onStateChange(listener: (state: StackState) => void): void {
    this.stateListeners.push(listener)
  }

  async start(levels: EngineLevels): Promise<void> {
    const { log, serverId, store } = this.options
    const cursor = loadCursor(store.read())
    const duplicates = new DuplicateFilter()
    duplicates.load(store.read())
    const incarnation = await nextIncarnation(store)
    const tail = await log.checkTail()
    if (this.state !== 'starting') throw new DelosError('CLOSED', 'the database was closed while it started')
    if (cursor > tail) {
      throw new DelosError(
        'CORRUPT',
        `the log ends at ${tail} and this server has applied up to ${cursor}: the log lost its end`,
      )
    }
    this.flushes.startedAt(cursor)
    const { clock, timers } = this.options
    const { limits, pending } = this
    const applicator = this.above
    const stamper = new Stamper(serverId, incarnation)
    const slices = new SliceRunner({ ...limits, store, clock, duplicates, pending, levels, applicator, stamper })
    const loop = new ApplyLoop({
      ...limits,
      log,
      store,
      timers,
      slices,
      // Behind the others there is no use in one: it would be compared with what they have long forgotten.
      digestDue: (position) => {
        if (this.state === 'serving') this.digests.take(position)
      },
      advanced: (reached, bytes) => this.advanced(reached, bytes),
      failed: (failure) => this.fail(failure),
    })
    this.running = { stamper, duplicates, slices, loop }
    this.tailAtStart = tail
    this.enter('catching up')
    loop.start(cursor)
    this.advanced(cursor, 0)
    this.endTailListener = log.onTailMoved((moved) => loop.raiseTarget(moved))
    loop.raiseTarget(Math.max(tail, log.knownTail) as LogPos)
  }

  propose(entry: Entry, completion: Completion<unknown>): void {
    const { clock, log } = this.options
    const { limits, pending, running } = this
    if (running === undefined || this.state !== 'serving') {
      completion.reject(this.refusal())
      return
    }
    const localId = this.lastLocalId + 1
    const bytes = encodeStamped(entry, BASE, running.stamper.stamp(localId, clock.wallMs()))
    const control = entry.payload === undefined
    const refusal = tooLarge(bytes, log.maxEntryBytes) ?? pending.refusal(localId, bytes.length, control)
    if (refusal !== undefined) {
      completion.reject(refusal)
      return
    }
    this.lastLocalId = localId
    const proposedMs = clock.monotonicMs()
    const proposal: Pending = {
      localId,
      completion,
      bytes: bytes.length,
      proposedMs,
      appendedMs: undefined,
      deadlineMs: proposedMs + limits.proposalDeadlineMs,
    }
    pending.add(proposal)
    log.append(bytes).then(
      (outcome) => this.appendEnded(proposal, outcome),
      (thrown: unknown) => {
        // append answers with an outcome; a rejection is a fault of the log, and then nobody knows.
        this.appendEnded(proposal, { kind: 'indeterminate', cause: DelosError.from(thrown, 'IO_ERROR', 'append') })
      },
    )
  }

  sync(): Promise<ReadTx> {
    if (this.state === 'starting') return Promise.reject(this.refusal())
    return this.syncs.sync()
  }

  stop(): Promise<void> {
    this.stopping ??= this.stopOnce()
    return this.stopping
  }

  status(): BottomStatus {
    const counts = this.running?.slices.counts
    return {
      state: this.state,
      failure: this.failure,
      cursor: this.cursor,
      durableCursor: this.flushes.durableCursor,
      knownTail: this.running?.loop.knownTail ?? this.options.log.knownTail,
      trimPrefix: this.flushes.trimPrefix,
      incarnation: this.running?.stamper.incarnation ?? 0,
      pendingProposals: this.pending.count,
      pendingBytes: this.pending.bytes,
      appliedEntries: counts?.entries ?? 0,
      appliedBytes: counts?.bytes ?? 0,
      transactions: counts?.transactions ?? 0,
      duplicatesDropped: counts?.duplicates ?? 0,
      voidedEntries: counts?.voided ?? 0,
      refusedAppends: this.refusedAppends,
      indeterminateAppends: this.indeterminateAppends,
      tailChecks: this.syncs.tailChecks,
      failedTrims: this.flushes.failedTrims,
      applyMs: counts?.applyMs ?? 0,
      digestsTaken: this.digests.counts.taken,
      digestsSkipped: this.digests.counts.skipped,
    }
  }

  private appendEnded(proposal: Pending, outcome: AppendOutcome): void {
    if (outcome.kind === 'appended') {
      proposal.appendedMs = this.options.clock.monotonicMs()
      this.running?.loop.raiseTarget((outcome.pos + 1) as LogPos)
    } else if (outcome.kind === 'refused') {
      this.refusedAppends++
      if (this.pending.take(proposal.localId) !== undefined) proposal.completion.reject(outcome.cause)
      // A log that has failed for good takes nothing any more: better said once than at every proposal.
      if (FINAL_REFUSALS.has(outcome.cause.code)) this.fail(report(outcome.cause, this.cursor, undefined))
    } else {
      // It keeps waiting: if it is in the log, apply resolves it; if not, the deadline says INDETERMINATE.
      this.indeterminateAppends++
      const deadlineMs = this.options.clock.monotonicMs() + this.limits.indeterminateMs
      proposal.deadlineMs = Math.min(proposal.deadlineMs, deadlineMs)
    }
  }

  private advanced(cursor: LogPos, bytes: number): void {
    if (bytes > 0) this.flushes.committed(bytes)
    if (this.state === 'catching up' && cursor >= this.tailAtStart) this.caughtUp()
    this.syncs.advanced(cursor)
  }

  // A store that was lost and made again has counted its lives from 1, and the log remembers the earlier ones: under their
  // names every proposal would be dropped as a duplicate.
  private caughtUp(): void {
    const { duplicates, stamper } = this.running as Running
    const newest = duplicates.newestIncarnation(this.options.serverId)
    if (newest < stamper.incarnation) {
      this.enter('serving')
      return
    }
    this.renewing ??= nextIncarnation(this.options.store, newest).then(
      (incarnation) => {
        stamper.renew(incarnation)
        if (this.state === 'catching up') this.enter('serving')
      },
      (thrown: unknown) => this.fail(report(thrown, this.cursor, undefined)),
    )
  }

  // Why propose is refused now.
  private refusal(): DelosError {
    if (this.state === 'stopped') return stoppedError(this.failure)
    if (this.state === 'closed') return new DelosError('CLOSED', 'the database is closed')
    return new DelosError('NOT_READY', `the server is ${this.state}`)
  }

  private fail(failure: StopReport): void {
    if (this.state === 'stopped' || this.state === 'closed') return
    this.failure = failure
    this.enter('stopped')
    this.endTailListener?.()
    // The loop may have been stopped by somebody else than itself (the flush): it has no more than one read under way.
    void this.running?.loop.stop()
    this.syncs.close(stoppedError(failure))
    this.pending.rejectAll(`the database stopped at position ${failure.position}; the proposal may be in the log`)
  }

  private async stopOnce(): Promise<void> {
    const failed = this.state === 'stopped'
    if (!failed) this.enter('closed')
    this.endTailListener?.()
    await this.running?.loop.stop()
    await this.renewing
    const closed = new DelosError('CLOSED', 'the database is closed')
    this.syncs.close(closed)
    this.pending.rejectAll('the database was closed; the proposal may be in the log')
    await this.flushes.stop(!failed && this.running !== undefined)
  }

  private enter(state: StackState): void {
    this.state = state
    for (const listener of this.stateListeners) listener(state)
  }
}

function tooLarge(bytes: Uint8Array, maxEntryBytes: number): DelosError | undefined {
  if (bytes.length <= maxEntryBytes) return undefined
  return new DelosError(
    'LIMIT_EXCEEDED',
    `maxEntryBytes: the entry has ${bytes.length} bytes, the log takes ${maxEntryBytes}`,
  )
}
