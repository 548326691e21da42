// Observer: needs no neighbour; stands at every joint. Counts what passes and times a sample of it: propose and sync below, apply
// and postApply above. The difference of two neighbouring observers is the engine between them. Changes nothing, leaves no header
// unless tracing is asked for, and has no replicated state, so it may differ from server to server. Never fails an entry.

import type { DelosError } from '../base/delos-error.ts'
import { type HistogramSnapshot, LatencyHistogram } from '../base/latency-histogram.ts'
import type { Applicator, Completion, Engine } from '../engine/engine.ts'
import { type Entry, withHeader } from '../engine/entry.ts'
import { PassThrough } from '../engine/pass-through.ts'
import type { WrapJoint } from '../engine/stack.ts'
import type { LogPos } from '../log/position.ts'
import type { Clock, Random } from '../runtime/runtime.ts'
import type { ReadTx, ReadWriteTx } from '../store/local-store.ts'
import { UtilisationWindow } from './utilisation-window.ts'

export const OBSERVER = 'observer'

/** Not every one: where requests come one at a time, all code is cold, and readings of the clock are what an Observer costs. */
const OFTEN = 16
const SELDOM = 32

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
  /** One of so many is timed; all are counted. Default 32. */
  readonly sampleEvery?: number
  /** Joints below the engine of this name time one of OFTEN: for one that makes many entries one, such as Batching. */
  readonly oftenBelow?: string | undefined
  /** Default: no trace ids. */
  readonly trace?: TraceOptions | undefined
}

/** Between which two layers. */
export interface Joint {
  readonly below: string
  readonly above: string
}

/**
 * Everything cumulative. Times and rejections cover the sample; the other counts cover all, but `applies`: where another
 * Observer decides what is timed it is estimated from the sample.
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

/**
 * Observers that time the same entries: the lowest decides, and while it times one, so do those above it. Then a stall that hits a
 * timed entry is in all of them, and their differences, which are what an engine itself takes, hold without it. All other
 * entries pass the others by: where requests come one at a time, each call that finds nothing to do still costs half a
 * microsecond of cold code. So do readings of the clock: hence the lowest times as many entries again
 * alone, and takes utilisation from these, which no work of the others is in.
 */
class SampleGroup {
  timing = false
  private readonly others: ObserverEngine[] = []
  private isLed = false

  /** Is there anybody but the lowest? */
  get shared(): boolean {
    return this.others.length > 0
  }

  /** True for the first. */
  join(observer: ObserverEngine): boolean {
    if (this.isLed) this.others.push(observer)
    this.isLed = true
    return this.others.length === 0
  }

  begin(): void {
    this.timing = true
    for (const observer of this.others) observer.stepIn()
  }

  end(): void {
    this.timing = false
    for (const observer of this.others) observer.stepOut()
  }
}

/** All observers of one stack: gives `wrapJoint` for its options, and what they have seen. */
export class ObserverSet {
  private readonly options: ObserverOptions
  private readonly observers: ObserverEngine[] = []
  /** Joints are made bottom to top: the engine `oftenBelow` has been passed. */
  private above = false
  private group = new SampleGroup()

  constructor(options: ObserverOptions) {
    this.options = options
  }

  readonly wrapJoint: WrapJoint = (below, joint) => {
    const { oftenBelow } = this.options
    if (joint.below === oftenBelow) {
      this.above = true
      this.group = new SampleGroup()
    }
    const often = oftenBelow !== undefined && !this.above
    const options = often ? { ...this.options, sampleEvery: OFTEN } : this.options
    const observer = new ObserverEngine(below, joint, options, this.group)
    this.observers.push(observer)
    return observer
  }

  /** Bottom to top. */
  snapshot(): ObserverSnapshot[] {
    return this.observers.map((observer) => observer.snapshot())
  }
}

export class ObserverEngine extends PassThrough {
  // First what every entry needs, timed or not: it lies together behind the two neighbours, in what is fetched at once.
  private readonly group: SampleGroup
  private readonly decides: boolean
  private readonly trace: TraceOptions | undefined
  private proposals = 0
  private applies = 0
  // Countdowns to the next timed one.
  private untilPropose = 1
  private untilApply = 1
  private untilPostApply = 1
  private untilTrace = 1
  /** Of the one that decides: whether the whole group timed the last one that it timed, in each call. */
  private readonly timedByAll = { apply: false, postApply: false }
  private readonly joint: Joint
  private readonly clock: Clock
  private readonly sampleEvery: number
  private readonly proposeTimes = new LatencyHistogram()
  private readonly syncTimes = new LatencyHistogram()
  private readonly applyTimes = new LatencyHistogram()
  private readonly postApplyTimes = new LatencyHistogram()
  private rejections = 0
  private syncs = 0
  private readonly window: UtilisationWindow

