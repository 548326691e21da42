// What a serving server does so that the log is backed up: begins whatever is due and not under way, and at an orderly end sees that
// what is waiting is uploaded. Propose side only. Not here: what any of it means in apply (backup-state.ts), when something is due
// (backlog.ts, claim-watch.ts, escape-hatch.ts), and how it is done (segment-uploads.ts, snapshot-upload.ts, backup-upkeep.ts).

import type { CopySource } from '../../engine/copy-source.ts'
import type { EngineContext } from '../../engine/engine-layer.ts'
import type { LogPos } from '../../log/position.ts'
import type { Timer } from '../../runtime/runtime.ts'
import { Backlog } from './backlog.ts'
import { BackupJobs, type BackupTrouble } from './backup-jobs.ts'
import type { BackupMessage } from './backup-message.ts'
import { BackupNames } from './backup-names.ts'
import type { HeldClaim, SegmentClaim } from './backup-rows.ts'
import type { BackupOutcome, BackupState } from './backup-state.ts'
import { declareBackup, dueForgetting, sweepForgotten } from './backup-upkeep.ts'
import { ClaimWatch } from './claim-watch.ts'
import { EscapeHatch } from './escape-hatch.ts'
import type { BackupTarget, LogBackupOptions } from './log-backup-options.ts'
import { type PackedSegment, putSegment } from './segment-copy.ts'
import { SegmentUploads } from './segment-uploads.ts'
import { putSnapshot } from './snapshot-upload.ts'

/** Segments that this server has claimed and not uploaded: one is read while the other is on its way. */
const SEGMENTS_AT_ONCE = 2

export interface WorkerParts {
  readonly context: EngineContext
  readonly source: CopySource
  readonly target: BackupTarget
  readonly state: BackupState
  readonly options: LogBackupOptions
  /** Is the engine enabled, as of the last commit? */
  enabled(): boolean
  /** Through the log: what apply answered. Rejects as Engine.propose does. */
  say(message: BackupMessage): Promise<BackupOutcome>
}

export class BackupWorker {
  /** Cumulative, of this server. */
  readonly counts = { segments: 0, snapshots: 0, uploadedBytes: 0, failures: 0, takeovers: 0, skips: 0 }
  private readonly parts: WorkerParts
  private readonly names: BackupNames
  private readonly watch: ClaimWatch
  private readonly backlog: Backlog
  private readonly hatch: EscapeHatch
  private readonly jobs: BackupJobs
  private readonly uploads: SegmentUploads
  private timer: Timer | undefined
  private serving = false
  private declared = false
  /** Nothing is in the blob store that this server is to delete. What a former life has left is. */
  private isSwept = false
  private ending: Promise<void> | undefined
  /** While an orderly end waits for uploads: called at every step. */
  private stepped: () => void = () => undefined

  constructor(parts: WorkerParts) {
    this.parts = parts
    const { context, options, source, state, target } = parts
    const { clock, random, serverId, timers } = context
    const { historyId } = source.identity
    this.names = new BackupNames(source.database, historyId)
    this.watch = new ClaimWatch(options.silentMs, options.tickMs, random)
    this.backlog = new Backlog(options, clock)
    this.jobs = new BackupJobs({
      clock,
      timers,
      due: () => this.look(),
      ended: (well) => this.jobEnded(well),
    })
    const { backlog, jobs } = this
    const { signal } = jobs
    const say = (message: BackupMessage): Promise<BackupOutcome> => this.say(message)
    this.hatch = new EscapeHatch({
      backlog,
      clock,
      historyId,
      options,
      say,
      serverId,
      state,
      uploadTrouble: () => jobs.uploadTrouble,
      skipped: () => {
        this.counts.skips++
      },
    })
    this.uploads = new SegmentUploads({
      backlog,
      envelope: target.envelope,
      options,
      say,
      serverId,
      signal,
      source,
      state,
      timers,
      settled: (segment) => this.settled(segment, target, signal),
      trimmed: (from, oldest) => this.hatch.skipTrimmed(from, oldest),
      uploaded: (bytes) => {
        this.counts.segments++
        this.counts.uploadedBytes += bytes
      },
    })
  }

