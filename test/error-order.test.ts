// Which error an update or read gets when several things are wrong with it, and what of it is undone: nothing.
// Each case is one request; the table is verified against a real ZooKeeper with DELOS_TEST_PEER=zookeeper.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Acl, JuteWriter } from './support/jute.ts'
import { serverKind, TestServer } from './support/server.ts'
import { within } from './support/wait.ts'
import type { MultiOp } from './support/zk-bodies.ts'
import { type Reply, succeeded, ZkClient } from './support/zk-client.ts'
import { Err, Flags, Op, openAcl, Perm } from './support/zk-protocol.ts'

type Case = [what: string, request: (client: ZkClient) => Promise<Reply<unknown>>, err: number]

const { ok, marshalling, unimplemented, badArguments, noNode, noAuth, badVersion, nodeExists, notEmpty, invalidAcl } =
  Err
const { noChildrenForEphemerals, runtimeInconsistency, authFailed } = Err

const anyone = (perms: number): Acl[] => [{ perms, scheme: 'world', id: 'anyone' }]
const acl = (scheme: string, id: string): Acl[] => [{ perms: Perm.all, scheme, id }]
const NO_ACL: Acl[] = []

let server: TestServer
let client: ZkClient

// /t         open, version 1, aversion 0, two children
// /t/eph     ephemeral
// /t/full    has the child /t/full/x
// /sealed    no permission for anybody, child /sealed/x
beforeAll(async () => {
  server = await TestServer.start()
  client = await ZkClient.connect(server.port, { timeoutMs: 20_000 })
  succeeded(await client.create('/t', ''))
  succeeded(await client.setData('/t', 'x'))
  succeeded(await client.create('/t/eph', '', Flags.ephemeral))
  succeeded(await client.create('/t/full', ''))
  succeeded(await client.create('/t/full/x', ''))
  succeeded(await client.create('/sealed', ''))
  succeeded(await client.create('/sealed/x', ''))
  succeeded(await client.setAcl('/sealed', anyone(0)))
})
afterAll(() => server[Symbol.asyncDispose]())

