// LogBackup: needs no neighbour; usually right above Base. The servers share the work of copying the log and snapshots of the content
// to a blob store, by claims and completions in the log, and the log is kept until it is copied. Parts of this folder: the
// replicated state, what a serving server does by itself (backup-worker.ts), and the formats.

import { assert } from '../../base/assert.ts'
import type { DelosError } from '../../base/delos-error.ts'
import type { Completion } from '../../engine/engine.ts'
import type { EngineFlags } from '../../engine/engine-flags.ts'
import { type EngineContext, EngineLayer } from '../../engine/engine-layer.ts'
import { controlEntry, type Entry, type Header } from '../../engine/entry.ts'
import type { EngineFactory } from '../../engine/stack.ts'
import { LOG_START, type LogPos } from '../../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { type BackupMessage, decodeBackupMessage, encodeBackupMessage } from './backup-message.ts'
import { type BackupOutcome, BackupState, SNAPSHOTS_MAX } from './backup-state.ts'
import { BackupWorker, type WorkerParts } from './backup-worker.ts'
import { LOG_BACKUP_OPTIONS, type LogBackupOptions } from './log-backup-options.ts'

export const LOG_BACKUP = 'log-backup'

const DISABLED: BackupOutcome = { kind: 'void', reason: `${LOG_BACKUP} is disabled` }
const ALARMS_MAX = 16

export function logBackupEngine(options: Partial<LogBackupOptions> = {}): EngineFactory {
  return {
    name: LOG_BACKUP,
    levelMax: 0,
    neighbours: {},
    create: (context) => new LogBackupEngine(context, { ...LOG_BACKUP_OPTIONS, ...options }),
  }
}

export class LogBackupEngine extends EngineLayer {
  readonly state: BackupState
  private readonly options: LogBackupOptions
  private readonly worker: BackupWorker | undefined
  /** What the layers above allow to trim, the first position not applied, and what was passed on. */
  private allowedAbove: LogPos = LOG_START
  private applied: LogPos = LOG_START
  private passedDown: LogPos = LOG_START
  private caughtUp = false

  constructor(context: EngineContext, options: LogBackupOptions) {
    super(LOG_BACKUP, context)
    this.options = options
    this.state = this.makeState()
    const { source } = context
    const { target } = options
    const enabled = (): boolean => this.flags.enabled
    const say = (message: BackupMessage): Promise<BackupOutcome> => this.say(message)
    if (target !== undefined && source !== undefined) {
      this.worker = this.makeWorker({ context, source, target, options, enabled, say, state: this.state })
    }
  }

  protected makeState(): BackupState {
    return new BackupState(this.prefix)
  }

  protected makeWorker(parts: WorkerParts): BackupWorker {
    return new BackupWorker(parts)
  }

  /** Cumulative, of this server. */
  get counts(): BackupWorker['counts'] | undefined {
    return this.worker?.counts
  }

  override load(tx: ReadTx): void {
    super.load(tx)
    this.state.load(tx)
    this.release()
  }

  override serving(): void {
    this.caughtUp = true
    const { applied } = this
    this.worker?.begin(Math.max(applied, this.context.durableCursor()) as LogPos)
  }

  override async stop(): Promise<void> {
    await this.worker?.end()
  }

  override alarms(): readonly string[] {
    const { caughtUp, state, worker } = this
    if (!caughtUp || state.history === undefined) {
      return worker?.trouble === undefined ? [] : [`backups have not begun: ${worker.trouble.message}`]
    }
    if (!this.flags.enabled) return ['is disabled: backups have begun, and the log is trimmed without them']
    const alarms = state.gaps.map(
      ({ from, reason, to }) => `positions ${from} to ${to - 1} can't be restored: they were given up (${reason})`,
    )
    if (state.snapshots.length >= SNAPSHOTS_MAX) {
      alarms.push(
        `there are ${SNAPSHOTS_MAX} snapshots, and none is made any more: let old ones go (backup-keep-hours)`,
      )
    }
    if (worker === undefined) {
      alarms.push(`this server is not told where backups go (backup-to), and the log is kept from ${state.end} on`)
    } else if (worker.trouble !== undefined) {
      alarms.push(`uploads fail, and the log is kept from ${state.end} on: ${worker.trouble.message}`)
    }
    return alarms.slice(-ALARMS_MAX)
  }

  override details(): Readonly<Record<string, string | number | boolean>> {
    const { state, worker } = this
    const { history } = state
    if (history === undefined) return { begun: false, uploads: worker !== undefined }
    const newest = state.snapshots.at(-1)
    return {
      begun: true,
      uploads: worker !== undefined,
      location: this.options.target?.store.location ?? '',
      historyId: history.historyId,
      first: state.first,
      end: state.end,
      behind: Math.max(0, this.applied - state.end),
      claims: state.claims.length,
      snapshots: state.snapshots.length,
      newestSnapshot: newest?.cursor ?? -1,
      gaps: state.gaps.length,
      segmentBytes: state.segmentBytes,
      trouble: worker?.trouble?.message ?? '',
      ...worker?.counts,
    }
  }

  override setTrimPrefix(pos: LogPos): void {
    if (pos > this.allowedAbove) this.allowedAbove = pos
    this.release()
  }

  // Written out, for a call site of its own: see EngineLayer.
  override propose(entry: Entry, completion: Completion<unknown>): void {
    this.below.propose(entry, completion)
  }

  override apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): unknown {
    return entry.headers.has(LOG_BACKUP) ? super.apply(tx, entry, pos) : this.above.apply(tx, entry, pos)
  }

  override postApply(entry: Entry, pos: LogPos, result: unknown): void {
    this.applied = (pos + 1) as LogPos
    const own = entry.headers.has(LOG_BACKUP)
    this.worker?.advanced(pos, entry.payload?.length ?? 0, own)
    if (this.passedDown < this.allowedAbove) this.release()
    if (own) super.postApply(entry, pos, result)
    else this.above.postApply(entry, pos, result)
  }

  protected override applyEntry(tx: ReadWriteTx, _entry: Entry, pos: LogPos, own: Header | undefined): unknown {
    assert(own !== undefined, 'an entry with a header of LogBackup')
    const message = decodeBackupMessage(own.bytes)
    return this.flagsInApply.enabled ? this.state.apply(tx, message, pos) : DISABLED
  }

  protected override afterCommit(_entry: Entry, _pos: LogPos, result: unknown, own: Header | undefined): void {
    if (own !== undefined) this.worker?.changed(decodeBackupMessage(own.bytes), result as BackupOutcome)
  }

  protected override switched(_flags: EngineFlags): void {
    this.release()
  }

  /** What backups allow to trim. Apart, so that a simulation can plant the bug. */
  protected get backedUp(): LogPos {
    return this.state.end
  }

  // What is passed down can't be taken back. So without backups that is what was applied: those that begin later begin behind it.
  private release(): void {
    const kept = this.flags.enabled && this.state.history !== undefined
    const allowed = Math.min(this.allowedAbove, kept ? this.backedUp : this.applied) as LogPos
    if (allowed <= this.passedDown) return
    this.passedDown = allowed
    this.below.setTrimPrefix(allowed)
  }

  private say(message: BackupMessage): Promise<BackupOutcome> {
    return new Promise((resolve, reject: (error: DelosError) => void) => {
      this.below.propose(controlEntry(this.name, encodeBackupMessage(message)), {
        resolve: (result) => resolve(result as BackupOutcome),
        reject,
      })
    })
  }
}
