// Zelos on the whole production stack, three servers in virtual time: sessions live and end as the servers decide together.

import { describe, expect, it } from 'vitest'
import { OPEN, TestClient } from '../../test/support/zelos-harness.ts'
import { type EngineFactory, Stack } from '../engine/stack.ts'
import { BaseEngine } from '../engines/base-engine/base-engine.ts'
import { VirtualLog } from '../log/virtual-log.ts'
import { MemoryLogletProvider } from '../loglets/memory/memory-loglet-provider.ts'
import { MemoryMetaStore, MemoryRegister } from '../metastores/memory/memory-metastore.ts'
import { ZELOS_STACK } from '../node/stacks.ts'
import { type Simulation, simulate } from '../sim/simulation.ts'
import { MemoryBackend, type MemoryStore, openMemoryStore } from '../store/memory-store.ts'
import { rangeOfPrefix, subStorePrefix } from '../store/sub-store.ts'
import type { SessionRecord, UpdateResult } from './requests.ts'
import { PIECE_NODES } from './sessions/divided-ends.ts'
import { type SessionChange, ZelosApplicator } from './zelos-applicator.ts'
import { ZelosDatabase } from './zelos-database.ts'
import { type Lifetime, ZCODE } from './znode.ts'

const NAMES = ['a', 'b', 'c']
const TIMEOUT_MS = 6000

class ClusterServer {
  readonly name: string
  stack!: Stack<UpdateResult>
  zelos!: ZelosDatabase
  /** `position session` of each that expired. */
  readonly expired: string[] = []
  private position = 0
  private readonly world: Simulation
  private readonly log: ClusterLog
  private readonly backend: MemoryBackend
  private store!: MemoryStore

  constructor(world: Simulation, name: string, log: ClusterLog) {
    this.world = world
    this.name = name
    this.log = log
    this.backend = new MemoryBackend(world, { delayMs: () => 0.3 })
  }

  /** As a server that joins: what the other one has stored, and the log from there on. */
  async copy(other: ClusterServer): Promise<void> {
    const server = this.world.server(this.name)
    const store = openMemoryStore({ runtime: server.boot(), backend: this.backend })
    const tx = store.begin()
    for (const [key, value] of other.store.read().scan({ from: '' })) tx.put(key, Uint8Array.from(value))
    tx.commit()
    await store.close()
    server.kill()
  }

  async start(engines: readonly EngineFactory[] = ZELOS_STACK): Promise<void> {
    const runtime = this.world.server(this.name).boot()
    const { clock, random, timers } = runtime
    this.store = openMemoryStore({ runtime, backend: this.backend })
    const log = await VirtualLog.open({
      ...runtime,
      metastore: new MemoryMetaStore(this.log.register),
      providers: [this.log.provider],
      initial: { kind: 'memory', params: {} },
    })
    const bottom = new BaseEngine({ serverId: this.name, log, store: this.store, clock, timers })
    this.stack = new Stack<UpdateResult>({
      serverId: this.name,
      database: 'zelos',
      bottom,
      engines,
      clock,
      timers,
      random,
    })
    const applicator = new ZelosApplicator()
    const { membership, timerService } = this.stack
    if (timerService !== undefined) applicator.useTimers(timerService)
    const { stack } = this
    stack.attach({
      apply: (tx, entry, pos) => applicator.apply(tx, entry, pos),
      postApply: (entry, pos, result) => {
        this.position = pos
        applicator.postApply(entry, pos, result)
      },
    })
    await stack.start()
    await stack.whenServing()
    const memberCount = () => membership.members(stack.read()).length
    this.zelos = new ZelosDatabase({ runtime, applicator, log: stack, store: stack, timerService, memberCount })
    const follow = this.zelos.sessionChanged.bind(this.zelos)
    this.zelos.sessionChanged = (change: SessionChange) => {
      if (change.kind === 'expired') this.expired.push(`${this.position} ${change.id}`)
      follow(change)
    }
    this.zelos.startServing()
  }

  open(): Promise<TestClient> {
    const client = new TestClient(this.zelos)
    return new Promise((resolve, reject) => {
      const use = (session: SessionRecord) => {
        client.use(session)
        resolve(client)
      }
      this.zelos.sessions.create(TIMEOUT_MS, '127.0.0.1', client, { resolve: use, reject })
    })
  }

