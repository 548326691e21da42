// Reads that see what had completed anywhere when they were asked: at a server that lags behind the log that it shares with another.

import { describe, expect, it } from 'vitest'
import { TestSocket } from '../../test/support/test-socket.ts'
import { eventually } from '../../test/support/wait.ts'
import {
  create,
  getData,
  ZooKeeperHarness as Harness,
  setData,
  WireClient,
  type ZooKeeperHarness,
} from '../../test/support/zookeeper-harness.ts'
import { Stack } from '../engine/stack.ts'
import { BaseEngine } from '../engines/base-engine/base-engine.ts'
import type { SharedLog } from '../log/shared-log.ts'
import { VirtualLog } from '../log/virtual-log.ts'
import { MemoryLogletProvider } from '../loglets/memory/memory-loglet-provider.ts'
import { MemoryMetaStore, MemoryRegister } from '../metastores/memory/memory-metastore.ts'
import { ZELOS_STACK } from '../node/stacks.ts'
import { SILENT_LOGGER } from '../runtime/logger.ts'
import type { Connection, ConnectionEvents, Network } from '../runtime/network.ts'
import { nodeRuntime } from '../runtime/node-runtime.ts'
import { openMemoryStore } from '../store/memory-store.ts'
import type { UpdateResult } from '../zelos/requests.ts'
import { ZelosApplicator } from '../zelos/zelos-applicator.ts'
import { ZelosDatabase } from '../zelos/zelos-database.ts'
import { ERR } from './codec/error-codes.ts'
import { OP } from './codec/opcodes.ts'
import { ZooKeeperServer } from './zookeeper-server.ts'

describe('a server that lags', () => {
  it('shows the past to ordinary connections, and to linearizable ones nothing until it has caught up', async () => {
    const shared = { register: new MemoryRegister(), provider: new MemoryLogletProvider() }
    await using first = await ClusterServer.start('a', shared)
    await using second = await ClusterServer.start('b', shared)
    const writer = await first.client()
    expect((await writer.ask(create('/x', 'old'))).err).toBe(ERR.ok)
    const ordinary = await second.client()
    const linearizable = await second.client(true)
    await ordinary.ask({ op: OP.sync, path: '/' })

    second.lag()
    await writer.ask(setData('/x', 'new'))
    expect(String((await ordinary.ask(getData('/x'))).body.data)).toBe('old')
    const asked = linearizable.begin(getData('/x'))
    expect(String((await ordinary.ask(getData('/x'))).body.data)).toBe('old')
    expect(linearizable.received).toBe(0)
    second.catchUp()
    expect(String((await asked).body.data)).toBe('new')
  })
})

describe('a connection that reads linearizably', () => {
  const start = (): Promise<Harness> => Harness.start({ server: { linearizableReads: true } })

  it('is answered in the order of its requests, and sees none of its own updates behind a read', async () => {
    const harness = await start()
    const client = harness.client()
    client.send(
      create('/x', '0'),
      getData('/x'),
      { op: OP.ping },
      setData('/x', '1'),
      { op: OP.getChildren, path: '/', watch: true },
      { op: OP.getAllChildrenNumber, path: '/zookeeper' },
      setData('/x', '2'),
      { op: OP.exists, path: '/x', watch: false },
      getData('/x'),
    )
    await harness.settle()
    const seen = client.take().map((one) => (one.kind === 'reply' ? (one.body.data?.toString() ?? one.xid) : one.type))
    expect(seen).toEqual([1, '0', -2, 3, 4, 5, 6, 7, '2'])
  })

  it('waits for the log with what reads nodes, and with nothing else', async () => {
    const harness = await start()
    const client = harness.client()
    client.send({ op: OP.ping }, { op: OP.whoAmI }, { op: OP.addWatch, path: '/', mode: 0 })
    harness.turn()
    expect(client.take()).toHaveLength(3)
    client.send(getData('/'))
    harness.turn()
    expect(client.take()).toEqual([])
    await harness.settle()
    expect(client.take()).toHaveLength(1)
  })

  it('is closed if the log can not be asked, rather than shown what may be the past', async () => {
    const harness = await start()
    const client = harness.client()
    harness.zelos.log.sync = () => Promise.reject(new Error('no log'))
    client.send(getData('/'))
    await harness.settle()
    expect([client.take(), client.socket.isClosed]).toEqual([[], true])
    client.socket.close()
    expect(harness.server.stats.closes.database).toBe(1)
  })

  it('shares one check of the tail among the reads of a chunk', async () => {
    const shared = { register: new MemoryRegister(), provider: new MemoryLogletProvider() }
    await using server = await ClusterServer.start('a', shared)
    const client = await server.client(true)
    const before = server.tailChecks
    await Promise.all(Array.from({ length: 500 }, () => client.begin(getData('/'))))
    expect(server.tailChecks - before).toBeLessThan(5)
  })
})