  /** What has failed for the longest time, and has not worked since, nor for others in its place. */
  get trouble(): BackupTrouble | undefined {
    return this.jobs.trouble
  }

  /** This server has caught up, and what it has applied is everything below `applied`. */
  begin(applied: LogPos): void {
    this.serving = true
    this.backlog.begin(applied)
    this.hatch.progressed()
    this.tick()
  }

  /** Uploads what is waiting, for `closeMs` at most and only while uploads work, and ends. */
  end(): Promise<void> {
    this.ending ??= this.endOnce()
    return this.ending
  }

  /** An entry was applied; `own` if it is one of LogBackup's. */
  advanced(pos: LogPos, bytes: number, own: boolean): void {
    const { backlog, jobs } = this
    backlog.advanced(pos, bytes, own)
    if (!this.serving || own || !(backlog.isLarge || backlog.isReadable)) return
    if (!jobs.isUnderWay('claim')) this.look()
  }

  /** What LogBackup said was applied, with that outcome. */
  changed(message: BackupMessage, outcome: BackupOutcome): void {
    // Only now, when no server counts on it any more, by the one that has said so.
    if (message.kind === 'forget' && message.serverId === this.me && outcome.kind === 'done') this.isSwept = false
    if (message.kind === 'claim') this.backlog.othersWork = message.serverId !== this.me
    if (message.kind === 'kept') this.backlog.kept()
    if (message.serverId !== this.me && outcome.kind === 'done') this.othersDid(message.kind)
    this.backlog.claimed(this.parts.state.claimedTo)
    this.uploads.passed(this.parts.state)
    if (this.serving) this.look()
    this.stepped()
  }

  private get me(): string {
    return this.parts.context.serverId
  }

  private get active(): boolean {
    return this.serving && this.parts.enabled()
  }

  /** Claims of segments of this server that are not uploaded. */
  private get mine(): readonly SegmentClaim[] {
    return this.parts.state.claims.filter(({ done, serverId }) => !done && serverId === this.me)
  }

  /** Else an old failure would be an alarm for ever, and with a full disk a reason to give up what others upload. */
  private othersDid(kind: BackupMessage['kind']): void {
    if (kind === 'done' && this.mine.length === 0) this.jobs.settled(['claim', 'segment'])
    if (kind === 'kept') this.jobs.settled(['claimSnapshot', 'snapshot'])
  }

  // ── what is due ───────────────────────────────────────────────────────────────────────────────────────────────────────

  private tick(): void {
    const { hatch, jobs } = this
    const { context, options, state } = this.parts
    this.timer = context.timers.after(options.tickMs, () => this.tick())
    if (!this.active) return
    hatch.look()
    const held = [...state.claims.filter(({ done }) => !done), ...(state.snapshotClaim ? [state.snapshotClaim] : [])]
    for (const { claim, due } of this.watch.look(context.clock.monotonicMs(), held, this.me)) {
      jobs.start(due, () => (due === 'progress' ? this.tellProgress(claim) : this.takeOver(claim)), claim.id)
    }
    jobs.start('hatch', () => hatch.open())
    jobs.start('forget', () => this.forget())
    this.look()
  }

  /** Begins whatever is due and not under way. */
  private look(): void {
    if (!this.active) return
    const { backlog, jobs, mine, uploads } = this
    const { source, state } = this.parts
    if (state.history?.historyId !== source.identity.historyId) return jobs.start('begin', () => this.beginHistory())
    if (!this.declared) return jobs.start('declare', () => this.declare())
    for (const claim of mine) jobs.start('segment', () => uploads.upload(claim), claim.id)
    const proceeds = backlog.isReadable || backlog.segmentDue(state)
    if (mine.length < SEGMENTS_AT_ONCE && proceeds) jobs.start('claim', () => uploads.proceed())
    const { snapshotClaim } = state
    if (snapshotClaim?.serverId === this.me) jobs.start('snapshot', () => this.snapshot(snapshotClaim))
    else if (snapshotClaim === undefined && backlog.snapshotDue(state)) {
      jobs.start('claimSnapshot', () => this.claimSnapshot())
    }
  }

