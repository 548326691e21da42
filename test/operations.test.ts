// Operations field by field: what a Stat says after each change, sequence numbers, multi with a result per operation,
// access control. Which error comes first is in error-order.test.ts.

import { createHash } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Acl } from './support/jute.ts'
import { TestServer } from './support/server.ts'
import { succeeded, ZkClient } from './support/zk-client.ts'
import { Err, Flags, Op, openAcl, Perm } from './support/zk-protocol.ts'

let server: TestServer
let client: ZkClient
let root: string
let nextRoot = 0

beforeAll(async () => {
  server = await TestServer.start()
  client = await ZkClient.connect(server.port, { timeoutMs: 20_000 })
})
afterAll(() => server[Symbol.asyncDispose]())
beforeEach(async () => {
  root = `/operations-${nextRoot++}`
  succeeded(await client.create(root, ''))
})

const digestId = (user: string, password: string): string =>
  `${user}:${createHash('sha1').update(`${user}:${password}`).digest('base64')}`

describe('stat', () => {
  it('of a new node: all three zxids are that of the create, both times the same, everything else 0', async () => {
    const before = BigInt(Date.now())
    const reply = await client.create2(`${root}/a`, 'four')
    const { stat } = succeeded(reply)
    expect(stat).toEqual({
      czxid: reply.zxid,
      mzxid: reply.zxid,
      pzxid: reply.zxid,
      ctime: stat.mtime,
      mtime: stat.mtime,
      version: 0,
      cversion: 0,
      aversion: 0,
      ephemeralOwner: 0n,
      dataLength: 4,
      numChildren: 0,
    })
    expect(stat.ctime).toBeGreaterThanOrEqual(before - 1000n)
    expect(stat.ctime).toBeLessThanOrEqual(BigInt(Date.now()) + 1000n)
    expect(succeeded(await client.exists(`${root}/a`))).toEqual(stat)
  })

  it('setData counts version and moves mzxid and mtime only', async () => {
    const { stat: old } = succeeded(await client.create2(`${root}/a`, 'x'))
    const reply = await client.setData(`${root}/a`, 'longer', 0)
    const stat = succeeded(reply)
    expect(stat).toEqual({ ...old, mzxid: reply.zxid, mtime: stat.mtime, version: 1, dataLength: 6 })
    expect(stat.mtime).toBeGreaterThanOrEqual(old.mtime)
  })

  it('setAcl counts aversion and leaves mzxid', async () => {
    const { stat: old } = succeeded(await client.create2(`${root}/a`, 'x'))
    expect(succeeded(await client.setAcl(`${root}/a`, openAcl, 0))).toEqual({ ...old, aversion: 1 })
    expect((await client.setAcl(`${root}/a`, openAcl, 0)).err).toBe(Err.badVersion)
    expect(succeeded(await client.setAcl(`${root}/a`, openAcl, 1)).aversion).toBe(2)
  })

  it('cversion of a parent counts creates and deletes, pzxid is that of the last of them', async () => {
    const first = await client.create(`${root}/a`, '')
    const second = await client.create(`${root}/b`, '')
    expect(first.zxid).toBeLessThan(second.zxid)
    expect(succeeded(await client.exists(root))).toMatchObject({
      cversion: 2,
      numChildren: 2,
      pzxid: second.zxid,
      version: 0,
    })
    const gone = await client.delete(`${root}/a`)
    expect(succeeded(await client.exists(root))).toMatchObject({
      cversion: 3,
      numChildren: 1,
      pzxid: gone.zxid,
      version: 0,
    })
    const changed = await client.setData(`${root}/b`, 'x')
    expect(changed.err).toBe(Err.ok)
    expect(succeeded(await client.exists(root))).toMatchObject({ cversion: 3, numChildren: 1, pzxid: gone.zxid })
  })

  it('an ephemeral names its session', async () => {
    const { stat } = succeeded(await client.create2(`${root}/e`, '', Flags.ephemeral))
    expect(stat.ephemeralOwner).toBe(client.session.id)
  })

  it('getData, getChildren2 and getAcl report the same stat as exists', async () => {
    succeeded(await client.create(`${root}/a`, 'x'))
    const stat = succeeded(await client.exists(root))
    expect(succeeded(await client.getData(root)).stat).toEqual(stat)
    expect(succeeded(await client.getChildren2(root)).stat).toEqual(stat)
    expect(succeeded(await client.getAcl(root)).stat).toEqual(stat)
  })
})