const creates: Case[] = [
  ['an unknown mode', (c) => c.create('/t/new', '', 99), badArguments],
  ['an unknown mode before a missing parent', (c) => c.create('/nope/new', '', -1), badArguments],
  ['an unknown mode before a bad ACL', (c) => c.create('/t/new', '', 99, NO_ACL), badArguments],
  ['an empty path', (c) => c.create('', ''), badArguments],
  ['a path without a slash', (c) => c.create('new', ''), badArguments],
  ['a path without a slash before a bad ACL', (c) => c.create('new', '', 0, NO_ACL), badArguments],
  ['a NUL in the path before a bad ACL', (c) => c.create('/t/a\0b', '', 0, NO_ACL), badArguments],
  ['an empty ACL', (c) => c.create('/t/new', '', 0, NO_ACL), invalidAcl],
  ['an empty ACL before a missing parent', (c) => c.create('/nope/new', '', 0, NO_ACL), invalidAcl],
  ['an empty ACL before a path with a bad end', (c) => c.create('/t/new/', '', 0, NO_ACL), invalidAcl],
  ['an empty ACL before an existing node', (c) => c.create('/t', '', 0, NO_ACL), invalidAcl],
  ['an empty ACL before a parent that forbids it', (c) => c.create('/sealed/new', '', 0, NO_ACL), invalidAcl],
  ['an ACL for world:somebody', (c) => c.create('/t/new', '', 0, acl('world', 'somebody')), invalidAcl],
  ['an ACL of an unknown scheme', (c) => c.create('/t/new', '', 0, acl('telepathy', 'x')), invalidAcl],
  ['an ACL auth without identities', (c) => c.create('/t/new', '', 0, acl('auth', '')), invalidAcl],
  ['a digest id without a colon', (c) => c.create('/t/new', '', 0, acl('digest', 'nocolon')), invalidAcl],
  ['a digest id with two colons', (c) => c.create('/t/new', '', 0, acl('digest', 'a:b:c')), invalidAcl],
  ['an ip id that is none', (c) => c.create('/t/new', '', 0, acl('ip', '1.2.3')), invalidAcl],
  ['an ip id with too many bits', (c) => c.create('/t/new', '', 0, acl('ip', '10.0.0.0/33')), invalidAcl],
  ['one bad entry behind a good one', (c) => c.create('/t/new', '', 0, [...openAcl, ...acl('world', 'x')]), invalidAcl],
  ['a missing parent', (c) => c.create('/nope/new', ''), noNode],
  ['a missing parent before a bad end of the path', (c) => c.create('/nope/new/', ''), noNode],
  ['a missing parent in a sequential path', (c) => c.create('/nope/s-', '', Flags.sequential), noNode],
  ['an empty segment: its parent is missing', (c) => c.create('/t//new', ''), noNode],
  ['.. in the middle: its parent is missing', (c) => c.create('/t/../new', ''), noNode],
  ['a parent that forbids it', (c) => c.create('/sealed/new', ''), noAuth],
  ['a parent that forbids it before an existing node', (c) => c.create('/sealed/x', ''), noAuth],
  ['a parent that forbids it before a bad end of the path', (c) => c.create('/sealed/', ''), noAuth],
  ['a slash at the end', (c) => c.create('/t/', ''), badArguments],
  ['a slash at the end of an existing node', (c) => c.create('/t/full/', ''), badArguments],
  ['. as name', (c) => c.create('/t/.', ''), badArguments],
  ['.. as name', (c) => c.create('/t/..', ''), badArguments],
  ['.. as name directly below the root', (c) => c.create('/..', ''), badArguments],
  ['a control character', (c) => c.create('/t/a\u0001', ''), badArguments],
  ['a newline', (c) => c.create('/t/a\nb', ''), badArguments],
  ['U+001F', (c) => c.create('/t/a\u001f', ''), badArguments],
  ['U+007F', (c) => c.create('/t/a\u007f', ''), badArguments],
  ['U+009F', (c) => c.create('/t/a\u009f', ''), badArguments],
  ['U+F8FF, private use', (c) => c.create('/t/a\uf8ff', ''), badArguments],
  ['U+FFF0', (c) => c.create('/t/a\ufff0', ''), badArguments],
  ['a letter outside the basic plane', (c) => c.create('/t/😀', ''), badArguments],
  ['an existing node', (c) => c.create('/t', ''), nodeExists],
  ['the root', (c) => c.create('/', ''), nodeExists],
  ['an existing ephemeral, in ephemeral mode', (c) => c.create('/t/eph', '', Flags.ephemeral), nodeExists],
  ['a child of an ephemeral', (c) => c.create('/t/eph/new', ''), noChildrenForEphemerals],
  ['a sequential child of an ephemeral', (c) => c.create('/t/eph/s-', '', Flags.sequential), noChildrenForEphemerals],
  ['a bad path below an ephemeral', (c) => c.create('/t/eph/..', ''), badArguments],
  ['create2 of an existing node', (c) => c.create2('/t', ''), nodeExists],
  ['create2 with an unknown mode', (c) => c.create2('/t/new', '', 99), badArguments],
]

const deletes: Case[] = [
  ['an empty path', (c) => c.delete(''), badArguments],
  ['a path without a slash', (c) => c.delete('t'), badArguments],
  ['a NUL in the path', (c) => c.delete('/t\0'), badArguments],
  ['the root', (c) => c.delete('/'), badArguments],
  ['/zookeeper', (c) => c.delete('/zookeeper'), badArguments],
  ['/zookeeper/quota', (c) => c.delete('/zookeeper/quota'), badArguments],
  ['/zookeeper/config', (c) => c.delete('/zookeeper/config'), badArguments],
  ['a missing parent', (c) => c.delete('/nope/x'), noNode],
  ['a missing node', (c) => c.delete('/nope'), noNode],
  ['a slash at the end: no such node', (c) => c.delete('/t/'), noNode],
  ['a parent that forbids it', (c) => c.delete('/sealed/x'), noAuth],
  ['a parent that forbids it before a missing node', (c) => c.delete('/sealed/nope'), noAuth],
  ['a missing node before a version', (c) => c.delete('/nope', 3), noNode],
  ['a wrong version before children', (c) => c.delete('/t', 0), badVersion],
  ['version -2 is a wrong version', (c) => c.delete('/t', -2), badVersion],
  ['children, right version', (c) => c.delete('/t', 1), notEmpty],
  ['children, any version', (c) => c.delete('/t'), notEmpty],
]

