// An engine joins a running database of three servers under load and leaves it again, as an operator does it: program by program,
// then the switch. Three whole stacks over one shared log, in virtual time. No request may fail or be lost, and the servers
// must hold the same.

import { describe, expect, it } from 'vitest'
import { compressionEngine } from '../examples/compression/compression.ts'
import { RANGES_WITHOUT_DIGEST } from '../src/engine/digest.ts'
import type { EngineFactory } from '../src/engine/stack.ts'
import { BASE_LIMITS } from '../src/engines/base-engine/base-limits.ts'
import { batchingEngine } from '../src/engines/batching-engine.ts'
import { sessionOrderEngine } from '../src/engines/session-order/session-order-engine.ts'
import { timeEngine } from '../src/engines/time/time-engine.ts'
import { viewTrackingEngine } from '../src/engines/view-tracking/view-tracking-engine.ts'
import { VirtualLog } from '../src/log/virtual-log.ts'
import { HostileLogletProvider } from '../src/loglets/memory/hostile-loglet-provider.ts'
import { MemoryLogletProvider } from '../src/loglets/memory/memory-loglet-provider.ts'
import { MemoryMetaStore, MemoryRegister } from '../src/metastores/memory/memory-metastore.ts'
import { type Simulation, simulate } from '../src/sim/simulation.ts'
import { countingEngine } from './support/counting-engine.ts'
import { contentOf, ledgerTexts } from './support/ledger.ts'
import { LedgerServer } from './support/ledger-server.ts'
import { ScriptedLog } from './support/scripted-log.ts'

const NAMES = ['a', 'b', 'c']
const CLIENTS_PER_SERVER = 3
const on = { kind: 'flag', enabled: true } as const
const off = { kind: 'flag', enabled: false } as const

const view = viewTrackingEngine({ heartbeatMs: 100, silentMs: 5_000 })
const order = sessionOrderEngine()
const batching = batchingEngine({ batchCountMax: 20, inFlightMax: 2 })

/** One server and the clients that propose at it while it takes requests. */
class Member {
  readonly server: LedgerServer
  /** What the program of this server's next start has in its stack. */
  engines: readonly EngineFactory[]
  private readonly world: Simulation
  private readonly load: Load
  private open = false
  private clients: Promise<void>[] = []

  constructor(
    world: Simulation,
    name: string,
    engines: readonly EngineFactory[],
    load: Load,
    openLog: () => Promise<VirtualLog>,
  ) {
    this.world = world
    this.engines = engines
    this.load = load
    const member = this
    this.server = new LedgerServer({
      world,
      name,
      openLog,
      limits: { flushMs: 50 },
      // Read at each start.
      get engines() {
        return member.engines
      },
    })
  }

  async start(): Promise<void> {
    await this.server.start()
    await this.server.stack.whenServing()
    this.open = true
    this.clients = Array.from({ length: CLIENTS_PER_SERVER }, () => this.client())
  }

  /** No new requests; resolves when all are answered. */
  async rest(): Promise<void> {
    this.open = false
    await Promise.all(this.clients)
  }

  /** As a server ends: what is under way is answered first. */
  async stop(): Promise<void> {
    await this.rest()
    await this.server.stop()
  }

  /** A new program: the orderly end, and a start with these engines, with the others at work all the time. */
  async restartWith(engines: readonly EngineFactory[]): Promise<void> {
    await this.stop()
    this.engines = engines
    await this.world.sleep(this.world.random.integer(50, 500))
    await this.start()
  }

  private async client(): Promise<void> {
    while (this.open) {
      await this.load.propose(this.server)
      await this.world.sleep(this.world.random.below(25))
    }
  }
}

/** All requests and what became of them. */
class Load {
  readonly done = new Map<string, number>()
  readonly failures: string[] = []
  private next = 0

  async propose(server: LedgerServer): Promise<void> {
    const text = `request ${this.next++} ${'x'.repeat(100)}`
    try {
      this.done.set(text, (await server.propose(text)) as number)
    } catch (error) {
      this.failures.push(`${text}: ${String(error)}`)
    }
  }
}

