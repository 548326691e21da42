// Several servers on one chain: concurrent appends, readers, tail checks, reconfigurations and trims, servers killed at any
// moment and started again, over hostile loglets and a hostile metastore. Whatever was acknowledged must be read by
// everybody, once, at its position, in real-time order; and everybody must get to the end.

import { describe, expect, it } from 'vitest'
import { HostileLogletProvider } from '../loglets/memory/hostile-loglet-provider.ts'
import { MemoryLogletProvider } from '../loglets/memory/memory-loglet-provider.ts'
import { MemoryMetaStore, MemoryRegister } from '../metastores/memory/memory-metastore.ts'
import { Counters } from '../sim/counters.ts'
import type { SimRuntime } from '../sim/sim-server.ts'
import { type Simulation, simulate } from '../sim/simulation.ts'
import type { LogPos } from './position.ts'
import { VirtualLog } from './virtual-log.ts'

const END = Number.MAX_SAFE_INTEGER as LogPos
const RARE = [
  'extended',
  'roll-forward',
  'lost race',
  'indeterminate append',
  'indeterminate chain write',
  'append retried',
  'chunked append',
  'chunk set restarted',
  'orphan destroyed',
  'truncated',
]

/** What is true, whoever looks. Steps count upwards with each beginning and end of a call. */
class Truth {
  step = 0
  readonly content = new Map<number, string>()
  readonly acknowledged: { text: string; pos: number; began: number; ended: number }[] = []
  readonly tails: { tail: number; began: number; ended: number }[] = []

  noteRead(pos: number, text: string): void {
    const known = this.content.get(pos)
    if (known !== undefined && known !== text) throw new Error(`position ${pos} is ${known} and ${text}`)
    this.content.set(pos, text)
  }

  check(): void {
    const positions = new Set<number>()
    for (const { pos, text } of this.acknowledged) {
      if (positions.has(pos)) throw new Error(`two appends were acknowledged at ${pos}`)
      positions.add(pos)
      if (this.content.get(pos) !== text)
        throw new Error(`acknowledged ${text} at ${pos}, read ${this.content.get(pos)}`)
    }
    const byEnd = [...this.acknowledged].sort((a, b) => a.ended - b.ended)
    for (const later of this.acknowledged) {
      const earlier = byEnd.filter(({ ended, pos }) => ended < later.began && pos >= later.pos)
      if (earlier.length > 0) throw new Error(`${later.text} is at ${later.pos}, after an append at ${earlier[0]?.pos}`)
    }
    for (const { tail, began } of this.tails) {
      const missed = byEnd.find(({ ended, pos }) => ended < began && pos >= tail)
      if (missed) throw new Error(`tail ${tail} after an append was acknowledged at ${missed.pos}`)
      const higher = this.tails.find((other) => other.ended < began && other.tail > tail)
      if (higher) throw new Error(`tail ${tail} after ${higher.tail}`)
    }
  }
}

/** One server: its log is new with each life, what it read is not. */
class Server {
  readonly name: string
  readonly read = new Map<number, string>()
  cursor = 0
  /** The highest cursor ever: a restart goes back a little from here. */
  highest = 0
  private readonly world: Simulation
  private readonly truth: Truth
  private readonly register: MemoryRegister
  private readonly memory: MemoryLogletProvider
  private readonly counters: Counters
  private log: VirtualLog | undefined
  private life = 0

  constructor(
    name: string,
    shared: {
      world: Simulation
      truth: Truth
      register: MemoryRegister
      memory: MemoryLogletProvider
      counters: Counters
    },
  ) {
    this.name = name
    this.world = shared.world
    this.truth = shared.truth
    this.register = shared.register
    this.memory = shared.memory
    this.counters = shared.counters
  }

  /** Resolves once the log is open; the reader runs by itself. False if it was killed before that. */
  async start(): Promise<void> {
    const runtime = this.world.server(this.name).boot()
    const life = ++this.life
    for (;;) {
      try {
        const log = await this.open(runtime)
        if (life !== this.life) return
        this.log = log
        void this.follow(log, life)
        if (this.world.random.chance(0.5)) void log.sweepOrphans().catch(() => undefined)
        return
      } catch (error) {
        // A lost answer of the metastore: start again.
        if (life !== this.life) return
        if ((error as { code?: string }).code !== 'INDETERMINATE') throw error
      }
    }
  }

  kill(): void {
    this.life++
    this.log = undefined
    this.world.server(this.name).kill()
  }

  async append(text: string): Promise<void> {
    const { log } = this
    if (!log) return this.world.sleep(1)
    const began = this.truth.step++
    const outcome = await log.append(Buffer.from(text))
    if (outcome.kind === 'appended')
      this.truth.acknowledged.push({ text, pos: outcome.pos, began, ended: this.truth.step++ })
  }

  async checkTail(): Promise<number | undefined> {
    const { log } = this
    if (!log) return undefined
    const began = this.truth.step++
    const tail = await log.checkTail().catch((error: { code?: string }) => {
      if (error.code !== 'TIMEOUT' && error.code !== 'INDETERMINATE') throw error
      return undefined
    })
    if (tail !== undefined) this.truth.tails.push({ tail, began, ended: this.truth.step++ })
    return tail
  }

