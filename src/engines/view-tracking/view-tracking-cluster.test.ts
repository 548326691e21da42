// ViewTracking in whole stacks: three servers over one memory log, in virtual time, with crashes.

import { describe, expect, it } from 'vitest'
import { countingEngine, countOf } from '../../../test/support/counting-engine.ts'
import { contentOf, ledgerTexts } from '../../../test/support/ledger.ts'
import { LedgerServer } from '../../../test/support/ledger-server.ts'
import type { EngineFactory } from '../../engine/stack.ts'
import { VirtualLog } from '../../log/virtual-log.ts'
import { HostileLogletProvider } from '../../loglets/memory/hostile-loglet-provider.ts'
import { MemoryLogletProvider } from '../../loglets/memory/memory-loglet-provider.ts'
import { MemoryMetaStore, MemoryRegister } from '../../metastores/memory/memory-metastore.ts'
import { type Simulation, simulate } from '../../sim/simulation.ts'
import { batchingEngine } from '../batching-engine.ts'
import { VIEW_TRACKING, type ViewTrackingEngine, viewTrackingEngine } from './view-tracking-engine.ts'

const RECIPE = { kind: 'memory', params: {} }
const LIMITS = { heartbeatMs: 500, silentMs: 3_000 }

interface Cluster {
  readonly world: Simulation
  readonly a: LedgerServer
  readonly b: LedgerServer
  readonly c: LedgerServer
  readonly all: readonly LedgerServer[]
}

const ids = new WeakMap<LedgerServer, string>()

function view(server: LedgerServer): ViewTrackingEngine {
  return server.stack.layer(VIEW_TRACKING) as ViewTrackingEngine
}

function members(server: LedgerServer): string[] {
  return view(server)
    .members(server.stack.read())
    .map(({ serverId }) => serverId)
}

/** Three machines; what runs on each is said by `engines`, bottom to top. */
function test(
  name: string,
  body: (cluster: Cluster) => Promise<void>,
  options: { seed?: number; hostile?: boolean; engines?: Record<string, readonly EngineFactory[]> } = {},
): void {
  const { engines = {}, hostile = false, seed = 1 } = options
  it(name, () =>
    simulate({ seed }, async (world) => {
      const memory = new MemoryLogletProvider()
      const { random, timers } = world
      const provider = hostile
        ? new HostileLogletProvider(memory, { random, timers, duplicateRate: 0.05, indeterminateRate: 0.05 })
        : memory
      const register = new MemoryRegister()
      const server = (id: string): LedgerServer =>
        new LedgerServer({
          world,
          name: id,
          keepsLog: false,
          engines: engines[id] ?? [viewTrackingEngine(LIMITS), batchingEngine()],
          limits: { flushMs: 50, proposalDeadlineMs: 2_000, indeterminateMs: 200 },
          openLog: () =>
            VirtualLog.open({
              ...world.server(id).runtime,
              metastore: new MemoryMetaStore(register),
              providers: [provider],
              initial: RECIPE,
              retention: { hours: 0, bytes: 0 },
            }),
        })
      const [a, b, c] = [server('a'), server('b'), server('c')]
      ids.set(a, 'a').set(b, 'b').set(c, 'c')
      await Promise.all([a, b, c].map((each) => each.start()))
      await Promise.all([a, b, c].map((each) => each.stack.whenServing()))
      await body({ world, a, b, c, all: [a, b, c] })
    }),
  )
}

async function write(world: Simulation, server: LedgerServer, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await server.propose(`${server.ledger.seen.length}`)
    await world.sleep(20)
  }
}

/** Of servers that run: at a moment between two heartbeats. */
async function requireEqualContent(world: Simulation, servers: readonly LedgerServer[]): Promise<void> {
  for (let looks = 0; ; looks++) {
    const cursors = new Set(servers.map(({ stack }) => stack.status().cursor))
    if (cursors.size === 1) break
    expect(looks).toBeLessThan(1_000)
    await world.sleep(1)
  }
  const [content, ...others] = servers.map(({ stack }) => contentOf(stack.read()))
  for (const other of others) expect(other).toEqual(content)
}

/** The log is not released, and not trimmed, past what any member has made durable. */
function requireTrimSafety(running: readonly LedgerServer[]): void {
  for (const server of running) {
    expect(server.stack.status().failure).toBeUndefined()
    const trusted = members(server)
    for (const other of running.filter((each) => trusted.includes(ids.get(each) as string))) {
      const { durableCursor } = other.stack.status()
      expect(view(server).released).toBeLessThanOrEqual(durableCursor)
      expect(server.log.oldest().pos).toBeLessThanOrEqual(durableCursor)
    }
  }
}

describe('an engine', () => {
  test(
    'can be enabled only when every member has announced it',
    async ({ world, a, b, c }) => {
      await a.stack.enable([VIEW_TRACKING])
      await world.sleep(100)
      expect(members(b)).toEqual(['a', 'b', 'c'])
      const change = { kind: 'flag', enabled: true } as const
      const refused = { kind: 'refused', flags: { enabled: false, level: 0 }, missing: ['c'] }
      expect(await a.stack.change('batching', change)).toEqual(refused)
      // An operator ends the old build for good.
      await c.stop()
      const left = await view(b).leave('c')
      expect(left).toEqual({ kind: 'done' })
      expect(await b.stack.change('batching', change)).toMatchObject({ kind: 'switched' })
      await requireEqualContent(world, [a, b])
    },
    { engines: { c: [viewTrackingEngine(LIMITS)] } },
  )
})

