import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as client from './client-messages.ts'
import { ERR } from './error-codes.ts'
import * as handshake from './handshake.ts'
import { JuteReader } from './jute-reader.ts'
import { JuteWriter } from './jute-writer.ts'
import { BAD_MULTI, MarshallingError, NULL_VALUE, TRUNCATED } from './marshalling-error.ts'
import { OP, XID } from './opcodes.ts'
import * as replies from './replies.ts'
import { FOREIGN_SESSION, wireSessionId } from './session-id.ts'
import { type Acl, STAT_BYTES, type Stat } from './stat.ts'
import { EVENT_TYPE } from './watch-codes.ts'
import { readRequest, type WireRequest } from './wire-requests.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')
const reading = (bytes: Buffer): JuteReader => new JuteReader().reset(bytes, 0, bytes.length)

/** The one frame that `write` writes, without its length, which is checked. */
function framed(write: (to: JuteWriter) => void): Buffer {
  const to = new JuteWriter()
  write(to)
  const bytes = to.take()
  expect(bytes.readInt32BE(0)).toBe(bytes.length - 4)
  return bytes.subarray(4)
}

/** Reads a request frame's body as a server does. */
function served(body: Buffer): { xid: number; request: WireRequest | undefined } {
  const from = reading(body)
  const xid = from.int32()
  return { xid, request: readRequest(from.int32(), from) }
}

const STAT: Stat = {
  czxid: 0x100000002,
  mzxid: 0x100000003,
  ctime: 0x18bcfe56800,
  mtime: 0x18bcfe56801,
  version: 1,
  cversion: 2,
  aversion: 3,
  ephemeralOwner: 5,
  dataLength: 4,
  numChildren: 6,
  pzxid: 0x100000004,
}
const STAT_HEX = `0000000100000002 0000000100000003 0000018bcfe56800 0000018bcfe56801
  00000001 00000002 00000003 0100000000000005 00000004 00000006 0000000100000004`

const seenByClient = (stat: Stat): client.ClientStat => ({
  ...stat,
  ephemeralOwner: wireSessionId(stat.ephemeralOwner),
})