  constructor(below: Engine<unknown>, joint: Joint, options: ObserverOptions, group = new SampleGroup()) {
    super(below)
    this.joint = joint
    this.group = group
    this.decides = group.join(this)
    this.clock = options.clock
    this.sampleEvery = options.sampleEvery ?? SELDOM
    this.trace = options.trace
    this.window = new UtilisationWindow(this.clock.monotonicMs())
  }

  override propose(entry: Entry, completion: Completion<unknown>): void {
    this.proposals++
    const traced = this.trace === undefined ? entry : this.traced(entry, this.trace)
    if (--this.untilPropose > 0) {
      this.below.propose(traced, completion)
      return
    }
    this.untilPropose = this.sampleEvery
    this.below.propose(traced, new TimedCompletion(this, completion, this.clock.monotonicMs()))
  }

  override registerUpcall(applicator: Applicator<unknown>): void {
    super.registerUpcall(applicator)
    if (!this.decides) this.stepOut()
  }

  /** The layers below and above call each other. */
  stepOut(): void {
    // Whoever traces looks at every entry.
    if (this.trace === undefined) this.below.registerUpcall(this.above)
  }

  stepIn(): void {
    this.below.registerUpcall(this)
  }

  private traced(entry: Entry, trace: TraceOptions): Entry {
    if (--this.untilTrace > 0) return entry
    this.untilTrace = trace.every ?? this.sampleEvery
    return withTraceId(entry, trace.random)
  }

  /** A timed proposal came back, either way. */
  proposalEnded(startMs: number, rejected: boolean): void {
    this.proposeTimes.record(this.clock.monotonicMs() - startMs)
    if (rejected) this.rejections++
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

  override apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): unknown {
    if (this.decides) this.applies++
    if (this.trace !== undefined && entry.headers.size > 0) noteTraceId(this.trace, entry, this.joint, pos)
    if (this.decides ? --this.untilApply > 0 : !this.group.timing) return this.above.apply(tx, entry, pos)
    const startMs = this.begin('apply')
    const result = this.above.apply(tx, entry, pos)
    this.spent('apply', startMs)
    if (this.decides) this.untilApply = this.untilNext
    return result
  }

  // Not counted: whatever was applied comes here once, unless that was the end of the database.
  override postApply(entry: Entry, pos: LogPos, result: unknown): void {
    if (this.decides ? --this.untilPostApply > 0 : !this.group.timing) {
      this.above.postApply(entry, pos, result)
      return
    }
    const startMs = this.begin('postApply')
    this.above.postApply(entry, pos, result)
    this.spent('postApply', startMs)
    if (this.decides) this.untilPostApply = this.untilNext
  }

  private begin(call: 'apply' | 'postApply'): number {
    const { timedByAll } = this
    if (this.decides) {
      timedByAll[call] = !this.alternates || !timedByAll[call]
      if (timedByAll[call]) this.group.begin()
    }
    return this.clock.monotonicMs()
  }

  private spent(call: 'apply' | 'postApply', startMs: number): void {
    const nowMs = this.clock.monotonicMs()
    const byAll = !this.decides || this.timedByAll[call]
    if (byAll) {
      const times = call === 'apply' ? this.applyTimes : this.postApplyTimes
      times.record(nowMs - startMs)
    }
    if (this.decides && byAll) this.group.end()
    // It stands for all that were not timed.
    if (!byAll || !this.alternates) this.window.add(nowMs, (nowMs - startMs) * this.sampleEvery)
  }

  /** Times one alone between any two that the whole group times. */
  private get alternates(): boolean {
    return this.decides && this.group.shared && this.sampleEvery > 1
  }

  private get untilNext(): number {
    return this.alternates ? this.sampleEvery >> 1 : this.sampleEvery
  }

  snapshot(): ObserverSnapshot {
    const { applyTimes, joint, postApplyTimes, sampleEvery } = this
    const applies = this.decides ? this.applies : applyTimes.count * sampleEvery
    const applyMs = estimate(applyTimes, applies) + estimate(postApplyTimes, applies)
    return {
      ...joint,
      sampleEvery,
      proposals: this.proposals,
      rejections: this.rejections,
      syncs: this.syncs,
      applies,
      propose: this.proposeTimes.snapshot(),
      sync: this.syncTimes.snapshot(),
      apply: applyTimes.snapshot(),
      postApply: postApplyTimes.snapshot(),
      applyMs,
      applyUtilisation: this.window.utilisation(this.clock.monotonicMs()),
    }
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

function withTraceId(entry: Entry, random: Random): Entry {
  return entry.headers.has(OBSERVER) ? entry : withHeader(entry, OBSERVER, random.bytes(8))
}

function noteTraceId(trace: TraceOptions, entry: Entry, joint: Joint, pos: LogPos): void {
  const header = entry.headers.get(OBSERVER)
  if (header === undefined) return
  try {
    trace.seen(Buffer.from(header.bytes).toString('hex'), joint, pos)
  } catch {
    // Thrown on, it would stop this server at an entry that nothing is wrong with.
  }
}
