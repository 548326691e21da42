// One seed: several servers under load over one hostile log, each through lives that end at any moment; then the weather clears, and
// everything must come to an end and be equal. Not here: what clients do, and what is right.

import { CompressedEnvelope } from '../../../blobs/envelope.ts'
import { LEASE } from '../../../engines/lease/lease-engine.ts'
import type { BackupTarget } from '../../../engines/log-backup/log-backup-options.ts'
import { VIEW_TRACKING } from '../../../engines/view-tracking/view-tracking-engine.ts'
import type { LogPos } from '../../../log/position.ts'
import { drawIdentity } from '../../../store/identity.ts'
import { CALM } from '../../faults.ts'
import type { Simulation } from '../../simulation.ts'
import { check } from '../../workload.ts'
import { HostileBlobs, SYNCHRONOUS } from '../backup/hostile-blobs.ts'
import { drawPlan, type EnginePlan } from './engine-plan.ts'
import { EnginesChecks } from './engines-checks.ts'
import { Member, type MemberRun, noteDetails } from './engines-member.ts'
import { EnginesServer } from './engines-server.ts'
import { HostileService } from './hostile-service.ts'
import type { TallyFault } from './tally-engine.ts'

const NAMES = ['a', 'b', 'c', 'd', 'e']
const ENDS_MIN = 5
const LOAD_MS_MIN = 2_000
const LOAD_MS_MAX = 120_000
const CONVERGE_MS = 30_000
/** Twice the longest pause between two votes of a server for one timer. */
const FIRE_MS = 60_000
const COMPARE_EVERY_MS = 120

/** Clocks that run apart by more than this are said to drift, in parts per million. */
const DRIFT_PPM = 100_000

export interface EnginesRunOptions {
  readonly fault?: TallyFault | undefined
}

export class EnginesRun implements MemberRun {
  readonly world: Simulation
  readonly checks = new EnginesChecks()
  readonly plan: EnginePlan
  /** The load is over: nobody dies any more, clients stop. */
  over = false
  done = 0
  ends = 0
  private readonly operations: number
  private readonly service: HostileService
  private readonly blobs: HostileBlobs
  private readonly all: readonly Member[]
  private newest: { readonly cursor: number; readonly view: readonly string[] | undefined } = {
    cursor: 0,
    view: undefined,
  }
  /** The view as it was seen last. */
  private seenView: readonly string[] = []
  private readonly dropped = new Set<string>()
  /** ViewTracking has known all servers: from now on the log is let go. */
  private releasing = false
  private fail!: (error: unknown) => void
  /** Rejects with the first broken promise of the product; never resolves. */
  private readonly broken = new Promise<never>((_, reject) => {
    this.fail = reject
  })

  constructor(world: Simulation, operations: number, { fault }: EnginesRunOptions = {}) {
    this.world = world
    this.operations = operations
    this.service = new HostileService(world)
    const { bump } = world.counters
    this.blobs = new HostileBlobs(world)
    this.plan = drawPlan(world, { bump, backupTarget: (server) => this.backupTarget(server) }, fault)
    this.checks.timers.mayBeLate = this.plan.engines.some(({ name }) => name === LEASE)
    const identity = drawIdentity(world.random.fork('identity'))
    const names = NAMES.slice(0, world.random.pick([3, 3, 5]))
    if (world.faults.clock.driftPpmMax >= DRIFT_PPM) world.counters.bump('drift')
    world.trace.note('stack', this.plan.engines.map(({ name }) => name).join())
    const { plan, service } = this
    this.all = names.map(
      (name) =>
        new Member(
          this,
          new EnginesServer({
            world,
            name,
            names,
            identity,
            service,
            plan,
            trims: (to) => this.guard(() => this.checkTrim(name, to)),
          }),
        ),
    )
  }

  private backupTarget(server: string): BackupTarget {
    const { life, random } = this.world.server(server).runtime
    const envelope = new CompressedEnvelope({ random, compression: SYNCHRONOUS })
    return { store: this.blobs.client(life), envelope }
  }

  /** Those that have not been told to bootstrap. */
  get members(): readonly Member[] {
    return this.all.filter(({ gone }) => !gone)
  }

  /** The view as of the highest position that was seen applied; undefined before there is one. */
  get view(): readonly string[] | undefined {
    for (const { server } of this.all) {
      if (server.cursor >= this.newest.cursor) this.newest = { cursor: server.cursor, view: server.view }
    }
    return this.newest.view
  }

  /** The process may let go of the log. */
  maySetFree(server: EnginesServer): boolean {
    const { view } = server
    if (!this.plan.releases || view === undefined) return false
    this.releasing ||= view.length === this.all.length
    return this.releasing
  }

  run(): Promise<void> {
    return Promise.race([this.toTheEnd(), this.broken])
  }

  /** What a process of this run has found. */
  readonly watch = (ended: Promise<void>): void => {
    ended.catch((error: unknown) => this.fail(error))
  }

  // Inside a call of the product, which may take what is thrown for a failure of the log.
  private guard(checks: () => void): void {
    try {
      checks()
    } catch (failure) {
      this.fail(failure)
    }
  }

