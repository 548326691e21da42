// One embedded server with one database, as node/ composes it, on a simulated machine: data directory, file metastore, file
// loglets, virtual log, store, Base, Batching and Observers. Only RocksDB is replaced, by the memory store with its crash rule.

import type { Applicator } from '../../../engine/engine.ts'
import { type EngineFactory, Stack } from '../../../engine/stack.ts'
import type { TimerService } from '../../../engine/timer-service.ts'
import { BaseEngine } from '../../../engines/base-engine/base-engine.ts'
import type { BaseLimits } from '../../../engines/base-engine/base-limits.ts'
import { batchingEngine } from '../../../engines/batching-engine.ts'
import { OBSERVER } from '../../../engines/observer-engine.ts'
import { ObserverSet } from '../../../engines/observer-set.ts'
import type { LogEvent } from '../../../log/log-options.ts'
import type { LogletProvider } from '../../../log/loglet.ts'
import type { SharedLog } from '../../../log/shared-log.ts'
import { VirtualLog } from '../../../log/virtual-log.ts'
import { FileLogletProvider } from '../../../loglets/file/file-loglet-provider.ts'
import { HostileLogletProvider } from '../../../loglets/memory/hostile-loglet-provider.ts'
import { FileMetaStore } from '../../../metastores/file/file-metastore.ts'
import { bindStore, openIdentity } from '../../../node/database-identity.ts'
import { DataDirectory } from '../../../store/data-directory.ts'
import { MemoryBackend, type MemoryStore, openMemoryStore } from '../../../store/memory-store.ts'
import type { StoreBackend } from '../../../store/store-backend.ts'
import { CALM } from '../../faults.ts'
import { acknowledgesFirst } from '../../planted-ack.ts'
import { cursorInAnotherBatch } from '../../planted-cursor.ts'
import { layerInParts } from '../../planted-layer.ts'
import type { SimRuntime, SimServer } from '../../sim-server.ts'
import type { Simulation } from '../../simulation.ts'
import { LOG_LIMITS } from '../log/log-clients.ts'
import { processLog } from './process-log.ts'

const ENGINES_ENABLED = 'engines-enabled'
const FILE_RECIPE = { kind: 'file', params: {} }

/** Small, so that a seed reaches them. */
const LIMITS: Partial<BaseLimits> = {
  proposalsMax: 40,
  proposalDeadlineMs: 3_000,
  indeterminateMs: 300,
  syncDeadlineMs: 5_000,
  sliceBytes: 1_500,
  readBytesMax: 2_000,
  retryMs: 5,
}

/** Where a workload wants more room than the small limits of others. */
export interface StackRoom {
  readonly base: Partial<BaseLimits>
  /** Proposals that wait for a batch. */
  readonly waitingCountMax: number
}

/** One life of the server, once it serves. */
export interface StackLife<R> {
  readonly runtime: SimRuntime
  readonly stack: Stack<R>
  readonly store: MemoryStore
  readonly log: VirtualLog
  /** An orderly end, as node/ does it. */
  close(): Promise<void>
}

export class StackServer<R> {
  readonly machine: SimServer
  private readonly world: Simulation
  private readonly database: string
  private readonly engines: readonly EngineFactory[]
  private readonly backend: MemoryBackend
  private readonly limits: Partial<BaseLimits>
  private readonly waitingCountMax: number
  private readonly isHostile: boolean
  private readonly batchCountMax: number
  /** Of the present life, from the moment that it is open. */
  life: StackLife<R> | undefined
  /** Empty before the first start. */
  serverId = ''

  constructor(
    world: Simulation,
    name: string,
    database: string,
    engines: readonly EngineFactory[],
    { base, waitingCountMax }: StackRoom = { base: {}, waitingCountMax: 40 },
  ) {
    this.world = world
    this.database = database
    this.engines = engines
    this.machine = world.server(name)
    const { random } = world
    const disk = random.fork('store')
    this.backend = new MemoryBackend(
      { timers: world.timers, random: disk },
      { delayMs: (sync) => (sync ? disk.latency(0.3, 6) : disk.latency(0.05, 1)) },
    )
    this.limits = {
      ...LIMITS,
      flushMs: random.pick([5, 20, 100]),
      flushBytes: random.pick([400, 3_000, 100_000]),
      ...base,
    }
    this.waitingCountMax = waitingCountMax
    this.isHostile = random.chance(0.4)
    this.batchCountMax = random.pick([2, 7, 20])
  }

