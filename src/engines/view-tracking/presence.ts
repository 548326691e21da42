// What a serving server does so that the others know of it and it knows of them: joins, sends heartbeats, accuses who is
// silent, asks for digests and reports its own. Propose side only. Not here: what any of it means in apply.

import { digestRequest } from '../../engine/digest.ts'
import type { Engine } from '../../engine/engine.ts'
import type { EngineContext } from '../../engine/engine-layer.ts'
import { controlEntry, type Entry } from '../../engine/entry.ts'
import type { LogPos } from '../../log/position.ts'
import type { Timer } from '../../runtime/runtime.ts'
import type { ReplicatedView, ViewOutcome } from './replicated-view.ts'
import { type SilenceLimits, SilenceWatch } from './silence-watch.ts'
import { encodeViewMessage, type ViewMessage } from './view-message.ts'

/** Between two looks of a server that was refused, whether its durable position has moved. */
const RETRY_MS = 250
/**
 * Ticks in an interval between heartbeats. At each the first member asks for a digest if anything is new: so content that parts
 * is told of within an interval, as long as asking, taking and reporting take less than what is left of it.
 */
const TICKS = 2
/** How often in an interval is looked whether a digest that was asked for is there to be reported. */
const DIGEST_LOOKS = 16
/** Ticks after which any member asks for a digest that the first did not ask for. */
const DIGEST_OVERDUE_TICKS = 4

const NOWHERE = -1 as LogPos

export interface PresenceParts {
  readonly name: string
  readonly context: EngineContext
  readonly below: Engine<unknown>
  readonly view: ReplicatedView
  readonly limits: SilenceLimits
  /** Is the engine enabled, as of the last commit? */
  enabled(): boolean
  /** Is there an alarm that this server's content differs? */
  differs(): boolean
}

export class Presence {
  /** A header left on a proposal since the last tick: set by whoever stamps. */
  stamped = false
  /** A header left on a proposal was applied since the last tick: set by whoever applies. */
  heard = false
  /** Position of the newest digest of this server that was applied as reported. */
  reportedDigest: LogPos = NOWHERE
  /** Evictions that this server asked for, and the last one. */
  accusations = 0
  lastAccused = ''
  private readonly parts: PresenceParts
  private readonly watch: SilenceWatch
  private serving = false
  private closed = false
  /** This server was sent away by a leave; it comes back with its next start. */
  private departed = false
  /** It was told of as different in an earlier life, and may have been rebuilt: a join has that judged anew. */
  private joinsAnew = false
  private refusal: { readonly reason: string; readonly durable: LogPos } | undefined
  private ticks = 0
  private readonly timers = new Map<'tick' | 'retry' | 'digest', Timer>()
  /** What was proposed and not answered. */
  private readonly inFlight = new Set<string>()
  /** The newest entry that was neither heartbeat nor request of a digest. */
  private lastMoved: LogPos = NOWHERE
  private lastRequest: LogPos = NOWHERE
  private newestDigest: number = NOWHERE
  /** While something new waits for a digest and nobody asked for one. */
  private ticksWithoutDigest = 0

  constructor(parts: PresenceParts) {
    this.parts = parts
    this.watch = new SilenceWatch(parts.limits)
  }

  /** One sentence for each reason why this server is not in the view though it should be. */
  alarms(): string[] {
    const alarms: string[] = []
    if (this.refusal !== undefined) alarms.push(`this server is not in the view: ${this.refusal.reason}`)
    if (this.departed) alarms.push('this server was sent out of the view: it comes back with its next start')
    return alarms
  }

  /** This server has caught up. */
  begin(): void {
    const { durableCursor } = this.parts.context
    this.serving = true
    this.joinsAnew = this.parts.differs()
    // What earlier lives left unreported is worth one heartbeat.
    if (this.lastMoved === NOWHERE) this.lastMoved = (durableCursor() - 1) as LogPos
    this.planTick()
    this.ensureMember()
  }

  end(): void {
    this.closed = true
    for (const timer of this.timers.values()) timer.cancel()
    this.timers.clear()
  }

  /** An entry was applied that the next digest should cover. */
  moved(pos: LogPos): void {
    this.lastMoved = pos
  }

  /** A request of a digest was applied. */
  digestRequested(pos: LogPos): void {
    this.lastRequest = pos
    if (!this.active || this.parts.view.ids.length < 2) return
    this.lookForDigest(DIGEST_LOOKS / TICKS)
  }

  // Until the digest that was asked for last has been reported; what takes longer is left to the tick.
  private lookForDigest(looks: number): void {
    if (looks === 0) return
    this.plan('digest', this.parts.limits.heartbeatMs / DIGEST_LOOKS, () => {
      if (!this.active || this.reportedDigest >= this.lastRequest) return
      if (this.newDigest() !== undefined) this.heartbeat()
      this.lookForDigest(looks - 1)
    })
  }

  /** The view, or the switch, may have changed. */
  viewChanged(): void {
    this.ensureMember()
  }

  /** This server was the one named in a leave. */
  sentAway(): void {
    if (this.serving) this.departed = true
  }

  private get active(): boolean {
    return this.serving && !this.closed && this.parts.enabled()
  }

