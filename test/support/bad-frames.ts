// Makes requests that no correct client sends: mostly a valid length and operation with damage inside, some with bad
// lengths, operations, handshakes or no ZooKeeper at all. Every frame follows from the seed.

import { type Acl, JuteWriter } from './jute.ts'
import type { SeededRandom } from './seeded-random.ts'
import { encodeMulti } from './zk-bodies.ts'
import { encodeConnectRequest } from './zk-client.ts'
import { Op, openAcl } from './zk-protocol.ts'

/** `refused`: an error reply or a close; `closed`: a close, with or without a reply; `any`: whatever leaves the server well. */
export type Expectation = 'refused' | 'closed' | 'any'

export interface BadRequest {
  readonly kind: string
  readonly op: number
  /** What follows the request header. */
  readonly body: Buffer
  readonly expect: Expectation
}

export interface BadBytes {
  readonly kind: string
  /** Sent as they are, in a session or instead of a handshake. */
  readonly bytes: Buffer
  readonly inSession: boolean
  /** The sender closes instead of waiting for the server to do so. */
  readonly abandon: boolean
}

const writer = (): JuteWriter => new JuteWriter()

/** The paths that updates refuse and that no read finds. */
const BAD_PATHS = [
  '',
  'x',
  '//',
  '/bad//x',
  '/bad/',
  '/bad/.',
  '/bad/..',
  '/..',
  '/bad/\u0001',
  '/bad/\u007f',
  '/bad/a\0b',
  '/bad/\ufff0',
  '/bad/😀',
  '\0',
  '/bad/a/../b',
]

type Create = (path: string) => JuteWriter
const create = (path: string, acl: readonly Acl[] = openAcl, flags = 0): JuteWriter =>
  writer().string(path).buffer(Buffer.from('data')).acls(acl).int(flags)

/** The operations whose record begins with a path, as records for a path. */
const PATH_RECORDS: ReadonlyMap<number, Create> = new Map<number, Create>([
  [Op.create, (path) => create(path)],
  [Op.create2, (path) => create(path)],
  [Op.delete, (path) => writer().string(path).int(-1)],
  [Op.exists, (path) => writer().string(path).bool(true)],
  [Op.getData, (path) => writer().string(path).bool(true)],
  [Op.setData, (path) => writer().string(path).buffer(Buffer.from('data')).int(-1)],
  [Op.getAcl, (path) => writer().string(path)],
  [Op.setAcl, (path) => writer().string(path).acls(openAcl).int(-1)],
  [Op.getChildren, (path) => writer().string(path).bool(true)],
  [Op.getChildren2, (path) => writer().string(path).bool(true)],
])
const PATH_OPS = [...PATH_RECORDS.keys()]
const ACL_OPS = [Op.create, Op.create2, Op.setAcl]
const CREATE_OPS = [Op.create, Op.create2]

const record = (op: number, path: string): Buffer => (PATH_RECORDS.get(op) as Create)(path).done()

function goodMulti(): Buffer {
  return encodeMulti([
    { op: 'check', path: '/bad', version: -1 },
    { op: 'create', path: '/bad/never', data: 'x' },
    { op: 'delete', path: '/bad/never' },
  ])
}

function goodSetWatches(): Buffer {
  return writer().long(0n).strings(['/bad']).strings(['/bad/x']).strings(['/bad']).done()
}

/** Requests about watches alone, as a client sends them. */
const WATCH_REQUESTS: readonly (readonly [op: number, whole: Buffer])[] = [
  [Op.setWatches, goodSetWatches()],
  [Op.setWatches2, writer().raw(goodSetWatches()).strings(['/bad']).strings(['/bad/x']).done()],
  [Op.addWatch, writer().string('/bad').int(1).done()],
  [Op.checkWatches, writer().string('/bad').int(3).done()],
  [Op.removeWatches, writer().string('/bad').int(5).done()],
]

