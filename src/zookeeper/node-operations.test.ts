// Containers, TTL nodes and the reads of several nodes at once, as a client sees them.

import { describe, expect, it } from 'vitest'
import { getData, OPEN_ACL, ZooKeeperHarness } from '../../test/support/zookeeper-harness.ts'
import { ERR } from './codec/error-codes.ts'
import { OP } from './codec/opcodes.ts'
import type { CreateRequest, MultiOperation } from './codec/wire-requests.ts'

const TTL_MAX = 0xffffffffff

function timed(op: CreateRequest['op'], path: string, flags: number, ttlMs = 0): CreateRequest {
  return { op, path, data: null, acl: OPEN_ACL, flags, ttlMs }
}

async function connect(options: Parameters<typeof ZooKeeperHarness.start>[0] = {}) {
  const harness = await ZooKeeperHarness.start(options)
  const client = harness.client({ timeoutMs: 30_000 })
  const pass = (ms: number) => {
    for (let left = ms; left > 0; left -= 50) {
      harness.pass(50)
      client.send({ op: OP.ping })
      harness.turn()
      client.take()
    }
  }
  const has = (path: string) => client.ask({ op: OP.exists, path, watch: false }).err === ERR.ok
  return { harness, client, pass, has }
}

describe('containers and TTL nodes', () => {
  it('are answered with a stat that shows no owner, and go when their time has come', async () => {
    const { client, pass, has } = await connect()
    const ttl = client.ask(timed(OP.createTtl, '/t-', 6, 2000))
    expect(ttl.body).toMatchObject({ path: '/t-0000000000', stat: { ephemeralOwner: 0n, version: 0 } })
    expect(client.ask(timed(OP.createContainer, '/c', 4)).body).toMatchObject({ path: '/c', stat: { cversion: 0 } })
    client.create('/c/x')
    client.ask({ op: OP.delete, path: '/c/x', version: -1 })
    pass(1800)
    expect([has('/t-0000000000'), has('/c')]).toEqual([true, true])
    pass(1000)
    expect([has('/t-0000000000'), has('/c')]).toEqual([false, true])
    pass(60_000)
    expect(has('/c')).toBe(false)
  })

  it('are what the operation says, not the flags: create with the flags of a container makes a node that stays', async () => {
    const { client, pass, has } = await connect({ server: { nodes: { containerCheckMs: 1000 } } })
    client.ask(timed(OP.create2, '/plain', 4))
    client.ask(timed(OP.createContainer, '/container', 0))
    for (const path of ['/plain/x', '/container/x']) {
      expect(client.create(path).err).toBe(ERR.ok)
      client.ask({ op: OP.delete, path, version: -1 })
    }
    pass(2000)
    expect([has('/plain'), has('/container')]).toEqual([true, false])
  })

  it.each([
    ['createTTL with flags of no TTL node', timed(OP.createTtl, '/x', 0, 5)],
    ['createTTL without time', timed(OP.createTtl, '/x', 5, 0)],
    ['createTTL of a negative time', timed(OP.createTtl, '/x', 5, -1)],
    ['createTTL of a time that is too long', timed(OP.createTtl, '/x', 5, TTL_MAX + 1)],
    ['createTTL with an unknown mode', timed(OP.createTtl, '/x', 7, 5)],
    ['create with the flags of a TTL node', timed(OP.create, '/x', 5)],
    ['createContainer with the flags of a TTL node', timed(OP.createContainer, '/x', 6)],
  ])('%s is refused, before the path is looked at', async (_, request) => {
    const { client } = await connect()
    expect(client.ask({ ...request, path: 'nothing' }).err).toBe(ERR.badArguments)
    expect(client.ask(request).err).toBe(ERR.badArguments)
  })

  it('are unimplemented if switched off, containers excepted; the connection stays', async () => {
    const { client } = await connect({ server: { nodes: { ttlNodes: false } } })
    expect(client.ask(timed(OP.createTtl, '/t', 5, 5)).err).toBe(ERR.unimplemented)
    expect(client.ask(timed(OP.createContainer, '/c', 4)).err).toBe(ERR.ok)
    const operations: MultiOperation[] = [timed(OP.create, '/m', 0), timed(OP.createTtl, '/n', 5, 5)]
    expect(client.ask({ op: OP.multi, operations }).body.results).toEqual([
      { op: OP.error, err: ERR.ok },
      { op: OP.error, err: ERR.unimplemented },
    ])
  })

  it('are made in a multi by their flags, with a stat in the result', async () => {
    const { client, pass, has } = await connect()
    const operations = [
      timed(OP.create, '/c', 4),
      timed(OP.create2, '/p', 0),
      timed(OP.createTtl, '/t', 5, 2000),
      timed(OP.createTtl, '/s', 2, 2000),
      timed(OP.createContainer, '/q', 0),
    ]
    const { results } = client.ask({ op: OP.multi, operations }).body
    expect(results?.map((one) => one.op)).toEqual([OP.create2, OP.create, OP.create2, OP.create, OP.create])
    expect(results?.[2]).toMatchObject({ path: '/t', stat: { ephemeralOwner: 0n } })
    pass(3000)
    expect([has('/t'), has('/s0000000003')]).toEqual([false, true])
  })

  it('can not be asked to go: deleteContainer ends the connection', async () => {
    const { harness, client } = await connect()
    client.sendRaw(OP.deleteContainer, Buffer.from('\0\0\0\x02/c'))
    harness.turn()
    expect(client.takeBriefly()).toEqual([`1:${ERR.unimplemented}`])
    expect(client.socket.isClosed).toBe(true)
  })
})