  ephemeral(client: TestClient, path: string): Promise<UpdateResult> {
    return new Promise((resolve, reject) =>
      this.zelos.write(client.requester, { op: 'create', path, data: null, acl: OPEN, flags: 1 }, { resolve, reject }),
    )
  }

  ephemerals(client: TestClient, parent: string, count: number): Promise<UpdateResult> {
    const paths = Array.from({ length: count }, (_, at) => `${parent}/${String(at).padStart(5, '0')}`)
    const operations = paths.map((path) => ({ op: 'create', path, data: null, acl: OPEN, flags: 1 }) as const)
    return new Promise((resolve, reject) => this.zelos.multi(client.requester, operations, { resolve, reject }))
  }

  timed(client: TestClient, path: string, lifetime: Lifetime): Promise<UpdateResult> {
    const operation = { op: 'create', path, data: null, acl: OPEN, flags: 0, lifetime } as const
    return new Promise((resolve, reject) => this.zelos.write(client.requester, operation, { resolve, reject }))
  }

  delete(client: TestClient, path: string): Promise<UpdateResult> {
    const operation = { op: 'delete', path, version: -1 } as const
    return new Promise((resolve, reject) => this.zelos.write(client.requester, operation, { resolve, reject }))
  }

  has(client: TestClient, path: string): boolean {
    return this.zelos.exists(client.requester, path, undefined) !== ZCODE.NO_NODE
  }

  content(): string[] {
    return ['zelos', 'time'].flatMap((name) =>
      [...this.store.read().scan(rangeOfPrefix(subStorePrefix(name)))].map(
        ([key, value]) => `${JSON.stringify(key)} ${Buffer.from(value).toString('hex')}`,
      ),
    )
  }

  kill(): void {
    this.store.crash()
    this.world.server(this.name).kill()
  }
}

class ClusterLog {
  readonly provider = new MemoryLogletProvider()
  readonly register = new MemoryRegister()
}

type Cluster = [ClusterServer, ClusterServer, ClusterServer]

function during(body: (servers: Cluster, world: Simulation, log: ClusterLog) => Promise<void>): Promise<void> {
  return simulate({ seed: 3 }, async (world) => {
    const log = new ClusterLog()
    const servers = NAMES.map((name) => new ClusterServer(world, name, log)) as Cluster
    for (const server of servers) await server.start()
    await servers[0].stack.enable()
    await world.sleep(6000)
    const { membership } = servers[0].stack
    expect(membership.members(servers[0].stack.read())).toEqual(NAMES)
    await body(servers, world, log)
  })
}

async function pass(world: Simulation, ms: number, living: readonly TestClient[], at: ClusterServer): Promise<void> {
  for (let left = ms; left > 0; left -= 500) {
    for (const { requester } of living) at.zelos.sessions.touch(requester.session)
    await world.sleep(500)
  }
}

