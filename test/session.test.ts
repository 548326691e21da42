// Sessions seen from outside: handshake, timeouts, reconnecting, closing, order of replies. Expiry while the server
// stands still is in pause.test.ts, surviving a crash in crash.test.ts.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FrameConnection } from './support/frame-connection.ts'
import { TestServer } from './support/server.ts'
import { eventually, within } from './support/wait.ts'
import { ConnectionClosed, encodeConnectRequest, succeeded, ZkClient } from './support/zk-client.ts'
import { Err, Flags, Op } from './support/zk-protocol.ts'

const TICK_MS = 300
const ZEROS = Buffer.alloc(16)

let server: TestServer
beforeAll(async () => {
  server = await TestServer.start({ tickMs: TICK_MS })
})
afterAll(() => server[Symbol.asyncDispose]())

const connect = (options = {}): Promise<ZkClient> => ZkClient.connect(server.port, options)

describe('handshake', () => {
  it.each([
    ['less than two ticks', 1, 2 * TICK_MS],
    ['nothing', 0, 2 * TICK_MS],
    ['a negative time', -5, 2 * TICK_MS],
    ['something between', 1234, 1234],
    ['more than twenty ticks', 1_000_000_000, 20 * TICK_MS],
  ])('a client that asks for %s gets the nearest timeout that is allowed', async (_asked, timeoutMs, granted) => {
    await using client = await connect({ timeoutMs })
    expect(client.session.timeoutMs).toBe(granted)
  })

  it('a new session gets an id other than 0 and a password of 16 bytes, both its own', async () => {
    await using first = await connect()
    await using second = await connect()
    for (const { session } of [first, second]) {
      expect(session.id).not.toBe(0n)
      expect(session.password).toHaveLength(16)
      expect(session.password).not.toEqual(ZEROS)
    }
    expect(first.session.id).not.toBe(second.session.id)
    expect(first.session.password).not.toEqual(second.session.password)
  })

  it('the reply says readOnly if the request did, and leaves it out for clients before 3.4', async () => {
    await using modern = await connect({ readOnly: false })
    expect(modern.readOnly).toBe(false)
    await using ancient = await connect({ readOnly: 'omit' })
    expect(ancient.readOnly).toBeUndefined()
    expect(succeeded(await ancient.getChildren('/'))).toContain('zookeeper')
  })

  it('a client that may be served read-only gets a writable session from a writable server', async () => {
    await using client = await connect({ readOnly: true })
    expect(client.readOnly).toBe(false)
    expect((await client.setData('/', '')).err).toBe(Err.ok)
  })

  it('a handshake that comes byte by byte is understood', async () => {
    const connection = await FrameConnection.open(server.port)
    const request = encodeConnectRequest()
    for (const byte of [0, 0, 0, request.length, ...request]) {
      connection.write(Buffer.of(byte))
      await new Promise(setImmediate)
    }
    expect((await connection.nextFrame())?.readInt32BE(4)).toBe(Math.min(10_000, 20 * TICK_MS))
    connection.destroy()
  })

  it('requests sent behind the handshake without waiting for its reply are answered', async () => {
    const connection = await FrameConnection.open(server.port)
    connection.writeFrame(encodeConnectRequest())
    connection.writeFrame(Buffer.of(0, 0, 0, 7, 0, 0, 0, Op.getData, 0, 0, 0, 1, 0x2f, 0))
    expect((await connection.nextFrame())?.length).toBe(37)
    expect((await connection.nextFrame())?.readInt32BE(0)).toBe(7)
    connection.destroy()
  })

  it('a client that has seen a zxid from the future is turned away without a reply', async () => {
    await expect(connect({ lastZxidSeen: 1n << 40n })).rejects.toThrow(ConnectionClosed)
  })
})

