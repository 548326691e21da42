import { describe, expect, it } from 'vitest'
import { contentOf, ledgerTexts } from '../../../test/support/ledger.ts'
import { LedgerServer } from '../../../test/support/ledger-server.ts'
import type { DelosError } from '../../base/delos-error.ts'
import type { EngineFactory } from '../../engine/stack.ts'
import type { LogletProvider } from '../../log/loglet.ts'
import { VirtualLog } from '../../log/virtual-log.ts'
import { HostileLogletProvider, type HostileOptions } from '../../loglets/memory/hostile-loglet-provider.ts'
import { MemoryLogletProvider } from '../../loglets/memory/memory-loglet-provider.ts'
import { MemoryMetaStore, MemoryRegister } from '../../metastores/memory/memory-metastore.ts'
import { reusesEpoch } from '../../sim/planted-epoch.ts'
import { type Simulation, simulate } from '../../sim/simulation.ts'
import { batchingEngine } from '../batching-engine.ts'
import { SESSION_ORDER, sessionOrderEngine } from './session-order-engine.ts'

const RECIPE = { kind: 'memory', params: {} }

type Fate =
  | { readonly kind: 'acknowledged'; readonly place: unknown }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'refused'; readonly code: string }

interface RunOptions {
  readonly seed: number
  readonly servers: readonly string[]
  /** Proposals that each server's client keeps in flight. */
  readonly window: number
  /** Proposals of each client in each life. */
  readonly proposals: number
  readonly weather: Partial<HostileOptions> | 'calm'
  readonly engines?: readonly EngineFactory[]
  /** Crashes of servers, at random times. */
  readonly crashes?: number
  /** Switches of the engine, at random times. */
  readonly switches?: number
  readonly extends?: number
}

interface Outcome {
  /** What was applied, in order. */
  readonly texts: readonly string[]
  readonly fates: ReadonlyMap<string, Fate>
  /** Acknowledged texts of each server's life, in the order in which they were told. */
  readonly told: ReadonlyMap<string, readonly string[]>
  /** Sums over the servers' last lives. */
  readonly sums: { reproposed: number; filteredDuplicate: number; filteredEarly: number; filteredClosed: number }
}

