// The virtual log over file loglets and a file metastore on one machine: many clients, a busy operator, a bad disk, and a death
// at any step, also in the middle of a reconfiguration, which the next life rolls forward.

import type { LogEvent } from '../../../log/log-options.ts'
import { VirtualLog } from '../../../log/virtual-log.ts'
import { FileLogletProvider } from '../../../loglets/file/file-loglet-provider.ts'
import { FileMetaStore } from '../../../metastores/file/file-metastore.ts'
import { makeDirDurably } from '../../../runtime/durable-file.ts'
import { CALM, faultsWith } from '../../faults.ts'
import { acknowledgesFirst } from '../../planted-ack.ts'
import type { SimRuntime, SimServer } from '../../sim-server.ts'
import type { Simulation } from '../../simulation.ts'
import { check, type Workload } from '../../workload.ts'
import { Actors } from '../actors.ts'
import { copyLoglet } from './copy-loglet.ts'
import { LOG_LIMITS, LogClients } from './log-clients.ts'
import { LogModel } from './log-model.ts'
import { type Copying, type Edits, type ForcedEnd, LogOperator } from './log-operator.ts'
import { SegmentEnds, WatchedLogletProvider } from './watched-loglets.ts'

const LIVES_MIN = 7
const SEGMENT_BYTES = 8 * 1024
const CHUNK_BYTES = 700
const ENTRY_BYTES_MAX = 6_000
/** A start takes no longer, in virtual milliseconds. */
const START_MS = 20_000
const EDITS: Edits = { extend: 10, trim: 5, modify: 3, void: 1, forceEnd: 2, sweep: 1 }

export const logWorkload: Workload = {
  name: 'log',
  summary: 'the virtual log over files: clients, reconfigurations, a bad disk, crashes',
  finds: ['no-sync', 'no-dir-sync', 'ack-before-write'],
  mustReach: [
    'crash',
    'kill',
    'clean end',
    'crash while starting',
    'crash in a reconfiguration',
    'unsynced bytes lost',
    'torn tail',
    'disk full',
    'read failed',
    'write failed',
    'sync failed',
    'append refused: DISK_FULL',
    'extended',
    'roll-forward',
    'indeterminate append',
    'append retried',
    'chunked append',
    'chunk set restarted',
    'orphan destroyed',
    'truncated',
    'modified',
    'voided',
    'forced end',
    'entries given up',
  ],
  faults: (random) =>
    faultsWith({
      disk: {
        stallProbability: random.chance(0.4) ? 0.01 : 0,
        stallMsMax: 60,
        readFailureProbability: random.chance(0.2) ? 0.001 : 0,
        writeFailureProbability: random.chance(0.3) ? 0.002 : 0,
        syncFailureProbability: random.chance(0.4) ? 0.005 : 0,
      },
      clock: { driftPpmMax: 1_000, wallOffsetMsMax: 60_000, timerLateMsMax: random.chance(0.5) ? 2 : 0 },
    }),
  run: (world, operations) => new LogRun(world, operations).run(),
}

/** One process. */
interface LogLife {
  readonly runtime: SimRuntime
  readonly actors: Actors
  /** Set while the log is open. */
  log?: VirtualLog
  operator?: LogOperator
}

class LogRun {
  private readonly world: Simulation
  private readonly server: SimServer
  private readonly operations: number
  private readonly model = new LogModel(false)
  private readonly ends = new SegmentEnds()
  private readonly copying: Copying = { by: undefined }
  private readonly retentionBytes: number
  private readonly reserveBytes: number
  private done = 0
  private forced: ForcedEnd | undefined
  private life!: LogLife
  private provider!: WatchedLogletProvider

  constructor(world: Simulation, operations: number) {
    this.world = world
    this.operations = operations
    this.server = world.server('log')
    this.retentionBytes = world.random.pick([0, 0, 4_000, 40_000])
    this.reserveBytes = world.random.pick([0, 10_000])
  }

  async run(): Promise<void> {
    const lives = LIVES_MIN + this.world.random.below(6)
    for (let life = 0; life < lives; life++) await this.live(Math.ceil((this.operations * (life + 1)) / lives))
    while (this.done < this.operations) await this.live(this.operations)
    this.world.faults = CALM
    this.server.fileSystem.capacityBytes = CALM.disk.capacityBytes
    await this.last()
  }

  /** One process: starts, works until `until` operations are done, and dies in the middle of something. */
  private async live(until: number): Promise<void> {
    const { random } = this.world
    const life = this.boot()
    if (random.chance(0.15)) this.dieWithin(10)
    life.actors.start(async () => {
      const log = await this.open(life, random.chance(0.3))
      const clients = this.work(life, log)
      while (this.done < until) await life.actors.pause(2)
      if (random.chance(0.3)) await clients.catchUp()
      if (random.chance(0.15)) await this.closeCleanly(life, log)
      this.dieWithin(5)
    })
    await life.actors.ended
  }

  /** Nothing goes wrong any more: everything must be there, and work. */
  private async last(): Promise<void> {
    const life = this.boot()
    let finished = false
    life.actors.start(async () => {
      const log = await this.open(life, true)
      const clients = this.clients(life, log)
      clients.start(0)
      for (let i = 0; i < 20; i++) await clients.append()
      await log.extend({ kind: 'file', params: {} })
      for (let i = 0; i < 20; i++) await clients.append()
      await clients.catchUp()
      await clients.readAll()
      finished = true
      this.server.kill()
    })
    await life.actors.ended
    check(finished, 'the last life ended early')
  }