describe('reconnecting', () => {
  it('with id and password takes the session over, with its ephemerals', async () => {
    const first = await connect()
    succeeded(await first.create('/taken-over', '', Flags.ephemeral))
    first.drop()
    await using second = await connect({ session: first.session, lastZxidSeen: first.lastZxid })
    expect(second.session.id).toBe(first.session.id)
    expect(second.session.password).toEqual(first.session.password)
    expect(second.session.timeoutMs).toBe(first.session.timeoutMs)
    expect(succeeded(await second.exists('/taken-over')).ephemeralOwner).toBe(first.session.id)
    await second.close()
  })

  it('while the old connection is open closes the old one and leaves the session alive', async () => {
    const first = await connect()
    succeeded(await first.create('/moved', '', Flags.ephemeral))
    await using second = await connect({ session: first.session })
    expect(second.session.id).toBe(first.session.id)
    await within(first.closed, 2000, 'close of the old connection')
    expect(succeeded(await second.create('/moved-too', '', Flags.ephemeral))).toBe('/moved-too')
    expect((await second.exists('/moved')).err).toBe(Err.ok)
    await second.close()
  })

  it('may change the timeout', async () => {
    const first = await connect({ timeoutMs: 4 * TICK_MS })
    first.drop()
    await using second = await connect({ session: first.session, timeoutMs: 5 * TICK_MS })
    expect(second.session.timeoutMs).toBe(5 * TICK_MS)
    await second.close()
  })

  // A real ZooKeeper cuts the owner's connection before it looks at the password; what must hold is that the session lives.
  it.each([
    ['one bit wrong', (right: Buffer) => Buffer.from(right.map((byte, i) => (i === 3 ? byte ^ 1 : byte)))],
    ['no bytes', () => Buffer.alloc(0)],
    ['8 bytes', (right: Buffer) => right.subarray(0, 8)],
    ['17 bytes', (right: Buffer) => Buffer.concat([right, Buffer.alloc(1)])],
    ['16 zero bytes', () => ZEROS],
  ])('with a password of %s gets timeout 0 and is closed, and the session lives on', async (_what, wrong) => {
    await using owner = await connect()
    succeeded(await owner.create('/guarded', '', Flags.ephemeral))
    const thief = await connect({ session: { id: owner.session.id, password: wrong(owner.session.password) } })
    expect(thief.session).toEqual({ id: 0n, password: ZEROS, timeoutMs: 0 })
    await within(thief.closed, 2000, 'close of the wrong connection')
    await using again = await connect({ session: owner.session })
    expect(again.session.id).toBe(owner.session.id)
    expect(succeeded(await again.exists('/guarded')).ephemeralOwner).toBe(owner.session.id)
    await again.close()
  })

  it('with an id that never existed gets timeout 0 and is closed', async () => {
    const stranger = await connect({ session: { id: 0x1234_5678_9abcn, password: Buffer.alloc(16, 1) } })
    expect(stranger.session).toEqual({ id: 0n, password: ZEROS, timeoutMs: 0 })
    await within(stranger.closed, 2000, 'close')
  })
})

