// The propose half of a lease: taking it, renewing it in time, giving it up, and taking it over from whoever has been silent for its
// whole duration. Looks at the clocks once per tick. Not here: what the entries do (lease-record.ts), and reads.

import type { Completion } from '../../engine/engine.ts'
import type { Clock, Timer, Timers } from '../../runtime/runtime.ts'
import { Grant, type Moment, momentOf } from './grant.ts'
import type { LeaseHeader } from './lease-codec.ts'
import type { HeldBack, LeaseRecord } from './lease-record.ts'

export interface LeaseKeeperOptions {
  /** For how long nobody else may take it after it was taken or renewed. */
  readonly durationMs: number
  /** By how much earlier the holder stops to read by it; also how far its two clocks may disagree. */
  readonly marginMs: number
  /** Whether this server takes it, as soon as it may. */
  readonly wants: boolean
  /**
   * Where clients reach this server: others are told while it holds the lease. A function where that is not known from the start: once it
   * says another one, the lease is taken anew under it.
   */
  readonly address: string | (() => string)
}

export interface LeaseKeeperParts extends LeaseKeeperOptions {
  readonly serverId: string
  readonly clock: Clock
  readonly timers: Timers
  readonly record: LeaseRecord
  /** How long a grant can be used: the duration less the margin. */
  readonly usableMs: number
  propose(header: LeaseHeader, completion: Completion<unknown>): void
  /** The first position not applied here. */
  applied(): number
  /** What waits for whoever may let it through. */
  heldBack(limit: number): readonly HeldBack[]
}

/** Looked at so many times per duration. */
const TICKS = 12
/** Renewed when so much of the duration is over. */
const RENEW_SHARE = 1 / 3
const FIRES_MAX = 16

export class LeaseKeeper {
  private readonly parts: LeaseKeeperParts
  /** By which reads are answered; of the newest renewal that was applied. */
  private grant: Grant | undefined
  /** The epoch that this process has taken; 0: none. One of a former life is not its own. */
  private mine = 0
  /** An update of this epoch may still be applied some day, so that no read by it is safe. */
  private spoiltEpoch = 0
  /** When the present holder was heard of last here, by the monotonic clock. */
  private heardMs = 0
  private timer: Timer | undefined
  private running = false
  private asking = false
  /** Let through, and not applied yet. */
  private firing = 0
  /** Set while it is being taken. */
  taking: Promise<boolean> | undefined
  /** Given up on purpose: not taken again before it is asked to. */
  private yielding = false
  readonly counts = { taken: 0, renewed: 0, lost: 0, gaveUp: 0 }

  constructor(parts: LeaseKeeperParts) {
    this.parts = parts
  }

  /** The epoch under which this server's updates pass; 0 while it does not hold the lease. */
  get epoch(): number {
    const { state } = this.parts.record
    return state.held && state.epoch === this.mine ? this.mine : 0
  }

  /** May this server answer by its lease, now? */
  get isUsable(): boolean {
    const { grant } = this
    if (grant === undefined || grant.epoch !== this.epoch || grant.epoch === this.spoiltEpoch) return false
    const now = momentOf(this.parts.clock)
    if (grant.isUsable(now)) return true
    if (grant.clocksDisagree(now)) this.counts.gaveUp++
    this.grant = undefined
    return false
  }

  /** The holder, another server, has been silent for so long that it does not read by its lease any more. */
  get isOver(): boolean {
    const { clock, record } = this.parts
    return clock.monotonicMs() - this.heardMs >= record.state.durationMs
  }

  private get address(): string {
    const { address } = this.parts
    return typeof address === 'string' ? address : address()
  }

  start(): void {
    this.running = true
    this.yielding = false
    this.heardMs = this.parts.clock.monotonicMs()
    if (this.timer === undefined) this.tick()
  }

  pause(): void {
    this.running = false
    this.grant = undefined
    this.timer?.cancel()
    this.timer = undefined
  }

  /** Of an epoch of which nobody knows what is under way. */
  spoil(epoch: number): void {
    // Of an earlier one nothing counts any more.
    if (epoch > this.spoiltEpoch) this.spoiltEpoch = epoch
  }

  /** The holder was heard of, and that was applied. */
  heard(): void {
    this.heardMs = this.parts.clock.monotonicMs()
  }

