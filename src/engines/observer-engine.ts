// Observer: needs no neighbour; stands at every joint. Counts what passes and times a sample of it: propose and sync below, apply
// and postApply above. The difference of two neighbouring observers is the engine between them. Changes nothing, leaves no header
// unless tracing is asked for, and has no replicated state, so it may differ from server to server. Never fails an entry.

import type { DelosError } from '../base/delos-error.ts'
import { type HistogramSnapshot, LatencyHistogram } from '../base/latency-histogram.ts'
import type { Applicator, Completion, Engine } from '../engine/engine.ts'
import type { Entry } from '../engine/entry.ts'
import { PassThrough } from '../engine/pass-through.ts'
import type { LogPos } from '../log/position.ts'
import type { Clock, Random } from '../runtime/runtime.ts'
import type { ReadTx, ReadWriteTx } from '../store/local-store.ts'
import { aloneInGroups, type SampleGroups } from './sample-group.ts'
import { UtilisationWindow } from './utilisation-window.ts'

export const OBSERVER = 'observer'

/** Not every one: where requests come one at a time, all code is cold, and readings of the clock are what an Observer costs. */
export const SAMPLE_EVERY = 64

/** Instead of a proposal that was kept back the next one is timed, but for one of so many. */
const KEPT_BACK_MAX = 16

/** Of a countdown at somebody who is not called, or called and not to time. */
const NEVER = 1e9

/** Trace ids: for following single proposals through layers and servers. */
export interface TraceOptions {
  readonly random: Random
  /** At each joint one of so many proposals gets an id, unless it has one. Default: those that are timed. */
  readonly every?: number
  /** Called in apply at every joint for an entry with a trace id. Must be quick. What it throws is dropped. */
  readonly seen: (id: string, joint: Joint, pos: LogPos) => void
}

export interface ObserverOptions {
  readonly clock: Clock
  /** One of so many is timed; all are counted. Default 64. */
  readonly sampleEvery?: number
  /** The engine that keeps proposals back and makes many one, such as Batching: below it another Observer decides what is timed. */
  readonly gatheredBy?: string | undefined
  /** Default: no trace ids. */
  readonly trace?: TraceOptions | undefined
}

/** Between which two layers. */
export interface Joint {
  readonly below: string
  readonly above: string
}

/**
 * Everything cumulative. Times and rejections cover the sample, the other counts all; but `applies` is estimated from the sample where
 * another Observer decides what is timed, and `proposals` is without what engines between the two propose for themselves.
 */
export interface ObserverSnapshot extends Joint {
  readonly sampleEvery: number
  readonly proposals: number
  readonly rejections: number
  readonly syncs: number
  readonly applies: number
  /** From propose until its result came up from the layer below. */
  readonly propose: HistogramSnapshot
  readonly sync: HistogramSnapshot
  /** Inside apply, and inside postApply, of the layers above. */
  readonly apply: HistogramSnapshot
  readonly postApply: HistogramSnapshot
  /** Estimated time that the layers above have spent in apply and postApply; its rate is their utilisation. */
  readonly applyMs: number
  /** Fraction of the last ten seconds that the layers above spent in apply and postApply, estimated (SOSP 2021, figure 8). */
  readonly applyUtilisation: number
}

export class ObserverEngine extends PassThrough {
  // First what every call needs, timed or not: it lies together behind the two neighbours, in what is fetched at once. Who decides
  // counts down to the next timed call; who does not is called only while it times.
  protected untilPropose = 1
  private untilApply = 1
  private untilPostApply = 1
  private readonly groups: SampleGroups
  /** Calls until, and with, the next timed one: less what is left of the countdown, all that there were. */
  proposeTurns = 1
  /** Timed proposals that a layer in between kept back. */
  private keptBack = 0
  private applyTurns = 1
  /** Of the one that decides: whether the whole group timed the last one that it timed, in each call. */
  private readonly timedByAll = { apply: false, postApply: false }
  protected readonly joint: Joint
  private readonly clock: Clock
  private readonly sampleEvery: number
  private readonly proposeTimes = new LatencyHistogram()
  private readonly syncTimes = new LatencyHistogram()
  private readonly applyTimes = new LatencyHistogram()
  private readonly postApplyTimes = new LatencyHistogram()
  private rejections = 0
  private syncs = 0
  private readonly window: UtilisationWindow

