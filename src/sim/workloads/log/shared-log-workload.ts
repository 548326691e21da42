// Two servers on one log: loglets and metastore are a service in bad weather that outlives them. Both append, read and
// reconfigure at the same time, so their reconfigurations race, and each may be killed at any moment, also in the middle of one.

import type { DelosError } from '../../../base/delos-error.ts'
import type { LogEvent } from '../../../log/log-options.ts'
import type { Loglet, LogletConfig, LogletProvider } from '../../../log/loglet.ts'
import type { MetaStore } from '../../../log/metastore.ts'
import type { LogletOffset } from '../../../log/position.ts'
import { VirtualLog } from '../../../log/virtual-log.ts'
import { HostileLogletProvider } from '../../../loglets/memory/hostile-loglet-provider.ts'
import { MemoryLogletProvider } from '../../../loglets/memory/memory-loglet-provider.ts'
import { MemoryMetaStore, MemoryRegister } from '../../../metastores/memory/memory-metastore.ts'
import { faultsWith } from '../../faults.ts'
import type { Life } from '../../life.ts'
import { checksSealFirst } from '../../planted-seal-check.ts'
import type { SeededRandom } from '../../seeded-random.ts'
import type { SimServer } from '../../sim-server.ts'
import type { Simulation } from '../../simulation.ts'
import { check, type Workload } from '../../workload.ts'
import { Actors } from '../actors.ts'
import { LOG_LIMITS, LogClients } from './log-clients.ts'
import { LogModel } from './log-model.ts'
import { type Copying, type Edits, LogOperator } from './log-operator.ts'
import { SegmentEnds, WatchedLogletProvider, whileAlive } from './watched-loglets.ts'

const SERVERS = ['a', 'b']
const LIVES_MIN = 4
const CHUNK_BYTES = 150
const ENTRY_BYTES_MAX = 1_000
/** A start takes no longer, in virtual milliseconds. */
const START_MS = 20_000
const EDITS: Edits = { extend: 10, trim: 4, modify: 2, void: 1, forceEnd: 0, sweep: 2 }

export const sharedLogWorkload: Workload = {
  name: 'shared-log',
  summary: 'two servers on one hostile log, racing reconfigurations, kills',
  finds: ['seal-check-first'],
  mustReach: [
    'kill',
    'kill while starting',
    'kill in a reconfiguration',
    'extended',
    'roll-forward',
    'lost race',
    'indeterminate append',
    'indeterminate chain write',
    'append retried',
    'entry twice',
    'chunked append',
    'chunk set restarted',
    'orphan destroyed',
    'truncated',
    'modified',
    'voided',
  ],
  faults: (random) =>
    faultsWith({ clock: { driftPpmMax: 1_000, wallOffsetMsMax: 60_000, timerLateMsMax: random.chance(0.5) ? 5 : 0 } }),
  run: (world, operations) => new SharedRun(world, operations).run(),
}

/** The loglets and the register that both servers use. */
class Service {
  readonly provider: LogletProvider
  readonly register = new MemoryRegister()
  /** Shared by all operators: somebody copies a segment, or sweeps. */
  readonly copying: Copying = { by: undefined }
  private readonly world: Simulation
  private readonly loglets: MemoryLogletProvider
  private readonly random: SeededRandom
  /** Empty offsets before the next entry, if a copy needs a certain number. */
  private nextGap: number | undefined

  constructor(world: Simulation) {
    this.world = world
    this.random = world.random.fork('service')
    const { random } = this
    const { timers } = world
    const gapRate = random.pick([0, 0.1, 0.5])
    this.loglets = new MemoryLogletProvider({
      maxEntryBytes: CHUNK_BYTES,
      gap: () => this.nextGap ?? (random.chance(gapRate) ? random.below(4) : 0),
      zombies: random.chance(0.5),
      wallMs: () => world.clock.wallMs(),
    })
    const sealChecked =
      world.planted === 'seal-check-first'
        ? checksSealFirst(this.loglets, () => world.sleep(random.fraction() * 5))
        : this.loglets
    this.provider = new HostileLogletProvider(sealChecked, {
      random,
      timers,
      delayMsMax: random.pick([2, 10, 30]),
      duplicateRate: 0.03,
      indeterminateRate: 0.03,
    })
  }

  metastore(life: Life): MetaStore {
    const { random, register } = this
    const hostile = { random, timers: this.world.timers, delayMsMax: 15, indeterminateRate: 0.05 }
    const store = new MemoryMetaStore(register, hostile)
    return {
      read: () => whileAlive(life, store.read()),
      write: (value, expected) => whileAlive(life, store.write(value, expected)),
      close: () => store.close(),
    }
  }

  /** A loglet with the same entries at the same offsets, made in calm weather. */
  async copy(from: Loglet, config: LogletConfig, length: number): Promise<boolean> {
    const to = await this.loglets.create(config)
    let at = from.trimPoint
    let end = 0
    while (at < length) {
      const read = await from.readNext(at, length as LogletOffset, 4_000)
      if (read.trimmedTo !== undefined) return false
      for (const { offset, bytes } of read.entries) {
        end = this.put(offset - end, () => to.append(bytes), offset + 1)
      }
      at = read.next
    }
    this.put(length - end, () => to.seal({ kind: config.kind, params: {} }), length)
    await to.prefixTrim(from.trimPoint)
    await to.close()
    return true
  }

