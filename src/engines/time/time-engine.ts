// Time: Batching and ViewTracking, where present, must be below. Replicated timers for the layers above: armed inside a
// transaction, they fire as an entry at one position on all servers, once more than half of the current view have measured the
// delay with their own monotonic clocks. Can hold the log back until it is of a certain age.
//
// No clock is compared with another, and none is read in apply: elapsed time enters as votes. Not here: the stopwatches and
// when to vote (stopwatches.ts, voting.ts).

import { assert, unreachable } from '../../base/assert.ts'
import type { DelosError } from '../../base/delos-error.ts'
import type { Completion } from '../../engine/engine.ts'
import { decodeFlagChange, type EngineFlags, isFlagHeader } from '../../engine/engine-flags.ts'
import { type EngineContext, EngineLayer } from '../../engine/engine-layer.ts'
import { controlEntry, type Entry, type Header, RAISED_HEADERS } from '../../engine/entry.ts'
import type { EngineFactory } from '../../engine/stack.ts'
import type { TimerId, TimerService, TimersSwitched } from '../../engine/timer-service.ts'
import type { LogPos } from '../../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { oldEnough, readLogAge, stepEnded, stepOf, writeLogAge } from './log-age.ts'
import { Stopwatches } from './stopwatches.ts'
import { decodeTimeHeader, encodeTimeHeader, type TimeHeader, type Vote } from './time-header.ts'
import { type StoredTimer, TIMERS_MAX, TimerRecords } from './timer-records.ts'
import { Voting } from './voting.ts'

export const TIME = 'time'

export interface TimeOptions {
  /** How often stopwatches are looked at; about how late a timer may fire. */
  readonly tickMs: number
  /** Votes between propose and result. */
  readonly votesInFlightMax: number
  /** The log is kept until it is older than this by time that a majority has measured. 0: Time keeps none of it. */
  readonly releaseAfterMs: number
}

export const TIME_OPTIONS: TimeOptions = { tickMs: 250, votesInFlightMax: 1000, releaseAfterMs: 0 }

const ID_BYTES_MAX = 255
const PAYLOAD_BYTES_MAX = 64 * 1024
const DELAY_MS_MAX = 2 ** 31 - 1
/** Time's own timer, see log-age.ts. The layers above can't name it. */
const AGE_TIMER: TimerId = ''

export function timeEngine(options: Partial<TimeOptions> = {}): EngineFactory {
  return {
    name: TIME,
    levelMax: 0,
    neighbours: { notBelow: ['batching', 'view-tracking'] },
    create: (context) => new TimeEngine(context, { ...TIME_OPTIONS, ...options }),
  }
}

/** What apply of a vote answers when it was the decisive one. */
class Fired {
  readonly entry: Entry
  readonly result: unknown

  constructor(entry: Entry, result: unknown) {
    this.entry = entry
    this.result = result
  }
}

export class TimeEngine extends EngineLayer implements TimerService {
  override readonly providesTimers: TimerService = this
  readonly timersMax = TIMERS_MAX
  private readonly options: TimeOptions
  private readonly records: TimerRecords
  private readonly stopwatches: Stopwatches
  private readonly voting: Voting
  private listener: TimersSwitched | undefined
  /** What is being applied. */
  private pos = 0 as LogPos
  /** Timers that the open transaction may have changed: looked up again after its commit. */
  private readonly changed = new Set<TimerId>()
  private caughtUp = false
  private fired = 0
  private counted = 0
  /** What the layer above allows to trim, what was passed on, and from where on the log is too young. */
  private allowed = 0 as LogPos
  private released = 0 as LogPos
  private oldEnough = 0 as LogPos
  private asked: 'no' | 'asking' | 'yes' = 'no'

  constructor(context: EngineContext, options: TimeOptions) {
    super(TIME, context)
    this.options = options
    this.records = new TimerRecords(this.prefix)
    this.stopwatches = new Stopwatches(options.tickMs)
    this.voting = new Voting({
      clock: context.clock,
      timers: context.timers,
      serverId: context.serverId,
      tickMs: options.tickMs,
      votesInFlightMax: options.votesInFlightMax,
      stopwatches: this.stopwatches,
      propose: (header, completion) =>
        this.below.propose(controlEntry(TIME, encodeTimeHeader(header), true), completion),
      proposals: () => context.proposals(),
      ticked: () => this.askForAge(),
    })
  }