// Written by hand from the protocol's definition: `xid type record`.
const REQUESTS: readonly (readonly [string, string, WireRequest])[] = [
  ['exists', '00000001 00000003 00000002 2f61 01', { op: OP.exists, path: '/a', watch: true }],
  ['getData', '00000001 00000004 00000002 2f61 00', { op: OP.getData, path: '/a', watch: false }],
  ['getChildren', '00000001 00000008 00000001 2f 01', { op: OP.getChildren, path: '/', watch: true }],
  ['getChildren2', '00000001 0000000c 00000001 2f 00', { op: OP.getChildren2, path: '/', watch: false }],
  ['delete', '00000001 00000002 00000002 2f61 ffffffff', { op: OP.delete, path: '/a', version: -1 }],
  [
    'setData',
    '00000001 00000005 00000002 2f61 00000003 010203 00000007',
    { op: OP.setData, path: '/a', data: Buffer.from([1, 2, 3]), version: 7 },
  ],
  [
    'setData of null',
    '00000001 00000005 00000002 2f61 ffffffff 00000007',
    { op: OP.setData, path: '/a', data: null, version: 7 },
  ],
  [
    'create with the open ACL',
    `00000001 00000001 00000002 2f61 00000001 78
     00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65 00000003`,
    {
      op: OP.create,
      path: '/a',
      data: Buffer.from('x'),
      acl: [{ perms: 31, scheme: 'world', id: 'anyone' }],
      flags: 3,
      ttlMs: 0,
    },
  ],
  [
    'create2 with two ACL entries',
    `00000001 0000000f 00000002 2f61 00000000
     00000002 00000001 00000002 6970 00000003 3a3a31 0000001f 00000004 61757468 00000000 00000000`,
    {
      op: OP.create2,
      path: '/a',
      data: Buffer.alloc(0),
      acl: [
        { perms: 1, scheme: 'ip', id: '::1' },
        { perms: 31, scheme: 'auth', id: '' },
      ],
      flags: 0,
      ttlMs: 0,
    },
  ],
  [
    'createContainer',
    '00000001 00000013 00000002 2f61 ffffffff 00000000 00000004',
    { op: OP.createContainer, path: '/a', data: null, acl: [], flags: 4, ttlMs: 0 },
  ],
  [
    'createTTL',
    '00000001 00000015 00000002 2f61 ffffffff 00000000 00000005 000000000000ea60',
    { op: OP.createTtl, path: '/a', data: null, acl: [], flags: 5, ttlMs: 60000 },
  ],
  ['getACL', '00000001 00000006 00000002 2f61', { op: OP.getAcl, path: '/a' }],
  [
    'setACL',
    '00000001 00000007 00000002 2f61 00000001 00000001 00000002 6970 00000003 3a3a31 00000002',
    { op: OP.setAcl, path: '/a', acl: [{ perms: 1, scheme: 'ip', id: '::1' }], version: 2 },
  ],
  ['sync', '00000001 00000009 00000002 2f61', { op: OP.sync, path: '/a' }],
  ['sync of null', '00000001 00000009 ffffffff', { op: OP.sync, path: null }],
  ['ping', 'fffffffe 0000000b', { op: OP.ping }],
  ['closeSession', '00000001 fffffff5', { op: OP.closeSession }],
  [
    'auth',
    'fffffffc 00000064 00000000 00000006 646967657374 00000003 753a70',
    { op: OP.auth, scheme: 'digest', credential: Buffer.from('u:p') },
  ],
  [
    'setWatches',
    'fffffff8 00000065 0000000100000002 00000001 00000002 2f61 00000000 00000002 00000001 2f 00000002 2f62',
    {
      op: OP.setWatches,
      relativeZxid: 0x100000002,
      dataWatches: ['/a'],
      existWatches: [],
      childWatches: ['/', '/b'],
      persistentWatches: [],
      persistentRecursiveWatches: [],
    },
  ],
  [
    'setWatches2',
    `fffffff8 00000069 0000000100000002 00000000 00000001 00000002 2f61 00000000
     00000001 00000002 2f62 00000002 00000001 2f 00000002 2f63`,
    {
      op: OP.setWatches2,
      relativeZxid: 0x100000002,
      dataWatches: [],
      existWatches: ['/a'],
      childWatches: [],
      persistentWatches: ['/b'],
      persistentRecursiveWatches: ['/', '/c'],
    },
  ],
  ['addWatch', '00000001 0000006a 00000002 2f61 00000001', { op: OP.addWatch, path: '/a', mode: 1 }],
  ['checkWatches', '00000001 00000011 00000002 2f61 00000003', { op: OP.checkWatches, path: '/a', type: 3 }],
  ['removeWatches', '00000001 00000012 00000002 2f61 00000005', { op: OP.removeWatches, path: '/a', type: 5 }],
  [
    'multi',
    `00000001 0000000e
     0000000d 00 ffffffff 00000002 2f61 00000001
     00000001 00 ffffffff 00000002 2f62 ffffffff 00000000 00000000
     00000005 00 ffffffff 00000002 2f63 00000000 ffffffff
     00000002 00 ffffffff 00000002 2f64 00000000
     ffffffff 01 ffffffff`,
    {
      op: OP.multi,
      operations: [
        { op: OP.check, path: '/a', version: 1 },
        { op: OP.create, path: '/b', data: null, acl: [], flags: 0, ttlMs: 0 },
        { op: OP.setData, path: '/c', data: Buffer.alloc(0), version: -1 },
        { op: OP.delete, path: '/d', version: 0 },
      ],
    },
  ],
  [
    'multiRead',
    '00000001 00000016 00000004 00 ffffffff 00000002 2f61 00 00000008 00 ffffffff 00000001 2f 00 ffffffff 01 ffffffff',
    {
      op: OP.multiRead,
      reads: [
        { op: OP.getData, path: '/a' },
        { op: OP.getChildren, path: '/' },
      ],
    },
  ],
  ['getEphemerals', '00000001 00000067 00000002 2f61', { op: OP.getEphemerals, prefix: '/a' }],
  ['getAllChildrenNumber', '00000001 00000068 00000001 2f', { op: OP.getAllChildrenNumber, path: '/' }],
  ['whoAmI', '00000001 0000006b', { op: OP.whoAmI }],
  [
    'reconfig',
    '00000001 00000010 00000001 61 ffffffff ffffffff ffffffffffffffff',
    { op: OP.reconfig, joining: 'a', leaving: null, members: null, configId: -1 },
  ],
  ['an empty multi', '00000001 0000000e ffffffff 01 ffffffff', { op: OP.multi, operations: [] }],
]

