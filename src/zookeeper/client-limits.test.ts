// Every limit that a client can meet, of the protocol server and of the database behind it: what happens at the limit and
// one past it, and which counter tells.

import { describe, expect, it } from 'vitest'
import {
  create,
  getData,
  type HarnessOptions,
  OPEN_ACL,
  setData,
  WireClient,
  ZooKeeperHarness,
} from '../../test/support/zookeeper-harness.ts'
import { DelosError } from '../base/delos-error.ts'
import type { ZelosLimitName } from '../zelos/limits.ts'
import { ERR } from './codec/error-codes.ts'
import { OP } from './codec/opcodes.ts'
import type { MultiOperation } from './codec/wire-requests.ts'
import { type ClientLimitName, type ClientLimits, DEFAULT_CLIENT_LIMITS } from './server-options.ts'

function withLimits(limits: Partial<ClientLimits>, rest: HarnessOptions = {}): Promise<ZooKeeperHarness> {
  return ZooKeeperHarness.start({ ...rest, limits })
}

const met = (harness: ZooKeeperHarness, name: ClientLimitName): number => harness.server.stats.limitsHit[name]
const exceeded = (harness: ZooKeeperHarness, name: ZelosLimitName): number =>
  harness.zelos.zelos.stats.limitsExceeded[name]