describe('living and ending', () => {
  it('pings alone keep a session alive', async () => {
    await using client = await connect({ timeoutMs: 2 * TICK_MS })
    succeeded(await client.create('/pinged', '', Flags.ephemeral))
    await using other = await connect()
    const until = performance.now() + 6 * TICK_MS
    while (performance.now() < until) {
      expect((await other.exists('/pinged')).err).toBe(Err.ok)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    expect(client.isClosed).toBe(false)
    await client.close()
  })

  it('a session whose connection was cut lives for its timeout and no longer than that and three ticks', async () => {
    const timeoutMs = 4 * TICK_MS
    const client = await connect({ timeoutMs, keepAlive: false })
    succeeded(await client.create('/left-behind', '', Flags.ephemeral))
    const cut = performance.now()
    client.drop()
    await using other = await connect()
    const gone = (): Promise<true | undefined> =>
      other.exists('/left-behind').then(({ err }) => (err === Err.noNode ? true : undefined))
    await eventually(gone, timeoutMs + 3 * TICK_MS + 500, 'the ephemeral of the expired session is gone')
    expect(performance.now() - cut).toBeGreaterThan(timeoutMs - 50)
    const again = await connect({ session: client.session })
    expect(again.session.timeoutMs).toBe(0)
  })

  it('a silent session expires also while its connection is open, and that is closed', async () => {
    await using client = await connect({ timeoutMs: 2 * TICK_MS, keepAlive: false })
    await within(client.closed, 5 * TICK_MS + 500, 'close of the expired connection')
    const again = await connect({ session: client.session })
    expect(again.session.timeoutMs).toBe(0)
  })

  it('closeSession is answered, then the server closes, ephemerals go and other nodes stay', async () => {
    await using client = await connect()
    succeeded(await client.create('/closing', ''))
    succeeded(await client.create('/closing/a', '', Flags.ephemeral))
    succeeded(await client.create('/closing/b-', '', Flags.ephemeralSequential))
    succeeded(await client.create('/closing/c', ''))
    await using other = await connect()
    const reply = await client.request(Op.closeSession, Buffer.alloc(0), () => undefined)
    expect(reply.err).toBe(Err.ok)
    await within(client.closed, 2000, 'close')
    expect(succeeded(await other.getChildren('/closing'))).toEqual(['c'])
    expect(succeeded(await other.exists('/closing')).pzxid).toBe(reply.zxid)
    const again = await connect({ session: client.session })
    expect(again.session.timeoutMs).toBe(0)
  })

  it('requests pipelined before closeSession are answered, those behind it are not', async () => {
    await using client = await connect()
    const before = client.create('/before-close', '')
    const close = client.request(Op.closeSession, Buffer.alloc(0), () => undefined)
    const behind = client.create('/behind-close', '').then(
      (reply) => reply.err,
      (error: Error) => error.name,
    )
    expect((await before).err).toBe(Err.ok)
    expect((await close).err).toBe(Err.ok)
    expect(await behind).toBe('ConnectionClosed')
    await using other = await connect()
    expect((await other.exists('/behind-close')).err).toBe(Err.noNode)
  })
})

describe('order', () => {
  it('a read pipelined behind a write of its session sees that write', async () => {
    await using client = await connect()
    succeeded(await client.create('/own-writes', ''))
    const work: Promise<void>[] = []
    for (let i = 1; i <= 500; i++) {
      const written = client.setData('/own-writes', String(i))
      const read = client.getData('/own-writes')
      work.push(
        Promise.all([written, read]).then(([set, get]) => {
          expect(succeeded(set).version).toBe(i)
          expect(succeeded(get).data?.toString()).toBe(String(i))
          expect(get.zxid).toBeGreaterThanOrEqual(set.zxid)
          expect(get.seq).toBeGreaterThan(set.seq)
        }),
      )
    }
    await Promise.all(work)
  })

  it('the zxid of replies never goes back, and each update takes one, failed ones too', async () => {
    await using client = await connect()
    const created = await client.create('/zxids', '')
    const refused = await client.create('/zxids', '')
    expect(refused.err).toBe(Err.nodeExists)
    expect(refused.zxid).toBe(created.zxid + 1n)
    const read = await client.getData('/zxids')
    expect(read.zxid).toBe(created.zxid + 1n)
    const badVersion = await client.setData('/zxids', '', 7)
    expect(badVersion.err).toBe(Err.badVersion)
    expect(badVersion.zxid).toBe(created.zxid + 2n)
    const deleted = await client.delete('/zxids')
    expect(deleted.zxid).toBe(created.zxid + 3n)
  })

  it('sessions see one order of updates: of two that race to create a node exactly one wins', async () => {
    await using left = await connect()
    await using right = await connect()
    for (let i = 0; i < 200; i++) {
      const [a, b] = await Promise.all([left.create(`/race-${i}`, 'left'), right.create(`/race-${i}`, 'right')])
      expect([a.err, b.err].sort()).toEqual([Err.nodeExists, Err.ok].sort())
      expect(succeeded(await left.getData(`/race-${i}`)).data?.toString()).toBe(a.err === 0 ? 'left' : 'right')
    }
  })

  it('after sync a session reads what another session had written before', async () => {
    await using writer = await connect()
    await using reader = await connect()
    succeeded(await writer.create('/synced', '0'))
    for (let i = 1; i <= 50; i++) {
      succeeded(await writer.setData('/synced', String(i)))
      expect(succeeded(await reader.sync('/synced'))).toBe('/synced')
      expect(succeeded(await reader.getData('/synced')).data?.toString()).toBe(String(i))
    }
  })
})