const sets: Case[] = [
  ['setData: an empty path', (c) => c.setData('', ''), badArguments],
  ['setData: a path without a slash', (c) => c.setData('t', ''), badArguments],
  ['setData: a slash at the end', (c) => c.setData('/t/', ''), badArguments],
  ['setData: an empty segment', (c) => c.setData('/t//full', ''), badArguments],
  ['setData: a control character', (c) => c.setData('/t\u0002', ''), badArguments],
  ['setData: a missing node', (c) => c.setData('/nope', ''), noNode],
  ['setData: a missing node before a version', (c) => c.setData('/nope', '', 5), noNode],
  ['setData: no permission before a wrong version', (c) => c.setData('/sealed', '', 5), noAuth],
  ['setData: a wrong version', (c) => c.setData('/t', '', 0), badVersion],
  ['setData: version -2 is a wrong version', (c) => c.setData('/t', '', -2), badVersion],
  ['setAcl: an empty path before an empty ACL', (c) => c.setAcl('', NO_ACL), badArguments],
  ['setAcl: a bad path before an empty ACL', (c) => c.setAcl('/t/', NO_ACL), badArguments],
  ['setAcl: an empty ACL before a missing node', (c) => c.setAcl('/nope', NO_ACL), invalidAcl],
  ['setAcl: a bad id before no permission', (c) => c.setAcl('/sealed', acl('digest', 'x')), invalidAcl],
  ['setAcl: a missing node', (c) => c.setAcl('/nope', openAcl), noNode],
  ['setAcl: no permission before a wrong version', (c) => c.setAcl('/sealed', openAcl, 9), noAuth],
  ['setAcl: a wrong version: it is compared with aversion', (c) => c.setAcl('/t', openAcl, 1), badVersion],
]

const reads: Case[] = [
  ['exists: a missing node', (c) => c.exists('/nope'), noNode],
  ['getData: a missing node', (c) => c.getData('/nope'), noNode],
  ['getData: a path without a slash is a missing node', (c) => c.getData('t'), noNode],
  ['getData: a slash at the end is a missing node', (c) => c.getData('/t/'), noNode],
  ['getData: no permission', (c) => c.getData('/sealed'), noAuth],
  // Until 3.8.3 exists told about a node that may not be read (CVE-2024-23944).
  ['exists: no permission', (c) => c.exists('/sealed'), serverKind === 'delos' ? noAuth : ok],
  ['getData: the permission of the parent does not matter', (c) => c.getData('/sealed/x'), ok],
  ['getChildren: a missing node', (c) => c.getChildren('/nope'), noNode],
  ['getChildren: no permission', (c) => c.getChildren('/sealed'), noAuth],
  ['getChildren2: a missing node', (c) => c.getChildren2('/nope'), noNode],
  ['getChildren2: no permission', (c) => c.getChildren2('/sealed'), noAuth],
  ['getAcl: a missing node', (c) => c.getAcl('/nope'), noNode],
  ['getAcl: no permission', (c) => c.getAcl('/sealed'), noAuth],
  ['sync: a missing node', (c) => c.sync('/nope'), ok],
  ['sync: any text', (c) => c.sync('nonsense'), ok],
]

describe.each([
  ['create', creates],
  ['delete', deletes],
  ['setData and setAcl', sets],
  ['reads', reads],
])('%s', (_name, cases) => {
  it.each(cases)('%s', async (_what, request, err) => {
    const before = succeeded(await client.getChildren2('/t'))
    expect((await request(client)).err).toBe(err)
    expect(succeeded(await client.getChildren2('/t'))).toEqual(before)
  })
})