  extend(): Promise<unknown> {
    return this.log?.extend({ kind: 'memory', params: { by: this.name } }).catch(() => undefined) ?? Promise.resolve()
  }

  trim(to: number): Promise<unknown> {
    return this.log?.prefixTrim(to as LogPos).catch(() => undefined) ?? Promise.resolve()
  }

  private async open({ clock, timers, random }: SimRuntime): Promise<VirtualLog> {
    const weather = { random, timers, delayMsMax: 20, indeterminateRate: 0.03, duplicateRate: 0.02 }
    return VirtualLog.open({
      metastore: new MemoryMetaStore(this.register, { random, timers, delayMsMax: 10, indeterminateRate: 0.1 }),
      providers: [new HostileLogletProvider(this.memory, weather)],
      clock,
      timers,
      random,
      initial: { kind: 'memory', params: {} },
      maxEntryBytes: 3000,
      rollForwardMs: 50,
      retention: { hours: 0, bytes: 0 },
      trimIntervalMs: 500,
      onEvent: this.counters.bump,
    })
  }

  private async follow(log: VirtualLog, life: number): Promise<void> {
    // After a restart some of what was read is read again.
    this.cursor = Math.max(0, this.highest - this.world.random.below(30))
    const restartedAt = this.cursor
    let wake: () => void = () => undefined
    log.onTailMoved(() => wake())
    while (life === this.life) {
      const read = await log.readNext(this.cursor as LogPos, END, this.world.random.below(1000))
      if (life !== this.life) return
      if (read.trimmedTo !== undefined && this.cursor > restartedAt) throw new Error(`trimmed under ${this.name}`)
      for (const { pos, bytes } of read.entries) {
        const text = Buffer.from(bytes).toString()
        this.truth.noteRead(pos, text)
        this.read.set(pos, text)
      }
      const progressed = read.next > this.cursor
      this.cursor = read.next
      this.highest = Math.max(this.highest, this.cursor)
      if (progressed) continue
      await Promise.race([this.world.sleep(100), new Promise<void>((resolve) => (wake = resolve))])
    }
  }
}

async function run(world: Simulation, counters: Counters): Promise<void> {
  const truth = new Truth()
  const { random } = world
  const gap = () => random.below(3)
  const memory = new MemoryLogletProvider({ maxEntryBytes: 250, gap, zombies: true })
  const shared = { world, truth, register: new MemoryRegister(), memory, counters }
  const servers = ['a', 'b', 'c'].map((name) => new Server(name, shared))
  await Promise.all(servers.map((server) => server.start()))
  const any = () => servers[random.below(servers.length)] as Server
  let running = true
  const loop = async (work: () => Promise<unknown>, pauseMs: number) => {
    while (running) {
      // A call on a server that is killed never ends.
      await Promise.race([work(), world.sleep(400)])
      await world.sleep(random.fraction() * pauseMs)
    }
  }
  let count = 0
  const text = () => `${count++} ${'x'.repeat(random.chance(0.1) ? random.below(2500) : random.below(100))}`
  const safe = () => Math.min(...servers.map(({ highest }) => highest)) - 40
  const loops = [
    ...Array.from({ length: 6 }, () => loop(() => any().append(text()), 20)),
    loop(() => any().checkTail(), 30),
    loop(() => any().checkTail(), 30),
    loop(() => any().extend(), 400),
    loop(() => any().extend(), 800),
    loop(() => any().trim(safe()), 500),
    loop(async () => {
      const victim = any()
      victim.kill()
      await world.sleep(random.fraction() * 100)
      await victim.start()
    }, 500),
  ]
  await world.sleep(6_000)
  running = false
  await Promise.all(loops)
  await heal(world, servers, truth)
  truth.check()
  // Everybody read the same, wherever both had to read.
  for (const { read, name } of servers) {
    for (const [pos, content] of truth.content) expect(read.get(pos), `${name} at ${pos}`).toBe(content)
  }
  expect(truth.acknowledged.length).toBeGreaterThan(200)
}

/** With nobody killed any more, every reader reaches the tail. */
async function heal(world: Simulation, servers: Server[], truth: Truth): Promise<void> {
  for (const server of servers) {
    server.kill()
    await server.start()
  }
  for (let waited = 0; waited < 200; waited++) {
    const tails = await Promise.all(servers.map((server) => server.checkTail()))
    const tail = Math.max(...tails.map((one) => one ?? Number.POSITIVE_INFINITY))
    if (servers.every(({ cursor }) => cursor >= tail)) return
    await world.sleep(100)
  }
  throw new Error(`readers at ${servers.map(({ cursor }) => cursor)} of ${truth.tails.at(-1)?.tail} make no progress`)
}

describe('several servers on one virtual log', () => {
  it('lose, double and reorder nothing that was acknowledged, and always get to the end', async () => {
    const counters = new Counters()
    for (let seed = 1; seed <= 12; seed++) {
      try {
        await simulate({ seed }, (world) => run(world, counters))
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
      }
    }
    expect(counters.requireAll(RARE)).toEqual([])
  })
})