  private async toTheEnd(): Promise<void> {
    const lives = Promise.all(this.all.map((member) => member.lives()))
    this.watch(lives.then(() => undefined))
    await this.load()
    this.heal()
    await lives
    await this.converge()
    await Promise.all(this.members.map((member) => member.clients?.few()))
    await this.timersFire()
    await this.converge()
    this.count()
    await Promise.all(this.members.map((member) => member.close()))
  }

  /** Lets the servers work until all that was asked for has happened. */
  private async load(): Promise<void> {
    const { queue } = this.world
    const endMs = queue.nowMs + LOAD_MS_MIN
    while (this.done < this.operations || this.ends < ENDS_MIN || queue.nowMs < endMs) {
      await this.world.sleep(COMPARE_EVERY_MS)
      this.compare()
      check(queue.nowMs < LOAD_MS_MAX, `the load does not end: ${this.done} calls, ${this.ends} ends of processes`)
    }
  }

  private heal(): void {
    this.over = true
    this.service.calm = true
    this.blobs.calm = true
    this.world.faults = { ...CALM, clock: this.world.faults.clock }
    for (const { pause } of this.members) pause?.end()
  }

  /** All that was under way ends, and all servers stand at one position. */
  private async converge(): Promise<void> {
    const { queue } = this.world
    const endMs = queue.nowMs + CONVERGE_MS
    for (;;) {
      // A tail whose last positions are empty is news to whoever asks. Who is told to bootstrap meanwhile says so elsewhere.
      await Promise.allSettled(this.members.map(({ server }) => server.life?.stack.sync()))
      const busy = this.members.some(({ clients }) => (clients?.waiting ?? 0) > 0)
      // What operators asked for last may have come late.
      if (!busy) await this.enableView()
      const statuses = this.members.map(({ server }) => server.life?.stack.status())
      const cursors = new Set(statuses.map((status) => status?.cursor))
      const { view } = this
      const missing = view && this.members.find(({ server }) => !view.includes(server.name))
      if (!busy && !missing && cursors.size === 1 && !cursors.has(undefined)) break
      const where = `servers stand at ${[...cursors].join(', ')}, the view is ${view}`
      check(queue.nowMs < endMs, `after ${CONVERGE_MS} calm ms ${where}`)
      await this.world.sleep(10)
    }
    const before = this.checks.compared
    this.compare()
    check(this.checks.compared - before === this.members.length - 1, 'all servers were compared')
    for (const { server } of this.members) if (server.life) this.checks.model.content(server.life.store.read())
  }

  /** While ViewTracking is switched off nobody joins, and whoever is gone for good is waited for. */
  private async enableView(): Promise<void> {
    const stack = this.members.find(({ server }) => server.life)?.server.life?.stack
    if (stack?.layer(VIEW_TRACKING)?.flags.enabled !== false) return
    const { flags, kind } = await stack.change(VIEW_TRACKING, { kind: 'flag', enabled: true })
    // Somebody may have been faster: with nobody in the view yet, the second switch is refused.
    check(kind === 'switched' || flags.enabled, 'ViewTracking can be switched on by members that all have it')
  }

  /** What is armed still fires by itself. */
  private async timersFire(): Promise<void> {
    const { queue } = this.world
    const endMs = queue.nowMs + FIRE_MS
    for (;;) {
      const { outstanding } = this.checks.timers
      if (outstanding.length === 0) return
      check(queue.nowMs < endMs, `after ${FIRE_MS} calm ms these have not fired: ${outstanding.join(', ')}`)
      await this.world.sleep(50)
    }
  }

  private compare(): void {
    this.watchView()
    this.checks.compareEqualCursors(this.members.flatMap(({ server }) => (server.life ? [server.life.store] : [])))
  }

  private watchView(): void {
    const { seenView, view, world } = this
    if (view === undefined) return
    for (const name of seenView) {
      if (view.includes(name)) continue
      this.dropped.add(name)
      world.counters.bump('evicted')
    }
    for (const name of view) {
      if (!seenView.includes(name)) world.counters.bump(this.dropped.has(name) ? 'rejoined' : 'joined')
    }
    this.seenView = view
  }

  private checkTrim(by: string, to: LogPos): void {
    const { view } = this
    for (const { server } of this.members) {
      const { durableCursor, name } = server
      if (view?.includes(name) === false) continue
      check(durableCursor >= to, `${by} trims the log to ${to}, and ${name} has no more than ${durableCursor} for sure`)
    }
  }

  private count(): void {
    const { counters } = this.world
    counters.bump('contents compared', this.checks.compared)
    counters.bump('applied out of order', this.checks.sessions.overtaken)
    counters.bump('applied in session order', this.checks.sessions.ordered)
    counters.bump('timer fired', this.checks.timers.fired)
    counters.bump('timer armed anew', this.checks.timers.replaced)
    for (const { server } of this.members) {
      if (server.life) noteDetails(server.life, counters)
      const details = server.life?.stack.layer(VIEW_TRACKING)?.details() ?? {}
      check((details.digestAlarms ?? 0) === 0, `digests differ: ${server.life?.stack.status().alarms}`)
    }
    counters.bump('timer cancelled', this.checks.timers.cancelled)
  }
}