/** An ACL list whose count is not the number of its entries. */
function aclsWithCount(count: number): Buffer {
  return writer().int(count).raw(writer().acls(openAcl).done().subarray(4)).done()
}

type MakeRequest = (random: SeededRandom) => BadRequest

const hugeLength = (random: SeededRandom): number =>
  random.pick([0x7fff_ffff, 0x7fff_fff0, 0x4000_0000, 0x0010_0001, 0x0001_0000])
const negativeLength = (random: SeededRandom): number =>
  random.pick([-2, -3, -5, -1000, -0x8000_0000, random.between(-0x7fff_ffff, -2)])

const INSIDE: readonly MakeRequest[] = [
  (random) => {
    const op = random.pick(PATH_OPS)
    const whole = record(op, '/bad/cut')
    return { kind: 'truncated record', op, body: whole.subarray(0, random.below(whole.length)), expect: 'refused' }
  },
  (random) => {
    const [op, whole] = random.pick([[Op.multi, goodMulti()] as const, ...WATCH_REQUESTS])
    return { kind: 'truncated list', op, body: whole.subarray(0, random.below(whole.length)), expect: 'refused' }
  },
  (random) => {
    const op = random.pick(PATH_OPS)
    return {
      kind: 'negative path length',
      op,
      body: withFirstInt(record(op, '/bad/x'), negativeLength(random)),
      expect: 'refused',
    }
  },
  (random) => {
    const op = random.pick(PATH_OPS)
    return {
      kind: 'huge path length',
      op,
      body: withFirstInt(record(op, '/bad/x'), hugeLength(random)),
      expect: 'refused',
    }
  },
  (random) => {
    const op = random.pick([Op.create, Op.create2, Op.setData])
    const length = random.chance(0.5) ? negativeLength(random) : hugeLength(random)
    return {
      kind: 'bad data length',
      op,
      body: writer()
        .string('/bad/x')
        .int(length)
        .raw(random.bytes(random.below(40)))
        .done(),
      expect: 'refused',
    }
  },
  (random) => {
    const op = random.pick(PATH_OPS)
    const path = Buffer.concat([Buffer.from('/bad/'), random.pick(INVALID_UTF8)])
    const whole = record(op, '')
    return { kind: 'invalid UTF-8', op, body: writer().buffer(path).raw(whole.subarray(4)).done(), expect: 'refused' }
  },
  (random) => {
    const op = random.pick(PATH_OPS)
    return {
      kind: 'bad path',
      op,
      body: record(op, random.pick(BAD_PATHS)),
      expect: op === Op.exists || isRead(op) ? 'any' : 'refused',
    }
  },
  (random) => {
    const flags = random.chance(0.5) ? random.between(7, 1000) : random.between(-0x8000_0000, -1)
    return {
      kind: 'bad flags',
      op: random.pick(CREATE_OPS),
      body: create(`/bad/flags-${random.uint32()}`, openAcl, flags).done(),
      expect: 'refused',
    }
  },
  (random) => {
    const op = random.pick(ACL_OPS)
    const count = random.pick([-1, -2, -0x8000_0000, 2, 3, 1000, 0x7fff_ffff, 0x1000_0000])
    const acls = aclsWithCount(count)
    // The list is the last thing of the record, so that a count too great runs past the end.
    const body =
      op === Op.setAcl
        ? writer().string('/bad').raw(acls)
        : writer().string('/bad/acl').buffer(Buffer.alloc(3)).raw(acls)
    return { kind: 'wrong ACL count', op, body: body.done(), expect: 'refused' }
  },
  (random) => {
    const op = random.pick(ACL_OPS)
    const acl = random.pick<Acl[]>([
      [],
      [{ perms: 31, scheme: 'world', id: '' }],
      [{ perms: 31, scheme: 'digest', id: ':::' }],
      [{ perms: 31, scheme: '', id: 'anyone' }],
      [{ perms: 31, scheme: 'ip', id: '999.1.1.1/8' }],
    ])
    const body = op === Op.setAcl ? writer().string('/bad').acls(acl).int(-1).done() : create('/bad/acl', acl).done()
    return { kind: 'bad ACL', op, body, expect: 'refused' }
  },
  (random) => {
    const counts = [random.pick([-2, 0x7fff_ffff, 100_000]), 0, 0]
    const body = writer().long(0n)
    for (const count of counts) body.int(count)
    return {
      kind: 'wrong watch count',
      op: Op.setWatches,
      body: body.raw(random.bytes(random.below(30))).done(),
      expect: 'any',
    }
  },
  (random) => {
    const type = random.pick([
      0,
      -1,
      3,
      9,
      11,
      Op.multi,
      99,
      Op.closeSession,
      0x7fff_ffff,
      random.between(200, 1_000_000),
    ])
    const body = writer().int(type).bool(false).int(-1).string('/bad').int(-1).int(-1).bool(true).int(-1)
    return { kind: 'bad type in multi', op: Op.multi, body: body.done(), expect: 'refused' }
  },
  (random) => {
    const good = goodMulti()
    return {
      kind: 'multi without end',
      op: Op.multi,
      body: good.subarray(0, good.length - random.between(1, 9)),
      expect: 'refused',
    }
  },
  (random) => {
    const nested = writer().int(Op.multi).bool(false).int(-1)
    const depth = random.between(1, 200)
    for (let i = 0; i < depth; i++) nested.int(Op.multi).bool(false).int(-1)
    return { kind: 'nested multi', op: Op.multi, body: nested.raw(goodMulti()).done(), expect: 'refused' }
  },
  (random) => {
    const path = random.pick(BAD_PATHS)
    const body = encodeMulti([
      { op: 'create', path: '/bad/never' },
      { op: random.pick(['create', 'create2', 'delete', 'setData', 'check']), path },
    ])
    return { kind: 'bad path in multi', op: Op.multi, body, expect: 'refused' }
  },
  (random) => {
    const [op, good] = random.pick([
      ...PATH_OPS.map((one) => [one, record(one, '/bad/flip')] as const),
      ...WATCH_REQUESTS,
      [Op.multi, goodMulti()] as const,
      [Op.sync, writer().string('/bad').done()] as const,
      [Op.auth, writer().int(0).string('digest').buffer(Buffer.from('a:b')).done()] as const,
    ])
    const body = Buffer.from(good)
    for (let i = random.between(1, 4); i > 0; i--) body[random.below(body.length)] = random.below(256)
    return { kind: 'random bytes changed', op, body, expect: 'any' }
  },
  (random) => {
    const [op] = random.pick(WATCH_REQUESTS.slice(2))
    const body = writer()
      .string('/bad')
      .int(random.pick([-1, 6, 7, 256, 0x7fff_ffff, -0x8000_0000]))
    return { kind: 'bad type of watch', op, body: body.done(), expect: 'refused' }
  },
  (random) => ({
    kind: 'nothing but random bytes',
    op: random.pick([...PATH_OPS, Op.multi, ...WATCH_REQUESTS.map(([op]) => op)]),
    body: random.bytes(random.below(200)),
    expect: 'any',
  }),
  (random) => ({
    kind: 'bad auth',
    op: Op.auth,
    body: writer()
      .int(0)
      .string(random.pick(['', 'nobody', 'sasl2', '\0']))
      .buffer(random.bytes(8))
      .done(),
    expect: 'refused',
  }),
  (random) => {
    const op = random.pick([Op.delete, Op.getData, Op.setData])
    return { kind: 'path of 100,000 letters', op, body: record(op, `/${'x'.repeat(100_000)}`), expect: 'refused' }
  },
]