describe('requests', () => {
  it.each(REQUESTS)('of type %s are these bytes, for client and server', (_, bytes, request) => {
    const xid = hex(bytes).readInt32BE(0)
    expect(served(hex(bytes))).toEqual({ xid, request })
    expect(framed((to) => client.writeRequest(to, xid, request)).toString('hex')).toBe(hex(bytes).toString('hex'))
  })

  it('are cut short anywhere: a MarshallingError; with bytes behind them: the same request', () => {
    for (const [, bytes, request] of REQUESTS) {
      const body = hex(bytes)
      for (let end = 8; end < body.length; end++) expect(() => served(body.subarray(0, end))).toThrow(TRUNCATED)
      expect(served(Buffer.concat([body, Buffer.alloc(5, 0xff)])).request).toEqual(request)
    }
  })

  it('have no decoder for operations that are not answered, a check outside of a multi among them', () => {
    for (const op of [0, 10, 13, 20, -10, 12345]) {
      expect(readRequest(op, reading(Buffer.alloc(0)))).toBeUndefined()
    }
  })

  it('with a null path are malformed, but where ZooKeeper answers badArguments, for which it reads as empty', () => {
    const rest = 'ffffffff 00000000 00000000 00000000 00000000'
    for (const op of [1, 2, 3, 4, 6, 8, 12, 15, 19, 21]) {
      expect(() => readRequest(op, reading(hex(rest)))).toThrow(NULL_VALUE)
    }
    expect(readRequest(OP.setData, reading(hex(rest)))).toMatchObject({ path: '' })
    expect(readRequest(OP.setAcl, reading(hex(rest)))).toMatchObject({ path: '' })
    const check = '0000000d 00 ffffffff ffffffff 00000001 ffffffff 01 ffffffff'
    expect(readRequest(OP.multi, reading(hex(check)))).toMatchObject({ operations: [{ path: '' }] })
  })

  it('in a multi are only writes and checks', () => {
    for (const op of [0, 3, 4, 7, 8, 9, 12, 14, 100, -1]) {
      const type = Buffer.alloc(4)
      type.writeInt32BE(op)
      const body = Buffer.concat([type, hex('00 ffffffff 00000001 2f 00 ffffffff 01 ffffffff')])
      expect(() => readRequest(OP.multi, reading(body))).toThrow(BAD_MULTI)
    }
  })

  it('announcing a huge ACL or watch list are refused before anything is allocated for it', () => {
    const create = '00000001 2f ffffffff 7fffffff 0000001f 00000000 00000000'
    expect(() => readRequest(OP.create, reading(hex(create)))).toThrow(TRUNCATED)
    expect(() => readRequest(OP.setWatches, reading(hex('0000000000000000 7fffffff 00000000')))).toThrow(TRUNCATED)
  })

  it('survive any encoding and decoding, and any damage gives a request or a MarshallingError', () => {
    const path = fc.oneof(fc.string({ maxLength: 60 }), fc.string({ unit: 'binary', maxLength: 20 }))
    const data = fc.option(fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)))
    const version = fc.integer()
    const entry: fc.Arbitrary<Acl> = fc.record({ perms: fc.integer(), scheme: path, id: path })
    const open: fc.Arbitrary<Acl> = fc.constant({ perms: 31, scheme: 'world', id: 'anyone' })
    const acl = fc.array(fc.oneof(open, entry), { maxLength: 3 })
    const plain = fc.constantFrom(OP.create, OP.create2, OP.createContainer)
    const write = fc.oneof(
      fc.record({ op: plain, path, data, acl, flags: version, ttlMs: fc.constant(0) }),
      fc.record({ op: fc.constant(OP.createTtl), path, data, acl, flags: version, ttlMs: fc.maxSafeInteger() }),
      fc.record({ op: fc.constant(OP.delete), path, version }),
      fc.record({ op: fc.constant(OP.setData), path, data, version }),
    )
    const check = fc.record({ op: fc.constant(OP.check), path, version })
    const reads = fc.constantFrom(OP.exists, OP.getData, OP.getChildren, OP.getChildren2)
    const paths = fc.array(path, { maxLength: 3 })
    const anyRequest: fc.Arbitrary<WireRequest> = fc.oneof(
      write,
      fc.record({ op: reads, path, watch: fc.boolean() }),
      fc.record({ op: fc.constant(OP.getAcl), path }),
      fc.record({ op: fc.constant(OP.setAcl), path, acl, version }),
      fc.record({ op: fc.constant(OP.sync), path: fc.option(path) }),
      fc.record({ op: fc.constant(OP.multi), operations: fc.array(fc.oneof(write, check), { maxLength: 5 }) }),
      fc.record({ op: fc.constant(OP.auth), scheme: path, credential: data }),
      fc.record({
        op: fc.constant(OP.setWatches),
        relativeZxid: fc.maxSafeInteger(),
        dataWatches: paths,
        existWatches: paths,
        childWatches: paths,
        persistentWatches: fc.constant<string[]>([]),
        persistentRecursiveWatches: fc.constant<string[]>([]),
      }),
      fc.record({
        op: fc.constant(OP.setWatches2),
        relativeZxid: fc.maxSafeInteger(),
        dataWatches: paths,
        existWatches: paths,
        childWatches: paths,
        persistentWatches: paths,
        persistentRecursiveWatches: paths,
      }),
      fc.record({ op: fc.constant(OP.addWatch), path, mode: version }),
      fc.record({ op: fc.constantFrom(OP.checkWatches, OP.removeWatches), path, type: version }),
    )
    const damage = fc.array(fc.tuple(fc.nat(), fc.constantFrom(0, 1, 0x7f, 0x80, 0xfe, 0xff)), {
      minLength: 1,
      maxLength: 4,
    })
    fc.assert(
      fc.property(anyRequest, fc.integer(), damage, (request, xid, hits) => {
        const body = framed((to) => client.writeRequest(to, xid, request))
        expect(served(body)).toEqual({ xid, request })
        for (const [at, value] of hits) body[8 + (at % (body.length - 8))] = value
        try {
          served(body)
        } catch (error) {
          expect(error).toBeInstanceOf(MarshallingError)
        }
      }),
      { numRuns: 1500 },
    )
  })
})

