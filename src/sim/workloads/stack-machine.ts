// A machine under a stack of engines: its store outlives its processes, its log is the hostile one that all machines share. What the
// workloads of engines build their servers from. Not here: which engines, which database, and who dies when.

import type { VirtualLogOptions } from '../../log/log-options.ts'
import { VirtualLog } from '../../log/virtual-log.ts'
import type { Timers } from '../../runtime/runtime.ts'
import { MemoryBackend, type MemoryStore, type MemoryStoreOptions, openMemoryStore } from '../../store/memory-store.ts'
import type { SimRuntime, SimServer } from '../sim-server.ts'
import type { Simulation } from '../simulation.ts'
import type { HostileService } from './engines/hostile-service.ts'
import { LOG_LIMITS } from './log/log-clients.ts'

/** The longest that a write, and a synced write, of the store takes, in virtual milliseconds. */
const WRITE_MS = 1
const SYNC_MS = 6

export class StackMachine {
  readonly machine: SimServer
  readonly backend: MemoryBackend
  private readonly world: Simulation
  private readonly service: HostileService

  constructor(world: Simulation, service: HostileService, name: string) {
    this.world = world
    this.service = service
    this.machine = world.server(name)
    const random = world.random.fork(`store ${name}`)
    this.backend = new MemoryBackend(
      { timers: world.timers, random },
      { delayMs: (sync) => (sync ? random.latency(0.3, SYNC_MS) : random.latency(0.05, WRITE_MS)) },
    )
  }

  /** Of the present process; it ends with it. */
  openStore(
    { clock, life, random }: SimRuntime,
    timers: Timers,
    options: Partial<Omit<MemoryStoreOptions, 'runtime' | 'backend'>> = {},
  ): MemoryStore {
    const store = openMemoryStore({ ...options, runtime: { clock, random, timers }, backend: this.backend })
    life.onEnd(() => store.crash())
    return store
  }

  /** Of the present process. */
  openLog(
    { clock, life, random }: SimRuntime,
    timers: Timers,
    options: Partial<Pick<VirtualLogOptions, 'retention' | 'trimIntervalMs'>> = {},
  ): Promise<VirtualLog> {
    const { service, world } = this
    return VirtualLog.open({
      ...LOG_LIMITS,
      metastore: service.metastore(life),
      providers: [service.provider(life)],
      clock,
      timers,
      random,
      initial: { kind: 'memory', params: {} },
      onEvent: (event) => world.counters.bump(event),
      ...options,
    })
  }

  /** The present process ends, if there is one, with or without the machine. */
  end(): void {
    if (!this.machine.running) return
    if (this.world.random.chance(0.5)) this.machine.kill()
    else this.machine.crash()
  }
}
