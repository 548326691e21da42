// One connection: in which order it answers what, what it does when a client does not read, how it ends.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { create, getData, setData, WireClient, ZooKeeperHarness } from '../../test/support/zookeeper-harness.ts'
import { DelosError } from '../base/delos-error.ts'
import { ERR } from './codec/error-codes.ts'
import { OP } from './codec/opcodes.ts'
import type { WireRequest } from './codec/wire-requests.ts'

const start = (): Promise<ZooKeeperHarness> => ZooKeeperHarness.start()
const OPEN = { perms: 31, scheme: 'world', id: 'anyone' }
const exists = (path: string, watch = false): WireRequest => ({ op: OP.exists, path, watch })
const remove = (path: string): WireRequest => ({ op: OP.delete, path, version: -1 })

/** Data of the getData replies among what came. */
function dataOf(client: WireClient): string[] {
  return client.take().flatMap((one) => {
    const data = one.kind === 'reply' ? one.body.data : undefined
    return data === undefined ? [] : [String(data)]
  })
}

describe('order', () => {
  it('a read waits for the updates of its connection before it', async () => {
    const harness = await start()
    const client = harness.client()
    client.create('/a', '0')
    harness.hold()
    client.send(setData('/a', '1'), getData('/a'))
    harness.turn()
    expect(client.take()).toEqual([])
    harness.release()
    expect(dataOf(client)).toEqual(['1'])
  })

  it('a read does not wait for updates of others', async () => {
    const harness = await start()
    const [writer, reader] = [harness.client(), harness.client()]
    writer.create('/a', '0')
    harness.hold()
    writer.send(setData('/a', '1'))
    expect(String(reader.ask(getData('/a')).body.data)).toBe('0')
  })

  it('a read between two updates sees the first and not the second, however they are batched', async () => {
    const harness = await start()
    const client = harness.client()
    client.create('/a', '0')
    harness.hold()
    client.send(
      setData('/a', '1'),
      getData('/a'),
      setData('/a', '2'),
      setData('/a', '3'),
      getData('/a'),
      getData('/a'),
      setData('/a', '4'),
      getData('/a'),
    )
    while (harness.server.outstanding > 0) {
      harness.release()
      harness.hold()
    }
    expect(dataOf(client)).toEqual(['1', '3', '3', '4'])
  })

  it('reads and updates of one connection have the effects of a run one by one', async () => {
    const operation = fc.oneof(
      fc.constant('get'),
      fc.constant('list'),
      fc.constant('sync'),
      fc.constant('watch'),
      fc.constant('acl'),
      fc.integer({ min: 0, max: 3 }).map((i) => `data ${i}`),
      fc.integer({ min: 0, max: 3 }).map((i) => `setAcl ${i}`),
      fc.integer({ min: 0, max: 3 }).map((i) => `create ${i}`),
      fc.integer({ min: 0, max: 3 }).map((i) => `delete ${i}`),
      fc.integer({ min: 0, max: 9 }).map((i) => `set ${i}`),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 30 }), fc.array(fc.nat(5)), async (operations, pauses) => {
        const one = await run(operations, [])
        const pipelined = await run(operations, pauses)
        expect(pipelined).toEqual(one)
      }),
      { numRuns: 200 },
    )
  })

  it('such a read waits for nothing but the update before it: both updates are in one batch', async () => {
    const harness = await start()
    const client = harness.client()
    client.create('/a', '0')
    harness.hold()
    client.send(setData('/a', '1'), getData('/a'), create('/a/b'), exists('/a/b'), remove('/a/b'), exists('/a/b'))
    harness.release()
    expect(client.takeBriefly()).toEqual(['2:0', '3:0', '4:0', '5:0', '6:0', `7:${ERR.noNode}`])
  })

  it('very many reads behind an update are answered a turn at a time, and see nothing that comes behind them', async () => {
    const harness = await start()
    const [client, other] = [harness.client(), harness.client()]
    client.create('/a', '0')
    let ms = harness.time.monotonicMs()
    harness.time.monotonicMs = () => ms++
    harness.hold()
    client.send(setData('/a', '1'), ...Array.from({ length: 100 }, () => getData('/a')))
    harness.zelos.log.held = false
    harness.zelos.log.release()
    expect(harness.server.outstanding).toBeGreaterThan(80)
    client.send(setData('/a', '2'), getData('/a'))
    // Of the others it is the turn meanwhile.
    expect(String(other.ask(getData('/a')).body.data)).toBe('1')
    expect(harness.server.outstanding).toBe(0)
    expect(dataOf(client)).toEqual([...Array.from({ length: 100 }, () => '1'), '2'])
  })

  it('one that sets a watch holds back the updates behind it, and hears of them', async () => {
    const harness = await start()
    const [client, other] = [harness.client(), harness.client()]
    client.create('/a', '0')
    harness.hold()
    client.send(setData('/a', '1'), getData('/a', true), setData('/a', '3'))
    other.send(setData('/a', '2'))
    harness.release()
    const received = client.take()
    expect(received.map((one) => (one.kind === 'event' ? one.path : one.xid))).toEqual([2, 3, '/a', 4])
    expect(received[1]).toMatchObject({ body: { data: Buffer.from('2') } })
  })

  it('requests about watches are carried out in their turn, and hold back the updates behind them', async () => {
    const harness = await start()
    const client = harness.client()
    client.create('/a')
    harness.hold()
    client.send(
      setData('/a', '1'),
      { op: OP.addWatch, path: '/a', mode: 0 },
      setData('/a', '2'),
      { op: OP.checkWatches, path: '/a', type: 4 },
      { op: OP.removeWatches, path: '/a', type: 4 },
      setData('/a', '3'),
      { op: OP.checkWatches, path: '/a', type: 4 },
    )
    for (let round = 0; round < 3; round++) {
      harness.release()
      harness.hold()
      harness.turn()
    }
    expect(client.takeBriefly()).toEqual(['2:0', '3:0', '3 /a', '4:0', '5:0', '6:0', '7:0', `8:${ERR.noWatcher}`])
  })

  it('an unknown mode or type of watch is malformed, and sets nothing', async () => {
    const harness = await start()
    const client = harness.client()
    for (const mode of [-1, 2]) {
      expect(client.ask({ op: OP.addWatch, path: '/', mode }).err).toBe(ERR.marshallingError)
    }
    for (const type of [0, 6]) {
      expect(client.ask({ op: OP.checkWatches, path: '/', type }).err).toBe(ERR.marshallingError)
      expect(client.ask({ op: OP.removeWatches, path: '/', type }).err).toBe(ERR.marshallingError)
    }
    expect(client.ask({ op: OP.removeWatches, path: '/', type: 3 }).err).toBe(ERR.noWatcher)
  })

  it('an error that is known on arrival keeps its turn', async () => {
    const harness = await start()
    const client = harness.client()
    harness.hold()
    client.send(create('/a'), create('/b', '', 99))
    client.sendRaw(OP.getData, Buffer.of(0, 0))
    client.send({ op: OP.reconfig, joining: null, leaving: null, members: null, configId: -1 })
    harness.turn()
    expect(client.take()).toEqual([])
    harness.release()
    expect(client.takeBriefly()).toEqual([
      '1:0',
      `2:${ERR.badArguments}`,
      `3:${ERR.marshallingError}`,
      `4:${ERR.reconfigDisabled}`,
    ])
  })

  it('an operation that does not exist is answered behind the replies before it, then the connection closes', async () => {
    const harness = await start()
    const client = harness.client()
    harness.hold()
    client.send(create('/a'))
    client.sendRaw(999)
    client.send(create('/b'))
    expect(client.socket.ended).toBe(false)
    harness.release()
    expect(client.takeBriefly()).toEqual(['1:0', `2:${ERR.unimplemented}`])
    expect(client.socket.ended).toBe(true)
  })

  it('auth is answered at once and holds for what comes behind it, not for what came before', async () => {
    const harness = await start()
    const owner = harness.client()
    const auth: WireRequest = { op: OP.auth, scheme: 'digest', credential: Buffer.from('ann:secret') }
    owner.ask(auth)
    const mine = [{ perms: 31, scheme: 'auth', id: '' }]
    owner.create('/mine', 'x', 0, mine)
    const client = harness.client()
    client.create('/a')
    harness.hold()
    client.send(setData('/a', '1'), getData('/a'), setData('/mine', 'early'), auth, setData('/mine', 'late'))
    harness.turn()
    expect(client.takeBriefly()).toEqual(['-4:0'])
    while (harness.server.outstanding > 0) {
      harness.release()
      harness.hold()
    }
    expect(client.takeBriefly()).toEqual(['2:0', '3:0', `4:${ERR.noAuth}`, '5:0'])
  })

  it('a watch event is on the wire before any reply that shows the change', async () => {
    const harness = await start()
    const [writer, watcher] = [harness.client(), harness.client()]
    writer.create('/a', '0')
    watcher.ask(getData('/a', true))
    harness.hold()
    watcher.send(create('/own'), getData('/a'))
    writer.send(setData('/a', '1'))
    harness.release()
    expect(watcher.takeBriefly()).toEqual(['3 /a', '2:0', '3:0'])
    watcher.ask(getData('/a', true))
    harness.hold()
    watcher.send(setData('/a', '2'))
    harness.release()
    expect(watcher.takeBriefly()).toEqual(['3 /a', '5:0'])
  })

  it('the zxid in replies and events never goes back', async () => {
    const harness = await start()
    const clients = [harness.client(), harness.client(), harness.client()]
    clients[0]?.create('/a', '0')
    let random = 7
    const pick = (n: number): number => {
      random = (random * 1103515245 + 12345) % 2147483648
      return Math.floor((random / 2147483648) * n)
    }
    const seen = clients.map(() => 0)
    for (let round = 0; round < 300; round++) {
      harness.hold()
      for (let i = pick(4); i >= 0; i--) {
        const client = clients[pick(3)] as WireClient
        client.send(pick(2) === 0 ? getData('/a', true) : setData('/a', String(round)))
      }
      harness.release()
      clients.forEach((client, i) => {
        for (const { zxid } of client.take()) {
          expect(zxid).toBeGreaterThanOrEqual(seen[i] as number)
          seen[i] = zxid
        }
      })
    }
    expect(Math.max(...seen)).toBeGreaterThan(300)
  })
})