/** Clients of several servers over one log; every text is `server.life.number`. */
function run(options: RunOptions): Promise<Outcome> {
  return simulate({ seed: options.seed }, async (world) => {
    const { engines = [sessionOrderEngine()], weather } = options
    const register = new MemoryRegister()
    const inner = new MemoryLogletProvider()
    const provider: LogletProvider =
      weather === 'calm'
        ? inner
        : new HostileLogletProvider(inner, { random: world.random, timers: world.timers, ...weather })
    const servers = options.servers.map(
      (name) =>
        new LedgerServer({
          world,
          name,
          engines,
          limits: { indeterminateMs: 100, proposalDeadlineMs: 2_000, flushMs: 50 },
          openLog: () => openLog(world, name, register, provider),
        }),
    )
    const fates = new Map<string, Fate>()
    const told = new Map<string, string[]>()
    const lives = new Map(options.servers.map((name) => [name, 0]))

    const client = async (server: LedgerServer, name: string): Promise<void> => {
      const life = (lives.get(name) as number) + 1
      lives.set(name, life)
      const order: string[] = []
      told.set(`${name}.${life}`, order)
      let next = 0
      const worker = async (): Promise<void> => {
        const here = () => server.running && lives.get(name) === life
        while (next < options.proposals && here()) {
          const text = `${name}.${life}.${next++}`
          fates.set(text, { kind: 'unknown' })
          await server.propose(text).then(
            (place) => {
              if (!here()) return
              fates.set(text, { kind: 'acknowledged', place })
              order.push(text)
            },
            (error: DelosError) => {
              if (error.code !== 'INDETERMINATE') fates.set(text, { kind: 'refused', code: error.code })
            },
          )
        }
      }
      // A worker of a life that crashed waits for ever.
      await Promise.race([
        Promise.all(Array.from({ length: options.window }, worker)),
        new Promise<void>((resolve) => crashed.set(name, resolve)),
      ])
    }
    const crashed = new Map<string, () => void>()
    const clients: Promise<void>[] = []

    await Promise.all(servers.map((server) => server.start()))
    await Promise.all(servers.map((server) => server.stack.whenServing()))
    await (servers[0] as LedgerServer).stack.enable()
    await Promise.all(servers.map((server) => server.stack.sync()))
    for (const [i, server] of servers.entries()) clients.push(client(server, options.servers[i] as string))
    const events = async (count: number, event: (server: LedgerServer, name: string) => Promise<void>) => {
      for (let i = 0; i < count; i++) {
        await world.sleep(world.random.below(150))
        const at = world.random.below(servers.length)
        await event(servers[at] as LedgerServer, options.servers[at] as string)
      }
    }
    await Promise.all([
      events(options.crashes ?? 0, async (server, name) => {
        if (!server.running) return
        server.crash()
        crashed.get(name)?.()
        await world.sleep(world.random.below(5))
        await server.start()
        await server.stack.whenServing()
        clients.push(client(server, name))
      }),
      events(options.switches ?? 0, async (server) => {
        const enabled = world.random.chance(0.5)
        if (server.running) server.stack.change(SESSION_ORDER, { kind: 'flag', enabled }).catch(() => undefined)
      }),
      events(options.extends ?? 0, async (server) => {
        if (server.running) (server.log as VirtualLog).extend(RECIPE).catch(() => undefined)
      }),
    ])
    await Promise.all(clients)
    await world.sleep(5_000)
    for (const server of servers) await server.stack.sync()
    const [first, ...others] = servers.map((server) => contentOf(server.store.read()))
    for (const other of others) expect(other, 'servers have equal content').toEqual(first)
    const sums = { reproposed: 0, filteredDuplicate: 0, filteredEarly: 0, filteredClosed: 0 }
    for (const server of servers) {
      const details = server.stack.status().engines.find((engine) => engine.name === SESSION_ORDER)?.details ?? {}
      expect(details.outstanding, 'nobody waits for ever').toBe(0)
      for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += details[name] as number
    }
    return { texts: ledgerTexts((servers[0] as LedgerServer).store.read()), fates, told, sums }
  })
}

function openLog(world: Simulation, name: string, register: MemoryRegister, provider: LogletProvider) {
  const { clock, random, timers } = world.server(name).runtime
  const metastore = new MemoryMetaStore(register)
  return VirtualLog.open({ metastore, providers: [provider], clock, timers, random, initial: RECIPE })
}

function checkOnce({ texts, fates }: Outcome): void {
  const applied = new Map(texts.map((text, i) => [text, i + 1]))
  expect(applied.size, 'nothing is applied twice').toBe(texts.length)
  for (const [text, fate] of fates) {
    if (fate.kind === 'acknowledged')
      expect(applied.get(text), `${text} was answered with its own place`).toBe(fate.place)
    if (fate.kind === 'refused') expect(applied.has(text), `${text} was refused with ${fate.code}`).toBe(false)
  }
}

/** Of each server: applied in the order (life, number) in which propose was called, and told in that order. */
function checkOrder({ texts, told }: Outcome): void {
  const last = new Map<string, readonly [number, number]>()
  for (const text of texts) {
    const [server, life, number] = parts(text)
    const [lastLife, lastNumber] = last.get(server) ?? [0, -1]
    expect(
      life > lastLife || (life === lastLife && number > lastNumber),
      `${text} behind ${lastLife}.${lastNumber}`,
    ).toBe(true)
    last.set(server, [life, number])
  }
  for (const order of told.values()) {
    const numbers = order.map((text) => parts(text)[2])
    expect(numbers, 'told in order').toEqual([...numbers].sort((a, b) => a - b))
  }
}

function parts(text: string): [string, number, number] {
  const [server, life, number] = text.split('.')
  return [server as string, Number(life), Number(number)]
}

const STORM = { duplicateRate: 0.05, indeterminateRate: 0.05 }

async function seeds(count: number, body: (seed: number) => Promise<void>): Promise<void> {
  for (let seed = 1; seed <= count; seed++) {
    await body(seed).catch((error: unknown) => {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    })
  }
}