interface Setting {
  readonly seed: number
  /** What runs before. */
  readonly base: readonly EngineFactory[]
  /** What joins, and after which of `base`. */
  readonly joins: EngineFactory
  readonly at: number
  /** The log delays, and says of some appends that they may or may not have happened. */
  readonly hostile?: boolean
  /** While it is on. */
  readonly meanwhile?: (member: Member) => Promise<void>
}

async function liveChange(setting: Setting): Promise<void> {
  const { base, joins, at } = setting
  await simulate({ seed: setting.seed }, async (world) => {
    const { random, timers } = world
    const memory = new MemoryLogletProvider()
    const provider = setting.hostile
      ? new HostileLogletProvider(memory, { random, timers, duplicateRate: 0.05, indeterminateRate: 0 })
      : memory
    const register = new MemoryRegister()
    const openLogOf = (name: string) => (): Promise<VirtualLog> => {
      const { clock, random: chance, timers: own } = world.server(name).runtime
      const metastore = new MemoryMetaStore(register)
      const initial = { kind: 'memory', params: {} }
      return VirtualLog.open({ metastore, providers: [provider], clock, timers: own, random: chance, initial })
    }
    const load = new Load()
    const members = NAMES.map((name) => new Member(world, name, base, load, openLogOf(name)))
    const [first, second, third] = members as [Member, Member, Member]
    await first.start()
    await first.server.stack.enable()
    await second.start()
    await third.start()
    await eventually(world, () => first.server.stack.membership.members(first.server.store.read()).length === 3)

    // Phase one: the programs. Until the last of them, the switch is refused, by name, and nothing changes.
    const wider = [...base.slice(0, at), joins, ...base.slice(at)]
    const refusedFor = async (missing: readonly string[]): Promise<boolean> => {
      const outcome = await first.server.stack.change(joins.name, on)
      expect(outcome).toMatchObject({ kind: 'refused', flags: { enabled: false } })
      return 'missing' in outcome && outcome.missing.join() === missing.join()
    }
    for (const member of members) {
      await member.restartWith(wider)
      // Announcing is an entry of its own, a moment after the start.
      const missing = NAMES.slice(members.indexOf(member) + 1)
      if (missing.length > 0) await eventually(world, () => refusedFor(missing))
    }
    await eventually(world, async () => (await second.server.stack.change(joins.name, on)).kind === 'switched')
    await eventually(world, () => members.every(({ server }) => flagOf(server, joins.name)))
    await world.sleep(500)
    await setting.meanwhile?.(third)
    for (const member of members) await member.restartWith(wider)
    await world.sleep(500)

    // Out again: the switch, then the programs, once each server's durable position is past it.
    expect(await third.server.stack.change(joins.name, off)).toMatchObject({ kind: 'switched' })
    const { cursor } = third.server.stack.status()
    await eventually(world, () => members.every(({ server }) => server.stack.status().durableCursor >= cursor))
    for (const member of members) await member.restartWith(base)
    await world.sleep(500)

    expect(load.failures.slice(0, 3)).toEqual([])
    // The clients rest, the servers go on: all play to one position.
    for (const member of members) await member.rest()
    await third.server.stack.sync()
    await check(world, members, load)
    for (const member of members) await member.server.stop()
  })
}

function flagOf(server: LedgerServer, engine: string): boolean {
  return server.stack.status().engines.some(({ name, enabled }) => name === engine && enabled)
}

async function eventually(world: Simulation, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; !(await holds()); waited++) {
    if (waited > 1_000) throw new Error('it did not come about in ten seconds')
    await world.sleep(10)
  }
}

/** All have applied the same, at this very moment: heartbeats go on. */
function atOnePosition(members: readonly Member[]): boolean {
  return new Set(members.map(({ server }) => server.stack.status().cursor)).size === 1
}