const HEADER = '00000007 0000000100000009 00000000'
const ZXID = 0x100000009
const ACL: readonly Acl[] = [{ perms: 31, scheme: 'world', id: 'anyone' }]

// `xid zxid err record`, and what a client makes of the record.
const REPLIES: readonly (readonly [string, WireRequest['op'], (to: JuteWriter) => void, string, client.ReplyBody])[] = [
  ['ping', OP.ping, (to) => replies.writeHeaderReply(to, 7, ZXID, 0), '', {}],
  ['create', OP.create, (to) => replies.writePathReply(to, 7, ZXID, '/a1'), '00000003 2f6131', { path: '/a1' }],
  ['sync of null', OP.sync, (to) => replies.writePathReply(to, 7, ZXID, null), 'ffffffff', { path: null }],
  [
    'create2',
    OP.create2,
    (to) => replies.writePathStatReply(to, 7, ZXID, '/a', STAT),
    `00000002 2f61 ${STAT_HEX}`,
    { path: '/a', stat: seenByClient(STAT) },
  ],
  ['exists', OP.exists, (to) => replies.writeStatReply(to, 7, ZXID, STAT), STAT_HEX, { stat: seenByClient(STAT) }],
  [
    'getData',
    OP.getData,
    (to) => replies.writeDataReply(to, 7, ZXID, Uint8Array.of(1, 2), STAT),
    `00000002 0102 ${STAT_HEX}`,
    { data: Buffer.from([1, 2]), stat: seenByClient(STAT) },
  ],
  [
    'getData of null',
    OP.getData,
    (to) => replies.writeDataReply(to, 7, ZXID, null, STAT),
    `ffffffff ${STAT_HEX}`,
    { data: null, stat: seenByClient(STAT) },
  ],
  [
    'getChildren',
    OP.getChildren,
    (to) => replies.writeChildrenReply(to, 7, ZXID, ['a', 'ä']),
    '00000002 00000001 61 00000002 c3a4',
    { children: ['a', 'ä'] },
  ],
  [
    'getChildren2',
    OP.getChildren2,
    (to) => replies.writeChildrenReply(to, 7, ZXID, [], STAT),
    `00000000 ${STAT_HEX}`,
    { children: [], stat: seenByClient(STAT) },
  ],
  [
    'getACL',
    OP.getAcl,
    (to) => replies.writeAclReply(to, 7, ZXID, ACL, STAT),
    `00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65 ${STAT_HEX}`,
    { acl: ACL, stat: seenByClient(STAT) },
  ],
  [
    'multi that succeeded',
    OP.multi,
    (to) =>
      replies.writeMultiReply(to, 7, ZXID, [
        { op: OP.check },
        { op: OP.create, path: '/b' },
        { op: OP.create2, path: '/c', stat: STAT },
        { op: OP.setData, stat: STAT },
        { op: OP.delete },
      ]),
    `0000000d 00 00000000
     00000001 00 00000000 00000002 2f62
     0000000f 00 00000000 00000002 2f63 ${STAT_HEX}
     00000005 00 00000000 ${STAT_HEX}
     00000002 00 00000000
     ffffffff 01 ffffffff`,
    {
      results: [
        { op: OP.check },
        { op: OP.create, path: '/b' },
        { op: OP.create2, path: '/c', stat: seenByClient(STAT) },
        { op: OP.setData, stat: seenByClient(STAT) },
        { op: OP.delete },
      ],
    },
  ],
  [
    'multi that failed, whose header has no error',
    OP.multi,
    (to) =>
      replies.writeMultiReply(to, 7, ZXID, [
        { op: OP.error, err: ERR.ok },
        { op: OP.error, err: ERR.badVersion },
        { op: OP.error, err: ERR.runtimeInconsistency },
      ]),
    `ffffffff 00 00000000 00000000
     ffffffff 00 ffffff99 ffffff99
     ffffffff 00 fffffffe fffffffe
     ffffffff 01 ffffffff`,
    {
      results: [
        { op: OP.error, err: 0 },
        { op: OP.error, err: -103 },
        { op: OP.error, err: -2 },
      ],
    },
  ],
  [
    'multiRead',
    OP.multiRead,
    (to) =>
      replies.writeMultiReadReply(to, 7, ZXID, [
        { op: OP.getData, data: null, stat: STAT },
        { op: OP.getChildren, children: ['a'] },
        { op: OP.error, err: ERR.noNode },
      ]),
    `00000004 00 00000000 ffffffff ${STAT_HEX}
     00000008 00 00000000 00000001 00000001 61
     ffffffff 00 ffffff9b ffffff9b
     ffffffff 01 ffffffff`,
    {
      reads: [
        { op: OP.getData, data: null, stat: seenByClient(STAT) },
        { op: OP.getChildren, children: ['a'] },
        { op: OP.error, err: -101 },
      ],
    },
  ],
  [
    'getAllChildrenNumber',
    OP.getAllChildrenNumber,
    (to) => replies.writeCountReply(to, 7, ZXID, 258),
    '00000102',
    { count: 258 },
  ],
  [
    'whoAmI',
    OP.whoAmI,
    (to) => replies.writeIdentitiesReply(to, 7, ZXID, [{ scheme: 'ip', user: '::1' }]),
    '00000001 00000002 6970 00000003 3a3a31',
    { identities: [{ scheme: 'ip', user: '::1' }] },
  ],
  ['empty multi', OP.multi, (to) => replies.writeMultiReply(to, 7, ZXID, []), 'ffffffff 01 ffffffff', { results: [] }],
]