  private planTick(): void {
    this.plan('tick', this.parts.limits.heartbeatMs / TICKS, () => {
      this.planTick()
      this.ticks++
      if (this.ticks % TICKS === 0) this.beat()
      else if (this.active && this.isMemberWithOthers()) this.exchangeDigests()
    })
  }

  /** Once per interval. */
  private beat(): void {
    const { context, view } = this.parts
    const { stamped } = this
    this.stamped = false
    this.heard = false
    if (!this.active) return
    if (this.refusal?.reason.startsWith('bootstrap') === false) this.refusal = undefined
    this.ensureMember()
    const own = view.get(context.serverId)
    const others = view.others(context.serverId)
    const silent = this.watch.look(context.clock.monotonicMs(), own?.lastHeard, others)
    if (own === undefined) return
    for (const { lastHeard, serverId } of silent) this.accuse(serverId, lastHeard)
    if (others.length > 0) {
      this.exchangeDigests()
      if (!stamped) this.heartbeat()
    } else if (!stamped && this.lastMoved >= own.durable && context.durableCursor() > own.durable) {
      // Alone, nobody waits for a sign of life: only what lets the log be released is worth an entry.
      this.heartbeat()
    }
  }

  private isMemberWithOthers(): boolean {
    const { context, view } = this.parts
    return view.ids.length > 1 && view.get(context.serverId) !== undefined
  }

  private exchangeDigests(): void {
    this.askForDigest()
    if (this.newDigest() !== undefined) this.heartbeat()
  }

  private ensureMember(): void {
    const { context, view } = this.parts
    if (!this.active || this.departed) return
    const { levels, serverId } = context
    const announced = view.get(serverId)?.levels
    if (!this.joinsAnew && announced !== undefined && sameLevels(announced, levels)) {
      this.refusal = undefined
      return
    }
    const durable = context.durableCursor()
    // Until the durable position has moved the answer would be the same.
    if (this.refusal?.durable === durable) return this.plan('retry', RETRY_MS, () => this.ensureMember())
    this.propose('join', { kind: 'join', serverId, durable, levels }, (outcome) => {
      if (outcome.kind === 'done') this.joinsAnew = false
      this.refusal = outcome.kind === 'refused' ? { reason: outcome.reason, durable } : undefined
      this.ensureMember()
    })
    // Whether it is refused or lost: who is not in the view is not protected from trimming, so don't wait for the next tick.
    this.plan('retry', RETRY_MS, () => this.ensureMember())
  }

  private heartbeat(): void {
    const { context } = this.parts
    const { serverId } = context
    const digest = this.newDigest()
    this.propose('heartbeat', { kind: 'heartbeat', serverId, durable: context.durableCursor(), digest })
  }

  private accuse(serverId: string, lastHeard: LogPos): void {
    if (!this.propose(`evict ${serverId}`, { kind: 'evict', serverId, lastHeard })) return
    this.accusations++
    this.lastAccused = serverId
  }

  /** The digest that the others have not been told of. */
  private newDigest(): ReturnType<EngineContext['lastDigest']> {
    const digest = this.parts.context.lastDigest()
    return digest !== undefined && digest.position > this.reportedDigest ? digest : undefined
  }

  // One server asks; the others only when it does not.
  private askForDigest(): void {
    const { context, view } = this.parts
    const newest = Math.max(this.lastRequest, context.lastDigest()?.position ?? NOWHERE)
    if (newest !== this.newestDigest || this.lastMoved < newest) this.ticksWithoutDigest = 0
    this.newestDigest = newest
    if (this.lastMoved > newest) this.ticksWithoutDigest++
    const patience = view.ids[0] === context.serverId ? 1 : DIGEST_OVERDUE_TICKS
    if (this.ticksWithoutDigest >= patience) this.submit('digest', digestRequest(), () => undefined)
  }

  private propose(
    what: string,
    message: ViewMessage,
    answered: (outcome: ViewOutcome) => void = () => undefined,
  ): boolean {
    const entry = controlEntry(this.parts.name, encodeViewMessage(message))
    return this.submit(what, entry, (result) => answered(result as ViewOutcome))
  }

  // At most one of a kind waits for its answer, so an outage piles nothing up. False if one does already.
  private submit(what: string, entry: Entry, answered: (result: unknown) => void): boolean {
    if (this.closed || this.inFlight.has(what)) return false
    this.inFlight.add(what)
    this.parts.below.propose(entry, {
      resolve: (result) => {
        this.inFlight.delete(what)
        if (!this.closed) answered(result)
      },
      reject: ({ code }) => {
        this.inFlight.delete(what)
        // What is still wanted at the next tick is proposed anew; after these there is none.
        if (code === 'STOPPED' || code === 'CLOSED') this.end()
      },
    })
    return true
  }

  private plan(what: 'tick' | 'retry' | 'digest', delayMs: number, callback: () => void): void {
    if (this.closed) return
    this.timers.get(what)?.cancel()
    const timer = this.parts.context.timers.after(delayMs, () => {
      this.timers.delete(what)
      if (!this.closed) callback()
    })
    this.timers.set(what, timer)
  }
}

function sameLevels(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  if (a.size !== b.size) return false
  for (const [name, level] of a) if (b.get(name) !== level) return false
  return true
}
