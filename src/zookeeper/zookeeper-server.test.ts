// A server as a whole: handshakes, what it logs, how it closes.

import { describe, expect, it } from 'vitest'
import { create, getData, setData, WireClient, ZooKeeperHarness } from '../../test/support/zookeeper-harness.ts'
import { DelosError } from '../base/delos-error.ts'
import { OP } from './codec/opcodes.ts'

describe('handshake', () => {
  it.each([
    [0, 4000],
    [-1, 4000],
    [4000, 4000],
    [12_345, 12_345],
    [40_000, 40_000],
    [2 ** 31 - 1, 40_000],
  ])('a client that asks for a session timeout of %i ms gets %i', async (asked, granted) => {
    const harness = await ZooKeeperHarness.start()
    expect(harness.client({ timeoutMs: asked }).connected?.timeoutMs).toBe(granted)
  })

  it('a session id that this product never gives out is refused like one that is unknown', async () => {
    const harness = await ZooKeeperHarness.start()
    for (const sessionId of [0x0200_0000_0000_0001n, 0x7fff_ffff_ffff_ffffn, -1n, 0x0100_0000_0000_0099n]) {
      const client = new WireClient(harness, harness.socket())
      client.shakeHands({ sessionId })
      expect(client.connected).toMatchObject({ timeoutMs: 0, sessionId: 0n, password: Buffer.alloc(16) })
      expect(client.socket.ended).toBe(true)
    }
  })

  it('a malformed one closes the connection', async () => {
    const harness = await ZooKeeperHarness.start()
    const socket = harness.socket()
    socket.send(Buffer.concat([Buffer.of(0, 0, 0, 8), Buffer.alloc(8)]))
    expect([socket.ended, socket.received]).toEqual([true, []])
  })

  it('a database that takes no sessions closes without a reply', async () => {
    const harness = await ZooKeeperHarness.start()
    harness.zelos.log.refuse = new DelosError('NOT_READY', 'the server is catching up')
    const client = new WireClient(harness, harness.socket())
    client.shakeHands({})
    expect([client.connected, client.socket.ended]).toEqual([undefined, true])
    client.socket.close()
    expect(harness.server.stats.closes.database).toBe(1)
  })
})

describe('what is logged', () => {
  it('a slow request, with the time that each layer took', async () => {
    const times = { proposedMs: 10, appendedMs: 60, applyStartMs: 61, applyEndMs: 64 }
    const harness = await ZooKeeperHarness.start({ server: { slowMs: 100, batchTimes: () => times } })
    const client = harness.client()
    harness.hold()
    client.send(create('/fast'))
    harness.pass(99)
    harness.release()
    expect(harness.logged).toEqual([])
    harness.hold()
    client.send(create('/slow'))
    Object.assign(times, { proposedMs: 109, appendedMs: 160, applyStartMs: 163, applyEndMs: 190 })
    harness.pass(100)
    harness.release()
    const client_ = expect.stringMatching(/^127\.0\.0\.1:\d+$/)
    expect(harness.logged).toEqual([
      {
        line: 'warn slow request',
        fields: {
          client: client_,
          session: '0x100000000000001',
          operation: 'create',
          xid: 2,
          latencyMs: 100,
          batchingMs: 10,
          logMs: 51,
          playbackMs: 3,
          applyMs: 27,
          replyMs: 9,
        },
      },
    ])
    expect(harness.server.stats.slowRequests).toBe(1)
  })

  it('at most fifty warnings a second, and then how many were left out', async () => {
    const harness = await ZooKeeperHarness.start({ limits: { connectionsMax: 1 } })
    harness.socket()
    for (let i = 0; i < 80; i++) harness.socket()
    expect(harness.warnings()).toHaveLength(50)
    harness.pass(1000)
    harness.socket()
    expect(harness.logged.slice(50)).toEqual([
      { line: 'warn warnings about clients were left out', fields: { leftOut: 30 } },
      {
        line: 'warn too many connections',
        fields: { client: expect.stringMatching(/^127\.0\.0\.1:\d+$/), connectionsMax: 1 },
      },
    ])
    expect(harness.server.stats.limitsHit.connectionsMax).toBe(81)
  })
})

describe('close', () => {
  it('answers what is there, reads no more, ends connections as they are done, then resolves', async () => {
    const harness = await ZooKeeperHarness.start()
    const [busy, idle, silent] = [harness.client(), harness.client(), harness.socket()]
    busy.create('/a', '0')
    harness.hold()
    busy.send(setData('/a', '1'), getData('/a'))
    let closed = false
    const closing = harness.server.close(5000).then(() => {
      closed = true
    })
    await harness.settle()
    expect(harness.listening).toBe(false)
    expect([idle.socket.ended, silent.ended, busy.socket.ended]).toEqual([true, true, false])
    busy.send(setData('/a', 'too late'))
    harness.release()
    expect(busy.takeBriefly()).toEqual(['2:0', '3:0'])
    expect(busy.socket.ended).toBe(true)
    await harness.settle()
    expect(closed).toBe(false)
    for (const socket of [busy.socket, idle.socket, silent]) socket.close()
    await closing
    expect(harness.server.stats.closes.shutdown).toBe(3)
  })

  it('waits no longer than it was told for answers, and half a second for peers that do not end', async () => {
    const harness = await ZooKeeperHarness.start()
    const [busy, idle] = [harness.client({ timeoutMs: 40_000 }), harness.client({ timeoutMs: 40_000 })]
    harness.hold()
    busy.send(create('/a'))
    const closing = harness.server.close(5000)
    await harness.settle()
    harness.pass(500)
    expect([idle.socket.destroyed, busy.socket.destroyed]).toEqual([true, false])
    harness.pass(4500)
    await closing
    expect(busy.socket.destroyed).toBe(true)
    expect(harness.server.connections.size).toBe(0)
    harness.release()
    expect(busy.take()).toEqual([])
  })

  it('with nothing to wait for it ends at once; a second call waits for the same', async () => {
    const harness = await ZooKeeperHarness.start()
    const client = harness.client()
    harness.hold()
    client.send(create('/a'))
    await Promise.all([harness.server.close(0), harness.server.close(5000)])
    expect([client.socket.destroyed, harness.server.connections.size]).toEqual([true, 0])
  })

  it('a handshake under way gets its session, and the connection ends', async () => {
    const harness = await ZooKeeperHarness.start()
    harness.hold()
    const client = new WireClient(harness, harness.socket())
    client.shakeHands({})
    const closing = harness.server.close(5000)
    await harness.settle()
    harness.release()
    client.take()
    expect([client.connected?.timeoutMs, client.socket.ended]).toEqual([10_000, true])
    client.socket.close()
    await closing
  })

  it('a connection that comes while it closes is closed', async () => {
    const harness = await ZooKeeperHarness.start()
    harness.hold()
    const closing = harness.server.close(0)
    expect(harness.socket().destroyed).toBe(true)
    await closing
  })

  it('a database that stopped sends its clients away: what is in flight is not answered, all are closed', async () => {
    const harness = await ZooKeeperHarness.start()
    const clients = [harness.client(), harness.client()]
    harness.zelos.log.refuse = new DelosError('STOPPED', 'the database stopped at position 7')
    clients[0]?.send(create('/a'), { op: OP.ping })
    await harness.server.close(0)
    expect(clients.map(({ socket }) => [socket.destroyed || socket.ended, socket.received.length])).toEqual([
      [true, 1],
      [true, 1],
    ])
  })
})