describe('limits of a protocol server', () => {
  it('each has a default and a counter that starts at 0', async () => {
    expect(DEFAULT_CLIENT_LIMITS).toEqual({
      connectionsMax: 10_000,
      connectionsPerIpMax: 0,
      frameBytesMax: 1_048_575,
      outstandingMax: 1000,
      outstandingBytesMax: 16 << 20,
      unsentBytesMax: 64 << 20,
      allUnsentBytesMax: 1 << 30,
      replyBytesMax: 4 << 20,
      multiReadsMax: 5_000,
      multiReadNamesMax: 512 << 10,
      identitiesMax: 100,
      handshakeMs: 10_000,
    })
    const { server } = await ZooKeeperHarness.start()
    expect(server.limits).toEqual(DEFAULT_CLIENT_LIMITS)
    const zeros = Object.keys(DEFAULT_CLIENT_LIMITS).map((name) => [name, 0])
    expect(server.stats.limitsHit).toEqual(Object.fromEntries(zeros))
  })

  it('connectionsMax: one more is closed at once, and has room when another has gone', async () => {
    const harness = await withLimits({ connectionsMax: 2 })
    const first = harness.socket()
    const second = harness.socket()
    expect([first.isClosed, second.isClosed, met(harness, 'connectionsMax')]).toEqual([false, false, 0])
    const third = harness.socket()
    expect([third.destroyed, met(harness, 'connectionsMax')]).toEqual([true, 1])
    expect(harness.server.connections.size).toBe(2)
    expect(harness.warnings()).toEqual(['warn too many connections'])
    first.close()
    expect(harness.socket().isClosed).toBe(false)
  })

  it('connectionsPerIpMax: counts each address for itself, and not what was refused', async () => {
    const harness = await withLimits({ connectionsPerIpMax: 2 })
    const [first] = [harness.socket('10.0.0.1'), harness.socket('10.0.0.1')]
    expect(met(harness, 'connectionsPerIpMax')).toBe(0)
    for (let i = 1; i <= 5; i++) {
      expect(harness.socket('10.0.0.1').destroyed).toBe(true)
      expect(met(harness, 'connectionsPerIpMax')).toBe(i)
    }
    expect(harness.socket('10.0.0.2').isClosed).toBe(false)
    expect(harness.socket('::1').isClosed).toBe(false)
    first?.close()
    expect(harness.socket('10.0.0.1').isClosed).toBe(false)
    expect(harness.socket('10.0.0.1').destroyed).toBe(true)
  })

  it('frameBytesMax: a frame of that length is read, a longer one closes its connection and no other', async () => {
    const harness = await withLimits({ frameBytesMax: 200 })
    const neighbour = harness.client()
    const client = harness.client()
    const record = (length: number): Buffer => {
      const bytes = Buffer.alloc(length, 0)
      bytes.writeInt32BE(1, 0)
      bytes.write('/', 4)
      return bytes
    }
    client.sendRaw(OP.exists, record(192))
    harness.turn()
    expect(client.takeBriefly()).toEqual(['1:0'])
    client.sendRaw(OP.exists, record(193))
    expect([client.socket.ended, met(harness, 'frameBytesMax')]).toEqual([true, 1])
    expect(neighbour.ask({ op: OP.exists, path: '/', watch: false }).err).toBe(0)
    expect(harness.server.stats.closes['bad-frame']).toBe(0)
    client.socket.close()
    expect(harness.server.stats.closes['bad-frame']).toBe(1)
  })

  it('a negative length closes too, and is not the fault of a limit', async () => {
    const harness = await ZooKeeperHarness.start()
    const client = harness.client()
    client.socket.send(Buffer.of(0xff, 0xff, 0xff, 0xfe))
    expect([client.socket.ended, met(harness, 'frameBytesMax')]).toEqual([true, 0])
  })

  it('outstandingMax: with so many requests waiting the socket is not read, and again when half are answered', async () => {
    const harness = await withLimits({ outstandingMax: 4 })
    const client = harness.client()
    expect(client.create('/a').err).toBe(0)
    harness.hold()
    client.send(setData('/a', '1'), setData('/a', '2'), setData('/a', '3'))
    expect([client.socket.paused, met(harness, 'outstandingMax')]).toEqual([false, 0])
    client.send(setData('/a', '4'))
    expect([client.socket.paused, met(harness, 'outstandingMax')]).toEqual([true, 1])
    client.send(setData('/a', '5'), setData('/a', '6'))
    expect(harness.server.outstanding).toBe(4)
    harness.release()
    expect(client.socket.paused).toBe(false)
    expect(client.takeBriefly()).toEqual(['2:0', '3:0', '4:0', '5:0', '6:0', '7:0'])
  })

  it('outstandingMax: what one chunk brings past it stays unread until there is room', async () => {
    const harness = await withLimits({ outstandingMax: 2 })
    const client = harness.client()
    client.create('/a')
    harness.hold()
    client.send(...Array.from({ length: 7 }, (_, i) => setData('/a', String(i))))
    expect(harness.server.outstanding).toBe(2)
    harness.release()
    expect(client.takeBriefly()).toHaveLength(7)
    expect(client.ask(getData('/a')).body.data?.toString()).toBe('6')
  })

  it('outstandingBytesMax: the same by the bytes of the requests', async () => {
    const harness = await withLimits({ outstandingBytesMax: 1000 })
    const client = harness.client()
    client.create('/a')
    harness.hold()
    const set = setData('/a', 'x'.repeat(500 - 22))
    client.send(set)
    expect([client.socket.paused, met(harness, 'outstandingBytesMax')]).toEqual([false, 0])
    client.send(set)
    expect([client.socket.paused, met(harness, 'outstandingBytesMax')]).toEqual([true, 1])
    harness.release()
    expect(client.socket.paused).toBe(false)
  })

  it('unsentBytesMax: a client that takes nothing is closed when one byte more waits for it', async () => {
    const harness = await withLimits({ unsentBytesMax: 1000 })
    const client = harness.client()
    const { socket } = client
    socket.taking = false
    // The reply to a ping has 20 bytes.
    const ping = (): void => {
      client.send({ op: OP.ping })
      harness.turn()
    }
    for (let i = 0; i < 50; i++) ping()
    expect([socket.bufferedBytes, socket.destroyed, met(harness, 'unsentBytesMax')]).toEqual([1000, false, 0])
    ping()
    expect([socket.destroyed, met(harness, 'unsentBytesMax'), harness.server.stats.closes.limit]).toEqual([true, 1, 1])
  })

  it('allUnsentBytesMax: of clients that take nothing, the one that asks for a byte too much is closed', async () => {
    // The reply to a getData of n bytes has n + 92.
    const harness = await withLimits({ allUnsentBytesMax: 2 * 300_092 })
    const [first, second] = [harness.client(), harness.client()]
    first.create('/large', 'x'.repeat(300_000))
    for (const client of [first, second]) {
      client.socket.taking = false
      client.send({ op: OP.getData, path: '/large', watch: false })
      harness.turn()
    }
    expect([harness.server.unsentBytes, met(harness, 'allUnsentBytesMax')]).toEqual([600_184, 0])
    second.send({ op: OP.ping })
    harness.turn()
    expect([first.socket.destroyed, second.socket.destroyed]).toEqual([false, true])
    expect([harness.server.unsentBytes, met(harness, 'allUnsentBytesMax')]).toEqual([300_092, 1])
  })

  it('replyBytesMax: the names of all children, four bytes a name added, may be that long', async () => {
    const harness = await withLimits({ replyBytesMax: 40 })
    const client = harness.client()
    client.create('/p')
    for (const name of ['123456', '223456', '323456', '423456']) client.create(`/p/${name}`)
    const list = { op: OP.getChildren, path: '/p', watch: true } as const
    expect([client.ask(list).err, met(harness, 'replyBytesMax')]).toEqual([0, 0])
    client.send(create('/p/5'))
    harness.turn()
    expect(client.takeBriefly()).toEqual(['4 /p', '7:0'])
    expect([client.ask(list).err, met(harness, 'replyBytesMax')]).toEqual([ERR.systemError, 1])
    expect(client.ask({ ...list, op: OP.getChildren2 }).err).toBe(ERR.systemError)
    expect(client.ask({ op: OP.exists, path: '/p', watch: false }).body.stat?.numChildren).toBe(5)
  })

  it('multiReadsMax and multiReadNamesMax: one read, or one byte of names, more is answered with systemError', async () => {
    const harness = await withLimits({ multiReadsMax: 3, multiReadNamesMax: 20 })
    const client = harness.client()
    for (const path of ['/p', '/p/123456', '/p/223456', '/q', '/q/1']) client.create(path)
    const list = (...paths: string[]) => ({
      op: OP.multiRead,
      reads: paths.map((path) => ({ op: OP.getChildren, path }) as const),
    })
    expect(client.ask(list('/p', '/none', '/none')).err).toBe(0)
    expect(client.ask(list('/p', '/q')).err).toBe(ERR.systemError)
    expect([met(harness, 'multiReadNamesMax'), met(harness, 'multiReadsMax')]).toEqual([1, 0])
    expect(client.ask(list('/q', '/q', '/q', '/q')).err).toBe(ERR.systemError)
    expect([met(harness, 'multiReadsMax'), met(harness, 'replyBytesMax')]).toEqual([1, 0])
  })

  it('identitiesMax: one more is refused and closed; one that is known is none more', async () => {
    const harness = await withLimits({ identitiesMax: 2 })
    const client = harness.client()
    const auth = (user: string) => ({ op: OP.auth, scheme: 'digest', credential: Buffer.from(`${user}:x`) }) as const
    expect(['a', 'b', 'a', 'b'].map((user) => client.ask(auth(user)).err)).toEqual([0, 0, 0, 0])
    expect(met(harness, 'identitiesMax')).toBe(0)
    expect(client.ask(auth('c')).err).toBe(ERR.authFailed)
    expect([client.socket.ended, met(harness, 'identitiesMax')]).toEqual([true, 1])
  })

  it('handshakeMs: a connection without session is closed then, one with a session is not', async () => {
    const harness = await withLimits({ handshakeMs: 5000 })
    const silent = harness.socket()
    const half = harness.socket()
    half.send(Buffer.of(0, 0, 0, 45, 0, 0))
    const client = harness.client({ timeoutMs: 40_000 })
    harness.pass(4999)
    expect([silent.isClosed, half.isClosed]).toEqual([false, false])
    harness.pass(1)
    expect([silent.destroyed, half.destroyed, client.socket.isClosed]).toEqual([true, true, false])
    expect(met(harness, 'handshakeMs')).toBe(2)
    expect(harness.server.stats.closes['handshake-timeout']).toBe(2)
  })
})