describe('a client that does not read', () => {
  const big = 'x'.repeat(1_000_000)

  it('is not read either, and what it asked for is not piled up', async () => {
    const harness = await start()
    const client = harness.client()
    client.create('/big', big)
    client.socket.taking = false
    harness.hold()
    client.send(create('/a'), ...Array.from({ length: 900 }, () => getData('/big')))
    harness.release()
    expect(client.socket.bufferedBytes).toBeLessThan(6_000_000)
    expect(harness.server.outstanding).toBeGreaterThan(800)
    client.send({ op: OP.ping })
    expect(client.socket.paused).toBe(true)
    let turns = 0
    while (harness.server.outstanding > 0) {
      client.socket.takeUnsent()
      harness.turn()
      expect(client.socket.bufferedBytes).toBeLessThan(6_000_000)
      client.socket.received.length = 0
      turns++
    }
    expect(turns).toBeGreaterThan(100)
    client.socket.taking = true
    client.socket.takeUnsent()
    expect(client.socket.paused).toBe(false)
  })

  it('is waited for as well when an update of it has overtaken reads', async () => {
    const harness = await start()
    const client = harness.client()
    client.create('/big', big)
    client.create('/a', '0')
    client.socket.taking = false
    harness.hold()
    const reads = Array.from({ length: 100 }, () => getData('/big'))
    client.send(setData('/a', '1'), getData('/a'), setData('/a', '2'), ...reads)
    harness.release()
    expect(client.socket.isClosed).toBe(false)
    expect(client.socket.bufferedBytes).toBeLessThan(6_000_000)
    while (harness.server.outstanding > 0) {
      client.socket.takeUnsent()
      harness.turn()
    }
    client.socket.takeUnsent()
    const read = dataOf(client)
    expect([read.length, read[0]]).toEqual([101, '1'])
  })

  it('keeps its session as long as it takes something now and then', async () => {
    const harness = await start()
    const client = harness.client({ timeoutMs: 5000 })
    client.create('/big', big)
    client.socket.taking = false
    client.send(...Array.from({ length: 100 }, () => getData('/big')))
    harness.turn()
    for (let i = 0; i < 10; i++) {
      harness.zelos.pass(3000)
      client.socket.takeUnsent()
      harness.turn()
    }
    expect(client.socket.isClosed).toBe(false)
    harness.zelos.pass(6000)
    expect(client.socket.ended).toBe(true)
  })

  it('is not shown its updates by reads that it sent before them', async () => {
    const harness = await start()
    const client = harness.client()
    client.create('/big', big)
    client.create('/a', '1')
    client.socket.taking = false
    harness.hold()
    client.send(setData('/a', '2'), ...Array.from({ length: 8 }, () => getData('/big')), getData('/a'))
    harness.release()
    client.send(setData('/a', '3'))
    client.send(getData('/a'), setData('/a', '4'))
    while (harness.server.outstanding > 0 || client.socket.bufferedBytes > 0) {
      client.socket.takeUnsent()
      harness.turn()
    }
    expect(dataOf(client).filter((data) => data.length === 1)).toEqual(['2', '3'])
    expect(String(harness.client().ask(getData('/a')).body.data)).toBe('4')
  })

  it('hears of nothing that it watches before the list it asked for with it, however long that is', async () => {
    const harness = await start()
    const [client, other] = [harness.client(), harness.client()]
    client.create('/big', big)
    client.create('/long')
    for (let at = 0; at <= 5_000; at++) client.create(`/long/${at}`)
    client.socket.taking = false
    const list: WireRequest = { op: OP.getChildren, path: '/long', watch: true }
    harness.hold()
    client.send(create('/a'), ...Array.from({ length: 5 }, () => getData('/big')), list, list)
    harness.release()
    expect(client.socket.bufferedBytes).toBeLessThan(6_000_000)
    other.create('/long/new')
    while (harness.server.outstanding > 0) {
      client.socket.takeUnsent()
      harness.turn()
    }
    other.create('/long/newer')
    client.socket.takeUnsent()
    const told = client.take().flatMap((one): (string | number)[] => {
      if (one.kind === 'event') return [one.path]
      return one.body.children === undefined ? [] : [one.body.children.length]
    })
    expect(told).toEqual([5_002, 5_002, '/long'])
  })

  it('is closed when events alone pile up past the limit', async () => {
    const harness = await ZooKeeperHarness.start({ limits: { unsentBytesMax: 20_000 } })
    const [writer, watcher] = [harness.client(), harness.client()]
    watcher.socket.taking = false
    let events = 0
    for (; !watcher.socket.destroyed && events < 1000; events++) {
      watcher.send(exists(`/${events}`, true))
      harness.turn()
      writer.create(`/${events}`)
    }
    expect(events).toBeGreaterThan(200)
    expect(events).toBeLessThan(500)
    expect(harness.server.stats.limitsHit.unsentBytesMax).toBe(1)
    expect(writer.ask(exists('/1')).err).toBe(0)
  })
})

