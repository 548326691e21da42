// What a serving server does so that the log is backed up: claims and uploads segments and snapshots, takes over from who is silent,
// lets go of what is too old, and opens the escape hatch. Propose side only. Not here: what any of it means in apply.

import { DelosError } from '../../base/delos-error.ts'
import type { CopySource } from '../../engine/copy-source.ts'
import type { EngineContext } from '../../engine/engine-layer.ts'
import type { LogPos } from '../../log/position.ts'
import type { Timer } from '../../runtime/runtime.ts'
import type { SegmentBuilder } from './backup-codec.ts'
import type { BackupMessage } from './backup-message.ts'
import { BackupNames } from './backup-names.ts'
import type { HeldClaim, SegmentClaim } from './backup-rows.ts'
import { type BackupOutcome, type BackupState, CLAIMS_MAX, SNAPSHOTS_MAX } from './backup-state.ts'
import { declareBackup, dueForgetting, sweepForgotten } from './backup-upkeep.ts'
import { ClaimWatch } from './claim-watch.ts'
import type { BackupTarget, LogBackupOptions } from './log-backup-options.ts'
import { putSegment, readSegment } from './segment-upload.ts'
import { putSnapshot } from './snapshot-upload.ts'

/** Segments that this server has claimed and not uploaded: one is read while the other is on its way. */
const SEGMENTS_AT_ONCE = 2
/** After a failure, before the same is tried again. */
const RETRY_MS = 1_000
/** Where another server does the work, this one waits so many times longer before it steps in. */
const PATIENCE = 3

/** Kinds of jobs after which something else may be due. */
const LEADS_ON: ReadonlySet<string> = new Set(['begin', 'declare', 'claim', 'segment', 'snapshot'])

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

/** Kinds of jobs that only say something. */
const WORDS: ReadonlySet<string> = new Set(['progress', 'takeover'])

/** Why the backup does not go on. */
export interface BackupTrouble {
  readonly message: string
  readonly sinceMs: number
}

export class BackupWorker {
  /** Cumulative, of this server. */
  readonly counts = { segments: 0, snapshots: 0, uploadedBytes: 0, failures: 0, takeovers: 0, skips: 0 }
  private readonly parts: WorkerParts
  private readonly names: BackupNames
  private readonly watch: ClaimWatch
  private readonly abort = new AbortController()
  /** By the kind of job that fails. */
  private readonly troubles = new Map<string, BackupTrouble>()
  /** By name, so that nothing is under way twice. */
  private readonly jobs = new Map<string, Promise<void>>()
  /** Read before they were claimed; by their beginning. */
  private readonly read = new Map<LogPos, { readonly builder: SegmentBuilder; readonly to: LogPos }>()
  private timer: Timer | undefined
  private serving = false
  private declared = false
  private swept: LogPos | undefined
  /** First position not applied, the newest entry that was not of a backup, and when the first such one behind all claims came. */
  private applied = 0 as LogPos
  private moved = -1
  private waitingSinceMs: number | undefined
  private unclaimedBytes = 0
  private sinceSnapshotBytes = 0
  private othersWork = false
  /** When the backed-up prefix was last seen to grow, or had nothing to grow for. */
  private progressMs = 0
  private lastEnd = -1

  constructor(parts: WorkerParts) {
    this.parts = parts
    const { context, options, source } = parts
    this.names = new BackupNames(source.database, source.identity.historyId)
    this.watch = new ClaimWatch(options.silentMs, options.tickMs, context.random)
  }

  /** What has failed for the longest time, and has not worked since. */
  get trouble(): BackupTrouble | undefined {
    const [oldest] = [...this.troubles.values()].sort((a, b) => a.sinceMs - b.sinceMs)
    return oldest
  }

  /** This server has caught up, and what it has applied is everything below `applied`. */
  begin(applied: LogPos): void {
    this.serving = true
    this.applied = applied
    this.moved = applied - 1
    this.progressMs = this.nowMs
    this.waitingSinceMs = this.progressMs
    this.tick()
  }

  async end(): Promise<void> {
    this.serving = false
    this.timer?.cancel()
    this.abort.abort()
    await Promise.allSettled(this.jobs.values())
  }

  /** An entry was applied; `own` if it is one of LogBackup's. */
  advanced(pos: LogPos, bytes: number, own: boolean): void {
    this.applied = (pos + 1) as LogPos
    if (own) return
    this.moved = pos
    this.unclaimedBytes += bytes
    this.sinceSnapshotBytes += bytes
    if (!this.serving) return
    this.waitingSinceMs ??= this.nowMs
    if (this.unclaimedBytes >= this.parts.options.segmentBytes) this.look()
  }

  /** What LogBackup said was applied. */
  changed(message: BackupMessage): void {
    if (message.kind === 'claim') this.othersWork = message.serverId !== this.me
    if (message.kind === 'kept') this.sinceSnapshotBytes = 0
    if (this.serving) this.look()
  }

  private get me(): string {
    return this.parts.context.serverId
  }

  private get nowMs(): number {
    return this.parts.context.clock.monotonicMs()
  }

  private get active(): boolean {
    return this.serving && this.parts.enabled()
  }

