// The whole embedded stack under a checking database: a data directory on a bad disk, a store that loses what was not flushed,
// many clients, reconfigurations, trims and flushes under load, and a death at any moment, after which the log is played again.

import { DelosError } from '../../base/delos-error.ts'
import type { LogPos } from '../../log/position.ts'
import { CALM, faultsWith } from '../faults.ts'
import type { Simulation } from '../simulation.ts'
import { check, type Workload } from '../workload.ts'
import { ActorEnds, Actors } from './actors.ts'
import { CHECKING, CheckingDatabase, encodeOperation, type OperationResult } from './checking-database.ts'
import { CheckingModel } from './checking-model.ts'
import { ShadowStack } from './shadow-stack.ts'
import { type StackLife, StackServer } from './stack-server.ts'

const LIVES_MIN = 6
const KEYS = ['a', 'b', 'c', 'd']
/** No answer takes longer, in virtual milliseconds. */
const ANSWER_MS = 10_000
const START_MS = 20_000
const CATCH_UP_MS = 10_000

export const stackWorkload: Workload = {
  name: 'stack',
  summary: 'the embedded stack under a checking database: replay, exactly once, linearizable reads',
  finds: ['cursor-outside-tx', 'layer-pushed-in-part', 'no-sync', 'no-dir-sync'],
  mustReach: [
    'crash',
    'kill',
    'clean end',
    'crash while starting',
    'crash between append and apply',
    'crash with a write-back layer',
    'commits replayed',
    'unsynced bytes lost',
    'disk full',
    'sync failed',
    'write failed',
    'extended',
    'roll-forward',
    'truncated',
    'voided',
    'indeterminate append',
    'duplicate dropped',
    'chunked append',
    'applied from a batch',
    'entries of one transaction',
    'push without flush',
    'flush',
    'operation rejected',
    'proposal refused: OVERLOADED',
    'proposal refused: INDETERMINATE',
    'contents compared',
  ],
  faults: (random) =>
    faultsWith({
      disk: {
        stallProbability: random.chance(0.3) ? 0.01 : 0,
        stallMsMax: 50,
        readFailureProbability: random.chance(0.1) ? 0.0005 : 0,
        writeFailureProbability: random.chance(0.2) ? 0.001 : 0,
        syncFailureProbability: random.chance(0.2) ? 0.002 : 0,
      },
      clock: { driftPpmMax: 1_000, wallOffsetMsMax: 60_000, timerLateMsMax: random.chance(0.5) ? 2 : 0 },
    }),
  run: (world, operations) => new StackRun(world, operations).run(),
}

class StackRun {
  private readonly world: Simulation
  private readonly operations: number
  private readonly model = new CheckingModel()
  private readonly server: StackServer<OperationResult>
  private readonly shadow: ShadowStack<OperationResult>
  private done = 0
  private quiet = false
  /** Where the last life stood when it ended. */
  private lastCursor = 0

