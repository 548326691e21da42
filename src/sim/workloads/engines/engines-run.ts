// One seed: several servers under load over one hostile log, each through lives that end at any moment; then the weather clears, and
// everything must come to an end and be equal. Not here: what clients do, and what is right.

import { DelosError } from '../../../base/delos-error.ts'
import { VIEW_TRACKING } from '../../../engines/view-tracking/view-tracking-engine.ts'
import type { LogPos } from '../../../log/position.ts'
import { CALM } from '../../faults.ts'
import type { Simulation } from '../../simulation.ts'
import { check } from '../../workload.ts'
import { ActorEnds, Actors } from '../actors.ts'
import { drawPlan, type EnginePlan, maySwitch } from './engine-plan.ts'
import { EnginesChecks } from './engines-checks.ts'
import { EnginesClients } from './engines-clients.ts'
import { EnginesServer, type ServerLife } from './engines-server.ts'
import { HostileService } from './hostile-service.ts'
import type { TallyFault } from './tally-engine.ts'

const NAMES = ['a', 'b', 'c', 'd', 'e']
const ENDS_MIN = 5
const LOAD_MS_MIN = 2_000
const LOAD_MS_MAX = 120_000
const START_MS = 40_000
const CONVERGE_MS = 30_000
/** Twice the longest pause between two votes of a server for one timer. */
const FIRE_MS = 60_000
const COMPARE_EVERY_MS = 120

export interface EnginesRunOptions {
  readonly fault?: TallyFault | undefined
}

export class EnginesRun {
  readonly world: Simulation
  readonly checks = new EnginesChecks()
  readonly plan: EnginePlan
  /** The load is over: nobody dies any more, clients stop. */
  over = false
  done = 0
  ends = 0
  private readonly operations: number
  private readonly service: HostileService
  private readonly all: readonly Member[]
  private newest: { readonly cursor: number; readonly view: readonly string[] | undefined } = {
    cursor: 0,
    view: undefined,
  }
  /** The view as it was seen last. */
  private seenView: readonly string[] = []
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
    this.plan = drawPlan(world.random.fork('plan'), world.planted, fault)
    const names = NAMES.slice(0, world.random.pick([3, 3, 5]))
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
            service,
            plan,
            trims: (to) => this.guard(() => this.checkTrim(name, to)),
          }),
        ),
    )
  }

  /** Those that have not been told to bootstrap. */
  get members(): readonly Member[] {
    return this.all.filter(({ gone }) => !gone)
  }

  /** The view as of the highest position that was seen applied; undefined while ViewTracking is not enabled there. */
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
    this.world.faults = { ...CALM, clock: this.world.faults.clock }
    for (const { pause } of this.members) pause?.end()
  }

  /** All that was under way ends, and all servers stand at one position. */
  private async converge(): Promise<void> {
    const { queue } = this.world
    const endMs = queue.nowMs + CONVERGE_MS
    for (;;) {
      // A tail whose last positions are empty is news to whoever asks.
      await Promise.all(this.members.map(({ server }) => server.life?.stack.sync()))
      const statuses = this.members.map(({ server }) => server.life?.stack.status())
      const busy = this.members.some(({ clients }) => (clients?.waiting ?? 0) > 0)
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
    if (seenView.some((name) => !view.includes(name))) world.counters.bump('evicted')
    if (view.some((name) => !seenView.includes(name))) world.counters.bump('joined')
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
      const details = server.life?.stack.layer(VIEW_TRACKING)?.details() ?? {}
      check((details.digestAlarms ?? 0) === 0, `digests differ: ${server.life?.stack.status().alarms}`)
    }
    counters.bump('timer cancelled', this.checks.timers.cancelled)
  }
}

/** One server of the run: a life after the other. */
class Member {
  readonly server: EnginesServer
  clients: EnginesClients | undefined
  pause: ServerLife['pause'] | undefined
  /** Told to bootstrap: it is no server any more. */
  gone = false
  private readonly run: EnginesRun
  private number = 0
  private started = false
  private closing = false

  constructor(run: EnginesRun, server: EnginesServer) {
    this.run = run
    this.server = server
  }

  /** Until the run is over and this server serves. */
  async lives(): Promise<void> {
    for (let tries = 0; tries < 3; ) {
      const serves = await this.live()
      if (serves || this.gone) return
      if (this.run.over) tries++
      else await this.run.world.sleep(this.run.world.random.latency(5, 3_000))
    }
    check(false, `${this.server.name} does not come back`)
  }

  async close(): Promise<void> {
    await this.server.life?.close()
    if (this.server.machine.running) this.server.machine.kill()
  }