describe('replies', () => {
  it.each(REPLIES)('to %s are these bytes, for server and client', (_, op, write, record, body) => {
    const bytes = framed(write)
    expect(bytes.toString('hex')).toBe(hex(HEADER + record).toString('hex'))
    const from = reading(bytes)
    expect(client.readReplyHeader(from)).toEqual({ xid: 7, zxid: ZXID, err: 0 })
    expect(client.readReplyBody(op, from)).toEqual(body)
    expect(from.remaining).toBe(0)
  })

  it('with an error are a header and nothing else', () => {
    const bytes = framed((to) => replies.writeHeaderReply(to, -2, 5, ERR.noNode))
    expect(bytes.toString('hex')).toBe(hex('fffffffe 0000000000000005 ffffff9b').toString('hex'))
  })

  it('that are watch events carry the zxid of the change and the connected state', () => {
    const bytes = framed((to) => replies.writeWatcherEvent(to, 9, EVENT_TYPE.nodeDataChanged, '/a'))
    const golden = 'ffffffff 0000000000000009 00000000 00000003 00000003 00000002 2f61'
    expect(bytes.toString('hex')).toBe(hex(golden).toString('hex'))
    const from = reading(bytes)
    expect(client.readReplyHeader(from).xid).toBe(XID.notification)
    expect(client.readWatcherEvent(from)).toEqual({ type: 3, state: 3, path: '/a' })
  })

  it('with a stat have all of its fields, for any values', () => {
    const int = fc.integer()
    const positive = fc.maxSafeNat()
    const anyStat: fc.Arbitrary<Stat> = fc.record({
      czxid: positive,
      mzxid: positive,
      ctime: fc.maxSafeInteger(),
      mtime: fc.maxSafeInteger(),
      version: int,
      cversion: int,
      aversion: int,
      ephemeralOwner: positive,
      dataLength: int,
      numChildren: int,
      pzxid: positive,
    })
    fc.assert(
      fc.property(anyStat, int, positive, (stat, xid, zxid) => {
        const bytes = framed((to) => replies.writeStatReply(to, xid, zxid, stat))
        expect(bytes.length).toBe(16 + STAT_BYTES)
        const from = reading(bytes)
        expect(client.readReplyHeader(from)).toEqual({ xid, zxid, err: 0 })
        expect(client.readStat(from)).toEqual(seenByClient(stat))
      }),
    )
  })

  it('damaged anywhere give a client a MarshallingError or a body', () => {
    fc.assert(
      fc.property(fc.constantFrom(...REPLIES), fc.nat(), fc.integer(), ([, op, write], at, value) => {
        const bytes = framed(write)
        bytes[at % bytes.length] = value
        try {
          const from = reading(bytes)
          client.readReplyHeader(from)
          client.readReplyBody(op, from)
        } catch (error) {
          expect(error).toBeInstanceOf(MarshallingError)
        }
      }),
      { numRuns: 1000 },
    )
  })
})

