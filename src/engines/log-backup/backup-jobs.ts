// The work that a server has under way for the backup: each job once at a time, tried again after a pause while it is still due, and
// what has failed for how long. Not here: what is due, and how it is done (backup-worker.ts).

import { DelosError } from '../../base/delos-error.ts'
import type { LogPos } from '../../log/position.ts'
import type { Clock, Timers } from '../../runtime/runtime.ts'

interface JobTraits {
  /** Once it is done, something else may be due at once. */
  readonly leadsOn: boolean
  /** What its failure tells: the log is kept longer for it, the backup lacks something, or nothing: a word got lost in the log. */
  readonly failure: 'keeps the log' | 'lacks' | 'nothing'
}

const JOBS = {
  begin: { leadsOn: true, failure: 'keeps the log' },
  declare: { leadsOn: true, failure: 'keeps the log' },
  claim: { leadsOn: true, failure: 'keeps the log' },
  segment: { leadsOn: true, failure: 'keeps the log' },
  claimSnapshot: { leadsOn: true, failure: 'lacks' },
  snapshot: { leadsOn: true, failure: 'lacks' },
  progress: { leadsOn: false, failure: 'nothing' },
  takeover: { leadsOn: false, failure: 'nothing' },
  hatch: { leadsOn: false, failure: 'lacks' },
  forget: { leadsOn: false, failure: 'lacks' },
} as const satisfies Record<string, JobTraits>

export type JobKind = keyof typeof JOBS

/** Why the backup does not go on. */
export interface BackupTrouble {
  readonly message: string
  readonly sinceMs: number
}

export interface JobsParts {
  readonly clock: Clock
  readonly timers: Timers
  /** One is done, or has failed and will not be begun again for a while. Not called any more after `end`. */
  ended(well: boolean): void
  /** Something may be due now. */
  due(): void
}

/** After a failure, before the same is tried again. */
const RETRY_MS = 1_000
/** What takes so long hangs: a call of a blob store that answers or fails at all does so within half of it. */
const HANGS_MS = 180_000

export class BackupJobs {
  private readonly parts: JobsParts
  private readonly abort = new AbortController()
  private readonly troubles = new Map<JobKind, BackupTrouble>()
  /** By kind and claim, so that nothing is under way twice. */
  private readonly running = new Map<string, Promise<void>>()
  /** Those of them that neither have ended nor pause, by the same, and since when nothing of the kind has worked. */
  private readonly busy = new Map<string, { readonly kind: JobKind; readonly sinceMs: number }>()
  /** What is to be told of the end. */
  private readonly waiting = new Set<() => void>()

  constructor(parts: JobsParts) {
    this.parts = parts
  }

  /** Aborted by `end`. */
  get signal(): AbortSignal {
    return this.abort.signal
  }

  /** What has failed for the longest time, and has not worked since. */
  get trouble(): BackupTrouble | undefined {
    return oldestOf([...this.troubles.values(), ...this.hanging])
  }

  /** As `trouble`, of what the log is kept for. */
  get uploadTrouble(): BackupTrouble | undefined {
    const all = [...this.troubles].filter(([kind]) => JOBS[kind].failure === 'keeps the log')
    return oldestOf([...all.map(([, trouble]) => trouble), ...this.hanging])
  }

  /** Those jobs are no longer this server's to do, and others have done them: that they failed here says nothing any more. */
  settled(kinds: readonly JobKind[]): void {
    for (const kind of kinds) this.troubles.delete(kind)
    for (const [key, { kind }] of this.busy) if (kinds.includes(kind)) this.busy.delete(key)
  }

  /** Is that one, which there is only one of, under way or pausing? */
  isUnderWay(kind: JobKind): boolean {
    return this.running.has(keyOf(kind))
  }

  /** Nothing if it is under way already; `claim` tells those of one kind apart. */
  start(kind: JobKind, work: () => Promise<void>, claim?: LogPos): void {
    const key = keyOf(kind, claim)
    if (this.running.has(key) || this.signal.aborted) return
    this.busy.set(key, { kind, sinceMs: this.parts.clock.monotonicMs() })
    const job = work().then(
      () => {
        this.running.delete(key)
        this.busy.delete(key)
        this.done(kind)
      },
      async (thrown: unknown) => {
        this.busy.delete(key)
        this.failed(kind, thrown)
        await this.pause()
        this.running.delete(key)
      },
    )
    this.running.set(key, job)
  }

  /** The answer, or CLOSED as soon as the jobs are ended: the log may take longer than anybody wants to wait then. */
  untilEnded<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const forget = this.whenEnded(() => reject(new DelosError('CLOSED', 'the backup was ended')))
      answer.then(resolve, reject).finally(forget)
    })
  }

  /** Resolves when nothing is under way any more. */
  async end(): Promise<void> {
    this.abort.abort()
    for (const ended of this.waiting) ended()
    await Promise.allSettled(this.running.values())
  }

  /** What the log is kept for, and neither works nor fails: a directory on another machine's disk that is away. */
  private get hanging(): BackupTrouble[] {
    const nowMs = this.parts.clock.monotonicMs()
    const hang = [...this.busy.values()].filter(
      ({ kind, sinceMs }) => JOBS[kind].failure === 'keeps the log' && nowMs - sinceMs >= HANGS_MS,
    )
    return hang.map(({ kind, sinceMs }) => ({ message: `${kind}: no answer for ${HANGS_MS / 1000} s`, sinceMs }))
  }

  private done(kind: JobKind): void {
    this.troubles.delete(kind)
    const sinceMs = this.parts.clock.monotonicMs()
    for (const [key, other] of this.busy) if (other.kind === kind) this.busy.set(key, { kind, sinceMs })
    if (this.signal.aborted) return
    this.parts.ended(true)
    if (JOBS[kind].leadsOn) this.parts.due()
  }

  private failed(kind: JobKind, thrown: unknown): void {
    if (this.signal.aborted) return
    if (JOBS[kind].failure !== 'nothing') {
      const sinceMs = this.troubles.get(kind)?.sinceMs ?? this.parts.clock.monotonicMs()
      this.troubles.set(kind, { message: DelosError.from(thrown, 'IO_ERROR', kind).message, sinceMs })
    }
    this.parts.ended(false)
  }

  private pause(): Promise<void> {
    if (this.signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const over = (): void => {
        timer.cancel()
        forget()
        resolve()
      }
      const timer = this.parts.timers.after(RETRY_MS, over)
      const forget = this.whenEnded(over)
    })
  }

  /** Calls `ended` when the jobs are ended, now if they are; what it returns takes that back. */
  private whenEnded(ended: () => void): () => void {
    if (this.signal.aborted) ended()
    else this.waiting.add(ended)
    return () => this.waiting.delete(ended)
  }
}

function keyOf(kind: JobKind, claim?: LogPos): string {
  return `${kind} ${claim ?? ''}`
}

function oldestOf(troubles: readonly BackupTrouble[]): BackupTrouble | undefined {
  return troubles.toSorted((a, b) => a.sinceMs - b.sinceMs)[0]
}