describe('data', () => {
  it('null, empty and binary data come back as they were', async () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
    for (const data of [null, Buffer.alloc(0), all]) {
      succeeded(await client.create(`${root}/d`, data))
      expect(succeeded(await client.getData(`${root}/d`)).data).toEqual(data)
      succeeded(await client.setData(`${root}/d`, 'x'))
      succeeded(await client.setData(`${root}/d`, data))
      const { data: read, stat } = succeeded(await client.getData(`${root}/d`))
      expect(read).toEqual(data)
      expect(stat.dataLength).toBe(data?.length ?? 0)
      succeeded(await client.delete(`${root}/d`))
    }
  })

  it('1,000,000 bytes go in and out', async () => {
    const data = Buffer.alloc(1_000_000, 'delos')
    succeeded(await client.create(`${root}/big`, data))
    expect(succeeded(await client.getData(`${root}/big`)).data?.equals(data)).toBe(true)
  })

  it('paths may hold any letters', async () => {
    for (const name of ['日本', 'Ünï-çödé', 'with space', '%2F', '...', '..x', '.hidden', '-', ':']) {
      expect(succeeded(await client.create(`${root}/${name}`, name))).toBe(`${root}/${name}`)
      expect(succeeded(await client.getData(`${root}/${name}`)).data?.toString()).toBe(name)
    }
    expect(succeeded(await client.getChildren(root))).toHaveLength(9)
  })

  it('the children of a node are its own and not those of a neighbour whose name begins alike', async () => {
    for (const name of ['a', 'a/x', 'a/x/deep', 'ab', 'ab/y', 'a-', 'a-/z', 'a.', 'a./w', 'A'])
      succeeded(await client.create(`${root}/${name}`, ''))
    expect(succeeded(await client.getChildren(root))).toEqual(['A', 'a', 'a-', 'a.', 'ab'])
    expect(succeeded(await client.getChildren(`${root}/a`))).toEqual(['x'])
    expect(succeeded(await client.getChildren2(`${root}/a`)).stat.numChildren).toBe(1)
    expect(succeeded(await client.getChildren(`${root}/a/x/deep`))).toEqual([])
  })

  it('the system nodes are there', async () => {
    expect(succeeded(await client.getChildren('/'))).toContain('zookeeper')
    expect(succeeded(await client.getChildren('/zookeeper'))).toEqual(['config', 'quota'])
  })
})

describe('sequential nodes', () => {
  it('the suffix counts the creates below the parent, in ten digits, whatever was deleted', async () => {
    expect(succeeded(await client.create(`${root}/s-`, '', Flags.sequential))).toBe(`${root}/s-0000000000`)
    expect(succeeded(await client.create(`${root}/plain`, ''))).toBe(`${root}/plain`)
    expect(succeeded(await client.create(`${root}/s-`, '', Flags.ephemeralSequential))).toBe(`${root}/s-0000000002`)
    succeeded(await client.delete(`${root}/s-0000000002`))
    succeeded(await client.delete(`${root}/plain`))
    expect(succeeded(await client.create2(`${root}/other-`, '', Flags.sequential)).path).toBe(
      `${root}/other-0000000003`,
    )
    expect(succeeded(await client.exists(root)).cversion).toBe(6)
  })

  it('a failed create takes no number', async () => {
    succeeded(await client.create(`${root}/a`, ''))
    expect((await client.create(`${root}/a`, '')).err).toBe(Err.nodeExists)
    expect(succeeded(await client.create(`${root}/s-`, '', Flags.sequential))).toBe(`${root}/s-0000000001`)
  })

  it('the name may be nothing but the number', async () => {
    expect(succeeded(await client.create(`${root}/`, '', Flags.sequential))).toBe(`${root}/0000000000`)
  })

  it('fifty creates in flight get fifty numbers in request order', async () => {
    const made = await Promise.all(Array.from({ length: 50 }, () => client.create(`${root}/q-`, '', Flags.sequential)))
    expect(made.map(succeeded)).toEqual(
      Array.from({ length: 50 }, (_, i) => `${root}/q-${String(i).padStart(10, '0')}`),
    )
  })
})

