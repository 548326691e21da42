// Watches and a server that is killed: a client that comes back with the zxid that it has seen hears all that it missed, before
// and after the restart, once and in order.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { TestServer } from './support/server.ts'
import { type Session, succeeded, ZkClient } from './support/zk-client.ts'
import { EventType, WatchMode } from './support/zk-protocol.ts'

const ROUNDS = 3
const TIMEOUT_MS = 40_000

type Heard = [type: number, path: string, zxid: bigint]

const { created, deleted, dataChanged, childrenChanged } = EventType

let server: TestServer
beforeAll(async () => {
  server = await TestServer.start()
})
afterAll(() => server[Symbol.asyncDispose]())

/** Writes, and notes what watches of `/p` (persistent) and of `/r` (recursive) are to hear of it. */
class Writer {
  readonly expected: Heard[] = []
  client!: ZkClient
  private readonly session: { session?: Session } = {}

  async connect(): Promise<void> {
    this.client = await ZkClient.connect(server.port, { timeoutMs: TIMEOUT_MS, ...this.session })
    this.session.session = this.client.session
  }

  async create(path: string): Promise<void> {
    this.changed(created, path, await this.client.create(path, '0'))
  }

  async delete(path: string): Promise<void> {
    this.changed(deleted, path, await this.client.delete(path))
  }

  async setData(path: string): Promise<void> {
    this.changed(dataChanged, path, await this.client.setData(path, '1'))
  }

  private changed(type: number, path: string, reply: { err: number; zxid: bigint }): void {
    expect(reply.err).toBe(0)
    if (path === '/p' || path === '/r' || path.startsWith('/r/')) this.expected.push([type, path, reply.zxid])
    if (type !== dataChanged && path.startsWith('/p/')) this.expected.push([childrenChanged, '/p', reply.zxid])
  }

  /** Nodes come, go and come again: at the end they are as before. */
  async play(): Promise<void> {
    await this.create('/p/a')
    await this.delete('/p/a')
    await this.create('/p/a')
    await this.delete('/p/a')
    for (const path of ['/r/b', '/r/b/c', '/neighbour']) await this.create(path)
    await this.setData('/r/b/c')
    for (const path of ['/r/b/c', '/r/b', '/neighbour', '/p']) await this.delete(path)
    await this.create('/p')
    await this.setData('/p')
  }
}

it('a client hears every event once and in order, over kills and restarts of the server', async () => {
  const writer = new Writer()
  await writer.connect()
  for (const path of ['/p', '/r', '/one']) await writer.create(path)
  writer.expected.length = 0
  let watcher = await ZkClient.connect(server.port, { timeoutMs: TIMEOUT_MS })
  const { session } = watcher
  succeeded(await watcher.addWatch('/p', WatchMode.persistent))
  succeeded(await watcher.addWatch('/r', WatchMode.recursive))
  const heard: Heard[] = []
  /** What the watcher was told, without the one-shot watches; it has seen the zxids of events too. */
  let seen = watcher.lastZxid
  const take = () => {
    for (const { type, path, zxid } of watcher.events.splice(0))
      if (!path.startsWith('/one')) heard.push([type, path, zxid])
    for (const zxid of [watcher.lastZxid, ...heard.map(([, , at]) => at)]) if (zxid > seen) seen = zxid
  }
  for (let round = 0; round < ROUNDS; round++) {
    await writer.play()
    // It is away before the kill, by the kill, or hears the end of the connection in the middle of everything.
    if (round === 0) watcher.drop()
    await writer.play()
    await server.kill()
    await watcher.closed
    take()
    await server.restart()
    await writer.connect()
    await writer.play()
    watcher = await ZkClient.connect(server.port, { timeoutMs: TIMEOUT_MS, session })
    expect(watcher.session.id).toBe(session.id)
    succeeded(await watcher.setWatches2(seen, { persistent: ['/p'], recursive: ['/r'] }))
    await writer.play()
    succeeded(await watcher.sync('/'))
    take()
    expect(heard).toEqual(writer.expected)
  }
  await watcher.close()
})

it('its one-shot watches fire once: of what has changed since, or when it changes', async () => {
  const writer = new Writer()
  await writer.connect()
  for (const path of ['/one/changed', '/one/again', '/one/gone', '/one/parent', '/one/same']) await writer.create(path)
  const before = await ZkClient.connect(server.port, { timeoutMs: TIMEOUT_MS })
  for (const name of ['changed', 'again', 'gone', 'same']) succeeded(await before.getData(`/one/${name}`, true))
  succeeded(await before.getChildren('/one/parent', true))
  await before.exists('/one/later', true)
  const seen = before.lastZxid
  await writer.setData('/one/changed')
  await writer.delete('/one/again')
  await server.kill()
  await before.closed
  // Both were told while it was there.
  expect(before.events.map(({ type, path }) => [type, path])).toEqual([
    [dataChanged, '/one/changed'],
    [deleted, '/one/again'],
  ])
  await server.restart()
  await writer.connect()
  await writer.create('/one/again')
  await writer.delete('/one/gone')
  await writer.create('/one/parent/child')
  await writer.create('/one/later')
  const after = await ZkClient.connect(server.port, { timeoutMs: TIMEOUT_MS, session: before.session })
  const left = { data: ['/one/gone', '/one/same'], child: ['/one/parent'], exist: ['/one/later'] }
  succeeded(await after.setWatches2(seen, { ...left, persistent: ['/one/gone'] }))
  for (let i = 0; i < 2; i++) await writer.setData('/one/same')
  for (const path of ['/one/later', '/one/again', '/one/changed']) await writer.setData(path)
  succeeded(await after.sync('/'))
  expect(after.events.map(({ type, path }) => [type, path]).sort()).toEqual(
    [
      [deleted, '/one/gone'],
      [childrenChanged, '/one/parent'],
      [created, '/one/later'],
      [dataChanged, '/one/same'],
    ].sort(),
  )
  await after.close()
  await writer.client.close()
})