  private jobEnded(well: boolean): void {
    if (!well) this.counts.failures++
    this.stepped()
  }

  // ── jobs ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private say(message: BackupMessage): Promise<BackupOutcome> {
    return this.jobs.untilEnded(this.parts.say(message))
  }

  private async beginHistory(): Promise<void> {
    const { context, source } = this.parts
    const { historyId } = source.identity
    await this.say({ kind: 'begin', serverId: this.me, historyId, wallMs: context.clock.wallMs() })
  }

  private async declare(): Promise<void> {
    const { source, state, target } = this.parts
    await declareBackup(source, target, this.names, state.history?.beganMs ?? 0, this.jobs.signal)
    this.declared = true
  }

  /** Resolves when the segment is durable in the blob store. Apart, so that a simulation can plant the bug. */
  protected settled(segment: PackedSegment, target: BackupTarget, signal: AbortSignal): Promise<number> {
    return putSegment(target, this.names, segment, signal)
  }

  private async claimSnapshot(): Promise<void> {
    await this.say({ kind: 'snapshot', serverId: this.me })
  }

  private async snapshot({ id }: HeldClaim): Promise<void> {
    const { context, options, source, state, target } = this.parts
    const { clock, levels, serverId, timers } = context
    const { names } = this
    const manifest = await putSnapshot({
      source,
      target,
      names,
      options,
      timers,
      levels,
      serverId,
      signal: this.jobs.signal,
      wallMs: () => clock.wallMs(),
      isWanted: () => state.snapshotClaim?.id === id,
    })
    const { bytes, cursor, rows, wallMs } = manifest
    this.counts.snapshots++
    this.counts.uploadedBytes += bytes
    await this.say({ kind: 'kept', serverId, claim: id, cursor, wallMs, rows, bytes })
  }

  private async tellProgress({ id }: HeldClaim): Promise<void> {
    await this.say({ kind: 'progress', serverId: this.me, claim: id })
  }

  private async takeOver({ id, lastHeard }: HeldClaim): Promise<void> {
    const outcome = await this.say({ kind: 'takeover', serverId: this.me, claim: id, lastHeard })
    if (outcome.kind === 'done') this.counts.takeovers++
  }

  private async forget(): Promise<void> {
    const { context, options, state, target } = this.parts
    if (!this.declared) return
    const below = dueForgetting(state, options, context.clock.wallMs())
    if (below !== undefined) await this.say({ kind: 'forget', serverId: this.me, below })
    if (this.isSwept) return
    this.isSwept = true
    try {
      await sweepForgotten(target.store, this.names, state.first, this.jobs.signal)
    } catch (error) {
      this.isSwept = false
      throw error
    }
  }

  // ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async endOnce(): Promise<void> {
    this.timer?.cancel()
    if (this.active && this.parts.options.closeMs > 0) await this.flush()
    this.serving = false
    await this.jobs.end()
  }

  /** Else the last interval would be in nobody's hands but this machine's. */
  private flush(): Promise<void> {
    const { backlog, jobs } = this
    const { context, options } = this.parts
    const { newest } = backlog
    backlog.hurry = true
    return new Promise((resolve) => {
      const over = (): void => {
        timer.cancel()
        this.stepped = () => undefined
        resolve()
      }
      const timer = context.timers.after(options.closeMs, over)
      this.stepped = () => {
        if (jobs.uploadTrouble !== undefined || !this.active || !this.lacks(newest)) over()
      }
      this.look()
      this.stepped()
    })
  }

  /** Something up to there is in no claim, or in one that this server has not uploaded. */
  private lacks(newest: number): boolean {
    return this.parts.state.claimedTo <= newest || this.mine.some(({ from }) => from <= newest)
  }
}