  private tick(): void {
    const { context, options, state } = this.parts
    this.timer = context.timers.after(options.tickMs, () => this.tick())
    if (!this.active) return
    const now = this.nowMs
    if (state.end !== this.lastEnd || this.moved < state.end) this.progressMs = now
    this.lastEnd = state.end
    const held = [...state.claims.filter(({ done }) => !done), ...(state.snapshotClaim ? [state.snapshotClaim] : [])]
    for (const { claim, due } of this.watch.look(now, held, this.me)) {
      if (due === 'progress') this.start(`progress ${claim.id}`, () => this.tell('progress', claim))
      else this.start(`takeover ${claim.id}`, () => this.takeOver(claim))
    }
    this.start('hatch', () => this.openHatch())
    this.start('forget', () => this.forget())
    this.look()
  }

  /** Begins whatever is due and not under way. */
  private look(): void {
    if (!this.active) return
    const { source, state } = this.parts
    if (state.history?.historyId !== source.identity.historyId) {
      this.start('begin', () => this.beginHistory())
      return
    }
    if (!this.declared) {
      this.start('declare', () => this.declare())
      return
    }
    // Of claims that others took over or that were given up.
    for (const from of this.read.keys()) if (from < state.end) this.read.delete(from)
    const mine = state.claims.filter(({ done, serverId }) => !done && serverId === this.me)
    for (const claim of mine) this.start(`segment ${claim.id}`, () => this.upload(claim))
    if (mine.length < SEGMENTS_AT_ONCE && this.segmentDue()) this.start('claim', () => this.claim())
    const { snapshotClaim } = state
    if (snapshotClaim?.serverId === this.me) this.start('snapshot', () => this.snapshot(snapshotClaim))
    else if (snapshotClaim === undefined && this.snapshotDue()) {
      this.start('claim snapshot', async () => void (await this.parts.say({ kind: 'snapshot', serverId: this.me })))
    }
  }

  private segmentDue(): boolean {
    const { options, state } = this.parts
    if (this.moved < state.claimedTo || state.claims.length >= CLAIMS_MAX) return false
    const patience = this.othersWork ? PATIENCE : 1
    if (this.unclaimedBytes >= options.segmentBytes * patience) return true
    return this.waitingSinceMs !== undefined && this.nowMs - this.waitingSinceMs >= options.intervalMs * patience
  }

  private snapshotDue(): boolean {
    const { context, options, state } = this.parts
    if (state.snapshots.length >= SNAPSHOTS_MAX) return false
    const newest = state.snapshots.at(-1)
    const needed = Math.max(state.history?.start ?? 0, state.gaps.at(-1)?.to ?? 0)
    if (newest === undefined || newest.cursor < needed) return true
    if (this.moved < newest.cursor) return false
    const patience = this.othersWork ? PATIENCE : 1
    if (this.sinceSnapshotBytes >= options.snapshotBytes * patience) return true
    return context.clock.wallMs() - newest.wallMs >= options.snapshotMs * patience
  }

  /** One job of a name at a time; a failure is remembered and what is still due is begun again after a pause. */
  private start(name: string, work: () => Promise<void>): void {
    if (this.jobs.has(name)) return
    const job = work().then(
      () => this.ended(name, true),
      async (thrown: unknown) => {
        this.failed(name, thrown)
        await this.pause()
        this.ended(name, false)
      },
    )
    this.jobs.set(name, job)
  }

  private ended(name: string, well: boolean): void {
    this.jobs.delete(name)
    if (well) this.troubles.delete(kindOf(name))
    if (well && LEADS_ON.has(kindOf(name))) this.look()
  }

  private failed(name: string, thrown: unknown): void {
    const error = DelosError.from(thrown, 'IO_ERROR', name)
    if (error.code === 'CLOSED' || !this.serving) return
    this.counts.failures++
    const kind = kindOf(name)
    // Lost in the log, and perhaps never due again: tells nothing of uploads.
    if (WORDS.has(kind)) return
    this.troubles.set(kind, { message: error.message, sinceMs: this.troubles.get(kind)?.sinceMs ?? this.nowMs })
  }

