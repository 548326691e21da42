// One server of a ledger in a simulated world: Base, Batching and Observers over a shared log, a memory store that outlives
// crashes, and a fresh stack with each start.

import type { EngineFactory } from '../../src/engine/stack.ts'
import { Stack } from '../../src/engine/stack.ts'
import { BaseEngine } from '../../src/engines/base-engine/base-engine.ts'
import type { BaseLimits } from '../../src/engines/base-engine/base-limits.ts'
import { BATCHING, batchingEngine } from '../../src/engines/batching-engine.ts'
import { ObserverSet } from '../../src/engines/observer-set.ts'
import type { SharedLog } from '../../src/log/shared-log.ts'
import type { Simulation } from '../../src/sim/simulation.ts'
import { MemoryBackend, type MemoryStore, openMemoryStore } from '../../src/store/memory-store.ts'
import type { StoreBackend } from '../../src/store/store-backend.ts'
import type { LayerLimits } from '../../src/store/write-back-layer.ts'
import { Ledger, type LedgerResult } from './ledger.ts'

export interface LedgerServerOptions {
  readonly world: Simulation
  readonly name: string
  /** Default: the name. Another one's: a process that takes itself for that server. */
  readonly serverId?: string
  /** Called at each start: the server's handle onto the shared log. */
  readonly openLog: () => Promise<SharedLog>
  readonly engines?: readonly EngineFactory[]
  readonly limits?: Partial<BaseLimits>
  /** Of the store. */
  readonly layer?: Partial<LayerLimits>
  /** Puts something between store and disk. */
  readonly wrapBackend?: ((backend: StoreBackend) => StoreBackend) | undefined
  readonly checked?: boolean
  /** False: the log may be trimmed behind this server. Default true, since without ViewTracking others may still need it. */
  readonly keepsLog?: boolean
}

export class LedgerServer {
  readonly backend: MemoryBackend
  /** Of the present life. */
  stack!: Stack<LedgerResult>
  store!: MemoryStore
  log!: SharedLog
  ledger!: Ledger
  observers!: ObserverSet
  private readonly options: LedgerServerOptions

  constructor(options: LedgerServerOptions) {
    this.options = options
    this.backend = new MemoryBackend(options.world, { delayMs: (sync) => (sync ? 2 : 0.2) })
  }

  get running(): boolean {
    return this.options.world.server(this.options.name).running
  }

  /** Resolves once the server has begun to play the log. */
  async start(): Promise<void> {
    const { checked = true, engines = [batchingEngine()], keepsLog = true, layer = {}, limits = {} } = this.options
    const { name, openLog, serverId = name, wrapBackend, world } = this.options
    const runtime = world.server(name).boot()
    this.store = openMemoryStore({
      ...layer,
      runtime,
      backend: this.backend,
      ...(wrapBackend === undefined ? {} : { wrap: wrapBackend }),
    })
    this.log = await openLog()
    this.observers = new ObserverSet({ clock: runtime.clock, sampleEvery: 4, gatheredBy: BATCHING })
    this.ledger = new Ledger()
    const bottom = new BaseEngine({
      serverId,
      log: this.log,
      store: this.store,
      clock: runtime.clock,
      timers: runtime.timers,
      limits,
    })
    this.stack = new Stack<LedgerResult>({
      serverId,
      database: 'ledger',
      bottom,
      engines,
      clock: runtime.clock,
      timers: runtime.timers,
      random: runtime.random,
      wrapJoint: this.observers.wrapJoint,
      jointNames: ['observer'],
      checked,
    })
    this.stack.attach(this.ledger, { keepsLog })
    await this.stack.start()
  }

  /** As `start`, and resolves once it serves and its engines are enabled. */
  async startServing(): Promise<void> {
    await this.start()
    await this.stack.whenServing()
    await this.stack.enable()
  }

  propose(text: string): Promise<LedgerResult> {
    return this.stack.propose(Buffer.from(text))
  }

  /** The process and the machine die: of the store only what a disk would keep is left. */
  crash(): void {
    this.store.crash()
    this.options.world.server(this.options.name).kill()
  }

  /** An orderly end. */
  async stop(): Promise<void> {
    await this.stack.stop()
    await this.store.close()
    this.options.world.server(this.options.name).kill()
  }
}
