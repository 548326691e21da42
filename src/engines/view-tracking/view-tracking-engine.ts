// ViewTracking: needs no neighbour; SessionOrder and Batching, where present, must be above. Keeps in replicated state who the
// servers are, how far each has durably applied and what its build knows, and lets the log be trimmed to the least of these
// positions. Parts of this folder: the view, digests, and what a serving server does by itself (presence.ts).

import { assert } from '../../base/assert.ts'
import { DelosError } from '../../base/delos-error.ts'
import { DIGEST_HEADER } from '../../engine/digest.ts'
import type { Completion } from '../../engine/engine.ts'
import type { EngineFlags } from '../../engine/engine-flags.ts'
import { type EngineContext, EngineLayer } from '../../engine/engine-layer.ts'
import { controlEntry, type Entry, type Header, type Headers, NO_HEADERS, withHeader } from '../../engine/entry.ts'
import { type Membership, SoloMembership } from '../../engine/membership.ts'
import type { EngineFactory } from '../../engine/stack.ts'
import { LOG_START, type LogPos } from '../../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { alarmText, type DigestAlarm, DigestRounds } from './digest-rounds.ts'
import { Presence } from './presence.ts'
import { type MemberRecord, ReplicatedView, readMembers, type ViewOutcome } from './replicated-view.ts'
import type { SilenceLimits } from './silence-watch.ts'
import { decodeViewMessage, encodeViewMessage, isReportHeader, type Report } from './view-message.ts'

export const VIEW_TRACKING = 'view-tracking'

export type ViewTrackingOptions = SilenceLimits

export const VIEW_TRACKING_OPTIONS: ViewTrackingOptions = {
  heartbeatMs: 5_000,
  silentMs: 60_000,
}

/** A member may be late by this many heartbeats before it can be called silent. */
const SILENT_HEARTBEATS_MIN = 4
const ALARMS_SHOWN = 16
const NOBODY: readonly string[] = ['(no member has joined yet)']
const DISABLED: ViewOutcome = { kind: 'void', reason: `${VIEW_TRACKING} is disabled` }

/** INVALID_ARGUMENT if heartbeats are too rare for `silentMs`. */
export function viewTrackingEngine(options: Partial<ViewTrackingOptions> = {}): EngineFactory {
  const limits = { ...VIEW_TRACKING_OPTIONS, ...options }
  if (!(limits.heartbeatMs > 0) || limits.silentMs < limits.heartbeatMs * SILENT_HEARTBEATS_MIN) {
    throw new DelosError(
      'INVALID_ARGUMENT',
      `silentMs ${limits.silentMs}: at least ${SILENT_HEARTBEATS_MIN} times heartbeatMs (${limits.heartbeatMs})`,
    )
  }
  return {
    name: VIEW_TRACKING,
    levelMax: 0,
    neighbours: {},
    create: (context) => new ViewTrackingEngine(context, limits),
  }
}

export class ViewTrackingEngine extends EngineLayer {
  override readonly providesMembership: Membership
  private readonly view: ReplicatedView
  private readonly rounds: DigestRounds
  private readonly presence: Presence
  /** Version of the view that the propose side has reacted to. */
  private seenVersion = 0
  /** What the layers above allow to trim. */
  private allowedAbove: LogPos = LOG_START
  /** First position not applied, as far as entries came by. */
  private applied: LogPos = LOG_START
  private passedDown: LogPos = LOG_START
  /** The durable position in this server's newest report that was applied. */
  private heardDurable = -1
  /** The header of proposals, encoded anew only when the durable cursor has moved. */
  private headerDurable = -1
  private header: Header = { bytes: new Uint8Array(0), mustUnderstand: false }
  private onlyHeader: Headers = NO_HEADERS