const INVALID_UTF8 = [
  Buffer.of(0xff),
  Buffer.of(0xfe, 0xff),
  Buffer.of(0xc3),
  Buffer.of(0xc0, 0xaf),
  Buffer.of(0xed, 0xa0, 0x80),
  Buffer.of(0xf5, 0x80, 0x80, 0x80),
  Buffer.of(0x80),
]

const isRead = (op: number): boolean =>
  [Op.getData, Op.getAcl, Op.getChildren, Op.getChildren2].some((read) => read === op)

function withFirstInt(body: Buffer, value: number): Buffer {
  body.writeInt32BE(value, 0)
  return body
}

/** A request with a valid length and an operation that exists, damaged inside. */
export function damagedInside(random: SeededRandom): BadRequest {
  return random.pick(INSIDE)(random)
}

/** A request for an operation that does not exist or is not for clients. */
export function badOperation(random: SeededRandom): BadRequest {
  const op = random.pick([0, -1, -2, 10, 23, 99, 200, 0x7fff_ffff, -0x8000_0000, random.between(1000, 100_000)])
  return { kind: 'bad operation', op, body: random.bytes(random.below(50)), expect: 'closed' }
}

type MakeBytes = (random: SeededRandom) => BadBytes

function lengthOnly(length: number, tail: Uint8Array): Buffer {
  return writer().int(length).raw(tail).done()
}