  /** Starts a process and resolves once it serves. `opened` is called as soon as it plays its log. */
  async start(
    applicator: (timers: TimerService | undefined) => Applicator<R>,
    opened: (life: StackLife<R>) => void,
  ): Promise<StackLife<R>> {
    this.life = undefined
    const { runtime } = this.machine
    const directory = await DataDirectory.open('data', runtime)
    this.serverId = directory.serverId
    const paths = await directory.database(this.database)
    const identity = await openIdentity(paths, runtime.disk, runtime.random)
    const metastore = await FileMetaStore.open(paths.meta, runtime.disk)
    const log = await this.openLog(paths.log, metastore)
    await log.sweepOrphans()
    const store = this.openStore()
    await bindStore(store, identity, paths.store)
    const stack = this.stackOver(directory.serverId, processLog(log, runtime.life), store)
    // This database reads its own history, through a second server: the workload says how far.
    stack.attach(applicator(stack.timerService), { keepsLog: true })
    const close = async (): Promise<void> => {
      await stack.stop()
      await store.close()
      await log.close()
      await metastore.close()
      await directory.release()
    }
    const life = { runtime, stack, store, log, close }
    this.life = life
    await stack.start()
    opened(life)
    await stack.whenServing()
    if (store.local.get(ENGINES_ENABLED) === undefined) {
      await stack.enable()
      await store.local.put(ENGINES_ENABLED, new Uint8Array(0))
    }
    return life
  }

  /** The process dies, or the machine: of the store only what a disk would keep is left. */
  die(how: 'kill' | 'crash'): void {
    const { machine, world } = this
    if (!machine.running) return
    const status = this.life?.stack.status()
    if (status === undefined) world.counters.bump('crash while starting')
    else if (status.cursor < status.knownTail) world.counters.bump('crash between append and apply')
    if (this.life && this.life.store.stats.layerKeys > 0) world.counters.bump('crash with a write-back layer')
    if (how === 'kill') machine.kill()
    else machine.crash()
  }

  private openStore(): MemoryStore {
    const { planted } = this.world
    const { life, ...runtime } = this.machine.runtime
    const wrap: ((backend: StoreBackend) => StoreBackend) | undefined =
      planted === 'cursor-outside-tx'
        ? cursorInAnotherBatch
        : planted === 'layer-pushed-in-part'
          ? layerInParts
          : undefined
    const store = openMemoryStore({
      runtime,
      backend: this.backend,
      layerKeysMax: 300,
      layerBytesMax: 60_000,
      ...(wrap && { wrap }),
    })
    life.onEnd(() => store.crash())
    return store
  }

  private openLog(directory: string, metastore: FileMetaStore): Promise<VirtualLog> {
    const { clock, disk, random, timers } = this.machine.runtime
    const files = new FileLogletProvider(directory, disk, clock, {
      segmentBytes: 8 * 1024,
      maxEntryBytes: 1_500,
      cacheBytes: 5_000,
      reserveBytes: 0,
    })
    let provider: LogletProvider = files
    if (this.world.planted === 'ack-before-write') provider = acknowledgesFirst(files)
    if (this.isHostile && this.world.faults !== CALM) {
      const rates = { delayRate: 0.1, delayMsMax: 4, duplicateRate: 0.03, indeterminateRate: 0.01 }
      provider = new HostileLogletProvider(provider, { random, timers, ...rates })
    }
    return VirtualLog.open({
      ...LOG_LIMITS,
      metastore,
      providers: [provider],
      clock,
      timers,
      random,
      initial: FILE_RECIPE,
      retention: { hours: 0, bytes: 0 },
      trimIntervalMs: 200,
      onEvent: (event) => this.noteEvent(event),
    })
  }

  private stackOver(serverId: string, log: SharedLog, store: MemoryStore): Stack<R> {
    const { clock, random, timers } = this.machine.runtime
    return new Stack<R>({
      serverId,
      bottom: new BaseEngine({ serverId, log, store, clock, timers, limits: this.limits }),
      engines: [
        batchingEngine({ batchCountMax: this.batchCountMax, waitingCountMax: this.waitingCountMax }),
        ...this.engines,
      ],
      clock,
      timers,
      random,
      database: this.database,
      wrapJoint: new ObserverSet({ clock, sampleEvery: 4 }).wrapJoint,
      jointNames: [OBSERVER],
    })
  }

  private noteEvent(event: LogEvent): void {
    this.world.counters.bump(event)
    this.world.trace.note('log', event)
  }
}
