// Clients of several servers over one log in a simulated world: what they propose, what becomes of it, and whether that is
// once, in order and truly answered. For tests of SessionOrder.

import { expect } from 'vitest'
import type { DelosError } from '../../src/base/delos-error.ts'
import type { EngineFactory } from '../../src/engine/stack.ts'
import { SESSION_ORDER, sessionOrderEngine } from '../../src/engines/session-order/session-order-engine.ts'
import type { LogletProvider } from '../../src/log/loglet.ts'
import { VirtualLog } from '../../src/log/virtual-log.ts'
import { HostileLogletProvider, type HostileOptions } from '../../src/loglets/memory/hostile-loglet-provider.ts'
import { MemoryLogletProvider } from '../../src/loglets/memory/memory-loglet-provider.ts'
import { MemoryMetaStore, MemoryRegister } from '../../src/metastores/memory/memory-metastore.ts'
import { type Simulation, simulate } from '../../src/sim/simulation.ts'
import { contentOf, ledgerTexts } from './ledger.ts'
import { LedgerServer } from './ledger-server.ts'

const RECIPE = { kind: 'memory', params: {} }

type Fate =
  | { readonly kind: 'acknowledged'; readonly place: unknown }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'refused'; readonly code: string }

export interface RunOptions {
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

export interface Outcome {
  /** What was applied, in order. */
  readonly texts: readonly string[]
  readonly fates: ReadonlyMap<string, Fate>
  /** Acknowledged texts of each server's life, in the order in which they were told. */
  readonly told: ReadonlyMap<string, readonly string[]>
  /** Sums over the servers' last lives. */
  readonly sums: { reproposed: number; filteredDuplicate: number; filteredEarly: number; filteredClosed: number }
}

/** Clients of several servers over one log; every text is `server.life.number`. */
export function run(options: RunOptions): Promise<Outcome> {
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
    await enable(servers[0] as LedgerServer)
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
    await sameCursor(servers)
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

/** A switch may be lost like any other proposal. */
async function enable({ stack }: LedgerServer): Promise<void> {
  while (stack.status().engines.some((engine) => !engine.enabled)) {
    await stack.enable().catch((error: DelosError) => expect(error.code).toBe('INDETERMINATE'))
  }
}

/** Background work of engines goes on: waits until all servers have applied the same. */
async function sameCursor(servers: readonly LedgerServer[]): Promise<void> {
  for (;;) {
    await Promise.all(servers.map((server) => server.stack.sync()))
    if (new Set(servers.map((server) => server.stack.status().cursor)).size === 1) return
  }
}

function openLog(world: Simulation, name: string, register: MemoryRegister, provider: LogletProvider) {
  const { clock, random, timers } = world.server(name).runtime
  const metastore = new MemoryMetaStore(register)
  return VirtualLog.open({ metastore, providers: [provider], clock, timers, random, initial: RECIPE })
}

export function checkOnce({ texts, fates }: Outcome): void {
  const applied = new Map(texts.map((text, i) => [text, i + 1]))
  expect(applied.size, 'nothing is applied twice').toBe(texts.length)
  for (const [text, fate] of fates) {
    if (fate.kind === 'acknowledged')
      expect(applied.get(text), `${text} was answered with its own place`).toBe(fate.place)
    if (fate.kind === 'refused') expect(applied.has(text), `${text} was refused with ${fate.code}`).toBe(false)
  }
}

/** Of each server: applied in the order (life, number) in which propose was called, and told in that order. */
export function checkOrder({ texts, told }: Outcome): void {
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

export const STORM = { duplicateRate: 0.05, indeterminateRate: 0.05 }

/** Runs `body` for seeds 1 to `count`; a failure names its seed. */
export async function seeds(count: number, body: (seed: number) => Promise<void>): Promise<void> {
  for (let seed = 1; seed <= count; seed++) {
    await body(seed).catch((error: unknown) => {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    })
  }
}
