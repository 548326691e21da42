// One server that may hold a lease: a machine whose store outlives its processes, and per process a stack with Lease on top, a clock
// that can stand still, and a log that can be cut off. Not here: when that happens, and what is right.

import { Stack } from '../../../engine/stack.ts'
import { BaseEngine } from '../../../engines/base-engine/base-engine.ts'
import { batchingEngine } from '../../../engines/batching-engine.ts'
import { brainDoctorEngine } from '../../../engines/brain-doctor/brain-doctor-engine.ts'
import type { LeaseOptions } from '../../../engines/lease/lease-engine.ts'
import { sessionOrderEngine } from '../../../engines/session-order/session-order-engine.ts'
import { timeEngine } from '../../../engines/time/time-engine.ts'
import { viewTrackingEngine } from '../../../engines/view-tracking/view-tracking-engine.ts'
import type { VirtualLog } from '../../../log/virtual-log.ts'
import { Doctor } from '../../../node/doctor.ts'
import type { Clock } from '../../../runtime/runtime.ts'
import { plantedLease } from '../../planted-lease.ts'
import type { SimServer } from '../../sim-server.ts'
import type { Simulation } from '../../simulation.ts'
import { fixedMembership } from '../engines/engine-plan.ts'
import type { HostileService } from '../engines/hostile-service.ts'
import { Pause } from '../engines/pause.ts'
import { StackMachine } from '../stack-machine.ts'
import { VersionedDatabase } from './versioned-database.ts'

export interface LeaseLife {
  readonly stack: Stack<number>
  readonly log: VirtualLog
  readonly doctor: Doctor
  /** While it lasts the process does nothing. */
  readonly pause: Pause
  /** While it lasts it reaches neither log nor others. */
  readonly cut: Pause
  readonly clock: SuspendableClock
  readonly ended: Promise<never>
}

/** The monotonic clock of a machine that may be suspended: the wall clock goes on meanwhile. */
export class SuspendableClock implements Clock {
  private readonly inner: Clock
  private missedMs = 0
  private sinceMs: number | undefined

  constructor(inner: Clock) {
    this.inner = inner
  }

  suspend(): void {
    this.sinceMs ??= this.inner.monotonicMs()
  }

  resume(): void {
    if (this.sinceMs !== undefined) this.missedMs += this.inner.monotonicMs() - this.sinceMs
    this.sinceMs = undefined
  }

  monotonicMs(): number {
    return (this.sinceMs ?? this.inner.monotonicMs()) - this.missedMs
  }

  wallMs(): number {
    return this.inner.wallMs()
  }
}

export interface LeaseServerOptions {
  readonly world: Simulation
  readonly service: HostileService
  readonly name: string
  readonly names: readonly string[]
  readonly lease: LeaseOptions
  readonly seen: (version: number, fired: boolean) => void
}

export class LeaseServer {
  readonly name: string
  readonly machine: SimServer
  life: LeaseLife | undefined
  private readonly under: StackMachine
  private readonly options: LeaseServerOptions

  constructor(options: LeaseServerOptions) {
    const { name, service, world } = options
    this.options = options
    this.name = name
    this.under = new StackMachine(world, service, name)
    this.machine = this.under.machine
  }

  /** Serves, and is not cut off or paused. */
  get isUp(): boolean {
    const { life } = this
    return life !== undefined && life.stack.status().state === 'serving' && !life.pause.paused
  }

  /** Resolves once it serves. */
  async start(): Promise<LeaseLife> {
    const { lease, name, names, seen, world } = this.options
    const runtime = this.machine.boot()
    const { clock: inner, life, random, timers: running } = runtime
    const pause = new Pause(life)
    const cut = new Pause(life)
    const clock = new SuspendableClock(inner)
    const timers = pause.timers(running)
    const store = this.under.openStore(runtime, timers)
    const ended = new Promise<never>((_, reject) => life.onEnd(() => reject(new ProcessEnded())))
    ended.catch(() => undefined)
    life.onEnd(() => {
      this.life = undefined
    })
    const log = await this.under.openLog(runtime, timers)
    const heard = pause.log(
      cut.log(log, () => undefined),
      () => undefined,
    )
    const stack = new Stack<number>({
      serverId: name,
      bottom: new BaseEngine({ serverId: name, log: heard, store, clock, timers, limits: BASE_LIMITS }),
      engines: [
        brainDoctorEngine(),
        viewTrackingEngine({ heartbeatMs: 100, silentMs: 60_000 }),
        sessionOrderEngine({ proposalDeadlineMs: 1_500, gapMs: 20 }),
        batchingEngine({ batchCountMax: 5 }),
        timeEngine({ tickMs: 20 }),
        plantedLease({ ...lease, address: name }, world.planted),
      ],
      clock,
      timers,
      random,
      database: 'versioned',
      membership: (levels) => fixedMembership(names, levels),
      checked: true,
    })
    stack.attach(new VersionedDatabase((version, fired) => life.alive && seen(version, fired), stack.timerService), {
      keepsLog: true,
    })
    await Promise.race([stack.start(), ended])
    const doctor = new Doctor({ stack: stack as Stack<unknown>, log, clock })
    this.life = { stack, log, doctor, pause, cut, clock, ended }
    await Promise.race([stack.whenServing(), ended])
    return this.life
  }

  end(): void {
    this.under.end()
  }
}

/** Whoever waits for a dead process is told this, and nothing by the process. */
export class ProcessEnded extends Error {
  override readonly name = 'ProcessEnded'
}

const BASE_LIMITS = {
  proposalDeadlineMs: 1_200,
  indeterminateMs: 200,
  syncDeadlineMs: 2_000,
  retryMs: 5,
  flushMs: 60,
}