  constructor(context: EngineContext, limits: ViewTrackingOptions) {
    super(VIEW_TRACKING, context)
    this.view = new ReplicatedView(this.prefix)
    this.rounds = new DigestRounds(this.prefix)
    this.presence = new Presence({
      name: this.name,
      context,
      below: this.below,
      view: this.view,
      limits,
      enabled: () => this.flags.enabled,
      differs: () => this.rounds.naming(context.serverId).length > 0,
    })
    const solo = new SoloMembership(context.serverId, context.levels)
    // The view in memory is that of `tx`: apply changes both, and nothing runs between apply and commit. It stays as it was
    // while the engine is disabled: an answer that each server gave for itself would let their contents part.
    this.providesMembership = {
      missing: (tx, engine, level) => {
        if (this.view.ids.length > 0) return this.view.missing(engine, level)
        // Nobody is asked before the view exists: a build that lacks the engine then stops at the switch.
        return this.flagsInApply.enabled ? NOBODY : solo.missing(tx, engine, level)
      },
      members: () => this.view.ids,
    }
  }

  /** The members as of `tx`, for operators. As they were when the engine was disabled, if it is. */
  members(tx: ReadTx): readonly MemberRecord[] {
    return readMembers(tx, this.prefix)
  }

  /** Below it every member had durably applied everything: no server lets the log be trimmed further. */
  get released(): LogPos {
    return this.view.released
  }

  /** Content that was found to differ, oldest first. */
  get digestAlarms(): readonly DigestAlarm[] {
    return this.rounds.alarms
  }

  /**
   * Takes a server out of the view, so that the log need not be kept for it: it has been ended for good. One that lives
   * stays out until its next start. The last member can't leave.
   */
  leave(serverId: string): Promise<ViewOutcome> {
    return new Promise((resolve, reject: (error: DelosError) => void) => {
      this.below.propose(controlEntry(this.name, encodeViewMessage({ kind: 'leave', serverId })), {
        resolve: (result) => resolve(result as ViewOutcome),
        reject,
      })
    })
  }

  override load(tx: ReadTx): void {
    super.load(tx)
    this.view.load(tx)
    this.rounds.load(tx)
    this.seenVersion = this.view.version
    this.release()
  }

  override serving(): void {
    this.presence.begin()
  }

  override async stop(): Promise<void> {
    this.presence.end()
  }

  override alarms(): readonly string[] {
    const local = this.flags.enabled ? this.presence.alarms() : this.disabledAlarms()
    const found = this.rounds.alarms.slice(local.length - ALARMS_SHOWN)
    return [...local, ...found.map(alarmText)]
  }

  override details(): Readonly<Record<string, string | number | boolean>> {
    const { presence, view } = this
    return {
      members: view.ids.length,
      member: view.get(this.context.serverId) !== undefined,
      durable: this.context.durableCursor(),
      minimum: view.minimum ?? LOG_START,
      released: view.released,
      accusations: presence.accusations,
      lastAccused: presence.lastAccused,
      digestAlarms: this.rounds.alarms.length,
    }
  }

  override setTrimPrefix(pos: LogPos): void {
    if (pos > this.allowedAbove) this.allowedAbove = pos
    this.release()
  }

  // Only what says something new carries a header: until one of this interval and of this durable position is applied. A
  // header on every entry would cost each of them a write.
  override propose(entry: Entry, completion: Completion<unknown>): void {
    const { presence } = this
    const durable = this.context.durableCursor()
    const isKnown = presence.heard && durable === this.heardDurable
    if (isKnown || !this.flags.enabled || this.view.get(this.context.serverId) === undefined) {
      this.below.propose(entry, completion)
      return
    }
    if (durable !== this.headerDurable) this.encodeHeader(durable)
    presence.stamped = true
    const { payload, index } = entry
    const stamped =
      entry.headers.size === 0
        ? { headers: this.onlyHeader, payload, index }
        : withHeader(entry, this.name, this.header.bytes)
    this.below.propose(stamped, completion)
  }