describe('sessions on three servers', () => {
  it('live as long as their client shows life at its own server, and end everywhere at one position when it does not', () =>
    during(async (servers, world) => {
      const [a, b, c] = servers
      const living = await a.open()
      const silent = await b.open()
      await a.ephemeral(living, '/living')
      await b.ephemeral(silent, '/silent')
      await pass(world, 40_000, [living], a)
      expect(living.ended).toBeUndefined()
      expect(silent.ended).toBe('expired')
      for (const server of servers) {
        expect([server.has(living, '/living'), server.has(living, '/silent')]).toEqual([true, false])
        expect(server.expired).toEqual(a.expired)
      }
      expect(a.expired).toHaveLength(1)
      await pass(world, 20_000, [], a)
      expect(living.ended).toBe('expired')
      expect(b.content()).toEqual(a.content())
      expect(c.content()).toEqual(a.content())
    }))

  it('outlive the server that held them, and move', () =>
    during(async ([a, b, c], world) => {
      const client = await a.open()
      await a.ephemeral(client, '/e')
      const session = client.requester.session
      await pass(world, 5000, [client], a)
      a.kill()
      await world.sleep(4000)
      const again = new TestClient(b.zelos)
      const record = await new Promise<SessionRecord | undefined>((resolve, reject) => {
        const password = (b.zelos as unknown as { applicator: ZelosApplicator }).applicator.sessions.session(
          b.stack.read(),
          session,
        )?.password as Uint8Array
        b.zelos.sessions.reattach(session, password, TIMEOUT_MS, '127.0.0.1', again, { resolve, reject })
      })
      again.use(record as SessionRecord)
      await pass(world, 30_000, [again], b)
      expect(again.ended).toBeUndefined()
      expect(c.has(again, '/e')).toBe(true)
      // Two of three are a majority.
      await pass(world, 12_000, [], b)
      expect(again.ended).toBe('expired')
      expect(c.expired).toEqual(b.expired)
      expect(c.has(again, '/e')).toBe(false)
    }))

  it('with very many ephemeral nodes end in pieces, everywhere alike, also if the server that began with it dies', () =>
    during(async ([a, b, c], world) => {
      const [silent, watching] = [await a.open(), await b.open()]
      await b.timed(watching, '/many', { kind: 'ttl', ms: 1_000_000 })
      await a.ephemerals(silent, '/many', 2 * PIECE_NODES)
      await a.ephemeral(silent, '/many/last')
      b.zelos.addWatch(watching, '/many', 'recursive')
      a.zelos.closeSession(silent.requester, { resolve: () => undefined, reject: () => undefined })
      const left = (server: ClusterServer): number => server.zelos.stats.ephemeralCount
      while (left(b) > PIECE_NODES + 1) await world.sleep(0.5)
      a.kill()
      expect(left(b)).toBe(PIECE_NODES + 1)
      await pass(world, 3000, [watching], b)
      expect([left(b), left(c), b.zelos.sessions.count]).toEqual([0, 0, 1])
      const events = watching.takeEvents()
      expect(events).toHaveLength(2 * PIECE_NODES + 1)
      expect(events).toEqual([...events].sort())
      expect(c.content()).toEqual(b.content())
    }))
})

describe('watches', () => {
  it('hear all that their client missed also at a server that was started anew, and at one that has joined', () =>
    during(async ([a, b, c], world, log) => {
      const writer = await b.open()
      await b.timed(writer, '/a', { kind: 'container', ms: 60_000 })
      const watches = {
        relativeZxid: b.zelos.lastZxid,
        data: [],
        exist: [],
        child: [],
        persistent: ['/a'],
        recursive: ['/'],
      }
      const staying = new TestClient(b.zelos)
      b.zelos.setWatches(staying, watches)
      const play = async () => {
        for (const name of ['x', 'y', 'x']) {
          await b.ephemeral(writer, `/a/${name}`)
          await b.delete(writer, `/a/${name}`)
        }
      }
      await play()
      a.kill()
      c.kill()
      await play()
      await c.start()
      const d = new ClusterServer(world, 'd', log)
      await d.copy(b)
      await play()
      await d.start()
      await play()
      await pass(world, 2000, [writer], b)
      expect(staying.events).toHaveLength(4 * 3 * 2 * 2)
      for (const server of [c, d]) {
        const back = new TestClient(server.zelos)
        server.zelos.setWatches(back, watches)
        expect(back.events).toEqual(staying.events)
        expect(server.zelos.stats).toMatchObject({ missedReplayed: 1, missedCompared: 0 })
        expect(server.content().filter((row) => row.includes('zelos'))).toEqual(
          b.content().filter((row) => row.includes('zelos')),
        )
      }
    }))
})

describe('containers and TTL nodes on three servers', () => {
  it('go everywhere alike, also after the server that made them has died, and never before their time', () =>
    during(async ([a, b, c], world) => {
      const client = await b.open()
      await a.timed(client, '/ttl', { kind: 'ttl', ms: 10_000 })
      await a.timed(client, '/container', { kind: 'container', ms: 5000 })
      await b.ephemeral(client, '/container/e')
      await pass(world, 4000, [client], b)
      a.kill()
      await pass(world, 5900, [client], b)
      for (const server of [b, c]) expect(server.has(client, '/ttl')).toBe(true)
      await pass(world, 10_000, [client], b)
      for (const server of [b, c]) {
        expect([server.has(client, '/ttl'), server.has(client, '/container')]).toEqual([false, true])
      }
      await b.delete(client, '/container/e')
      await pass(world, 4900, [client], b)
      expect(c.has(client, '/container')).toBe(true)
      await pass(world, 5000, [client], b)
      for (const server of [b, c]) expect(server.has(client, '/container')).toBe(false)
      expect(c.content()).toEqual(b.content())
    }))
})