  // ── the service ───────────────────────────────────────────────────────────────────────────────────────────────────────

  get enabledInApply(): boolean {
    return this.flagsInApply.enabled
  }

  arm(tx: ReadWriteTx, id: TimerId, delayMs: number, payload: Uint8Array): void {
    requireId(id)
    assert(Number.isInteger(delayMs) && delayMs >= 1 && delayMs <= DELAY_MS_MAX, `a timer of ${delayMs} ms`)
    assert(payload.length <= PAYLOAD_BYTES_MAX, `a timer with ${payload.length} bytes of payload`)
    if (this.flagsInApply.enabled) this.set(tx, id, delayMs, payload)
  }

  cancel(tx: ReadWriteTx, id: TimerId): void {
    requireId(id)
    if (!this.flagsInApply.enabled) return
    this.records.delete(tx, id)
    this.changed.add(id)
  }

  restart(id: TimerId): void {
    this.stopwatches.restart(id)
  }

  restartAll(): void {
    this.stopwatches.restartAll()
  }

  onSwitched(listener: TimersSwitched): void {
    assert(this.listener === undefined, 'a second listener')
    this.listener = listener
  }

  // ── life ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

  override load(tx: ReadTx): void {
    super.load(tx)
    this.reload(tx)
  }

  override serving(): void {
    this.caughtUp = true
    if (this.flags.enabled) this.voting.start()
  }

  override async stop(): Promise<void> {
    this.voting.stop()
  }

  override alarms(): readonly string[] {
    if (this.flags.enabled || !this.caughtUp) return []
    const asleep = 'is disabled: no timer fires, and sessions do not expire'
    if (this.options.releaseAfterMs === 0) return [asleep]
    return [asleep, 'is disabled, and so none of the log is released, since it shall be kept by age']
  }

  override details(): Readonly<Record<string, string | number | boolean>> {
    const { counted, fired, oldEnough, options, stopwatches, voting } = this
    return {
      timers: stopwatches.size,
      votesSent: voting.votes,
      votesWaiting: voting.waiting,
      votesCounted: counted,
      fired,
      ...(options.releaseAfterMs > 0 && { oldEnough }),
    }
  }

  override setTrimPrefix(pos: LogPos): void {
    if (pos > this.allowed) this.allowed = pos
    this.release()
  }