  private pause(): Promise<void> {
    if (this.abort.signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel()
        this.abort.signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = this.parts.context.timers.after(RETRY_MS, done)
      this.abort.signal.addEventListener('abort', done)
    })
  }

  // ── jobs ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async beginHistory(): Promise<void> {
    const { context, say, source } = this.parts
    const { historyId } = source.identity
    await say({ kind: 'begin', serverId: this.me, historyId, wallMs: context.clock.wallMs() })
  }

  private async declare(): Promise<void> {
    const { source, state, target } = this.parts
    await declareBackup(source, target, this.names, state.history?.beganMs ?? 0, this.abort.signal)
    this.declared = true
  }

  private async claim(): Promise<void> {
    const { context, options, say, source, state } = this.parts
    const { timers } = context
    const range = { from: state.claimedTo, to: this.applied }
    const waiting = { bytes: this.unclaimedBytes, moved: this.moved }
    const read = await readSegment({ source, timers, signal: this.abort.signal }, range, options.segmentBytes)
    if (read.kind === 'trimmed') return await this.skipTrimmed(range.from, read.oldest)
    const { builder, to } = read
    this.read.set(range.from, { builder, to })
    const outcome = await say({ kind: 'claim', serverId: this.me, from: range.from, to }).catch((error: unknown) => {
      this.read.delete(range.from)
      throw error
    })
    if (outcome.kind === 'void') this.read.delete(range.from)
    this.unclaimedBytes = to === range.to ? this.unclaimedBytes - waiting.bytes : options.segmentBytes
    this.waitingSinceMs = to === range.to && this.moved === waiting.moved ? undefined : this.nowMs
  }

  private async upload({ from, id, to }: SegmentClaim): Promise<void> {
    const { context, say, source, target } = this.parts
    const { signal } = this.abort
    let known = this.read.get(from)
    if (known?.to !== to) {
      const read = await readSegment({ source, timers: context.timers, signal }, { from, to }, Number.MAX_SAFE_INTEGER)
      if (read.kind === 'trimmed') return await this.skipTrimmed(from, read.oldest)
      known = read
    }
    const { builder } = known
    const bytes = await this.settled({ builder, to: known.to }, target, signal)
    this.read.delete(from)
    this.counts.segments++
    this.counts.uploadedBytes += bytes
    await say({ kind: 'done', serverId: this.me, claim: id, bytes })
  }

  /** Resolves when the segment is durable in the blob store. Apart, so that a simulation can plant the bug. */
  protected settled(
    segment: { readonly builder: SegmentBuilder; readonly to: LogPos },
    target: BackupTarget,
    signal: AbortSignal,
  ): Promise<number> {
    const { historyId } = this.parts.source.identity
    return putSegment(target, this.names, historyId, segment.builder, segment.to, signal)
  }

  private async snapshot({ id }: HeldClaim): Promise<void> {
    const { context, options, say, source, target } = this.parts
    const { clock, levels, serverId, timers } = context
    const { names } = this
    const parts = { source, target, names, options, timers, levels, serverId, signal: this.abort.signal }
    const manifest = await putSnapshot({ ...parts, wallMs: () => clock.wallMs() })
    const { bytes, cursor, rows, wallMs } = manifest
    this.counts.snapshots++
    this.counts.uploadedBytes += bytes
    await say({ kind: 'kept', serverId, claim: id, cursor, wallMs, rows, bytes })
  }

  private async tell(kind: 'progress' | 'abandon', { id }: HeldClaim): Promise<void> {
    await this.parts.say({ kind, serverId: this.me, claim: id })
  }

  private async takeOver({ id, lastHeard }: HeldClaim): Promise<void> {
    const outcome = await this.parts.say({ kind: 'takeover', serverId: this.me, claim: id, lastHeard })
    if (outcome.kind === 'done') this.counts.takeovers++
  }

  private async forget(): Promise<void> {
    const { context, options, say, state, target } = this.parts
    if (!this.declared) return
    const below = dueForgetting(state, options, context.clock.wallMs())
    if (below !== undefined) await say({ kind: 'forget', serverId: this.me, below })
    if (this.swept === state.first) return
    // Only now, when no server counts on it any more. Whoever is first in the view does it, as far as that one can.
    const { first } = state
    const [firstMember = this.me] = context.membership.members(context.read())
    if (firstMember === this.me) await sweepForgotten(target.store, this.names, first, this.abort.signal)
    this.swept = first
  }

  private async openHatch(): Promise<void> {
    const { options, state, target } = this.parts
    if (this.moved < state.end || state.history?.historyId !== this.parts.source.identity.historyId) return
    if (options.holdMs > 0 && this.nowMs - this.progressMs >= options.holdMs) {
      await this.skip(this.applied, `no upload for ${Math.round((this.nowMs - this.progressMs) / 1000)} s`)
    } else if (options.freeBytesMin > 0 && target.freeBytes !== undefined && this.trouble !== undefined) {
      const free = await target.freeBytes()
      if (free < options.freeBytesMin) await this.skip(this.applied, `the disk has ${free} bytes free`)
    }
  }

  /** Only while nobody else is to do what is before it; until then it fails, and is looked at again after a pause. */
  private async skipTrimmed(from: LogPos, oldest: LogPos): Promise<void> {
    const reason = 'the log was trimmed before it was backed up'
    if (from !== this.parts.state.end) throw new DelosError('TRIMMED', `${reason}: from ${from} to ${oldest}`)
    await this.skip(oldest, reason)
  }

  private async skip(to: LogPos, reason: string): Promise<void> {
    const { context, say, state } = this.parts
    const wallMs = context.clock.wallMs()
    const why = this.trouble === undefined ? reason : `${reason}; ${this.trouble.message}`
    const outcome = await say({
      kind: 'skip',
      serverId: this.me,
      from: state.end,
      to,
      wallMs,
      reason: why.slice(0, 300),
    })
    if (outcome.kind === 'done') this.counts.skips++
    this.progressMs = this.nowMs
  }
}

/** The first word of a job's name. */
function kindOf(job: string): string {
  return job.split(' ')[0] as string
}
