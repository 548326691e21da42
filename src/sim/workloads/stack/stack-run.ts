// One embedded server under load, whatever its database: lives that end at any moment, reconfigurations, trims, full disks, and a
// second server that never dies and must end with the same content. What the clients do is an Application's.

import { DelosError } from '../../../base/delos-error.ts'
import type { Applicator } from '../../../engine/engine.ts'
import type { EngineFactory } from '../../../engine/stack.ts'
import type { TimerService } from '../../../engine/timer-service.ts'
import type { LogPos } from '../../../log/position.ts'
import type { ReadTx } from '../../../store/local-store.ts'
import { CALM } from '../../faults.ts'
import type { Simulation } from '../../simulation.ts'
import { check } from '../../workload.ts'
import { ActorEnds, Actors } from '../actors.ts'
import { ShadowStack } from './shadow-stack.ts'
import { type StackLife, StackServer } from './stack-server.ts'

const LIVES_MIN = 6
/** No answer takes longer, in virtual milliseconds. */
export const ANSWER_MS = 10_000
const START_MS = 20_000
const CATCH_UP_MS = 10_000

/** A database with its clients and its model, over all lives of the server. */
export interface Application<R> {
  readonly database: string
  /** Engines above Batching, bottom to top. */
  readonly engines?: readonly EngineFactory[]
  /** For one process, or for the second server (`own` false). `timers`: of its stack, if that has any. */
  applicator(own: boolean, timers: TimerService | undefined): Applicator<R>
  /** A process plays its log; clients come with `serve`. */
  opened(life: StackLife<R>): void
  /** Starts clients: some concurrent ones under load, or few that end after some calls. Resolves when those are done. */
  serve(client: Client<R>, load: 'heavy' | 'light'): Promise<void>
  /** An orderly end begins. */
  closing(): void
  /** Compares the content of a store with the model, at whatever point of the log the store stands. */
  content(store: ReadTx): void
}

/** What clients of one life need. */
export interface Client<R> {
  readonly actors: Actors
  readonly life: StackLife<R>
  /** True while clients have to leave the server alone. */
  readonly isQuiet: () => boolean
  /** A call was answered. */
  readonly operated: () => void
}

export class StackRun<R> {
  private readonly world: Simulation
  private readonly operations: number
  private readonly application: Application<R>
  private readonly server: StackServer<R>
  private readonly shadow: ShadowStack<R>
  private done = 0
  private quiet = false
  /** Where the last life stood when it ended. */
  private lastCursor = 0

  constructor(world: Simulation, operations: number, application: Application<R>) {
    this.world = world
    this.operations = operations
    this.application = application
    const { database, engines = [] } = application
    this.server = new StackServer(world, 'stack', database, engines)
    this.shadow = new ShadowStack(world, database, engines, () => this.server.serverId)
    this.shadow.attach(application.applicator(false, this.shadow.stack.timerService))
  }

  async run(): Promise<void> {
    const lives = LIVES_MIN + this.world.random.below(5)
    for (let life = 0; life < lives; life++) await this.live(Math.ceil((this.operations * (life + 1)) / lives))
    while (this.done < this.operations) await this.live(this.operations)
    this.world.faults = CALM
    this.server.machine.fileSystem.capacityBytes = CALM.disk.capacityBytes
    await this.last()
  }

  /** One process: starts, works until `until` operations are done, and dies in the middle of something. */
  private async live(until: number): Promise<void> {
    const { random } = this.world
    const actors = this.boot()
    if (random.chance(0.15)) this.dieWithin(60)
    actors.start(async () => {
      const life = await this.start(actors)
      await this.work(actors, life)
      while (this.done < until) await actors.pause(2)
      if (random.chance(0.4)) await this.catchUp(actors, life)
      if (random.chance(0.15)) {
        this.application.closing()
        await actors.answer('close', START_MS, life.close())
        this.world.counters.bump('clean end')
      }
      this.dieWithin(8)
    })
    await actors.ended
  }

  /** Nothing goes wrong any more: everything must be there, and work. */
  private async last(): Promise<void> {
    let finished = false
    // A start may meet a void position.
    for (let tries = 0; tries < 3 && !finished; tries++) {
      const actors = this.boot()
      actors.start(async () => {
        const life = await this.start(actors)
        await this.application.serve(this.client(actors, life), 'light')
        await life.log.extend({ kind: 'file', params: {} })
        await this.application.serve(this.client(actors, life), 'light')
        await this.catchUp(actors, life)
        finished = true
        this.server.die('kill')
      })
      await actors.ended
    }
    check(finished, 'the server does not come back')
  }

  private boot(): Actors {
    const { life } = this.server.machine.boot()
    const failuresBefore = this.injected()
    this.quiet = false
    life.onEnd(() => this.noteEnd())
    return new Actors({
      world: this.world,
      life,
      trouble: (error) => {
        check(this.injected() > failuresBefore, `the disk did not fail, and the server did: ${error.stack}`)
        const expected = ['IO_ERROR', 'INDETERMINATE', 'STOPPED', 'CLOSED']
        check(expected.includes(error.code), `a bad disk became ${error.stack}`)
        this.dieWithin(30)
      },
    })
  }