interface Shared {
  readonly register: MemoryRegister
  readonly provider: MemoryLogletProvider
}

/** One of several servers over the same log, with the whole stack; a test holds back what it reads. */
class ClusterServer implements AsyncDisposable {
  tailChecks = 0
  private gate: Promise<void> | undefined
  private open: () => void = () => undefined
  private readonly accepts: ((connection: Connection) => ConnectionEvents)[] = []
  private server!: ZooKeeperServer
  private stack!: Stack<UpdateResult>
  private port = 50_000

  static async start(serverId: string, { register, provider }: Shared): Promise<ClusterServer> {
    const one = new ClusterServer()
    const runtime = nodeRuntime()
    const { clock, timers, random } = runtime
    const store = openMemoryStore({ runtime })
    const metastore = new MemoryMetaStore(register)
    const whole = await VirtualLog.open({
      ...runtime,
      metastore,
      providers: [provider],
      initial: { kind: 'memory', params: {} },
    })
    const bottom = new BaseEngine({ serverId, log: one.watched(whole), store, clock, timers })
    const stack = new Stack<UpdateResult>({
      serverId,
      database: 'zelos',
      bottom,
      engines: ZELOS_STACK,
      clock,
      timers,
      random,
    })
    const applicator = new ZelosApplicator()
    const { timerService } = stack
    if (timerService !== undefined) applicator.useTimers(timerService)
    stack.attach(applicator)
    await stack.start()
    await stack.whenServing()
    const zelos = new ZelosDatabase({ runtime, applicator, log: stack, store: stack, timerService })
    zelos.startServing()
    const network: Network = {
      listen: async ({ host, port }, accept) => {
        one.accepts.push(accept)
        return { host, port, close: async () => undefined }
      },
    }
    const options = {
      host: '127.0.0.1',
      port: 1,
      tickMs: 2000,
      slowMs: 0,
      logger: SILENT_LOGGER,
      productVersion: '1',
      dataDir: '.',
    }
    one.server = new ZooKeeperServer({ ...runtime, network }, zelos, options)
    await one.server.listen()
    await one.server.listenLinearizably(2)
    one.stack = stack
    return one
  }

  /** From here on it reads nothing of the log. */
  lag(): void {
    this.gate = new Promise((resolve) => {
      this.open = resolve
    })
  }

  catchUp(): void {
    this.gate = undefined
    this.open()
  }

  async client(isLinearizable = false): Promise<Client> {
    const socket = new TestSocket('127.0.0.1', this.port++)
    socket.attach((this.accepts[isLinearizable ? 1 : 0] as (connection: Connection) => ConnectionEvents)(socket))
    const client = new Client(socket)
    await client.shakeHands()
    return client
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.catchUp()
    await this.server.close(0)
    await this.stack.stop()
  }

  private watched(log: SharedLog): SharedLog {
    return new Proxy(log, {
      get: (target, name) => {
        const member = Reflect.get(target, name) as unknown
        if (typeof member !== 'function') return member
        if (name === 'readNext')
          return async (...args: unknown[]) => {
            await this.gate
            return member.apply(target, args)
          }
        if (name === 'checkTail') this.tailChecks++
        return member.bind(target)
      },
    })
  }
}

const NO_TURNS = { turn: () => undefined } as ZooKeeperHarness

class Client {
  private readonly wire: WireClient
  private readonly waiting: ((reply: ReturnType<WireClient['ask']>) => void)[] = []
  private replies = 0

  constructor(socket: TestSocket) {
    this.wire = new WireClient(NO_TURNS, socket)
  }

  get received(): number {
    this.read()
    return this.replies
  }

  async shakeHands(): Promise<void> {
    this.wire.shakeHands({})
    await eventually(
      async () => {
        this.wire.take()
        return this.wire.connected === undefined ? undefined : true
      },
      5_000,
      'a session',
    )
  }

  async begin(
    request: Parameters<WireClient['ask']>[0],
  ): ReturnType<typeof Promise.resolve<ReturnType<WireClient['ask']>>> {
    const reply = new Promise<ReturnType<WireClient['ask']>>((resolve) => this.waiting.push(resolve))
    this.wire.send(request)
    let done = false
    void reply.then(() => {
      done = true
    })
    await eventually(
      async () => {
        this.read()
        await Promise.resolve()
        return done ? true : undefined
      },
      5_000,
      'a reply',
    )
    return reply
  }

  ask(request: Parameters<WireClient['ask']>[0]): Promise<ReturnType<WireClient['ask']>> {
    return this.begin(request)
  }

  private read(): void {
    for (const one of this.wire.take()) {
      if (one.kind !== 'reply') continue
      this.replies++
      this.waiting.shift()?.(one)
    }
  }
}