  /** One process; true if it lives on when the run is over. */
  private live(): Promise<boolean> {
    const { machine } = this.server
    const { world } = this.run
    const { life } = machine.boot()
    this.number++
    this.clients = undefined
    this.started = false
    this.closing = false
    const actors = new Actors({ world, life, trouble: (error) => this.trouble(error) })
    this.run.watch(actors.ended)
    return new Promise<boolean>((resolve) => {
      life.onEnd(() => resolve(false))
      actors.start(async () => {
        await this.serve(actors)
        while (!this.run.over || this.closing) await actors.pause(20)
        resolve(true)
      })
    })
  }

  private async serve(actors: Actors): Promise<void> {
    const { run, server } = this
    const { random } = run.world
    if (random.chance(0.1)) this.dieWithin(60)
    const life = await this.start(actors)
    this.clients = new EnginesClients({
      actors,
      life,
      server: server.name,
      number: this.number,
      checks: run.checks,
      isOver: () => run.over,
      operated: () => void run.done++,
      maySwitch: (engine, change) => maySwitch(run.plan, engine, change, server.view !== undefined),
    })
    this.started = true
    if (random.chance(0.3)) life.stack.enable().catch(() => undefined)
    this.clients.start()
    actors.repeat(() => this.suffer(actors, life))
    actors.start(async () => {
      while (!run.maySetFree(server)) await actors.pause(50)
      life.stack.engine.setTrimPrefix(Number.MAX_SAFE_INTEGER as LogPos)
    })
  }

  private async start(actors: Actors): Promise<ServerLife> {
    const { run, server } = this
    const { checks, world } = run
    const { clock, life: process } = server.machine.runtime
    const stopwatch = checks.timers.begin(server.name, clock)
    process.onEnd(() => checks.timers.end(stopwatch))
    if (server.isOld) world.counters.bump('restart')
    const starting = server.start({
      paused: (pause) => {
        this.pause = pause
      },
      opened: (life) => {
        process.onEnd(() => this.noteEnd(life))
        void life.stack.failed.then((report) =>
          actors.start(() => Promise.reject(new DelosError(report.code, report.stack))),
        )
      },
      applied: (operation, result, index) => {
        checks.model.applied(operation, result)
        if (index > 0) world.counters.bump('applied from a batch')
      },
      applying: (id, stack, tx) => checks.applying(id, stack, tx),
      timer: (event) => checks.timers.applied(stopwatch, event),
      forgotten: (generations) => checks.timers.forgotten(generations),
    })
    return await actors.answer('the start', START_MS, starting).catch((error: unknown) => {
      // No answer of the log in time: a server ends then, and is started again.
      if (!(error instanceof DelosError && error.retryable)) throw error
      world.counters.bump(`start failed: ${error.code}`)
      this.closing = true
      this.dieWithin(20)
      throw new ActorEnds()
    })
  }

  /** Now and then the process stands still, or dies. */
  private async suffer(actors: Actors, life: ServerLife): Promise<void> {
    const { random, counters, trace, timers } = this.run.world
    await actors.pause(50 + random.fraction() * 1_500)
    if (this.run.over) throw new ActorEnds()
    if (random.chance(0.5)) {
      trace.note('pause', this.server.name)
      counters.bump('pause')
      life.pause.begin()
      timers.after(random.latency(5, 1_500), () => life.pause.end())
    } else if (random.chance(0.2)) {
      await life.pause.over()
      if (this.run.over) throw new ActorEnds()
      counters.bump('clean end')
      this.closing = true
      await actors.answer('close', START_MS, life.close())
      this.dieWithin(0)
    } else this.dieWithin(10)
  }

  /** Only a server that was dropped from the view may find that the log does not wait for it. */
  private trouble(error: DelosError): void {
    const { run, server } = this
    const { view } = run
    if (error.code !== 'TRIMMED' || view?.includes(server.name) !== false) throw error
    check(error.message.includes('bootstrap'), `not told to bootstrap: ${error.message}`)
    run.world.counters.bump('told to bootstrap')
    this.gone = true
    run.ends++
    server.machine.kill()
  }

  private dieWithin(ms: number): void {
    const { random, timers, counters } = this.run.world
    const { machine } = this.server
    const { life } = machine.runtime
    timers.after(random.fraction() * ms, () => {
      if (!life.alive || (this.run.over && !this.closing)) return
      if (!this.started) counters.bump('crash while starting')
      this.run.ends++
      if (random.chance(0.5)) machine.kill()
      else machine.crash()
    })
  }

  // Of the process that ends now.
  private noteEnd(life: ServerLife): void {
    const { counters } = this.run.world
    const { cursor, duplicatesDropped, knownTail } = life.stack.status()
    if (duplicatesDropped > 0) counters.bump('duplicate filtered', duplicatesDropped)
    if (cursor < knownTail) counters.bump('crash between append and apply')
  }
}