  private injected(): number {
    const { counters } = this.world
    return ['read', 'write', 'sync'].reduce((sum, what) => sum + counters.get(`${what} failed`), 0)
  }

  private async start(actors: Actors): Promise<StackLife<R>> {
    const opened = (life: StackLife<R>): void => {
      const { cursor, incarnation } = life.stack.status()
      this.world.trace.note('opened', cursor)
      check(incarnation > 0, 'a server serves without an incarnation')
      if (cursor < this.lastCursor) this.world.counters.bump('commits replayed')
      this.application.opened(life)
      void life.stack.failed.then((report) => actors.guard(() => this.stopped(actors, report.message)))
      actors.start(() => this.shadow.follow(life.log, life.runtime.life))
    }
    const starting = this.server.start((timers) => this.application.applicator(true, timers), opened)
    const life = await actors.answer('the start', START_MS, starting).catch((error: unknown) => {
      // No room, or no answer to what it proposed: a server ends then, and is started again.
      if (!(error instanceof DelosError && (error.retryable || error.code === 'INDETERMINATE'))) throw error
      this.world.counters.bump(`start failed: ${error.code}`)
      this.dieWithin(20)
      throw new ActorEnds()
    })
    this.application.content(life.store.read())
    return life
  }

  private stopped(actors: Actors, message: string): void {
    actors.start(() => Promise.reject(new DelosError('STOPPED', message)))
  }

  private async work(actors: Actors, life: StackLife<R>): Promise<void> {
    actors.repeat(() => this.operate(actors, life))
    actors.repeat(() => this.keepTrimming(actors, life))
    await this.application.serve(this.client(actors, life), 'heavy')
  }

  private client(actors: Actors, life: StackLife<R>): Client<R> {
    return { actors, life, isQuiet: () => this.quiet, operated: () => void this.done++ }
  }

  /** Reconfigures, voids what nobody has reached yet, fills the disk. */
  private async operate(actors: Actors, life: StackLife<R>): Promise<void> {
    const { counters, random } = this.world
    await actors.pause(random.fraction() * 60)
    if (random.chance(0.1)) this.fillDisk()
    if (random.chance(0.1)) this.dieWithin(8)
    try {
      if (random.chance(0.7)) {
        await actors.answer('extend', START_MS, life.log.extend({ kind: 'file', params: { n: random.below(2) } }))
      } else if (random.chance(0.3)) {
        const pos = (life.log.knownTail + 50 + random.below(100)) as LogPos
        await actors.answer('voidPosition', START_MS, life.log.voidPosition(pos))
        check(life.log.knownTail <= pos, 'a position was passed before it was void')
      }
    } catch (error) {
      if (!(error instanceof DelosError)) throw error
      counters.bump(`reconfiguration failed: ${error.code}`)
      if (error.code === 'CLOSED') throw new ActorEnds()
      if (!error.retryable && error.code !== 'INDETERMINATE') throw error
    }
  }

  // What both servers have applied may go; Base trims with its next flush, up to what is durable.
  private async keepTrimming(actors: Actors, life: StackLife<R>): Promise<void> {
    await actors.pause(20)
    life.stack.engine.setTrimPrefix(Math.max(0, this.shadow.cursor - 20) as LogPos)
  }

  /** Waits until nothing is under way, then compares everything with everything. */
  private async catchUp(actors: Actors, life: StackLife<R>): Promise<void> {
    const { queue } = this.world
    this.quiet = true
    const endMs = queue.nowMs + CATCH_UP_MS
    for (;;) {
      const { cursor, pendingProposals } = life.stack.status()
      if (pendingProposals === 0 && this.shadow.compare(life.store, cursor)) break
      check(queue.nowMs < endMs, `two servers are not at one position after ${CATCH_UP_MS} ms`)
      await actors.pause(10)
    }
    this.application.content(life.store.read())
    this.world.counters.bump('contents compared')
    this.quiet = false
  }

  private dieWithin(ms: number): void {
    const { random } = this.world
    this.server.machine.runtime.timers.after(random.fraction() * ms, () =>
      this.server.die(random.chance(0.3) ? 'kill' : 'crash'),
    )
  }

  // Of the life that ends now.
  private noteEnd(): void {
    const { life } = this.server
    if (life === undefined) return
    const { counters } = this.world
    const { appliedEntries, cursor, duplicatesDropped, transactions } = life.stack.status()
    const { flushes, pushes } = life.store.stats
    this.lastCursor = cursor
    if (duplicatesDropped > 0) counters.bump('duplicate dropped', duplicatesDropped)
    if (flushes > 0) counters.bump('flush', flushes)
    if (pushes > flushes) counters.bump('push without flush', pushes - flushes)
    if (appliedEntries > transactions) counters.bump('entries of one transaction', appliedEntries - transactions)
  }

  private fillDisk(): void {
    const { fileSystem } = this.server.machine
    const { random } = this.world
    fileSystem.capacityBytes -= fileSystem.freeBytes - random.below(20_000)
    this.world.timers.after(random.fraction() * 150, () => {
      fileSystem.capacityBytes = this.world.faults.disk.capacityBytes
    })
  }
}