describe('SessionOrder over hostile loglets', () => {
  for (const window of [1, 2, 8, 64]) {
    it(`keeps order, applies once and answers everybody, with ${window} in flight at each of three servers`, async () => {
      const sums = { reproposed: 0, filteredDuplicate: 0, filteredEarly: 0 }
      await seeds(3, async (seed) => {
        const outcome = await run({
          seed,
          servers: ['a', 'b', 'c'],
          window,
          proposals: 40,
          weather: STORM,
          extends: 2,
        })
        checkOnce(outcome)
        checkOrder(outcome)
        for (const [text, { kind }] of outcome.fates) expect(kind, text).toBe('acknowledged')
        expect(outcome.texts.length).toBe(120)
        for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += outcome.sums[name]
      })
      // A run that never met the weather proves nothing.
      expect(sums.reproposed).toBeGreaterThan(10)
      if (window === 1) return
      expect(sums.filteredDuplicate).toBeGreaterThan(0)
      expect(sums.filteredEarly).toBeGreaterThan(20)
    })
  }

  it('keeps order below a Batching that has several batches in flight', async () => {
    const engines = [sessionOrderEngine(), batchingEngine({ inFlightMax: 4, batchCountMax: 5 })]
    await seeds(3, async (seed) => {
      const outcome = await run({ seed, servers: ['a', 'b'], window: 32, proposals: 80, weather: STORM, engines })
      checkOnce(outcome)
      checkOrder(outcome)
      for (const [text, { kind }] of outcome.fates) expect(kind, text).toBe('acknowledged')
    })
  })

  it('keeps order over crashes: nothing of a former life is applied behind the new one', async () => {
    let closed = 0
    await seeds(6, async (seed) => {
      const outcome = await run(crashing(seed))
      checkOnce(outcome)
      checkOrder(outcome)
      closed += outcome.sums.filteredClosed
    })
    expect(closed).toBeGreaterThan(5)
  })

  it('is caught when a server reuses the epoch of its former life', async () => {
    const findings: string[] = []
    for (let seed = 1; seed <= 5; seed++) {
      await run(crashing(seed, [reusesEpoch({})])).then(
        (outcome) => {
          try {
            checkOnce(outcome)
            checkOrder(outcome)
          } catch (error) {
            findings.push(String(error))
          }
        },
        (error: unknown) => findings.push(String(error)),
      )
    }
    expect(findings.join('\n')).toContain('was answered with its own place')
  })

  it('applies once while it is switched on and off under load', async () => {
    let closed = 0
    await seeds(5, async (seed) => {
      const outcome = await run({ seed, servers: ['a', 'b'], window: 16, proposals: 150, weather: STORM, switches: 8 })
      checkOnce(outcome)
      closed += outcome.sums.filteredClosed
    })
    expect(closed).toBeGreaterThan(50)
  })
})

describe('SessionOrder over loglets that keep order', () => {
  const calm = { servers: ['a', 'b'], window: 32, proposals: 2_000, weather: 'calm' } as const

  it('proposes nothing twice and drops nothing', async () => {
    const outcome = await run({ ...calm, seed: 1, extends: 2 })
    checkOnce(outcome)
    checkOrder(outcome)
    expect(outcome.sums).toEqual({ reproposed: 0, filteredDuplicate: 0, filteredEarly: 0, filteredClosed: 0 })
  })

  it('keeps order while it is switched on and off under load, and answers everybody', async () => {
    await seeds(5, async (seed) => {
      const slow = { delayMsMax: 0.001, delayRate: 0, duplicateRate: 0, indeterminateRate: 0 }
      const outcome = await run({ ...calm, weather: slow, seed, switches: 10, proposals: 400 })
      checkOnce(outcome)
      checkOrder(outcome)
      for (const [text, { kind }] of outcome.fates) expect(kind, text).toBe('acknowledged')
    })
  })
})

function crashing(seed: number, engines?: readonly EngineFactory[]): RunOptions {
  return {
    seed,
    servers: ['a', 'b'],
    window: 16,
    proposals: 120,
    // Slow to take entries in, so that some come when their server has begun another life.
    weather: { ...STORM, delayRate: 0.2, delayMsMax: 300 },
    crashes: 6,
    ...(engines === undefined ? {} : { engines }),
  }
}