  // ── apply ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  override propose(entry: Entry, completion: Completion<unknown>): void {
    this.below.propose(entry, completion)
  }

  override apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): unknown {
    this.pos = pos
    const own = entry.headers.get(TIME)
    if (own === undefined) return this.above.apply(tx, entry, pos)
    // What it has written goes while it may still write.
    if (this.flagsInApply.enabled && switchesOff(own)) this.records.clear(tx)
    const wasEnabled = this.flagsInApply.enabled
    const result = super.apply(tx, entry, pos)
    if (wasEnabled !== this.flagsInApply.enabled) this.listener?.(tx, !wasEnabled)
    return result
  }

  override postApply(entry: Entry, pos: LogPos, result: unknown): void {
    if (this.changed.size > 0) this.settle()
    if (entry.headers.has(TIME)) super.postApply(entry, pos, result)
    else this.above.postApply(entry, pos, result)
  }

  protected override applyEntry(tx: ReadWriteTx, entry: Entry, pos: LogPos, own: Header | undefined): unknown {
    assert(own !== undefined, 'an entry with a header of Time')
    const header = decodeTimeHeader(own.bytes)
    if (!this.flagsInApply.enabled) return undefined
    switch (header.kind) {
      case 'vote':
        return this.applyVote(tx, header, entry.index)
      case 'age':
        return this.applyAge(tx, header.stepMs, pos)
      case 'probe':
        return undefined
      default:
        return unreachable(header)
    }
  }

  protected override afterCommit(_entry: Entry, pos: LogPos, result: unknown): void {
    if (result instanceof Fired) {
      this.fired++
      this.above.postApply(result.entry, pos, result.result)
    }
  }

  /** After the commit. */
  protected override switched(flags: EngineFlags): void {
    this.reload(this.context.read())
    if (flags.enabled && this.caughtUp) this.voting.start()
    else if (!flags.enabled) this.voting.stop()
  }

  /** Is this a vote for the timer as it is armed now? Apart, so that a simulation can plant the bug. */
  protected isCurrent(timer: StoredTimer, vote: Vote): boolean {
    return timer.generation === vote.generation
  }

  private applyVote(tx: ReadWriteTx, vote: Vote, index: number): Fired | undefined {
    const { id, serverId } = vote
    const timer = this.records.get(tx, id)
    if (timer === undefined || !this.isCurrent(timer, vote)) return undefined
    this.counted++
    // Who has left the view does not count any more, however long ago it voted.
    const members = this.context.membership.members(tx)
    const votes = members.filter((member) => member === serverId || timer.votes.includes(member))
    if (votes.length * 2 > members.length) return this.fire(tx, id, timer, index)
    this.records.put(tx, id, { ...timer, votes })
    return undefined
  }

  private fire(tx: ReadWriteTx, id: TimerId, timer: StoredTimer, index: number): Fired | undefined {
    this.changed.add(id)
    if (id === AGE_TIMER) {
      const age = readLogAge(tx, this.prefix)
      assert(age !== undefined, 'the timer of the age has a record')
      writeLogAge(tx, this.prefix, stepEnded(age, this.pos))
      this.set(tx, AGE_TIMER, age.stepMs, timer.payload)
      return undefined
    }
    this.records.delete(tx, id)
    // In memory of its own: what is above may keep views of it.
    const entry: Entry = { headers: RAISED_HEADERS, payload: Buffer.from(timer.payload), index }
    return new Fired(entry, this.above.apply(tx, entry, this.pos))
  }

  private applyAge(tx: ReadWriteTx, stepMs: number, pos: LogPos): undefined {
    if (readLogAge(tx, this.prefix)?.stepMs === stepMs) return
    writeLogAge(tx, this.prefix, { stepMs, began: [pos] })
    this.set(tx, AGE_TIMER, stepMs, new Uint8Array(0))
  }

  private set(tx: ReadWriteTx, id: TimerId, delayMs: number, payload: Uint8Array): void {
    this.records.put(tx, id, { generation: this.pos, delayMs, votes: [], payload })
    this.changed.add(id)
  }

  // ── after the commit ──────────────────────────────────────────────────────────────────────────────────────────────────

  // What was armed may have been taken back by a savepoint: what the store holds counts.
  private settle(): void {
    const tx = this.context.read()
    for (const id of this.changed) {
      const timer = this.records.get(tx, id)
      if (timer === undefined) this.stopwatches.remove(id)
      else this.stopwatches.set(id, timer.generation, timer.delayMs)
    }
    if (this.changed.has(AGE_TIMER)) this.learnAge(tx)
    this.changed.clear()
  }

  private reload(tx: ReadTx): void {
    this.stopwatches.clear()
    for (const [id, { generation, delayMs }] of this.records.all(tx)) this.stopwatches.set(id, generation, delayMs)
    this.learnAge(tx)
  }

  // ── the age of the log ────────────────────────────────────────────────────────────────────────────────────────────────

  private learnAge(tx: ReadTx): void {
    this.oldEnough = oldEnough(readLogAge(tx, this.prefix))
    this.release()
  }

  // While it can't tell the age it releases nothing: a layer above that needs nothing says so once, for all time.
  private release(): void {
    const { allowed, oldEnough, options } = this
    const pos = options.releaseAfterMs === 0 ? allowed : (Math.min(allowed, oldEnough) as LogPos)
    if (pos <= this.released) return
    this.released = pos
    this.below.setTrimPrefix(pos)
  }

  private askForAge(): void {
    const { releaseAfterMs } = this.options
    if (releaseAfterMs === 0 || this.asked === 'asking') return
    const stepMs = stepOf(releaseAfterMs)
    const age = readLogAge(this.context.read(), this.prefix)
    // Servers that want different ages must not take turns: each asks once for its own.
    if (age !== undefined && (age.stepMs === stepMs || this.asked === 'yes')) return
    this.asked = 'asking'
    const header: TimeHeader = { kind: 'age', stepMs }
    this.below.propose(controlEntry(TIME, encodeTimeHeader(header), true), {
      resolve: () => {
        this.asked = 'yes'
      },
      reject: (_error: DelosError) => {
        this.asked = 'no'
      },
    })
  }
}

function requireId(id: TimerId): void {
  assert(id.length >= 1 && id.length <= ID_BYTES_MAX, `the id of a timer has ${id.length} bytes`)
}

function switchesOff({ bytes }: Header): boolean {
  if (!isFlagHeader(bytes)) return false
  const change = decodeFlagChange(bytes)
  return change.kind === 'flag' && !change.enabled
}