const text = (value: string): Buffer => Buffer.from(value, 'latin1')

const OUTSIDE: readonly MakeBytes[] = [
  (random) => ({
    kind: 'negative frame length',
    bytes: lengthOnly(random.between(-0x8000_0000, -1), random.bytes(8)),
    inSession: true,
    abandon: false,
  }),
  (random) => ({
    kind: 'frame too long',
    bytes: lengthOnly(random.between(0x0010_0001, 0x7fff_ffff), random.bytes(8)),
    inSession: true,
    abandon: false,
  }),
  (random) => ({
    kind: 'frame shorter than a header',
    bytes: lengthOnly(random.between(1, 7), Buffer.alloc(7)),
    inSession: true,
    abandon: true,
  }),
  (random) => ({
    kind: 'half a frame, then gone',
    bytes: lengthOnly(1000, random.bytes(random.below(900))),
    inSession: true,
    abandon: true,
  }),
  (random) => ({
    kind: 'handshake too long',
    bytes: lengthOnly(random.between(0x0010_0001, 0x7fff_ffff), random.bytes(20)),
    inSession: false,
    abandon: false,
  }),
  (random) => ({
    kind: 'handshake of negative length',
    bytes: lengthOnly(random.between(-0x8000_0000, -1), random.bytes(20)),
    inSession: false,
    abandon: false,
  }),
  (random) => {
    const whole = encodeConnectRequest()
    const cut = whole.subarray(0, random.below(whole.length - 1))
    return { kind: 'handshake cut short', bytes: lengthOnly(cut.length, cut), inSession: false, abandon: true }
  },
  (random) => {
    const bytes = Buffer.from(encodeConnectRequest())
    bytes.writeInt32BE(random.pick([-2, 0x7fff_ffff, 17, 1_000_000]), 24)
    return {
      kind: 'handshake with a bad password length',
      bytes: lengthOnly(bytes.length, bytes),
      inSession: false,
      abandon: true,
    }
  },
  (random) => ({
    kind: 'random bytes for a handshake',
    bytes: Buffer.concat([Buffer.of(0, 0, 0, 45), random.bytes(45)]),
    inSession: false,
    abandon: true,
  }),
  (random) => ({ kind: 'garbage', bytes: random.bytes(random.between(1, 300)), inSession: false, abandon: true }),
  () => ({ kind: 'HTTP', bytes: text('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), inSession: false, abandon: false }),
  (random) => ({
    kind: 'TLS',
    bytes: Buffer.concat([Buffer.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3), random.bytes(300)]),
    inSession: false,
    abandon: false,
  }),
  () => ({ kind: 'connect and go', bytes: Buffer.alloc(0), inSession: false, abandon: true }),
]

/** Bytes that are no request and no handshake. */
export function badBytes(random: SeededRandom): BadBytes {
  return random.pick(OUTSIDE)(random)
}