describe('multi: each error is that of its operation', () => {
  const first: MultiOp = { op: 'create', path: '/t/in-multi' }
  it.each<[string, MultiOp, number]>([
    ['create of an existing node', { op: 'create', path: '/t' }, nodeExists],
    ['create of a node that the same multi created', { op: 'create', path: '/t/in-multi' }, nodeExists],
    ['create with a bad ACL before a missing parent', { op: 'create', path: '/nope/x', acl: [] }, invalidAcl],
    ['create with a bad path', { op: 'create', path: '/t/' }, badArguments],
    ['create below an ephemeral', { op: 'create', path: '/t/eph/x' }, noChildrenForEphemerals],
    ['create without permission', { op: 'create', path: '/sealed/new' }, noAuth],
    ['create with an unknown mode', { op: 'create', path: '/t/new', flags: 99 }, badArguments],
    ['delete of the root', { op: 'delete', path: '/' }, badArguments],
    ['delete of a node with children', { op: 'delete', path: '/t/full' }, notEmpty],
    ['delete with a wrong version before children', { op: 'delete', path: '/t/full', version: 9 }, badVersion],
    ['setData of a missing node', { op: 'setData', path: '/nope', data: '' }, noNode],
    [
      'setData without permission before a wrong version',
      { op: 'setData', path: '/sealed', data: '', version: 9 },
      noAuth,
    ],
    ['check of a missing node', { op: 'check', path: '/nope' }, noNode],
    ['check of a bad path', { op: 'check', path: '/t/' }, badArguments],
    ['check without permission before a wrong version', { op: 'check', path: '/sealed', version: 9 }, noAuth],
    ['check with a wrong version', { op: 'check', path: '/t', version: 0 }, badVersion],
  ])('%s', async (_what, failing, err) => {
    const reply = await client.multi([first, failing, { op: 'delete', path: '/t/full/x' }])
    expect(succeeded(reply).map((result) => result.err)).toEqual([ok, err, runtimeInconsistency])
    expect((await client.exists('/t/in-multi')).err).toBe(noNode)
  })
})

describe('requests that end the connection', () => {
  const nothing = (): undefined => undefined

  // Since 3.9 a check outside a multi belongs here too; 3.8 answers it.
  it.each([
    ['an operation that does not exist', 9999, Buffer.alloc(0)],
    ['a watch event from a client', 0, new JuteWriter().int(1).int(3).string('/t').done()],
    ...(serverKind === 'delos'
      ? [
          ['a check outside a multi', Op.check, new JuteWriter().string('/t').int(-1).done()] as [
            string,
            number,
            Buffer,
          ],
        ]
      : []),
  ])('%s is answered with -6', async (_what, op, body) => {
    await using doomed = await ZkClient.connect(server.port)
    const reply = await doomed.request(op, body, nothing)
    expect(reply.err).toBe(unimplemented)
    await within(doomed.closed, 2000, 'close')
  })

  it('auth with an unknown scheme is answered with -115', async () => {
    await using doomed = await ZkClient.connect(server.port)
    expect((await doomed.auth('telepathy', 'x')).err).toBe(authFailed)
    await within(doomed.closed, 2000, 'close')
  })

  it.each([
    ['a frame of negative length', Buffer.of(0xff, 0xff, 0xff, 0xff)],
    ['a frame longer than 1 MiB', Buffer.of(0x00, 0x10, 0x00, 0x01, 0, 0, 0, 1)],
  ])('%s is not answered', async (_what, bytes) => {
    await using doomed = await ZkClient.connect(server.port)
    doomed.writeRaw(bytes)
    await within(doomed.closed, 2000, 'close')
  })
})

describe('requests that cannot be read get -5 and the connection goes on', () => {
  const nothing = (): undefined => undefined
  it.each<[string, number, Buffer]>([
    ['create cut off in the middle', Op.create, new JuteWriter().string('/t/new').int(100).done()],
    [
      'create without path',
      Op.create,
      new JuteWriter().string(null).buffer(Buffer.alloc(0)).acls(openAcl).int(0).done(),
    ],
    ['getData without a body', Op.getData, Buffer.alloc(0)],
    ['setData with a length below -1', Op.setData, new JuteWriter().string('/t').int(-7).int(0).done()],
    [
      'setData with a length past its end',
      Op.setData,
      new JuteWriter().string('/t').int(50).raw(Buffer.alloc(10)).int(0).done(),
    ],
    ['multi without an end', Op.multi, new JuteWriter().int(Op.check).bool(false).int(-1).string('/t').int(-1).done()],
    [
      'multi with an operation that has no place there',
      Op.multi,
      new JuteWriter().int(Op.sync).bool(false).int(-1).string('/t').done(),
    ],
  ])('%s', async (_what, op, body) => {
    const reply = await client.request(op, body, nothing)
    expect(reply.err).toBe(marshalling)
    expect((await client.getData('/t')).err).toBe(ok)
  })

  it('bytes behind a record are ignored', async () => {
    const body = new JuteWriter().string('/t').bool(false).raw(Buffer.alloc(9, 0xee)).done()
    expect((await client.request(Op.exists, body, (reader) => reader.stat())).value?.version).toBe(1)
  })
})