describe('limits of the database, as clients see them', () => {
  const limited = (zelosLimits: HarnessOptions['zelosLimits'] & object): Promise<ZooKeeperHarness> =>
    ZooKeeperHarness.start({ zelosLimits })
  const check: MultiOperation = { op: OP.check, path: '/', version: -1 }

  it('multiOperationsMax: one operation more is answered with badArguments', async () => {
    const harness = await limited({ multiOperationsMax: 3 })
    const client = harness.client()
    expect(client.ask({ op: OP.multi, operations: [check, check, check] }).err).toBe(0)
    expect(exceeded(harness, 'multiOperationsMax')).toBe(0)
    expect(client.ask({ op: OP.multi, operations: [check, check, check, check] }).err).toBe(ERR.badArguments)
    expect(exceeded(harness, 'multiOperationsMax')).toBe(1)
  })

  it('updateBytesMax: one byte more is answered with badArguments', async () => {
    const harness = await limited({ updateBytesMax: 300 })
    const client = harness.client()
    const fits = (bytes: number): number => client.ask(create('/a', 'x'.repeat(bytes))).err
    let bytes = 300
    while (fits(bytes) === ERR.badArguments) bytes--
    expect(bytes).toBeGreaterThan(200)
    expect(exceeded(harness, 'updateBytesMax')).toBe(300 - bytes)
    expect(fits(bytes + 1)).toBe(ERR.badArguments)
  })

  it('aclCharsMax: one character more is answered with badArguments', async () => {
    const harness = await limited({ aclCharsMax: 20 })
    const client = harness.client()
    const acl = (id: string) => [{ perms: 31, scheme: 'digest', id }]
    expect(client.ask(create('/a', '', 0, acl('u:123456789012'))).err).toBe(0)
    expect(client.ask(create('/b', '', 0, acl('u:1234567890123'))).err).toBe(ERR.badArguments)
    expect(exceeded(harness, 'aclCharsMax')).toBe(1)
  })

  it('sessionsMax: a client more is closed without a session, and gets one when another has ended', async () => {
    const harness = await limited({ sessionsMax: 2 })
    const first = harness.client()
    harness.client()
    const third = new WireClient(harness, harness.socket())
    third.shakeHands({})
    expect([third.connected, third.socket.ended, exceeded(harness, 'sessionsMax')]).toEqual([undefined, true, 1])
    first.send({ op: OP.closeSession })
    harness.turn()
    expect(harness.client().connected?.timeoutMs).toBe(10_000)
  })

  it('watchesPerConnectionMax and watchesMax: a read that would set one more is refused with systemError', async () => {
    const harness = await limited({ watchesPerConnectionMax: 2, watchesMax: 3 })
    const [one, other] = [harness.client(), harness.client()]
    const watch = (client: WireClient, path: string): number => client.ask({ op: OP.exists, path, watch: true }).err
    expect([watch(one, '/1'), watch(one, '/2'), watch(one, '/1')]).toEqual([ERR.noNode, ERR.noNode, ERR.noNode])
    expect(exceeded(harness, 'watchesPerConnectionMax')).toBe(0)
    expect([watch(one, '/3'), exceeded(harness, 'watchesPerConnectionMax')]).toEqual([ERR.systemError, 1])
    expect([watch(other, '/1'), exceeded(harness, 'watchesMax')]).toEqual([ERR.noNode, 0])
    expect([watch(other, '/2'), exceeded(harness, 'watchesMax')]).toEqual([ERR.systemError, 1])
    expect(met(harness, 'replyBytesMax')).toBe(0)
    expect(one.ask({ op: OP.exists, path: '/3', watch: false }).err).toBe(ERR.noNode)
  })

  it('pendingUpdatesMax and pendingBytesMax: an update more than the log may hold is refused, nothing done', async () => {
    const harness = await limited({ pendingUpdatesMax: 2, pendingBytesMax: 500 })
    const client = harness.client()
    client.create('/a')
    harness.hold()
    client.send(setData('/a', '1'), setData('/a', '2'), setData('/a', '3'))
    harness.release()
    expect(client.takeBriefly()).toEqual(['2:0', '3:0', `4:${ERR.systemError}`])
    expect(exceeded(harness, 'pendingUpdatesMax')).toBe(1)
    harness.hold()
    client.send(setData('/a', 'x'.repeat(350)), setData('/a', 'y'.repeat(350)))
    harness.release()
    expect(client.takeBriefly()).toEqual(['5:0', `6:${ERR.systemError}`])
    expect(exceeded(harness, 'pendingBytesMax')).toBe(1)
    expect(client.ask(getData('/a')).body.data?.toString()).toBe('x'.repeat(350))
  })

  it('a full disk refuses updates with systemError and goes on reading', async () => {
    const harness = await ZooKeeperHarness.start()
    const client = harness.client()
    client.create('/a', 'data')
    harness.zelos.log.refuse = new DelosError('DISK_FULL', 'free space is below the reserve')
    expect(client.ask(setData('/a', 'more')).err).toBe(ERR.systemError)
    expect(client.ask(getData('/a')).body.data?.toString()).toBe('data')
    harness.zelos.log.refuse = undefined
    expect(client.ask(create('/b', '', 0, OPEN_ACL)).err).toBe(0)
  })
})