describe('ends', () => {
  it('closeSession is answered, behind what came before it, then the server closes; what follows is not answered', async () => {
    const harness = await start()
    const client = harness.client()
    harness.hold()
    client.send(create('/e', '', 1), { op: OP.closeSession }, create('/behind'))
    harness.release()
    expect(client.takeBriefly()).toEqual(['1:0', '2:0'])
    expect(client.socket.ended).toBe(true)
    const other = harness.client()
    expect(other.ask(exists('/e')).err).toBe(ERR.noNode)
    expect(other.ask(exists('/behind')).err).toBe(ERR.noNode)
    client.socket.close()
    expect(harness.server.stats.closes['session-closed']).toBe(1)
  })

  it('a session that comes on another connection closes the first one, whose updates in flight are not answered', async () => {
    const harness = await start()
    const first = harness.client()
    first.create('/a', '0')
    const { sessionId, password } = first.connected as { sessionId: bigint; password: Buffer }
    const second = new WireClient(harness, harness.socket())
    harness.hold()
    second.shakeHands({ sessionId, password: Buffer.from(password) })
    first.send(setData('/a', 'too late'))
    harness.release()
    expect(first.take()).toEqual([])
    expect(first.socket.ended).toBe(true)
    second.take()
    expect(second.connected?.sessionId).toBe(sessionId)
    expect(String(second.ask(getData('/a')).body.data)).toBe('0')
  })

  it('a client that has seen a zxid of another history is closed without a reply, one from the near future is not', async () => {
    const harness = await start()
    const client = harness.client()
    for (let i = 0; i < 5; i++) client.create(`/${i}`)
    const ahead = new WireClient(harness, harness.socket())
    ahead.shakeHands({ lastZxidSeen: 100 })
    const near = new WireClient(harness, harness.socket())
    near.shakeHands({ lastZxidSeen: 8 })
    expect([ahead.socket.isClosed, near.socket.isClosed]).toEqual([false, false])
    client.create('/6')
    client.create('/7')
    await harness.settle()
    near.take()
    expect([near.connected?.timeoutMs, near.socket.isClosed]).toEqual([10_000, false])
    expect([ahead.socket.ended, ahead.socket.received.length]).toEqual([true, 0])
  })

  it('an update that may have happened ends the connection; what was answered before is sent', async () => {
    const harness = await start()
    const client = harness.client()
    client.send(create('/a'))
    harness.zelos.log.refuse = new DelosError('INDETERMINATE', 'no answer from the log')
    client.send(create('/b'), create('/c'))
    harness.turn()
    expect(client.takeBriefly()).toEqual(['1:0'])
    expect(client.socket.ended).toBe(true)
    client.socket.close()
    expect(harness.server.stats.closes.database).toBe(1)
  })

  it('a disk that fails under a read ends that connection with a line in the log, not the server', async () => {
    const harness = await start()
    const [client, other] = [harness.client(), harness.client()]
    const { zelos } = harness.zelos
    const getAcl = zelos.getAcl.bind(zelos)
    zelos.getAcl = () => {
      throw new DelosError('IO_ERROR', 'read error')
    }
    client.send({ op: OP.getAcl, path: '/' })
    expect(client.socket.destroyed).toBe(true)
    expect(harness.warnings()).toEqual(['error a request met a bug, or a disk that failed: its connection is closed'])
    zelos.getAcl = getAcl
    expect(other.ask({ op: OP.getAcl, path: '/' }).err).toBe(0)
    expect(harness.server.stats.closes.internal).toBe(1)
  })

  it('the same in a completion of the log, which goes on', async () => {
    const harness = await start()
    const [client, other] = [harness.client(), harness.client()]
    harness.zelos.zelos.getAcl = () => {
      throw new TypeError('a bug')
    }
    harness.hold()
    client.send(create('/a'), { op: OP.getAcl, path: '/' })
    other.send(create('/b'))
    harness.release()
    expect([client.socket.destroyed, other.takeBriefly()]).toEqual([true, ['1:0']])
  })

  it('a frame that is no header closes its connection', async () => {
    const harness = await start()
    for (const frame of [Buffer.of(0, 0, 0, 0), Buffer.of(0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0)]) {
      const client = harness.client()
      client.socket.send(frame)
      expect([client.socket.ended, client.take()]).toEqual([true, []])
    }
  })

  it('a client that goes while its session is opened leaves it to its timeout', async () => {
    const harness = await start()
    harness.hold()
    const gone = new WireClient(harness, harness.socket())
    gone.shakeHands({ timeoutMs: 5000 })
    gone.socket.close()
    harness.release()
    expect(harness.zelos.zelos.stats.sessionCount).toBe(1)
    expect(harness.server.connections.size).toBe(0)
    harness.zelos.pass(6000)
    expect(harness.zelos.zelos.stats.sessionCount).toBe(0)
  })

  it('after its end a connection hears nothing: no event, no reply, no watch that is left behind', async () => {
    const harness = await start()
    const [client, other] = [harness.client(), harness.client()]
    client.ask(exists('/a', true))
    harness.hold()
    client.send(create('/b'))
    client.socket.close()
    harness.release()
    other.send(create('/a'), remove('/a'))
    expect(client.take()).toEqual([])
    expect(harness.zelos.zelos.stats.watchCount).toBe(0)
    harness.turn()
    other.take()
    expect(other.ask(exists('/b')).err).toBe(0)
  })

  it('a peer that does not end as well is cut after five seconds', async () => {
    const harness = await start()
    const client = harness.client({ timeoutMs: 40_000 })
    client.sendRaw(999)
    harness.turn()
    expect([client.socket.ended, client.socket.destroyed, client.socket.paused]).toEqual([true, false, false])
    harness.pass(4999)
    expect(client.socket.destroyed).toBe(false)
    harness.pass(1)
    expect(client.socket.destroyed).toBe(true)
    expect(harness.server.stats.closes.unimplemented).toBe(1)
  })
})

