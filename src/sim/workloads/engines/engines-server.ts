// One of several servers over one hostile shared log: a machine whose store outlives its processes, and per process a clock, timers
// that can stand still, a virtual log, Base, and the engines of the seed with Observers at every joint, checked.

import { Stack } from '../../../engine/stack.ts'
import { BaseEngine } from '../../../engines/base-engine/base-engine.ts'
import type { BaseLimits } from '../../../engines/base-engine/base-limits.ts'
import { CURSOR_KEY, loadCursor } from '../../../engines/base-engine/cursor.ts'
import { OBSERVER } from '../../../engines/observer-engine.ts'
import { ObserverSet } from '../../../engines/observer-set.ts'
import { VIEW_TRACKING } from '../../../engines/view-tracking/view-tracking-engine.ts'
import type { LogPos } from '../../../log/position.ts'
import type { SharedLog } from '../../../log/shared-log.ts'
import type { VirtualLog } from '../../../log/virtual-log.ts'
import { copySource } from '../../../node/database-copy-source.ts'
import type { Timers } from '../../../runtime/runtime.ts'
import type { Identity } from '../../../store/identity.ts'
import type { ReadTx } from '../../../store/local-store.ts'
import type { MemoryStore } from '../../../store/memory-store.ts'
import type { SimRuntime, SimServer } from '../../sim-server.ts'
import type { Simulation } from '../../simulation.ts'
import { StackMachine } from '../stack-machine.ts'
import { type EnginePlan, fixedMembership } from './engine-plan.ts'
import type { HostileService } from './hostile-service.ts'
import { Pause } from './pause.ts'
import { TimedDatabase, type TimedHooks, type TimedResult } from './timed-database.ts'

const DATABASE = 'timed'

/** Small, so that a seed reaches them. */
const LIMITS: Partial<BaseLimits> = {
  proposalDeadlineMs: 3_000,
  indeterminateMs: 300,
  syncDeadlineMs: 5_000,
  sliceBytes: 1_000,
  readBytesMax: 2_000,
  retryMs: 5,
}

/** One process, once it plays the log. */
export interface ServerLife {
  readonly runtime: SimRuntime
  readonly pause: Pause
  readonly stack: Stack<TimedResult>
  readonly store: MemoryStore
  readonly log: VirtualLog
  /** An orderly end. */
  close(): Promise<void>
}

export interface EnginesServerOptions {
  readonly world: Simulation
  readonly name: string
  /** Of all servers. */
  readonly names: readonly string[]
  readonly identity: Identity
  readonly service: HostileService
  readonly plan: EnginePlan
  /** This server is about to trim the log. */
  readonly trims: (to: LogPos) => void
}

/** What a process tells. */
export interface LifeHooks extends Omit<TimedHooks, 'applying'> {
  /** See TimedHooks. */
  readonly applying: (id: number, stack: Stack<TimedResult>, tx: ReadTx) => void
  /** Its pause can be used from now on. */
  readonly paused: (pause: Pause) => void
  /** It plays the log now, and does not serve yet. */
  readonly opened: (life: ServerLife) => void
}

export class EnginesServer {
  readonly name: string
  readonly machine: SimServer
  private readonly under: StackMachine
  /** Of the present process, from the moment that it plays the log. */
  life: ServerLife | undefined
  /** One that stops still trims. */
  private stopping: Stack<TimedResult> | undefined
  private readonly options: EnginesServerOptions
  private readonly limits: Partial<BaseLimits>

  constructor(options: EnginesServerOptions) {
    const { name, service, world } = options
    this.options = options
    this.name = name
    this.under = new StackMachine(world, service, name)
    this.machine = this.under.machine
    const random = world.random.fork(`limits ${name}`)
    this.limits = {
      ...LIMITS,
      proposalsMax: random.pick([6, 40, 100]),
      flushMs: random.pick([20, 100, 400]),
      flushBytes: random.pick([1_000, 5_000, 100_000]),
    }
  }

  /** Of the present process; -1 without one. */
  get cursor(): number {
    return this.stack?.status().cursor ?? -1
  }

  /** Everything below is applied and safe here, whether a process runs or not. */
  get durableCursor(): LogPos {
    const status = this.stack?.status()
    if (status !== undefined && status.state !== 'starting') return status.durableCursor
    return loadCursor({ get: (key) => this.under.backend.get(key), getMany: () => [], scan: () => [] })
  }

  /** The view as this process knows it; undefined before there is one, or without ViewTracking. */
  get view(): readonly string[] | undefined {
    const { stack } = this
    if (stack?.layer(VIEW_TRACKING) === undefined) return undefined
    const members = stack.membership.members(stack.read())
    return members.length > 0 ? members : undefined
  }

  private get stack(): Stack<TimedResult> | undefined {
    return this.life?.stack ?? this.stopping
  }

  /** The machine has a cursor: it has been a server before. */
  get isOld(): boolean {
    return this.under.backend.get(CURSOR_KEY) !== undefined
  }

  /** Starts the process and resolves once it serves. */
  async start(hooks: LifeHooks): Promise<ServerLife> {
    const { trims, world } = this.options
    const { runtime } = this.machine
    this.life = undefined
    const pause = new Pause(runtime.life)
    hooks.paused(pause)
    runtime.life.onEnd(() => {
      this.life = undefined
      this.stopping = undefined
    })
    const timers = pause.timers(runtime.timers)
    const store = this.openStore(runtime, timers, pause)
    const log = await this.under.openLog(runtime, timers, { retention: { hours: 0, bytes: 0 }, trimIntervalMs: 200 })
    const stack = this.stackOver(pause.log(log, trims), store, runtime, timers)
    stack.attach(
      new TimedDatabase({
        ...hooks,
        applying: (id, tx) => hooks.applying(id, stack, tx),
        timers: stack.timerService,
        members: (tx) => stack.membership.members(tx).length,
      }),
      // The run lets go of it.
      { keepsLog: true },
    )
    const close = async (): Promise<void> => {
      this.life = undefined
      this.stopping = stack
      await stack.stop()
      this.stopping = undefined
      await store.close()
      await log.close()
    }
    const life: ServerLife = { runtime, pause, stack, store, log, close }
    this.life = life
    await stack.start()
    world.trace.note('opened', `${this.name} ${stack.status().cursor}`)
    hooks.opened(life)
    await stack.whenServing()
    return life
  }

  private openStore(runtime: SimRuntime, timers: Timers, pause: Pause): MemoryStore {
    return this.under.openStore(runtime, timers, {
      layerKeysMax: 300,
      layerBytesMax: 60_000,
      wrap: (backend) => pause.backend(backend),
    })
  }

  private stackOver(log: SharedLog, store: MemoryStore, runtime: SimRuntime, timers: Timers): Stack<TimedResult> {
    const { clock, random } = runtime
    const { identity, name, names, plan } = this.options
    return new Stack<TimedResult>({
      serverId: name,
      bottom: new BaseEngine({ serverId: name, log, store, clock, timers, limits: this.limits }),
      engines: plan.engines,
      clock,
      timers,
      random,
      database: DATABASE,
      wrapJoint: new ObserverSet({ clock, sampleEvery: 4, trace: { random, seen: () => undefined } }).wrapJoint,
      jointNames: [OBSERVER],
      source: copySource({ database: DATABASE, identity, restored: undefined, log, store }),
      membership: (levels) => fixedMembership(names, levels),
      checked: true,
    })
  }
}