describe('multi', () => {
  it('gives one result per operation, all with one zxid, and later operations see earlier ones', async () => {
    const reply = await client.multi([
      { op: 'create', path: `${root}/a`, data: 'x' },
      { op: 'create2', path: `${root}/a/b` },
      { op: 'setData', path: `${root}/a`, data: 'xy', version: 0 },
      { op: 'check', path: `${root}/a`, version: 1 },
      { op: 'create', path: `${root}/a/s-`, flags: Flags.sequential },
      { op: 'delete', path: `${root}/a/b`, version: 0 },
    ])
    const [create, create2, set, check, sequential, remove] = succeeded(reply)
    expect(create).toEqual({ type: Op.create, err: 0, path: `${root}/a` })
    // A real ZooKeeper reads create2 inside a multi as create, and so do its clients with the answer.
    expect(create2).toEqual({ type: Op.create, err: 0, path: `${root}/a/b` })
    expect(set).toMatchObject({
      type: Op.setData,
      err: 0,
      stat: { czxid: reply.zxid, mzxid: reply.zxid, version: 1, dataLength: 2 },
    })
    expect(check).toEqual({ type: Op.check, err: 0 })
    expect(sequential).toEqual({ type: Op.create, err: 0, path: `${root}/a/s-0000000001` })
    expect(remove).toEqual({ type: Op.delete, err: 0 })
    expect(succeeded(reply)).toHaveLength(6)
    expect(succeeded(await client.exists(`${root}/a`))).toMatchObject({
      cversion: 3,
      numChildren: 1,
      pzxid: reply.zxid,
    })
  })

  it('that fails has header error 0, 0 before the failing operation, -2 behind it, and changes nothing', async () => {
    const before = succeeded(await client.exists(root))
    const reply = await client.multi([
      { op: 'create', path: `${root}/a` },
      { op: 'setData', path: root, data: 'changed' },
      { op: 'delete', path: `${root}/absent` },
      { op: 'create', path: `${root}/b` },
      { op: 'check', path: `${root}/also-absent` },
    ])
    const failed = (err: number) => ({ type: -1, err })
    expect(reply.value).toEqual([
      failed(0),
      failed(0),
      failed(Err.noNode),
      failed(Err.runtimeInconsistency),
      failed(Err.runtimeInconsistency),
    ])
    expect(succeeded(await client.exists(root))).toEqual(before)
    expect((await client.sync('/')).zxid).toBe(reply.zxid)
  })

  it('takes one zxid, if it fails too', async () => {
    const start = (await client.sync('/')).zxid
    const good = await client.multi([
      { op: 'create', path: `${root}/a` },
      { op: 'create', path: `${root}/b` },
    ])
    expect(good.zxid).toBe(start + 1n)
    const bad = await client.multi([{ op: 'create', path: `${root}/a` }])
    expect(bad.zxid).toBe(start + 2n)
  })

  it('a failed one takes no sequence number and leaves no ephemeral', async () => {
    const reply = await client.multi([
      { op: 'create', path: `${root}/s-`, flags: Flags.ephemeralSequential },
      { op: 'check', path: root, version: 5 },
    ])
    expect(reply.value?.map(({ err }) => err)).toEqual([0, Err.badVersion])
    expect(succeeded(await client.create(`${root}/s-`, '', Flags.sequential))).toBe(`${root}/s-0000000000`)
  })

  it('of nothing is answered with nothing', async () => {
    expect(succeeded(await client.multi([]))).toEqual([])
  })

  it('can create and delete one node, and delete a parent behind its child', async () => {
    const reply = await client.multi([
      { op: 'create', path: `${root}/a` },
      { op: 'create', path: `${root}/a/b` },
      { op: 'delete', path: `${root}/a/b` },
      { op: 'delete', path: `${root}/a` },
    ])
    expect(succeeded(reply).map(({ err }) => err)).toEqual([0, 0, 0, 0])
    expect(succeeded(await client.getChildren(root))).toEqual([])
  })

  it('of a thousand creates is applied whole', async () => {
    const reply = await client.multi(
      Array.from({ length: 1000 }, (_, i) => ({ op: 'create' as const, path: `${root}/n${i}` })),
    )
    expect(succeeded(reply)).toHaveLength(1000)
    expect(succeeded(await client.exists(root))).toMatchObject({ numChildren: 1000, pzxid: reply.zxid })
  })
})

