// One simulated world under one seed: time, machines, network, chance, and the record of what happened.

import type { Clock, Timers } from '../runtime/runtime.ts'
import { Counters } from './counters.ts'
import { CALM, type Faults } from './faults.ts'
import { Life } from './life.ts'
import { SimNetwork } from './network/sim-network.ts'
import type { PlantedBug } from './planted-bugs.ts'
import { SeededRandom } from './seeded-random.ts'
import { SimServer } from './sim-server.ts'
import { type DriverLimits, drive, driveFreely } from './time/driver.ts'
import { EventQueue } from './time/event-queue.ts'
import { VirtualClock } from './time/virtual-clock.ts'
import { VirtualTimers } from './time/virtual-timers.ts'
import { Trace } from './trace.ts'

export interface SimulationOptions {
  readonly seed: number
  readonly faults?: Faults
  /** The bug to plant; parts that can carry it look here. */
  readonly planted?: PlantedBug | undefined
}

/** A world. Equal options and equal code give equal traces. */
export class Simulation {
  readonly seed: number
  readonly planted: PlantedBug | undefined
  /** May be replaced while the world runs, to start and end a fault. Clocks and disk sizes keep what they were made with. */
  faults: Faults
  readonly queue = new EventQueue()
  readonly trace: Trace
  readonly counters = new Counters()
  /** Chance for the workload; machines have their own. */
  readonly random: SeededRandom
  /** True time, for workloads and checkers, which never crash. */
  readonly clock: Clock
  readonly timers: Timers
  readonly network: SimNetwork
  private readonly servers = new Map<string, SimServer>()

  constructor({ seed, faults = CALM, planted }: SimulationOptions) {
    this.seed = seed
    this.planted = planted
    this.faults = faults
    this.random = new SeededRandom(seed)
    this.trace = new Trace(() => this.queue.nowMs)
    const clock = new VirtualClock(this.queue)
    this.clock = clock
    this.timers = new VirtualTimers(this.queue, clock, new Life(), this.random)
    this.network = new SimNetwork({
      queue: this.queue,
      random: this.random.fork('network'),
      trace: this.trace,
      faults: () => this.faults.network,
    })
  }

  /** The machine of that name, made at the first call. */
  server(name: string): SimServer {
    let server = this.servers.get(name)
    if (server === undefined) {
      server = new SimServer(this, name)
      this.servers.set(name, server)
    }
    return server
  }

  /** Resolves after this much virtual time. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.timers.after(ms, resolve)
    })
  }

  /** Runs the world until `body` settles, and answers like it. Rejects with SimulationStuck if it can't. One at a time. */
  run<T>(body: () => Promise<T>, limits?: Partial<DriverLimits>): Promise<T> {
    return drive(this.queue, this.trace, body, limits)
  }

  /** Lets the world run by itself until the returned function is called; see `driveFreely` for what that is good for. */
  runFreely(): () => void {
    return driveFreely(this.queue)
  }
}

/** Runs `body` in a new world: the usual way to write a test against simulated parts. */
export function simulate<T>(options: SimulationOptions, body: (simulation: Simulation) => Promise<T>): Promise<T> {
  const simulation = new Simulation(options)
  return simulation.run(() => body(simulation))
}
