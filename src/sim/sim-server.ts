// One simulated machine: its disk outlives its processes, everything else is new with each boot.

import { assert } from '../base/assert.ts'
import type { Disk } from '../runtime/disk.ts'
import type { Runtime } from '../runtime/runtime.ts'
import type { Counters } from './counters.ts'
import { faultyDisk } from './disk/faulty-disk.ts'
import { SimDisk } from './disk/sim-disk.ts'
import { SimFileSystem } from './disk/sim-file-system.ts'
import type { Faults } from './faults.ts'
import { Life } from './life.ts'
import type { SimHost, SimNetwork } from './network/sim-network.ts'
import type { PlantedBug } from './planted-bugs.ts'
import type { SeededRandom } from './seeded-random.ts'
import type { EventQueue } from './time/event-queue.ts'
import { VirtualClock } from './time/virtual-clock.ts'
import { VirtualTimers } from './time/virtual-timers.ts'
import type { Trace } from './trace.ts'

/** The outside of one simulated process, with what only a simulation has. */
export interface SimRuntime extends Runtime {
  readonly clock: VirtualClock
  readonly random: SeededRandom
  /** Also connects. */
  readonly network: SimHost
  readonly life: Life
}

/** What machines share: the part of a simulation that they need. */
export interface SimWorld {
  readonly random: SeededRandom
  readonly queue: EventQueue
  readonly trace: Trace
  readonly counters: Counters
  readonly network: SimNetwork
  readonly planted: PlantedBug | undefined
  faults: Faults
}

/** A machine on which one process runs at a time. */
export class SimServer {
  readonly name: string
  readonly fileSystem: SimFileSystem
  private readonly world: SimWorld
  private readonly random: SeededRandom
  private readonly driftPpm: number
  private runtimeNow: SimRuntime | undefined
  private boots = 0

  /** @internal Made by `Simulation.server`. */
  constructor(world: SimWorld, name: string) {
    this.world = world
    this.name = name
    this.random = world.random.fork(`server ${name}`)
    this.driftPpm = around(this.random, world.faults.clock.driftPpmMax)
    this.fileSystem = new SimFileSystem(world.faults.disk.capacityBytes)
  }

  /** True from `boot` to `kill` or `crash`. */
  get running(): boolean {
    return this.runtimeNow !== undefined
  }

  /** The runtime of the process that runs now. */
  get runtime(): SimRuntime {
    assert(this.runtimeNow, `${this.name} does not run`)
    return this.runtimeNow
  }

  /** Starts a process: hand it the runtime. Its chances differ from those of earlier boots. */
  boot(): SimRuntime {
    assert(!this.running, `${this.name} runs already`)
    const { world, driftPpm } = this
    const { queue, faults, trace } = world
    const random = this.random.fork(`boot ${this.boots++}`)
    trace.note('boot', this.name)
    const life = new Life()
    const clock = new VirtualClock(queue, driftPpm, around(random, faults.clock.wallOffsetMsMax))
    this.runtimeNow = {
      life,
      clock,
      timers: new VirtualTimers(queue, clock, life, random.fork('timers'), faults.clock.timerLateMsMax),
      random,
      disk: this.diskFor(life, random.fork('disk')),
      network: world.network.host(this.name, life),
    }
    return this.runtimeNow
  }

  /** SIGKILL: the process ends; the machine runs on and keeps all that was written, synced or not. */
  kill(): void {
    this.end('kill')
  }

  /** The machine loses power: of what was not synced, some is lost. Also while no process runs. */
  crash(): void {
    this.end('crash')
    const { counters, trace } = this.world
    const { filesWithLoss, namesLost } = this.fileSystem.crash(this.random)
    trace.note('lost', `${filesWithLoss} ${namesLost}`)
    if (filesWithLoss > 0) counters.bump('unsynced bytes lost')
    if (namesLost > 0) counters.bump('unsynced names lost')
  }

  private end(how: 'kill' | 'crash'): void {
    this.world.trace.note(how, this.name)
    this.world.counters.bump(how)
    const life = this.runtimeNow?.life
    this.runtimeNow = undefined
    life?.end()
  }

  private diskFor(life: Life, random: SeededRandom): Disk {
    const { world, fileSystem } = this
    const { queue, trace, counters, planted } = world
    const disk = new SimDisk({
      fileSystem,
      life,
      queue,
      random,
      trace,
      counters,
      faults: () => world.faults.disk,
    })
    return planted === 'no-sync' || planted === 'no-dir-sync' ? faultyDisk(disk, planted) : disk
  }
}

function around(random: SeededRandom, max: number): number {
  return max === 0 ? 0 : (random.fraction() * 2 - 1) * max
}