describe('a level that a build does not know', () => {
  test(
    'stops that server alone at the raise while nobody has joined, and contents do not part',
    async ({ a, b, c }) => {
      expect(members(a)).toEqual([])
      await a.stack.change('counting', { kind: 'flag', enabled: true })
      await a.propose('one')
      const level = { kind: 'level', level: 1 } as const
      expect(await a.stack.change('counting', level)).toMatchObject({ kind: 'switched' })
      await a.propose('two')
      await c.stack.sync()
      expect(await b.stack.failed).toMatchObject({ code: 'UNSUPPORTED', position: a.stack.status().cursor - 2 })
      expect([a, b, c].map(({ stack }) => countOf(stack.read()))).toEqual([3, 1, 3])
    },
    {
      engines: {
        a: [viewTrackingEngine(LIMITS), countingEngine({ levelMax: 1 })],
        b: [viewTrackingEngine(LIMITS), countingEngine({ levelMax: 0 })],
        c: [viewTrackingEngine(LIMITS), countingEngine({ levelMax: 1 })],
      },
    },
  )
})

describe('a server that dies', () => {
  test('holds the log until it is dropped, and needs a snapshot if it comes back later', async ({ world, a, b, c }) => {
    await a.stack.enable()
    await write(world, a, 20)
    await world.sleep(1_000)
    const kept = c.stack.status().durableCursor
    c.crash()
    await write(world, a, 50)
    expect(a.log.oldest().pos).toBeLessThanOrEqual(kept)
    await world.sleep(5_000)
    await write(world, b, 10)
    await world.sleep(1_000)
    expect(members(a)).toEqual(['a', 'b'])
    expect(a.log.oldest().pos).toBeGreaterThan(kept)
    await c.start()
    await expect(c.stack.whenServing()).rejects.toMatchObject({ code: 'TRIMMED' })
    await requireEqualContent(world, [a, b])
  })

  test('and comes back in time goes on where it was, and was never out of the view', async ({
    world,
    a,
    b,
    c,
    all,
  }) => {
    await a.stack.enable()
    await write(world, a, 20)
    c.crash()
    await write(world, b, 50)
    await c.start()
    await c.stack.whenServing()
    await world.sleep(2_000)
    expect(members(c)).toEqual(['a', 'b', 'c'])
    expect(c.stack.status().alarms).toEqual([])
    await requireEqualContent(world, all)
    expect(view(a).details()).toMatchObject({ accusations: 0 })
  })
})

describe('content that differs', () => {
  for (let seed = 1; seed <= 10; seed++) {
    test(
      `is told of within one heartbeat of its apply, with the server and the range named at all servers (seed ${seed})`,
      async ({ world, a, b, c, all }) => {
        const { clock, random } = world
        await a.stack.enable()
        await write(world, a, 10)
        // At any moment between two heartbeats, with and without a load.
        await world.sleep(3_000 + random.below(LIMITS.heartbeatMs))
        if (random.chance(0.5)) await write(world, c, 30)
        expect(all.flatMap((server) => server.stack.status().alarms)).toEqual([])
        const apply = b.ledger.apply.bind(b.ledger)
        let partedMs = 0
        b.ledger.apply = (tx, entry, pos) => {
          if (partedMs === 0) partedMs = clock.monotonicMs()
          tx.put('ledger\x00stray', Buffer.from('only here'))
          return apply(tx, entry, pos)
        }
        await write(world, random.pick(all), 1)
        expect(partedMs).toBeGreaterThan(0)
        for (const server of all) {
          while (server.stack.status().alarms.length === 0 && clock.monotonicMs() - partedMs < 2 * LIMITS.heartbeatMs) {
            await world.sleep(1)
          }
        }
        expect(clock.monotonicMs() - partedMs).toBeLessThanOrEqual(LIMITS.heartbeatMs)
        for (const server of all) {
          const [alarm, ...others] = server.stack.status().alarms
          expect(alarm).toMatch(
            /^view-tracking: content differs in range ledger at position \d+: server b \(against the majority\)$/,
          )
          expect(others).toEqual([])
          expect(server.stack.status().state).toBe('serving')
        }
      },
      { seed },
    )
  }
})

describe('three servers with crashes over a hostile log', () => {
  for (let seed = 1; seed <= 15; seed++) {
    test(
      `agree on view and content, and none finds what it needs trimmed (seed ${seed})`,
      async ({ world, a, all }) => {
        const { random } = world
        // Over this log the answer may get lost.
        while (!a.stack.status().engines.every(({ enabled }) => enabled)) await a.stack.enable().catch(() => undefined)
        // Who has not joined yet is not protected.
        while (members(a).length < 3) await world.sleep(100)
        let crashes = 0
        for (let step = 0; step < 80; step++) {
          const server = random.pick(all)
          if (!server.running) await server.start()
          else if (crashes < 6 && random.chance(0.1)) {
            crashes++
            server.crash()
          } else if (random.chance(0.7)) {
            server.propose(`${seed}-${step}`).catch(() => undefined) // It may die with its server.
          }
          await world.sleep(random.below(120))
          requireTrimSafety(all.filter(({ running }) => running))
        }
        for (const server of all) if (!server.running) await server.start()
        await world.sleep(6_000)
        await requireEqualContent(world, all)
        expect(ledgerTexts(a.stack.read()).length).toBeGreaterThan(10)
        expect(members(a)).toEqual(['a', 'b', 'c'])
        expect(view(a).released).toBeGreaterThan(20)
        expect(all.flatMap((server) => server.stack.status().alarms)).toEqual([])
      },
      { seed, hostile: true },
    )
  }
})