/** Replies to operations of one client; with `pauses` they are pipelined, and applied in batches of such sizes. */
async function run(operations: readonly string[], pauses: readonly number[]): Promise<unknown[]> {
  const harness = await start()
  const client = harness.client()
  const replies: unknown[] = []
  const take = (): void => {
    for (const one of client.take()) {
      if (one.kind === 'event') continue
      const { data, children, path, acl, stat } = one.body
      replies.push([one.xid, one.err, data?.toString(), children?.sort(), path, acl, stat?.version, stat?.aversion])
    }
  }
  const settle = async (): Promise<void> => {
    harness.turn()
    for (let i = 0; i < 100 && harness.server.outstanding > 0; i++) {
      harness.release()
      await harness.settle()
      harness.hold()
    }
    take()
  }
  harness.hold()
  let next = 0
  let left = pauses[next++] ?? 0
  for (const operation of operations) {
    client.send(requestOf(operation))
    if (left-- > 0) continue
    left = pauses[next++] ?? (pauses.length === 0 ? 0 : 1000)
    await settle()
  }
  await settle()
  expect(replies).toHaveLength(operations.length)
  return replies
}

function requestOf(operation: string): WireRequest {
  const [name, argument] = operation.split(' ')
  switch (name) {
    case 'get':
      return getData('/')
    case 'list':
      return { op: OP.getChildren, path: '/', watch: false }
    case 'watch':
      return getData('/', true)
    case 'acl':
      return { op: OP.getAcl, path: '/' }
    case 'data':
      return getData(`/${argument}`)
    case 'setAcl':
      return { op: OP.setAcl, path: '/', acl: [OPEN, { perms: 1, scheme: 'digest', id: `u:${argument}` }], version: -1 }
    case 'sync':
      return { op: OP.sync, path: '/' }
    case 'create':
      return create(`/${argument}`)
    case 'delete':
      return remove(`/${argument}`)
    default:
      return setData('/', argument as string)
  }
}