  // Memory loglets act at the call.
  private put(gap: number, act: () => Promise<unknown>, end: number): number {
    this.nextGap = gap
    void act()
    this.nextGap = undefined
    return end
  }
}

class SharedRun {
  readonly world: Simulation
  readonly service: Service
  readonly model = new LogModel(true)
  readonly ends = new SegmentEnds()
  readonly retentionBytes: number
  done = 0
  private readonly operations: number

  constructor(world: Simulation, operations: number) {
    this.world = world
    this.operations = operations
    this.service = new Service(world)
    this.retentionBytes = world.random.pick([0, 0, 2_000])
  }

  async run(): Promise<void> {
    const servers = SERVERS.map((name) => new LogServer(this, this.world.server(name)))
    await Promise.all(servers.map((server) => this.lives(server)))
    await Promise.all(servers.map((server) => server.last()))
    if (this.model.duplicates > 0) this.world.counters.bump('entry twice', this.model.duplicates)
  }

  private async lives(server: LogServer): Promise<void> {
    for (let life = 0; life < LIVES_MIN || this.done < this.operations; life++) await server.live()
  }
}

/** One of the servers: a life after the other. */
class LogServer {
  private readonly run: SharedRun
  private readonly server: SimServer
  private log: VirtualLog | undefined
  private operator: LogOperator | undefined
  private mortal = true

  constructor(run: SharedRun, server: SimServer) {
    this.run = run
    this.server = server
  }

  async live(): Promise<void> {
    const { random } = this.run.world
    const actors = this.boot()
    if (random.chance(0.1)) this.dieWithin(60)
    actors.start(async () => {
      const clients = await this.open(actors)
      clients.start(random.integer(1, 4))
      await actors.pause(100 + random.fraction() * 500)
      if (random.chance(0.5)) await clients.catchUp()
      this.dieWithin(10)
    })
    await actors.ended
    await this.run.world.sleep(random.fraction() * 50)
  }

  /** In the end both are there for good, and both see everything. */
  async last(): Promise<void> {
    this.mortal = false
    const actors = this.boot()
    let finished = false
    actors.start(async () => {
      const clients = await this.open(actors)
      clients.start(0)
      for (let i = 0; i < 10; i++) await clients.append()
      await this.log?.extend({ kind: 'memory', params: {} })
      for (let i = 0; i < 10; i++) await clients.append()
      await clients.catchUp()
      await clients.readAll()
      finished = true
      this.server.kill()
    })
    await actors.ended
    check(finished, `the last life of ${this.server.name} ended early`)
  }

  private boot(): Actors {
    const { life } = this.server.boot()
    this.log = undefined
    this.operator = undefined
    return new Actors({
      world: this.run.world,
      life,
      trouble: (error: DelosError) => {
        throw error
      },
    })
  }

  private async open(actors: Actors): Promise<LogClients> {
    const { ends, model, retentionBytes, service, world } = this.run
    const { clock, life, random, timers } = this.server.runtime
    const provider = new WatchedLogletProvider(service.provider, life, ends)
    const opening = VirtualLog.open({
      ...LOG_LIMITS,
      metastore: service.metastore(life),
      providers: [provider],
      clock,
      timers,
      random,
      initial: { kind: 'memory', params: {} },
      maxEntryBytes: ENTRY_BYTES_MAX,
      retention: { hours: 0, bytes: retentionBytes },
      trimIntervalMs: 100,
      onEvent: (event) => this.noteEvent(event),
    })
    const log = await actors.answer('the start of the log', START_MS, opening)
    this.log = log
    ends.see(log.chain)
    world.trace.note('opened', log.knownTail)
    const operated = (): void => void this.run.done++
    const limits = { maxEntryBytes: ENTRY_BYTES_MAX, chunkBytes: CHUNK_BYTES }
    const clients = new LogClients({ actors, log, model, operated, ...limits })
    this.operator = new LogOperator({
      actors,
      log,
      model,
      clients,
      ends,
      provider,
      edits: EDITS,
      pauseMs: world.random.pick([10, 40, 100]),
      copying: service.copying,
      copy: (from, config, length) => service.copy(from, config, length),
      begins: () => {
        if (this.mortal && world.random.chance(0.1)) this.dieWithin(60)
      },
      operated,
    })
    this.operator.start()
    return clients
  }

  private noteEvent(event: LogEvent): void {
    this.run.world.counters.bump(event)
    this.run.world.trace.note(this.server.name, event)
  }

  private dieWithin(ms: number): void {
    const { counters, random } = this.run.world
    this.server.runtime.timers.after(random.fraction() * ms, () => {
      if (this.log === undefined) counters.bump('kill while starting')
      if (this.operator?.isBusy) counters.bump('kill in a reconfiguration')
      this.server.kill()
    })
  }
}