  constructor(below: Engine<unknown>, joint: Joint, options: ObserverOptions, groups: SampleGroups = aloneInGroups()) {
    super(below)
    this.joint = joint
    this.groups = groups
    this.clock = options.clock
    this.sampleEvery = options.sampleEvery ?? SAMPLE_EVERY
    this.window = new UtilisationWindow(this.clock.monotonicMs())
    groups.apply.joinAbove(this)
    groups.propose.joinOnTop(this)
  }

  override propose(entry: Entry, completion: Completion<unknown>): void {
    if (--this.untilPropose > 0) this.below.propose(entry, completion)
    else this.timePropose(entry, completion)
  }

  override apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): unknown {
    if (--this.untilApply > 0) return this.above.apply(tx, entry, pos)
    return this.timeApply(tx, entry, pos)
  }

  // Not counted: whatever was applied comes here once, unless that was the end of the database.
  override postApply(entry: Entry, pos: LogPos, result: unknown): void {
    if (--this.untilPostApply > 0) this.above.postApply(entry, pos, result)
    else this.timePostApply(entry, pos, result)
  }

  override sync(): Promise<ReadTx> {
    const startMs = this.clock.monotonicMs()
    this.syncs++
    const synced = this.below.sync()
    const ended = (): void => this.syncTimes.record(this.clock.monotonicMs() - startMs)
    // The caller gets the promise of the layer below itself: it handles the rejection, and gains no turn of the queue.
    synced.then(ended, ended)
    return synced
  }

  // ── who is called ─────────────────────────────────────────────────────────────────────────────────────────────────────

  override registerUpcall(applicator: Applicator<unknown>): void {
    super.registerUpcall(applicator)
    if (!this.decidesApply) this.stepOutOfApply()
  }

  stepIntoApply(): void {
    this.untilApply = 1
    this.untilPostApply = 1
    this.below.registerUpcall(this)
  }

  /** The layer below calls the layer above. */
  stepOutOfApply(): void {
    this.untilApply = NEVER
    this.untilPostApply = NEVER
    if (!this.staysIn) this.below.registerUpcall(this.above)
  }

  stepIntoPropose(): void {
    this.untilPropose = 1
    if (this.above instanceof PassThrough) this.above.standOn(this)
  }

  /** The layer above calls the layer below. */
  stepOutOfPropose(): void {
    this.untilPropose = NEVER
    if (!this.staysIn && this.above instanceof PassThrough) this.above.standOn(this.below)
  }

  /** Is it called for every entry, also where it times none? */
  protected get staysIn(): boolean {
    return false
  }

  private get decidesApply(): boolean {
    return this.groups.apply.isLedBy(this)
  }

  private get decidesPropose(): boolean {
    return this.groups.propose.isLedBy(this)
  }

  // ── what is timed ─────────────────────────────────────────────────────────────────────────────────────────────────────

  protected timePropose(entry: Entry, completion: Completion<unknown>): void {
    const { decidesPropose } = this
    if (decidesPropose) this.groups.propose.beginPropose()
    this.below.propose(entry, new TimedCompletion(this, completion, this.clock.monotonicMs()))
    const isThrough = !decidesPropose || this.groups.propose.endPropose()
    // Else the next one, instead of the one after so many; but not for ever.
    const turns = isThrough || ++this.keptBack % KEPT_BACK_MAX === 0 ? this.sampleEvery : 1
    this.untilPropose = decidesPropose ? turns : 1
    this.proposeTurns += turns
  }

  /** A timed proposal came back, either way. */
  proposalEnded(startMs: number, rejected: boolean): void {
    this.proposeTimes.record(this.clock.monotonicMs() - startMs)
    if (rejected) this.rejections++
  }

  private timeApply(tx: ReadWriteTx, entry: Entry, pos: LogPos): unknown {
    const startMs = this.begin('apply', entry)
    const result = this.above.apply(tx, entry, pos)
    this.spent('apply', startMs)
    const turns = this.untilNext
    this.untilApply = this.decidesApply ? turns : 1
    this.applyTurns += turns
    return result
  }

  private timePostApply(entry: Entry, pos: LogPos, result: unknown): void {
    const startMs = this.begin('postApply', entry)
    this.above.postApply(entry, pos, result)
    this.spent('postApply', startMs)
    this.untilPostApply = this.decidesApply ? this.untilNext : 1
  }

  private begin(call: 'apply' | 'postApply', { payload }: Entry): number {
    const { timedByAll } = this
    if (this.decidesApply) {
      // A control entry gets to none but the lowest.
      timedByAll[call] = !this.alternates || (!timedByAll[call] && payload !== undefined)
      if (timedByAll[call]) this.groups.apply.beginApply()
    }
    return this.clock.monotonicMs()
  }

  private spent(call: 'apply' | 'postApply', startMs: number): void {
    const nowMs = this.clock.monotonicMs()
    const { decidesApply } = this
    const byAll = !decidesApply || this.timedByAll[call]
    if (byAll) {
      const times = call === 'apply' ? this.applyTimes : this.postApplyTimes
      times.record(nowMs - startMs)
    }
    if (decidesApply && byAll) this.groups.apply.endApply()
    // It stands for all that were not timed.
    if (!byAll || !this.alternates) this.window.add(nowMs, (nowMs - startMs) * this.sampleEvery)
  }

  /** Times one alone between any two that the whole group times. */
  private get alternates(): boolean {
    return this.decidesApply && this.groups.apply.shared && this.sampleEvery > 1
  }

  private get untilNext(): number {
    return this.alternates ? this.sampleEvery >> 1 : this.sampleEvery
  }

  snapshot(): ObserverSnapshot {
    const { applyTimes, joint, postApplyTimes, proposeTimes, sampleEvery } = this
    const applies = this.decidesApply ? this.applyTurns - this.untilApply : applyTimes.count * sampleEvery
    const applyMs = estimate(applyTimes, applies) + estimate(postApplyTimes, applies)
    return {
      ...joint,
      sampleEvery,
      proposals: this.groups.propose.led?.proposals ?? 0,
      rejections: this.rejections,
      syncs: this.syncs,
      applies,
      propose: proposeTimes.snapshot(),
      sync: this.syncTimes.snapshot(),
      apply: applyTimes.snapshot(),
      postApply: postApplyTimes.snapshot(),
      applyMs,
      applyUtilisation: this.window.utilisation(this.clock.monotonicMs()),
    }
  }

  /** Of the one that decides: all that there were. */
  get proposals(): number {
    return this.proposeTurns - this.untilPropose
  }
}

class TimedCompletion implements Completion<unknown> {
  private readonly observer: ObserverEngine
  private readonly inner: Completion<unknown>
  private readonly startMs: number

  constructor(observer: ObserverEngine, inner: Completion<unknown>, startMs: number) {
    this.observer = observer
    this.inner = inner
    this.startMs = startMs
  }

  resolve(result: unknown): void {
    this.observer.proposalEnded(this.startMs, false)
    this.inner.resolve(result)
  }

  reject(error: DelosError): void {
    this.observer.proposalEnded(this.startMs, true)
    this.inner.reject(error)
  }
}

function estimate(sample: LatencyHistogram, count: number): number {
  return sample.count === 0 ? 0 : (sample.sumMs / sample.count) * count
}