  private boot(): LogLife {
    const runtime = this.server.boot()
    const failuresBefore = this.injected()
    const actors: Actors = new Actors({
      world: this.world,
      life: runtime.life,
      trouble: (error) => {
        check(this.injected() > failuresBefore, `the disk did not fail, and the log did: ${error.stack}`)
        check(error.code === 'IO_ERROR' || error.code === 'INDETERMINATE', `a bad disk became ${error.stack}`)
        // A process may go on for a while before it notices that its log is gone.
        this.dieWithin(30)
      },
    })
    this.life = { runtime, actors }
    return this.life
  }

  private injected(): number {
    const { counters } = this.world
    return ['read', 'write', 'sync'].reduce((sum, what) => sum + counters.get(`${what} failed`), 0)
  }

  private async open(life: LogLife, readAll: boolean): Promise<VirtualLog> {
    const { actors } = life
    // Without room on the disk nothing can be written, also no chain.
    const log = await actors.withRoom(() => actors.answer('the start of the log', START_MS, this.openLog(life)))
    this.settleForcedEnd(log)
    this.ends.see(log.chain)
    this.world.trace.note('opened', log.knownTail)
    life.log = log
    if (readAll) await actors.withRoom(() => this.clients(life, log).readAll())
    return log
  }

  private async openLog({ runtime }: LogLife): Promise<VirtualLog> {
    const { clock, disk, life, random, timers } = runtime
    for (const directory of ['data/meta', 'data/log']) await makeDirDurably(disk, directory)
    const files = new FileLogletProvider('data/log', disk, clock, {
      segmentBytes: SEGMENT_BYTES,
      maxEntryBytes: CHUNK_BYTES,
      cacheBytes: 3_000,
      groupBytesMax: 4_000,
      reserveBytes: this.reserveBytes,
    })
    const provider = this.world.planted === 'ack-before-write' ? acknowledgesFirst(files) : files
    this.provider = new WatchedLogletProvider(provider, life, this.ends)
    const log = await VirtualLog.open({
      ...LOG_LIMITS,
      metastore: await FileMetaStore.open('data/meta', disk),
      providers: [this.provider],
      clock,
      timers,
      random,
      initial: { kind: 'file', params: {} },
      maxEntryBytes: ENTRY_BYTES_MAX,
      retention: { hours: 0, bytes: this.retentionBytes },
      trimIntervalMs: 100,
      onEvent: (event) => this.noteEvent(event),
    })
    for (const { stats } of files.loglets()) if (stats.cutBytes > 0) this.world.counters.bump('torn tail')
    await log.sweepOrphans()
    return log
  }

  private noteEvent(event: LogEvent): void {
    this.world.counters.bump(event)
    this.world.trace.note('log', event)
  }

  /** A crash left open whether the end was forced: the chain says. */
  private settleForcedEnd(log: VirtualLog): void {
    const { forced } = this
    this.forced = undefined
    if (forced === undefined) return
    const segment = log.chain.segments.find(({ config }) => config.nonce === forced.nonce)
    if (segment === undefined || segment.end !== undefined) this.giveUp(forced.end)
  }

  private giveUp(end: number): void {
    if (end < this.model.floor) this.world.counters.bump('entries given up')
    this.model.giveUp(end)
  }

  private clients({ actors }: LogLife, log: VirtualLog): LogClients {
    return new LogClients({
      actors,
      log,
      model: this.model,
      maxEntryBytes: ENTRY_BYTES_MAX,
      chunkBytes: CHUNK_BYTES,
      operated: () => this.done++,
    })
  }

  private work(life: LogLife, log: VirtualLog): LogClients {
    const { actors } = life
    const { random } = this.world
    const clients = this.clients(life, log)
    clients.start(random.integer(1, 5))
    const operator = new LogOperator({
      actors,
      log,
      model: this.model,
      clients,
      ends: this.ends,
      provider: this.provider,
      edits: EDITS,
      pauseMs: random.pick([5, 20, 60]),
      begins: () => {
        if (random.chance(0.1)) this.dieWithin(6)
      },
      operated: () => this.done++,
      copying: this.copying,
      copy: (from, config, length) => copyLoglet(from, this.provider, config, length),
      force: {
        forcing: (end) => {
          this.forced = end
        },
        forced: (end, seen) => {
          this.forced = undefined
          this.giveUp(end)
          if (seen) this.die()
        },
        unsure: () => this.die(),
      },
    })
    operator.start()
    life.operator = operator
    actors.repeat(async () => {
      await actors.pause(20 + random.fraction() * 200)
      if (random.chance(0.3)) this.fillDisk()
    })
    return clients
  }

  private async closeCleanly({ actors }: LogLife, log: VirtualLog): Promise<void> {
    await actors.answer('close', START_MS, log.close())
    this.world.counters.bump('clean end')
  }

  private dieWithin(ms: number): void {
    this.server.runtime.timers.after(this.world.random.fraction() * ms, () => this.die())
  }

  private die(): void {
    if (!this.server.running) return
    const { counters } = this.world
    if (this.life.log === undefined) counters.bump('crash while starting')
    if (this.life.operator?.isBusy) counters.bump('crash in a reconfiguration')
    if (this.world.random.chance(0.3)) this.server.kill()
    else this.server.crash()
  }

  private fillDisk(): void {
    const { fileSystem } = this.server
    const { random } = this.world
    fileSystem.capacityBytes -= fileSystem.freeBytes - random.below(20_000)
    this.world.timers.after(random.fraction() * 150, () => {
      fileSystem.capacityBytes = this.world.faults.disk.capacityBytes
    })
  }
}