async function check(world: Simulation, members: readonly Member[], load: Load): Promise<void> {
  while (!atOnePosition(members)) await world.sleep(1)
  const contents = members.map(({ server }) => contentOf(server.store.read()).filter((row) => !row.startsWith('"base')))
  const digests = await Promise.all(
    members.map(async ({ server }) =>
      [...(await server.store.digest())].filter(([range]) => !RANGES_WITHOUT_DIGEST.has(range)),
    ),
  )
  expect(digests[0]?.length).toBeGreaterThan(1)
  for (const [other, { server }] of members.entries()) {
    expect(digests[other]).toEqual(digests[0])
    expect(contents[other]).toEqual(contents[0])
    expect(server.stack.status().alarms).toEqual([])
  }
  const texts = ledgerTexts((members[0] as Member).server.store.read())
  expect(load.done.size).toBeGreaterThan(500)
  expect(texts.length).toBe(load.done.size)
  // Each at the place that its client was told.
  for (const [place, text] of texts.entries()) expect(load.done.get(text)).toBe(place + 1)
}

describe('an engine joins three servers under load and leaves them again', () => {
  const production = [view, order, batching]
  const settings: [what: string, setting: Omit<Setting, 'seed'>][] = [
    ['with a range of its own, between others', { base: production, joins: countingEngine(), at: 2 }],
    ['that changes every payload, on top', { base: production, joins: compressionEngine({ savedBytesMin: 1 }), at: 3 }],
    ['that changes every batch', { base: production, joins: compressionEngine({ savedBytesMin: 1 }), at: 1 }],
    ['Batching', { base: [view, order], joins: batching, at: 2 }],
    ['SessionOrder', { base: [view, batching], joins: order, at: 1 }],
    ['Time', { base: production, joins: timeEngine(), at: 3 }],
    [
      'with a range of its own, over a log that duplicates and delays',
      { base: production, joins: countingEngine(), at: 3, hostile: true },
    ],
    [
      'whose level is raised in between',
      {
        base: production,
        joins: compressionEngine({ savedBytesMin: 1 }),
        at: 3,
        meanwhile: async ({ server }) => {
          const raised = await server.stack.change('compression', { kind: 'level', level: 1 })
          expect(raised).toMatchObject({ kind: 'switched', flags: { enabled: true, level: 1 } })
        },
      },
    ],
  ]
  it.each(settings)('%s', async (_what, setting) => {
    for (let seed = 1; seed <= 3; seed++) await liveChange({ ...setting, seed })
  })
})

describe('Batching under a load of several times what Base takes at a time', () => {
  const CLIENTS = 3 * BASE_LIMITS.proposalsMax

  it('is switched off and on, and no request fails', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const { random } = world
      const log = new ScriptedLog()
      log.appendGate = () => world.sleep(2)
      const server = new LedgerServer({
        world,
        name: 'a',
        engines: [view, order, batchingEngine()],
        openLog: async () => log,
      })
      await server.startServing()
      const load = new Load()
      let open = true
      const clients = Array.from({ length: CLIENTS }, async () => {
        while (open) {
          await load.propose(server)
          await world.sleep(random.below(3))
        }
      })
      let pendingMax = 0
      for (let round = 0; round < 2; round++) {
        for (const flag of [off, on]) {
          expect(await server.stack.change('batching', flag)).toMatchObject({ kind: 'switched' })
          for (let i = 0; i < 4; i++) {
            await world.sleep(5)
            pendingMax = Math.max(pendingMax, server.stack.status().pendingProposals)
          }
        }
      }
      open = false
      await Promise.all(clients)
      expect(load.failures.slice(0, 3)).toEqual([])
      // Base was full.
      expect(pendingMax).toBeGreaterThanOrEqual(BASE_LIMITS.proposalsMax)
      expect(ledgerTexts(server.store.read()).length).toBe(load.done.size)
      expect(load.done.size).toBeGreaterThan(3 * CLIENTS)
      await server.stop()
    })
  })
})