describe('access control', () => {
  const only = (perms: number, id: Acl): Acl[] => [{ ...id, perms }]
  const world: Acl = { perms: 0, scheme: 'world', id: 'anyone' }

  it('getAcl gives back what create was given', async () => {
    const acl: Acl[] = [
      { perms: Perm.read | Perm.admin, scheme: 'world', id: 'anyone' },
      { perms: Perm.all, scheme: 'digest', id: digestId('ann', 'secret') },
    ]
    succeeded(await client.create(`${root}/a`, '', 0, acl))
    expect(succeeded(await client.getAcl(`${root}/a`)).acl).toEqual(acl)
  })

  it('duplicate entries are kept once', async () => {
    succeeded(await client.create(`${root}/a`, '', 0, [...openAcl, ...openAcl]))
    expect(succeeded(await client.getAcl(`${root}/a`)).acl).toEqual(openAcl)
  })

  it('scheme auth stands for the digest ids of the connection', async () => {
    await using ann = await ZkClient.connect(server.port)
    expect((await ann.auth('digest', 'ann:secret')).err).toBe(Err.ok)
    succeeded(await ann.create(`${root}/a`, '', 0, [{ perms: Perm.all, scheme: 'auth', id: '' }]))
    expect(succeeded(await ann.getAcl(`${root}/a`)).acl).toEqual([
      { perms: Perm.all, scheme: 'digest', id: digestId('ann', 'secret') },
    ])
    expect((await client.getData(`${root}/a`)).err).toBe(Err.noAuth)
    await ann.close()
  })

  it('a node for one user is open to whoever shows the password, on any connection, and closed to others', async () => {
    const acl = only(Perm.all, { perms: 0, scheme: 'digest', id: digestId('bob', 'pässwörd') })
    succeeded(await client.create(`${root}/bob`, 'x', 0, acl))
    for (const [credentials, err] of [
      ['bob:pässwörd', Err.ok],
      ['bob:wrong', Err.noAuth],
      ['ann:pässwörd', Err.noAuth],
    ] as const) {
      await using user = await ZkClient.connect(server.port)
      expect((await user.auth('digest', credentials)).err).toBe(Err.ok)
      expect((await user.getData(`${root}/bob`)).err).toBe(err)
      expect((await user.setData(`${root}/bob`, 'y')).err).toBe(err)
      await user.close()
    }
  })

  it('identities go with the connection: after a reconnect they have to be shown again', async () => {
    const first = await ZkClient.connect(server.port)
    expect((await first.auth('digest', 'eve:1')).err).toBe(Err.ok)
    succeeded(await first.create(`${root}/eve`, '', 0, [{ perms: Perm.all, scheme: 'auth', id: '' }]))
    first.drop()
    await using second = await ZkClient.connect(server.port, { session: first.session })
    expect((await second.getData(`${root}/eve`)).err).toBe(Err.noAuth)
    expect((await second.auth('digest', 'eve:1')).err).toBe(Err.ok)
    expect((await second.getData(`${root}/eve`)).err).toBe(Err.ok)
    await second.close()
  })

  it('auth takes effect for the requests pipelined behind it', async () => {
    const acl = only(Perm.all, { perms: 0, scheme: 'digest', id: digestId('pip', 'e') })
    succeeded(await client.create(`${root}/p`, '', 0, acl))
    await using user = await ZkClient.connect(server.port)
    const [, read] = await Promise.all([user.auth('digest', 'pip:e'), user.getData(`${root}/p`)])
    expect(read.err).toBe(Err.ok)
    await user.close()
  })

  // Per permission: what it allows on the node itself (or below it), everything else being refused.
  it.each<[name: string, perms: number, allowed: string[]]>([
    ['READ', Perm.read, ['getData', 'getChildren', 'getAcl', 'check']],
    ['WRITE', Perm.write, ['setData']],
    ['CREATE', Perm.create, ['create']],
    ['DELETE', Perm.delete, ['delete child']],
    ['ADMIN', Perm.admin, ['getAcl', 'setAcl']],
    ['none', 0, []],
  ])('%s allows its own operations only', async (_name, perms, allowed) => {
    const path = `${root}/a`
    succeeded(await client.create(path, ''))
    succeeded(await client.create(`${path}/child`, ''))
    const acl = only(perms, world)
    succeeded(await client.setAcl(path, acl))
    const attempts: Record<string, () => Promise<number>> = {
      getData: () => client.getData(path).then(({ err }) => err),
      getChildren: () => client.getChildren2(path).then(({ err }) => err),
      getAcl: () => client.getAcl(path).then(({ err }) => err),
      check: () => client.multi([{ op: 'check', path, version: 0 }]).then((reply) => succeeded(reply)[0]?.err ?? 0),
      create: () => client.create(`${path}/new`, '').then(({ err }) => err),
      'delete child': () => client.delete(`${path}/child`).then(({ err }) => err),
      setData: () => client.setData(path, '').then(({ err }) => err),
      setAcl: () => client.setAcl(path, acl).then(({ err }) => err),
    }
    for (const [name, attempt] of Object.entries(attempts)) {
      expect([name, await attempt()]).toEqual([name, allowed.includes(name) ? Err.ok : Err.noAuth])
    }
  })

  it('a node itself needs no permission to be deleted, its parent does', async () => {
    succeeded(await client.create(`${root}/a`, '', 0, only(0, world)))
    expect((await client.delete(`${root}/a`)).err).toBe(Err.ok)
  })

  it('who may read but not administrate sees no password hash', async () => {
    const id = digestId('hid', 'den')
    succeeded(
      await client.create(`${root}/a`, '', 0, [
        { perms: Perm.read, scheme: 'world', id: 'anyone' },
        { perms: Perm.all, scheme: 'digest', id },
      ]),
    )
    expect(succeeded(await client.getAcl(`${root}/a`)).acl[1]).toEqual({
      perms: Perm.all,
      scheme: 'digest',
      id: 'hid:x',
    })
    await using owner = await ZkClient.connect(server.port)
    expect((await owner.auth('digest', 'hid:den')).err).toBe(Err.ok)
    expect(succeeded(await owner.getAcl(`${root}/a`)).acl[1]?.id).toBe(id)
    await owner.close()
  })
})
