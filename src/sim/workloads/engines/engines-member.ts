// One server of a run: a life after the other, each with its clients, until the load is over and it serves. Not here: what the
// servers have to do with each other.

import { DelosError } from '../../../base/delos-error.ts'
import { LEASE } from '../../../engines/lease/lease-engine.ts'
import { LOG_BACKUP } from '../../../engines/log-backup/log-backup-engine.ts'
import { SESSION_ORDER } from '../../../engines/session-order/session-order-engine.ts'
import { TIME } from '../../../engines/time/time-engine.ts'
import { VIEW_TRACKING } from '../../../engines/view-tracking/view-tracking-engine.ts'
import type { LogPos } from '../../../log/position.ts'
import type { Counters } from '../../counters.ts'
import type { Simulation } from '../../simulation.ts'
import { check } from '../../workload.ts'
import { ActorEnds, Actors } from '../actors.ts'
import type { EnginesChecks } from './engines-checks.ts'
import { EnginesClients } from './engines-clients.ts'
import type { EnginesServer, ServerLife } from './engines-server.ts'

const START_MS = 40_000
/** Counters by engine and detail. */
const NOTED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  [VIEW_TRACKING]: { accusations: 'accused' },
  [SESSION_ORDER]: {
    epochsOpened: 'epoch opened',
    reproposed: 'proposed again',
    filteredDuplicate: 'sequence twice',
    filteredEarly: 'too early',
    filteredClosed: 'epoch closed',
  },
  [TIME]: { votesSent: 'vote' },
  [LOG_BACKUP]: { segments: 'segment', snapshots: 'snapshot' },
  [LEASE]: { taken: 'lease taken', filtered: 'filtered by a lease' },
}

/** What a server needs of the run. */
export interface MemberRun {
  readonly world: Simulation
  readonly checks: EnginesChecks
  /** The load is over: nobody dies any more, clients stop. */
  readonly over: boolean
  /** Calls that were answered, and processes that ended. */
  done: number
  ends: number
  /** Who the members are, if ViewTracking knows. */
  readonly view: readonly string[] | undefined
  /** May this server let go of the log? */
  maySetFree(server: EnginesServer): boolean
  /** Told of each life: rejects if a promise was broken. */
  watch(ended: Promise<void>): void
}

/** One server of the run: a life after the other. */
export class Member {
  readonly server: EnginesServer
  clients: EnginesClients | undefined
  pause: ServerLife['pause'] | undefined
  /** Told to bootstrap: it is no server any more. */
  gone = false
  private readonly run: MemberRun
  private number = 0
  private started = false
  private closing = false

  constructor(run: MemberRun, server: EnginesServer) {
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
    await actors.pause(50 + random.fraction() * 1_200)
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
    const dropped = view?.includes(server.name) === false
    check(error.code === 'TRIMMED' && dropped, `${server.name} failed: ${error.stack}`)
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
    noteDetails(life, counters)
  }
}

// What engines count by themselves in one process.
export function noteDetails({ stack }: ServerLife, counters: Counters): void {
  for (const { details, name } of stack.status().engines) {
    for (const [detail, counter] of Object.entries(NOTED[name] ?? {})) {
      const count = details[detail]
      if (typeof count === 'number' && count > 0) counters.bump(counter, count)
    }
  }
}