  override apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): unknown {
    return entry.headers.has(VIEW_TRACKING) ? super.apply(tx, entry, pos) : this.above.apply(tx, entry, pos)
  }

  override postApply(entry: Entry, pos: LogPos, result: unknown): void {
    this.applied = (pos + 1) as LogPos
    if (entry.headers.has(VIEW_TRACKING) || entry.payload === undefined) {
      super.postApply(entry, pos, result)
      return
    }
    this.presence.moved(pos)
    this.release()
    this.above.postApply(entry, pos, result)
  }

  protected override applyEntry(tx: ReadWriteTx, entry: Entry, pos: LogPos, own: Header | undefined): unknown {
    assert(own !== undefined, 'an entry with a header of ViewTracking')
    const message = decodeViewMessage(own.bytes)
    const { enabled } = this.flagsInApply
    if (message.kind === 'report') {
      if (enabled) this.applyReport(tx, message, pos)
      return this.above.apply(tx, entry, pos)
    }
    if (entry.payload !== undefined) throw new DelosError('CORRUPT', `a ${message.kind} of ViewTracking with a payload`)
    if (!enabled) return DISABLED
    switch (message.kind) {
      case 'heartbeat':
        return this.applyReport(tx, message, pos)
      case 'join':
        return this.judgedAnew(tx, message.serverId, this.view.join(tx, message, pos))
      case 'leave':
        return this.judgedAnew(tx, message.serverId, this.view.leave(tx, message))
      case 'evict':
        return this.judgedAnew(tx, message.serverId, this.view.evict(tx, message))
    }
  }

  private judgedAnew(tx: ReadWriteTx, serverId: string, outcome: ViewOutcome): ViewOutcome {
    if (outcome.kind === 'done') this.rounds.forget(tx, serverId)
    return outcome
  }

  protected override afterCommit(entry: Entry, pos: LogPos, result: unknown, own: Header | undefined): void {
    const { presence } = this
    this.applied = (pos + 1) as LogPos
    if (own === undefined || isReportHeader(own.bytes)) {
      if (entry.payload === undefined && entry.headers.has(DIGEST_HEADER)) presence.digestRequested(pos)
      else presence.moved(pos)
      this.release()
      this.above.postApply(entry, pos, result)
      return
    }
    this.release()
    const message = decodeViewMessage(own.bytes)
    if (message.kind !== 'heartbeat') presence.moved(pos)
    if (message.kind === 'leave' && message.serverId === this.context.serverId) {
      if ((result as ViewOutcome).kind === 'done') presence.sentAway()
    }
    if (this.seenVersion === this.view.version) return
    this.seenVersion = this.view.version
    presence.viewChanged()
  }

  protected override switched(_flags: EngineFlags): void {
    this.release()
    this.presence.viewChanged()
  }

  private disabledAlarms(): string[] {
    const members = this.view.ids.length
    if (members === 0) return []
    return [`disabled with ${members} member${members > 1 ? 's' : ''}: the log is not trimmed any more`]
  }

  private applyReport(tx: ReadWriteTx, report: Report, pos: LogPos): void {
    const { rounds, view } = this
    view.report(tx, report, pos)
    const { digest, serverId } = report
    if (report.kind === 'report' && serverId === this.context.serverId) {
      this.presence.heard = true
      this.heardDurable = report.durable
    }
    if (digest === undefined) return
    if (serverId === this.context.serverId) this.presence.reportedDigest = digest.position
    if (view.get(serverId) !== undefined) rounds.report(tx, serverId, digest, view.ids, pos)
  }

  private encodeHeader(durable: LogPos): void {
    const { serverId } = this.context
    const bytes = encodeViewMessage({ kind: 'report', serverId, durable, digest: undefined })
    this.headerDurable = durable
    this.header = { bytes, mustUnderstand: false }
    this.onlyHeader = NO_HEADERS.with(this.name, this.header)
  }

  // What is passed down can't be taken back. So while the switch is off, or not yet loaded, that is only what was applied
  // since the start: past it the members' positions will count, should the switch be on by then.
  private release(): void {
    // While it is off the view stands still, and who joins next is held against `released`: once there is a member, nothing
    // past it goes.
    const { ids, released } = this.view
    const bound = this.flags.enabled || ids.length > 0 ? released : this.applied
    const allowed = Math.min(this.allowedAbove, bound) as LogPos
    if (allowed <= this.passedDown) return
    this.passedDown = allowed
    this.below.setTrimPrefix(allowed)
  }
}
