// A server that stood still (SIGSTOP, a suspended machine, a long collection) blames no session for it, while sessions
// that are silent on a running server expire.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { serverKind, TestServer } from './support/server.ts'
import { delay, eventually, within } from './support/wait.ts'
import { succeeded, ZkClient } from './support/zk-client.ts'
import { Err, Flags } from './support/zk-protocol.ts'

const TICK_MS = 300
const TIMEOUT_MS = 1500

// A real ZooKeeper counts the time it stood still and expires everybody.
const itForgives = it.skipIf(serverKind === 'zookeeper')

let server: TestServer
let observer: ZkClient
beforeAll(async () => {
  server = await TestServer.start({ tickMs: TICK_MS })
  observer = await ZkClient.connect(server.port, { timeoutMs: 20 * TICK_MS })
})
afterAll(() => server[Symbol.asyncDispose]())

async function withEphemeral(path: string, keepAlive: boolean): Promise<ZkClient> {
  const client = await ZkClient.connect(server.port, { timeoutMs: TIMEOUT_MS, keepAlive })
  expect(client.session.timeoutMs).toBe(TIMEOUT_MS)
  succeeded(await client.create(path, '', Flags.ephemeral))
  return client
}

async function standStill(ms: number): Promise<void> {
  server.pause()
  await delay(ms)
  server.resume()
}

const goneIn = (path: string, ms: number): Promise<true> =>
  eventually(
    () => observer.exists(path).then(({ err }) => (err === Err.noNode ? true : undefined)),
    ms,
    `${path} is gone`,
  )

itForgives(
  'no session has expired after two timeouts of standing still, whatever its client did meanwhile',
  async () => {
    await using pinging = await withEphemeral('/pinging', true)
    await using silent = await withEphemeral('/silent', false)
    const cut = await withEphemeral('/cut', false)
    cut.drop()
    await standStill(2 * TIMEOUT_MS)

    const paths = ['/pinging', '/silent', '/cut']
    for (const path of paths) expect([path, (await observer.exists(path)).err]).toEqual([path, Err.ok])
    await delay(TIMEOUT_MS / 2)
    expect((await silent.ping()).err).toBe(Err.ok)
    await using back = await ZkClient.connect(server.port, {
      timeoutMs: TIMEOUT_MS,
      session: cut.session,
      lastZxidSeen: cut.lastZxid,
    })
    expect(back.session.id).toBe(cut.session.id)

    for (let i = 0; i < 6; i++) {
      await delay(TIMEOUT_MS / 4)
      expect((await silent.ping()).err).toBe(Err.ok)
    }
    for (const path of paths) expect([path, (await observer.exists(path)).err]).toEqual([path, Err.ok])
    for (const client of [pinging, silent, back]) {
      expect((await client.setData('/cut', 'on we go')).err).toBe(Err.ok)
    }
    for (const client of [pinging, silent, back]) await client.close()
  },
)

itForgives('many short stand-stills count no more than one long one', async () => {
  await using silent = await withEphemeral('/dozing', false)
  for (let i = 0; i < 4; i++) {
    await standStill(TIMEOUT_MS / 2)
    await delay(20)
  }
  expect((await silent.ping()).err).toBe(Err.ok)
  expect((await observer.exists('/dozing')).err).toBe(Err.ok)
  await silent.close()
})

itForgives(
  'a session whose client never comes back expires all the same, a timeout after the stand-still',
  async () => {
    const cut = await withEphemeral('/never-back', false)
    cut.drop()
    await standStill(2 * TIMEOUT_MS)
    expect((await observer.exists('/never-back')).err).toBe(Err.ok)
    await goneIn('/never-back', TIMEOUT_MS + 3 * TICK_MS + 500)
  },
)

it('on a running server a silent session expires after its timeout, its connection is closed, others live on', async () => {
  await using silent = await withEphemeral('/really-silent', false)
  await using pinging = await withEphemeral('/still-there', true)
  const started = performance.now()
  await goneIn('/really-silent', TIMEOUT_MS + 3 * TICK_MS + 500)
  expect(performance.now() - started).toBeGreaterThan(TIMEOUT_MS - 100)
  await within(silent.closed, 1000, 'close of the expired connection')
  const again = await ZkClient.connect(server.port, { session: silent.session })
  expect(again.session.timeoutMs).toBe(0)
  expect((await observer.exists('/still-there')).err).toBe(Err.ok)
  expect((await pinging.ping()).err).toBe(Err.ok)
  await pinging.close()
})