describe('the handshake', () => {
  const password = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex')
  const request = (id: string, tail: string): Buffer =>
    hex(`00000000 0000000100000002 00002710 ${id} 00000010 ${password.toString('hex')} ${tail}`)

  it('reads 44 bytes of an old client and 45 of a new one, and answers each in its own form', () => {
    const old = handshake.readConnectRequest(reading(request('0000000000000000', '')))
    const now = handshake.readConnectRequest(reading(request('0100000000000007', '01')))
    const common = { protocolVersion: 0, lastZxidSeen: 0x100000002, timeoutMs: 10000, password }
    expect(old).toEqual({ ...common, sessionId: 0, readOnly: false, hasReadOnly: false })
    expect(now).toEqual({ ...common, sessionId: 7, readOnly: true, hasReadOnly: true })

    const response = { timeoutMs: 4000, sessionId: 7, password }
    const golden = `00000000 00000fa0 0100000000000007 00000010 ${password.toString('hex')}`
    const toOld = framed((to) => handshake.writeConnectResponse(to, old, response))
    const toNew = framed((to) => handshake.writeConnectResponse(to, now, response))
    expect(toOld.toString('hex')).toBe(hex(golden).toString('hex'))
    expect(toNew.toString('hex')).toBe(hex(`${golden}00`).toString('hex'))
    const seen = { timeoutMs: 4000, sessionId: 0x0100000000000007n, password }
    expect(client.readConnectResponse(reading(toOld))).toEqual({ ...seen, readOnly: undefined })
    expect(client.readConnectResponse(reading(toNew))).toEqual({ ...seen, readOnly: false })
  })

  it('refuses a session with timeout 0, id 0 and 16 zero bytes', () => {
    const from = handshake.readConnectRequest(reading(request('0200000000000007', '00')))
    expect(from.sessionId).toBe(FOREIGN_SESSION)
    const bytes = framed((to) => handshake.writeConnectRefusal(to, from))
    expect(bytes.toString('hex')).toBe(
      hex(`00000000 00000000 0000000000000000 00000010 ${'00'.repeat(16)} 00`).toString('hex'),
    )
  })

  it('is the same for both sides, and cut short a MarshallingError, but for the one field that may be missing', () => {
    const connect = { lastZxidSeen: 3, timeoutMs: 9, sessionId: 0x0100000000000009n, password, readOnly: true }
    const bytes = framed((to) => client.writeConnectRequest(to, connect))
    expect(bytes.length).toBe(45)
    expect(handshake.readConnectRequest(reading(bytes))).toMatchObject({
      lastZxidSeen: 3,
      sessionId: 9,
      readOnly: true,
    })
    const { readOnly: _, ...old } = connect
    expect(framed((to) => client.writeConnectRequest(to, old)).length).toBe(44)
    for (let end = 0; end < 44; end++) {
      expect(() => handshake.readConnectRequest(reading(bytes.subarray(0, end)))).toThrow(TRUNCATED)
    }
  })
})

describe('four-letter words', () => {
  it('are told from frame lengths by their first four bytes', () => {
    for (const word of handshake.FOUR_LETTER_WORDS) {
      const number = Buffer.from(word).readInt32BE(0)
      expect(handshake.fourLetterWord(number)).toBe(word)
      expect(number).toBeGreaterThan(0x60000000)
    }
    expect(handshake.fourLetterWord(44)).toBeUndefined()
    expect(handshake.fourLetterWord(handshake.TELNET_CLOSE)).toBeUndefined()
    expect(handshake.TELNET_CLOSE).toBe(Buffer.from('fff4fffd', 'hex').readInt32BE(0))
  })
})
