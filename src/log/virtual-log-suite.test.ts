// The loglet suite over the virtual log: several servers over one chain that is extended all the time, in loglets that are
// sparse, keep zombies, and are so small that larger entries are chunked.

import { describe, expect, it } from 'vitest'
import { DelosError } from '../base/delos-error.ts'
import { HostileLogletProvider } from '../loglets/memory/hostile-loglet-provider.ts'
import { MemoryLogletProvider } from '../loglets/memory/memory-loglet-provider.ts'
import { MemoryMetaStore, MemoryRegister } from '../metastores/memory/memory-metastore.ts'
import { type Simulation, simulate } from '../sim/simulation.ts'
import { logletConformance } from './loglet.conformance.ts'
import type {
  Loglet,
  LogletAppendOutcome,
  LogletConfig,
  LogletProvider,
  LogletRead,
  LogletRecipe,
  LogletTail,
} from './loglet.ts'
import type { LogletOffset, LogPos } from './position.ts'
import { VirtualLog } from './virtual-log.ts'

const RECIPE = { kind: 'memory', params: {} }

/** What the handles onto one log share. The virtual log has no seal of its own: it is added here. */
class SharedWorld {
  readonly register = new MemoryRegister()
  readonly loglets: LogletProvider
  readonly handles = new Set<LogAsLoglet>()
  successor: LogletRecipe | undefined
  sealing: Promise<LogletTail> | undefined
  destroyed = false
  inFlight = 0
  drained: () => void = () => undefined

  constructor(loglets: LogletProvider) {
    this.loglets = loglets
  }
}

class LogAsLoglet implements Loglet {
  private readonly log: VirtualLog
  private readonly shared: SharedWorld
  private readonly extendNow: () => boolean
  private readonly listeners = new Set<(tail: LogletOffset) => void>()
  private readonly extending = new Set<Promise<unknown>>()

  constructor(log: VirtualLog, shared: SharedWorld, extendNow: () => boolean) {
    this.log = log
    this.shared = shared
    this.extendNow = extendNow
    log.onTailMoved(() => this.tell())
  }

  get maxEntryBytes(): number {
    return this.log.maxEntryBytes
  }

  get trimPoint(): LogletOffset {
    return this.log.oldest().pos as number as LogletOffset
  }

  tell(): void {
    for (const listener of this.listeners) listener(this.log.knownTail as number as LogletOffset)
  }

  async append(bytes: Uint8Array): Promise<LogletAppendOutcome> {
    if (this.shared.successor) return { kind: 'sealed' }
    if (this.extendNow()) {
      const extending = this.log.extend(RECIPE).catch(() => undefined)
      this.extending.add(extending)
      void extending.then(() => this.extending.delete(extending))
    }
    this.shared.inFlight++
    const outcome = await this.log.append(bytes)
    this.shared.inFlight--
    if (this.shared.inFlight === 0) this.shared.drained()
    return outcome.kind === 'appended' ? { kind: 'appended', offset: outcome.pos as number as LogletOffset } : outcome
  }

  async checkTail(): Promise<LogletTail> {
    if (this.shared.destroyed) throw new DelosError('NOT_FOUND', 'destroyed')
    const tail = (await this.log.checkTail()) as number as LogletOffset
    return this.shared.successor && this.shared.sealing ? this.shared.sealing : { tail, sealed: false }
  }

  async readNext(from: LogletOffset, to: LogletOffset, maxBytes: number): Promise<LogletRead> {
    const read = await this.log.readNext(from as number as LogPos, to as number as LogPos, maxBytes)
    const entries = read.entries.map(({ pos, bytes }) => ({ offset: pos as number as LogletOffset, bytes }))
    const next = read.next as number as LogletOffset
    return read.trimmedTo === undefined
      ? { entries, next }
      : { entries, next, trimmedTo: read.trimmedTo as number as LogletOffset }
  }

  prefixTrim(to: LogletOffset): Promise<void> {
    return this.log.prefixTrim(to as number as LogPos)
  }

  async seal(successor: LogletRecipe): Promise<LogletTail> {
    await this.log.checkTail()
    this.shared.successor ??= successor
    this.shared.sealing ??= this.sealedTail(this.shared.successor)
    return this.shared.sealing
  }

  onTailMoved(listener: (tail: LogletOffset) => void): () => void {
    const own = (tail: LogletOffset) => listener(tail)
    this.listeners.add(own)
    return () => this.listeners.delete(own)
  }

  marks() {
    return []
  }

  async close(): Promise<void> {
    this.shared.handles.delete(this)
    await Promise.all(this.extending)
    await this.log.close()
  }

  private async sealedTail(successor: LogletRecipe): Promise<LogletTail> {
    if (this.shared.inFlight > 0) {
      await new Promise<void>((resolve) => {
        this.shared.drained = resolve
      })
    }
    const tail = (await this.log.checkTail()) as number as LogletOffset
    for (const handle of this.shared.handles) handle.tell()
    return { tail, sealed: true, successor }
  }
}

class LogProvider implements LogletProvider {
  readonly kind = 'virtual'
  private readonly world: Simulation
  private readonly hostile: boolean
  private readonly logs = new Map<string, { config: LogletConfig; shared: SharedWorld }>()

  constructor(world: Simulation, hostile: boolean) {
    this.world = world
    this.hostile = hostile
  }

  async create(config: LogletConfig): Promise<Loglet> {
    if (this.logs.has(config.nonce)) throw new DelosError('CONFLICT', 'exists')
    const { random, timers } = this.world
    const gap = this.hostile ? () => random.below(3) : () => 0
    const memory = new MemoryLogletProvider({ maxEntryBytes: 300, gap, zombies: true })
    const loglets = this.hostile ? new HostileLogletProvider(memory, { random, timers }) : memory
    this.logs.set(config.nonce, { config, shared: new SharedWorld(loglets) })
    return this.open(config)
  }

  async open(config: LogletConfig): Promise<Loglet> {
    const { timers, clock } = this.world
    const random = this.world.random.fork(`${config.nonce}`)
    const shared = this.logs.get(config.nonce)?.shared
    if (!shared) throw new DelosError('NOT_FOUND', 'no such log')
    const hostile = this.hostile ? { random, timers, delayMsMax: 5, indeterminateRate: 0.1 } : undefined
    const log = await VirtualLog.open({
      metastore: new MemoryMetaStore(shared.register, hostile),
      providers: [shared.loglets],
      clock,
      timers,
      random: this.world.random,
      initial: RECIPE,
      maxEntryBytes: 5000,
      retention: { hours: 0, bytes: 0 },
    })
    const handle = new LogAsLoglet(log, shared, () => random.chance(0.15))
    shared.handles.add(handle)
    return handle
  }

  async destroy(config: LogletConfig): Promise<void> {
    const found = this.logs.get(config.nonce)
    if (found) found.shared.destroyed = true
    this.logs.delete(config.nonce)
  }

  async list(): Promise<readonly LogletConfig[]> {
    return [...this.logs.values()].map(({ config }) => config)
  }
}

for (const seed of [1, 2, 3]) {
  for (const hostile of [false, true]) {
    const name = `the virtual log over a changing chain of ${hostile ? 'hostile' : 'calm'} loglets, seed ${seed},`
    logletConformance(name, { describe, it, expect }, (body) =>
      simulate({ seed }, (world) =>
        body({ provider: new LogProvider(world, hostile), params: {}, shared: true, unreliable: hostile }),
      ),
    )
  }
}
