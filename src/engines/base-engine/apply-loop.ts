// Plays the log: reads what is between cursor and known tail and hands it to slices, giving the event loop its turns. One
// loop owns the cursor. Not here: what a slice does (slice-runner.ts).

import { assert } from '../../base/assert.ts'
import { DelosError } from '../../base/delos-error.ts'
import type { StopReport } from '../../engine/bottom-engine.ts'
import { LOG_START, type LogPos } from '../../log/position.ts'
import type { LogEntry, LogRead, SharedLog } from '../../log/shared-log.ts'
import type { Timer, Timers } from '../../runtime/runtime.ts'
import type { LocalStore } from '../../store/local-store.ts'
import { report, type SliceRunner } from './slice-runner.ts'

export interface ApplyLoopLimits {
  /** Time in slices after which the event loop gets a turn. */
  readonly sliceMs: number
  /** Log bytes applied after which the event loop gets a turn. */
  readonly sliceBytes: number
  /** Log bytes asked for in one read. */
  readonly readBytesMax: number
  /** Pause before a failed or empty read is tried again. */
  readonly retryMs: number
}

export interface ApplyLoopParts extends ApplyLoopLimits {
  readonly log: SharedLog
  readonly store: LocalStore
  readonly timers: Timers
  readonly slices: SliceRunner
  /** After a slice that ends behind an entry that asks for a digest, before the next commit. */
  digestDue(position: LogPos): void
  /** After each slice. */
  advanced(cursor: LogPos, bytes: number): void
  /** The loop has ended for good. */
  failed(failure: StopReport): void
}

const NOTHING: readonly LogEntry[] = []

export class ApplyLoop {
  private readonly parts: ApplyLoopParts
  private position: LogPos = LOG_START
  private target: LogPos = LOG_START
  // What was read and is not yet applied.
  private chunk: readonly LogEntry[] = NOTHING
  private at = 0
  private chunkNext: LogPos = LOG_START
  /** A read, a slice, or a wait for one is under way: whoever moves the target need not start anything. */
  private busy = true
  private reading = false
  private retry: Timer | undefined
  private stopped = false
  /** Set by whoever stops the loop amid a read: settles with the read. */
  private readOver: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined
  // Spent since the event loop last had its turn.
  private spentMs = 0
  private spentBytes = 0

  constructor(parts: ApplyLoopParts) {
    this.parts = parts
  }

  /** The first position not applied. */
  get cursor(): LogPos {
    return this.position
  }

  get knownTail(): LogPos {
    return this.target
  }

  start(cursor: LogPos): void {
    this.position = cursor
    this.busy = false
    this.readOn()
  }

  /** The log reaches to `tail`: apply up to there. If nothing is under way, reading begins in this very turn. */
  raiseTarget(tail: LogPos): void {
    if (tail <= this.target) return
    this.target = tail
    if (!this.busy) this.readOn()
  }

  /** Applies nothing more. Resolves when no read is under way any more. */
  stop(): Promise<void> {
    this.stopped = true
    this.retry?.cancel()
    if (!this.reading) return Promise.resolve()
    if (this.readOver === undefined) {
      let resolve!: () => void
      const promise = new Promise<void>((resolved) => {
        resolve = resolved
      })
      this.readOver = { promise, resolve }
    }
    return this.readOver.promise
  }

  private readOn(): void {
    assert(!this.busy, 'one read at a time')
    if (this.stopped || this.position >= this.target) return
    this.busy = true
    this.reading = true
    this.parts.log.readNext(this.position, this.target, this.parts.readBytesMax).then(
      (read) => {
        this.readEnded()
        this.take(read)
      },
      (thrown: unknown) => {
        this.readEnded()
        this.readFailed(DelosError.from(thrown, 'IO_ERROR', `the log could not be read at ${this.position}`))
      },
    )
  }

  private readEnded(): void {
    this.reading = false
    this.readOver?.resolve()
  }

  private take(read: LogRead): void {
    if (this.stopped) return
    if (read.trimmedTo !== undefined && read.trimmedTo > this.position) {
      const gap = `the log is trimmed up to ${read.trimmedTo} and this server has applied up to ${this.position}`
      this.fail(report(new DelosError('TRIMMED', `${gap}: bootstrap it from a snapshot`), this.position, undefined))
    } else if (read.next <= this.position) {
      // Announced, and not readable yet.
      this.retryLater()
    } else {
      this.chunk = read.entries
      this.at = 0
      this.chunkNext = read.next
      this.applyOn()
    }
  }

  private applyOn(): void {
    const { slices, store } = this.parts
    if (this.stopped) return
    if (store.full) {
      this.waitForRoom()
      return
    }
    const before = slices.counts.applyMs
    const result = slices.run(this.chunk, this.at, this.position, this.chunkNext)
    this.at = result.done
    this.position = result.cursor
    this.spentMs += slices.counts.applyMs - before
    this.spentBytes += result.bytes
    if (result.failure !== undefined) this.fail(result.failure)
    else if (result.digestAt !== undefined) this.parts.digestDue(result.digestAt)
    this.parts.advanced(this.position, result.bytes)
    if (this.stopped) return
    const inChunk = this.position < this.chunkNext
    if (!inChunk) this.chunk = NOTHING
    if (this.spentMs >= this.parts.sliceMs || this.spentBytes >= this.parts.sliceBytes) this.yieldTurn(inChunk)
    else this.goOn(inChunk)
  }

  private goOn(inChunk: boolean): void {
    if (inChunk) {
      this.applyOn()
      return
    }
    this.busy = false
    this.readOn()
  }

  private yieldTurn(inChunk: boolean): void {
    this.parts.timers.soon(() => {
      this.spentMs = 0
      this.spentBytes = 0
      if (!this.stopped) this.goOn(inChunk)
    })
  }

  private waitForRoom(): void {
    this.parts.store.whenWritable().then(
      () => this.applyOn(),
      (thrown: unknown) => {
        if (this.stopped) return
        this.fail(report(DelosError.from(thrown, 'IO_ERROR', 'the store takes no more'), this.position, undefined))
      },
    )
  }

  private readFailed(error: DelosError): void {
    if (this.stopped) return
    if (error.retryable) this.retryLater()
    else this.fail(report(error, this.position, undefined))
  }

  private retryLater(): void {
    this.retry = this.parts.timers.after(this.parts.retryMs, () => {
      this.busy = false
      this.readOn()
    })
  }

  private fail(failure: StopReport): void {
    this.stopped = true
    this.parts.failed(failure)
  }
}
