// Zelos on the real engines: several servers over one shared log end with the same content, also one that joins late.

import { describe, expect, it } from 'vitest'
import { OPEN, TestClient } from '../../test/support/zelos-harness.ts'
import { Stack } from '../engine/stack.ts'
import { BaseEngine } from '../engines/base-engine/base-engine.ts'
import { batchingEngine } from '../engines/batching-engine.ts'
import { VirtualLog } from '../log/virtual-log.ts'
import { MemoryLogletProvider } from '../loglets/memory/memory-loglet-provider.ts'
import { MemoryMetaStore, MemoryRegister } from '../metastores/memory/memory-metastore.ts'
import { nodeRuntime } from '../runtime/node-runtime.ts'
import { MemoryBackend, openMemoryStore } from '../store/memory-store.ts'
import { rangeOfPrefix } from '../store/sub-store.ts'
import type { SessionRecord, UpdateOperation, UpdateResult } from './requests.ts'
import { ZELOS_PREFIX } from './tree/key-space.ts'
import { ZelosApplicator } from './zelos-applicator.ts'
import { ZelosDatabase } from './zelos-database.ts'
import type { Zxid } from './znode.ts'

const runtime = nodeRuntime()

class SharedLog {
  private readonly provider = new MemoryLogletProvider()
  private readonly register = new MemoryRegister()

  open(): Promise<VirtualLog> {
    return VirtualLog.open({
      ...runtime,
      metastore: new MemoryMetaStore(this.register),
      providers: [this.provider],
      initial: { kind: 'memory', params: {} },
    })
  }
}

async function openServer(shared: SharedLog, serverId: string, backend = new MemoryBackend(runtime)) {
  const store = openMemoryStore({ runtime, backend })
  const log = await shared.open()
  const stack = new Stack<UpdateResult>({
    ...runtime,
    serverId,
    database: 'zelos',
    bottom: new BaseEngine({ ...runtime, serverId, log, store }),
    engines: [batchingEngine()],
  })
  const applicator = new ZelosApplicator()
  stack.attach(applicator, { keepsLog: true })
  await stack.start()
  await stack.whenServing()
  const zelos = new ZelosDatabase({ runtime, applicator, log: stack, store: stack })
  zelos.startServing()
  return {
    zelos,
    stack,
    backend,
    content: () =>
      [...store.read().scan(rangeOfPrefix(ZELOS_PREFIX))].map(
        ([key, value]) => `${JSON.stringify(key)} ${Buffer.from(value).toString('hex')}`,
      ),
    close: async () => {
      zelos.close()
      await stack.stop()
      await log.close()
      await store.close()
    },
  }
}

type Server = Awaited<ReturnType<typeof openServer>>

function opened(zelos: ZelosDatabase): Promise<TestClient> {
  const client = new TestClient(zelos)
  return new Promise((resolve, reject) => {
    const use = (session: SessionRecord) => {
      client.use(session)
      resolve(client)
    }
    zelos.sessions.create(30_000, '127.0.0.1', client, { resolve: use, reject })
  })
}

function written(server: Server, client: TestClient, operation: UpdateOperation): Promise<UpdateResult> {
  return new Promise((resolve, reject) => server.zelos.write(client.requester, operation, { resolve, reject }))
}

function synced(server: Server): Promise<Zxid> {
  return new Promise((resolve, reject) => server.zelos.sync({ resolve, reject }))
}

describe('Zelos on a stack of engines', () => {
  it('shows a write of one server at the other after a sync, and both have the same content', async () => {
    const shared = new SharedLog()
    const servers = [await openServer(shared, 'a'), await openServer(shared, 'b')]
    await (servers[0] as Server).stack.enable()
    const clients = await Promise.all(servers.map(({ zelos }) => opened(zelos)))
    const results = await Promise.all(
      Array.from({ length: 600 }, (_, i) => {
        const server = servers[i % 2] as Server
        const client = clients[i % 2] as TestClient
        const path = `/n-${i % 60}`
        const data = Buffer.from(`${i}`)
        if (i < 60) return written(server, client, { op: 'create', path, data, acl: OPEN, flags: i % 3 === 0 ? 1 : 0 })
        if (i % 7 === 0) return written(server, client, { op: 'delete', path, version: -1 })
        return written(server, client, { op: 'setData', path, data, version: -1 })
      }),
    )
    expect(new Set(results.map(({ zxid }) => zxid)).size).toBe(600)
    const zxids = await Promise.all(servers.map(synced))
    expect(zxids[0]).toBe(zxids[1])
    expect((servers[0] as Server).content()).toEqual((servers[1] as Server).content())

    const late = await openServer(shared, 'c')
    await synced(late)
    expect(late.content()).toEqual((servers[0] as Server).content())
    expect(late.zelos.sessions.count).toBe(2)
    for (const server of [...servers, late]) await server.close()
  })

  it('keeps content, sessions and zxid over a restart', async () => {
    const shared = new SharedLog()
    const before = await openServer(shared, 'a')
    const alice = await opened(before.zelos)
    await written(before, alice, { op: 'create', path: '/e', data: null, acl: OPEN, flags: 1 })
    const { lastZxid } = before.zelos
    const content = before.content()
    await before.close()
    const after = await openServer(shared, 'a', before.backend)
    expect(after.content()).toEqual(content)
    expect(after.zelos.lastZxid).toBe(lastZxid)
    expect(await written(after, alice, { op: 'delete', path: '/e', version: 0 })).toEqual({
      zxid: lastZxid + 1,
      err: 0,
    })
    await after.close()
  })
})