describe('multiRead', () => {
  it('answers each read by itself, errors among them', async () => {
    const { client } = await connect()
    client.create('/a', 'data')
    client.create('/b', '', 0, [{ perms: 2, scheme: 'world', id: 'anyone' }])
    const { body } = client.ask({
      op: OP.multiRead,
      reads: [
        { op: OP.getData, path: '/a' },
        { op: OP.getData, path: '/b' },
        { op: OP.getChildren, path: '/none' },
        { op: OP.getChildren, path: '/zookeeper' },
      ],
    })
    expect(body.reads).toMatchObject([
      { op: OP.getData, data: Buffer.from('data'), stat: { dataLength: 4 } },
      { op: OP.error, err: ERR.noAuth },
      { op: OP.error, err: ERR.noNode },
      { op: OP.getChildren, children: ['config', 'quota'] },
    ])
    expect(client.ask({ op: OP.multiRead, reads: [] }).body.reads).toEqual([])
  })

  it('of anything else is malformed', async () => {
    const { harness, client } = await connect()
    client.sendRaw(OP.multiRead, Buffer.from('0000000300ffffffff000000012f00ffffffff01ffffffff', 'hex'))
    harness.turn()
    expect(client.takeBriefly()).toEqual([`1:${ERR.marshallingError}`])
  })

  it('sees the updates before it and none behind it', async () => {
    const { harness, client } = await connect()
    client.create('/a', '1')
    harness.hold()
    const set = (data: string) => ({ op: OP.setData, path: '/a', data: Buffer.from(data), version: -1 }) as const
    client.send(set('2'), { op: OP.multiRead, reads: [{ op: OP.getData, path: '/a' }] }, set('3'), getData('/a'))
    harness.turn()
    harness.release()
    const [, read, , last] = client.take()
    expect(read).toMatchObject({ body: { reads: [{ data: Buffer.from('2') }] } })
    expect(last).toMatchObject({ body: { data: Buffer.from('3') } })
  })

  it('of more than a reply may hold fails, and the connection stays', async () => {
    const { client } = await connect({ limits: { replyBytesMax: 2000 } })
    client.create('/a', 'x'.repeat(900))
    const read = { op: OP.getData, path: '/a' } as const
    expect(client.ask({ op: OP.multiRead, reads: [read, read] }).err).toBe(ERR.ok)
    expect(client.ask({ op: OP.multiRead, reads: [read, read, read] }).err).toBe(ERR.systemError)
  })
})

describe('what a session may ask', () => {
  it('of its ephemeral nodes: those with a prefix, and no other session\u2019s', async () => {
    const { harness, client } = await connect()
    const other = harness.client()
    other.create('/other', '', 1)
    for (const path of ['/a', '/ab', '/b']) client.create(path, '', 1)
    const ask = (prefix: string) => client.ask({ op: OP.getEphemerals, prefix }).body.children
    expect(ask('/a')).toEqual(['/a', '/ab'])
    for (const all of ['', '/', ' / ']) expect(ask(all)).toEqual(['/a', '/ab', '/b'])
    expect(ask('/none')).toEqual([])
  })

  it('of how many nodes are below one, behind the updates before it', async () => {
    const { harness, client } = await connect()
    harness.hold()
    const paths = ['/a', '/a/b', '/a/b/c', '/a/b/c/d', '/a/bb', '/ab', '/ab/c']
    client.send(...paths.map((path) => timed(OP.create, path, 0)))
    client.send({ op: OP.getAllChildrenNumber, path: '/a' }, timed(OP.create, '/a/late', 0))
    harness.turn()
    harness.release()
    harness.release()
    const reply = client.take().find((one) => one.kind === 'reply' && one.body.count !== undefined)
    expect(reply).toMatchObject({ body: { count: 4 } })
    const ask = (path: string) => client.ask({ op: OP.getAllChildrenNumber, path })
    expect(ask('/').body.count).toBe(8 + 3)
    expect(ask('').body.count).toBe(8 + 3 + 1)
    expect(ask('/a/b/c/d').body.count).toBe(0)
    expect(ask('/none').err).toBe(ERR.noNode)
    client.create('/closed', '', 0, [{ perms: 2, scheme: 'world', id: 'anyone' }])
    expect(ask('/closed').err).toBe(ERR.noAuth)
  })

  it('of who it is: its address and what it has proven, without what proved it', async () => {
    const { client } = await connect()
    client.ask({ op: OP.auth, scheme: 'digest', credential: Buffer.from('alice:secret') })
    expect(client.ask({ op: OP.whoAmI }).body.identities).toEqual([
      { scheme: 'ip', user: '127.0.0.1' },
      { scheme: 'digest', user: 'alice' },
    ])
  })

  it('reconfig is refused as a standalone ZooKeeper does', async () => {
    const reconfig = { op: OP.reconfig, joining: 'server.2=x', leaving: null, members: null, configId: -1 } as const
    expect((await connect()).client.ask(reconfig).err).toBe(ERR.reconfigDisabled)
    const { client } = await connect({ server: { nodes: { reconfig: true } } })
    expect(client.ask(reconfig).err).toBe(ERR.unimplemented)
  })
})