  constructor(world: Simulation, operations: number) {
    this.world = world
    this.operations = operations
    this.server = new StackServer(world, 'stack', CHECKING)
    this.shadow = new ShadowStack(world, CHECKING, this.database())
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
      this.work(actors, life)
      while (this.done < until) await actors.pause(2)
      if (random.chance(0.4)) await this.catchUp(actors, life)
      if (random.chance(0.15)) {
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
        for (let i = 0; i < 10; i++) await this.propose(actors, life)
        await life.log.extend({ kind: 'file', params: {} })
        for (let i = 0; i < 10; i++) await this.propose(actors, life)
        await this.sync(actors, life)
        await this.catchUp(actors, life)
        finished = true
        this.server.die('kill')
      })
      await actors.ended
    }
    check(finished, 'the server does not come back')
  }

  private database(): CheckingDatabase {
    return new CheckingDatabase((operation, result, index) => {
      this.model.applied(operation, result)
      if (index > 0) this.world.counters.bump('applied from a batch')
    })
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

  private async start(actors: Actors): Promise<StackLife<OperationResult>> {
    const opened = (life: StackLife<OperationResult>): void => {
      const { cursor, incarnation } = life.stack.status()
      this.world.trace.note('opened', cursor)
      check(incarnation > 0, 'a server serves without an incarnation')
      if (cursor < this.lastCursor) this.world.counters.bump('commits replayed')
      void life.stack.failed.then((report) => actors.guard(() => this.stopped(actors, report.message)))
      actors.start(() => this.shadow.follow(life.log, life.runtime.life))
    }
    const starting = this.server.start(this.database(), opened)
    const life = await actors.answer('the start', START_MS, starting).catch((error: unknown) => {
      // No room, or no answer to what it proposed: a server ends then, and is started again.
      if (!(error instanceof DelosError && (error.retryable || error.code === 'INDETERMINATE'))) throw error
      this.world.counters.bump(`start failed: ${error.code}`)
      this.dieWithin(20)
      throw new ActorEnds()
    })
    this.model.content(life.store.read())
    return life
  }

  private stopped(actors: Actors, message: string): void {
    actors.start(() => Promise.reject(new DelosError('STOPPED', message)))
  }

  private work(actors: Actors, life: StackLife<OperationResult>): void {
    const { random } = this.world
    const clients = random.pick([1, 3, 10, 60])
    for (let i = 0; i < clients; i++) {
      actors.repeat(async () => {
        if (this.quiet) await actors.pause(20)
        else await this.propose(actors, life)
        if (random.chance(0.3)) await actors.pause(random.fraction() * 5)
      })
    }
    actors.repeat(async () => {
      await this.sync(actors, life)
      await actors.pause(random.fraction() * 20)
    })
    actors.repeat(() => this.operate(actors, life))
    actors.repeat(() => this.keepTrimming(actors, life))
  }

  private async propose(actors: Actors, life: StackLife<OperationResult>): Promise<void> {
    const { counters, random, trace } = this.world
    const ballast = random.chance(0.02) ? random.integer(1_000, 4_000) : random.below(40)
    const kind = random.chance(0.5) ? 'add' : 'set'
    const versionOff = random.chance(0.3) ? undefined : random.pick([0, 0, 0, 1])
    const record = this.model.begin(kind, random.pick(KEYS), versionOff, ballast)
    const call = life.stack.propose(encodeOperation(record.operation))
    try {
      const result = await actors.answer('a proposal', ANSWER_MS, call)
      this.done++
      this.model.acknowledged(record, result)
      trace.note('acknowledged', result.place)
      if (result.value === 'rejected') counters.bump('operation rejected')
    } catch (error) {
      if (!(error instanceof DelosError)) throw error
      this.done++
      counters.bump(`proposal refused: ${error.code}`)
      trace.note('refused', error.code)
      if (error.code !== 'INDETERMINATE') this.model.refused(record)
      if (error.code === 'CLOSED') throw new ActorEnds()
      if (error.code !== 'INDETERMINATE' && !error.retryable) throw error
      await actors.pause(random.fraction() * 10)
    }
  }

  /** A linearizable read. */
  private async sync(actors: Actors, life: StackLife<OperationResult>): Promise<void> {
    const { floor } = this.model
    const key = this.world.random.pick(KEYS)
    // Looked at in the section that receives it: it is valid no longer.
    const read = life.stack.sync().then((tx) => {
      if (actors.life.alive) this.model.read(floor, tx, key)
    })
    try {
      await actors.answer('a sync', ANSWER_MS, read)
      this.done++
    } catch (error) {
      if (!(error instanceof DelosError)) throw error
      this.world.counters.bump(`sync refused: ${error.code}`)
      if (error.code === 'CLOSED') throw new ActorEnds()
      if (!error.retryable && error.code !== 'INDETERMINATE') throw error
    }
  }

  /** Reconfigures, voids what nobody has reached yet, fills the disk. */
  private async operate(actors: Actors, life: StackLife<OperationResult>): Promise<void> {
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
  private async keepTrimming(actors: Actors, life: StackLife<OperationResult>): Promise<void> {
    await actors.pause(20)
    life.stack.engine.setTrimPrefix(Math.max(0, this.shadow.cursor - 20) as LogPos)
  }

  /** Waits until nothing is under way, then compares everything with everything. */
  private async catchUp(actors: Actors, life: StackLife<OperationResult>): Promise<void> {
    const { queue } = this.world
    this.quiet = true
    const endMs = queue.nowMs + CATCH_UP_MS
    for (;;) {
      const { cursor, pendingProposals } = life.stack.status()
      if (pendingProposals === 0 && this.shadow.compare(life.store, cursor)) break
      check(queue.nowMs < endMs, `two servers are not at one position after ${CATCH_UP_MS} ms`)
      await actors.pause(10)
    }
    this.model.content(life.store.read())
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