  /** Gives it up, and does not take it again before `start`. Resolves when that is applied, or can't be; rejects never. */
  async release(): Promise<void> {
    this.yielding = true
    this.grant = undefined
    if (this.taking !== undefined) await this.taking
    const { epoch } = this
    if (epoch === 0) return
    // One that got lost may be applied some day, and by others first.
    if ((await this.ask({ kind: 'release', epoch })) === undefined) this.spoil(epoch)
  }

  /** Takes it, if its holder is silent for long enough or this very server. Resolves with whether this server has it then. */
  take(): Promise<boolean> {
    if (this.taking !== undefined) return this.taking
    const { record, serverId } = this.parts
    const { held, serverId: holder } = record.state
    if (held && holder !== serverId && !this.isOver) return Promise.resolve(false)
    const taking = this.takeOnce()
    this.taking = taking
    // The first reaction: whoever waits for it comes behind, in order.
    void taking.then(() => {
      this.taking = undefined
      if (this.running) this.letThrough()
    })
    return taking
  }

  private async takeOnce(): Promise<boolean> {
    const { address } = this
    const { clock, durationMs, record, serverId } = this.parts
    const { epoch, heardAt } = record.state
    const begin = momentOf(clock)
    const header = { kind: 'take', serverId, address, durationMs, replaces: epoch, heardAt } as const
    const taken = await this.ask(header)
    if (typeof taken !== 'number') return false
    this.counts.taken++
    this.mine = taken
    this.use(taken, begin)
    return this.epoch !== 0
  }

  private tick(): void {
    const { durationMs, timers } = this.parts
    this.timer = timers.after(Math.max(1, durationMs / TICKS), () => {
      if (this.running) this.tick()
    })
    this.look()
  }

  private look(): void {
    const { record, serverId, wants } = this.parts
    const { held, serverId: holder } = record.state
    if (!this.asking && !this.yielding) {
      const { epoch } = this
      const isSound = epoch !== 0 && epoch !== this.spoiltEpoch
      if (isSound && record.state.address === this.address) this.renewInTime()
      else if (isSound || wants) void this.take()
      // Spoilt, or of a former life: nobody else may write until it is given up.
      else if (held && holder === serverId) void this.ask({ kind: 'release', epoch: record.state.epoch })
    }
    this.letThrough()
  }

  private renewInTime(): void {
    const { clock, durationMs, record } = this.parts
    const elapsedMs = this.grant?.elapsedMs(momentOf(clock)) ?? durationMs
    // Of an edit the others wait to hear that the holder has applied it.
    if (elapsedMs >= durationMs * RENEW_SHARE || record.state.edited > 0) this.renew()
  }

  private renew(): void {
    const { epoch } = this
    const begin = momentOf(this.parts.clock)
    void this.ask({ kind: 'renew', epoch, applied: this.parts.applied() }).then((renewed) => {
      if (renewed === true) {
        this.counts.renewed++
        this.use(epoch, begin)
      } else if (renewed === false) this.counts.lost++
    })
  }

  private use(epoch: number, begin: Moment): void {
    // Behind what was asked for here there may be a release, which others apply first.
    if (!this.yielding) this.grant = new Grant(epoch, begin, this.parts.usableMs, this.parts.marginMs)
  }

  /** So many at a time, and the next when those have been applied. */
  private letThrough(): void {
    const { heldBack, propose, record } = this.parts
    const { epoch } = this
    const before = record.heldBackCount
    // Held by another server, or by this one's former life: then nothing would be let through.
    if (this.firing > 0 || this.taking !== undefined || before === 0 || (record.state.held && epoch === 0)) return
    const waiting = heldBack(FIRES_MAX)
    this.firing = waiting.length
    const over = (): void => {
      this.firing--
      // What was refused or void waits for the next tick; a second one for the same finds nothing.
      if (this.firing === 0 && record.heldBackCount < before && this.running) this.letThrough()
    }
    for (const { index, position } of waiting) {
      propose({ kind: 'fire', epoch, position, index }, { resolve: over, reject: over })
    }
  }

  /** What apply answered; undefined if it was refused or nobody knows. */
  private ask(header: LeaseHeader): Promise<unknown> {
    this.asking = true
    return new Promise((resolve) => {
      const over = (result: unknown): void => {
        this.asking = false
        resolve(result)
      }
      this.parts.propose(header, { resolve: over, reject: () => over(undefined) })
    })
  }
}
