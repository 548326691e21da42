// One server of a fragile database: a machine whose store outlives its processes, and per process a stack with BrainDoctor over the
// hostile log. Not here: who breaks what, and who repairs it.

import type { EngineFactory } from '../../../engine/stack.ts'
import { Stack } from '../../../engine/stack.ts'
import { BaseEngine } from '../../../engines/base-engine/base-engine.ts'
import { brainDoctorEngine } from '../../../engines/brain-doctor/brain-doctor-engine.ts'
import { viewTrackingEngine } from '../../../engines/view-tracking/view-tracking-engine.ts'
import type { VirtualLog } from '../../../log/virtual-log.ts'
import { Doctor } from '../../../node/doctor.ts'
import type { MemoryStore } from '../../../store/memory-store.ts'
import { keepsMemory } from '../../planted-edit.ts'
import type { SimServer } from '../../sim-server.ts'
import type { Simulation } from '../../simulation.ts'
import { fixedMembership } from '../engines/engine-plan.ts'
import type { HostileService } from '../engines/hostile-service.ts'
import { Pause } from '../engines/pause.ts'
import { StackMachine } from '../stack-machine.ts'
import { FragileDatabase } from './fragile-database.ts'

/** One process, from the moment that it plays the log. */
export interface DoctorLife {
  readonly stack: Stack<number>
  readonly log: VirtualLog
  readonly store: MemoryStore
  readonly doctor: Doctor
  /** While it lasts, the process hears nothing of the log. */
  readonly lag: Pause
}

export class DoctorServer {
  readonly name: string
  readonly machine: SimServer
  life: DoctorLife | undefined
  private readonly under: StackMachine
  private readonly world: Simulation
  private readonly names: readonly string[]

  constructor(world: Simulation, service: HostileService, name: string, names: readonly string[]) {
    this.world = world
    this.name = name
    this.names = names
    this.under = new StackMachine(world, service, name)
    this.machine = this.under.machine
  }

  /** Resolves once it plays the log: it may have stopped by then. */
  async start(): Promise<DoctorLife> {
    const { names, under } = this
    const runtime = this.machine.boot()
    const { clock, life, random, timers } = runtime
    const store = under.openStore(runtime, timers)
    life.onEnd(() => {
      this.life = undefined
    })
    const log = await under.openLog(runtime, timers)
    const lag = new Pause(life)
    const heard = lag.log(log, () => undefined)
    const stack = new Stack<number>({
      serverId: this.name,
      bottom: new BaseEngine({ serverId: this.name, log: heard, store, clock, timers, limits: BASE_LIMITS }),
      engines: this.engines(),
      clock,
      timers,
      random,
      database: 'fragile',
      membership: (levels) => fixedMembership(names, levels),
      checked: true,
    })
    stack.attach(new FragileDatabase(), { keepsLog: true })
    await stack.start()
    const doctor = new Doctor({ stack: stack as Stack<unknown>, log, clock })
    this.life = { stack, log, store, doctor, lag }
    return this.life
  }

  end(): void {
    this.under.end()
  }

  private engines(): EngineFactory[] {
    const doctor = brainDoctorEngine()
    const { planted } = this.world
    const view = viewTrackingEngine({ heartbeatMs: 40, silentMs: 10_000 })
    return [planted === 'edit-kept-from-memory' ? keepsMemory(doctor) : doctor, view]
  }
}

/** Small, so that a seed reaches them, and slices of several entries are cut anywhere. */
const BASE_LIMITS = {
  proposalDeadlineMs: 2_000,
  indeterminateMs: 300,
  syncDeadlineMs: 3_000,
  sliceBytes: 500,
  readBytesMax: 1_000,
  retryMs: 5,
  flushMs: 60,
}
