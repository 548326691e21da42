// Requests as somebody sends them who knows the protocol and means harm: the structure of every operation, with values that no
// client would send in any of its fields, and damage on top of some. Made for fast-check, so that what fails is made smaller.

import fc from 'fast-check'
import { OP } from '../../src/zookeeper/codec/opcodes.ts'
import { JuteWriter } from './jute.ts'

/** One frame of a session: what follows its length. */
export interface HostileFrame {
  readonly xid: number
  readonly op: number
  readonly body: Buffer
  /** Set: the length that is sent instead of the right one. */
  readonly length: number | undefined
}

/** A field of a record, ready for the wire. */
type Field = fc.Arbitrary<Buffer>

const FRAME_BYTES_MAX = 0xfffff
const INT32 = [0, 1, -1, -2, 2, 3, 4, 31, 127, 0x7fff_ffff, -0x8000_0000] as const

const int = (value: number): Buffer => new JuteWriter().int(value).done()
const bytes = (value: Uint8Array | null): Buffer => new JuteWriter().buffer(value).done()
const text = (value: string): Buffer => bytes(Buffer.from(value))
const withLength = (length: number, rest = Buffer.alloc(0)): Buffer => Buffer.concat([int(length), rest])

const anyInt = fc.oneof({ weight: 200, arbitrary: fc.constantFrom(...INT32) }, { weight: 50, arbitrary: fc.integer() })
const anyLong = fc.oneof(
  fc.constantFrom(0n, 1n, -1n, 3_600_000n, 0xff_ffff_ffffn, 0x100_0000_0000n, (1n << 63n) - 1n, -(1n << 63n)),
  fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
)
const anyBool = fc.constantFrom(Buffer.of(0), Buffer.of(1), Buffer.of(0xff))

/** A length that nothing of the kind follows. */
const lie: Field = fc
  .tuple(fc.constantFrom(-1, -2, -0x8000_0000, 0x7fff_ffff, 0x0010_0001, 1, 100), fc.uint8Array({ maxLength: 8 }))
  .map(([length, rest]) => withLength(length, Buffer.from(rest)))

// ── paths ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

const NAMES = ['a', 'b', 'q', 'zookeeper_stats'] as const
const goodPath = fc
  .array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 4 })
  .map((names) => `/${names.join('/')}`)
const SYSTEM_PATHS = [
  '/',
  '/zookeeper',
  '/zookeeper/quota',
  '/zookeeper/config',
  '/zookeeper/quota/a/zookeeper_limits',
  '/zookeeper/quota/a/zookeeper_stats',
  '/zookeeper/quota/a',
  '/guard',
  '/guard/neighbour',
]
const BAD_PATHS = [
  '',
  'a',
  '//',
  '/a/',
  '/a//b',
  '/.',
  '/..',
  '/a/./b',
  '/a\0b',
  '\0',
  '/\u0001',
  '/\u007f',
  '/\u{1f600}',
  '/\ufff0',
  '/\u00a0',
]
const HUGE_PATHS = [
  `/${'x'.repeat(1_000_000)}`,
  '/a'.repeat(20_000),
  '/'.repeat(100_000),
  `/${'\u4e2d'.repeat(30_000)}`,
  `/t${'y'.repeat(16_100)}`,
]
const INVALID_UTF8 = ['c328', 'ff', 'eda080', 'f8888080', '80', 'e28a']

const invalidPath = fc
  .tuple(goodPath, fc.constantFrom(...INVALID_UTF8))
  .map(([path, hex]) => bytes(Buffer.concat([Buffer.from(`${path}/`), Buffer.from(hex, 'hex')])))

const path: Field = fc.oneof(
  { weight: 1200, arbitrary: goodPath.map(text) },
  { weight: 150, arbitrary: fc.constantFrom(...SYSTEM_PATHS).map(text) },
  { weight: 150, arbitrary: fc.constantFrom(...BAD_PATHS).map(text) },
  { weight: 50, arbitrary: invalidPath },
  {
    weight: 50,
    arbitrary: fc.array(fc.nat(0xffff), { maxLength: 20 }).map((units) => text(`/a/${String.fromCharCode(...units)}`)),
  },
  { weight: 50, arbitrary: lie },
  { weight: 10, arbitrary: fc.constantFrom(...HUGE_PATHS).map(text) },
)

// ── parts of records ────────────────────────────────────────────────────────────────────────────────────────────────────

const data: Field = fc.oneof(
  { weight: 500, arbitrary: fc.uint8Array({ maxLength: 40 }).map(bytes) },
  {
    weight: 100,
    arbitrary: fc
      .constantFrom('count=1,bytes=1', 'count=-1,bytes=-1=;byteHardLimit=1;countHardLimit=0', 'count=x')
      .map(text),
  },
  { weight: 100, arbitrary: fc.constant(bytes(null)) },
  { weight: 50, arbitrary: lie },
  { weight: 15, arbitrary: fc.constantFrom(5_000, 900_000).map((size) => bytes(Buffer.alloc(size, 7))) },
)

const IDENTITIES: readonly (readonly [scheme: string, id: string])[] = [
  ['world', 'anyone'],
  ['world', 'other'],
  ['auth', ''],
  ['digest', 'me:AAAA'],
  ['digest', 'nocolon'],
  ['ip', '127.0.0.1'],
  ['ip', '10.0.0.0/33'],
  ['ip', '::1/999'],
  ['ip', 'x'.repeat(300)],
  ['x509', 'CN=x'],
  ['x509', 'CN=,,=\\'],
  ['sasl', 'user@REALM'],
  ['super', ''],
  ['', ''],
  ['\0', '\ud7ff'],
]
const aclEntry: Field = fc
  .tuple(
    fc.oneof(fc.constantFrom(31, 31, 1, 0), anyInt),
    fc.oneof(
      {
        weight: 600,
        arbitrary: fc.constantFrom(...IDENTITIES).map(([scheme, id]) => [text(scheme), text(id)] as const),
      },
      { weight: 50, arbitrary: fc.tuple(fc.oneof(lie, fc.constant(bytes(null))), lie) },
      { weight: 10, arbitrary: fc.constant([text('digest'), text(`u:${'h'.repeat(70_000)}`)] as const) },
    ),
  )
  .map(([perms, [scheme, id]]) => Buffer.concat([int(perms), scheme, id]))

const OPEN_ACL = new JuteWriter().acls([{ perms: 31, scheme: 'world', id: 'anyone' }]).done()

/** A vector whose count is mostly right. */
function vector(item: Field, maxLength: number): Field {
  const count = fc.oneof({ weight: 600, arbitrary: fc.constant(undefined) }, { weight: 50, arbitrary: anyInt })
  return fc
    .tuple(fc.array(item, { maxLength }), count)
    .map(([items, told]) => Buffer.concat([int(told ?? items.length), ...items]))
}

const acl: Field = fc.oneof(
  { weight: 150, arbitrary: fc.constant(OPEN_ACL) },
  { weight: 100, arbitrary: vector(aclEntry, 4) },
)
const version: Field = fc
  .oneof({ weight: 150, arbitrary: fc.constant(-1) }, { weight: 100, arbitrary: anyInt })
  .map(int)
const flags: Field = fc
  .oneof({ weight: 400, arbitrary: fc.integer({ min: 0, max: 6 }) }, { weight: 50, arbitrary: anyInt })
  .map(int)
const ttl: Field = anyLong.map((value) => new JuteWriter().long(value).done())
const paths = vector(path, 4)

const record = (...fields: Field[]): Field => fc.tuple(...fields).map((parts) => Buffer.concat(parts))

// ── records by operation ────────────────────────────────────────────────────────────────────────────────────────────────

const creation = record(path, data, acl, flags)
const OPERATIONS: readonly (readonly [op: number, record: Field])[] = [
  [OP.create, creation],
  [OP.create2, creation],
  [OP.createContainer, record(path, data, acl, fc.oneof(fc.constant(int(4)), flags))],
  [OP.createTtl, record(path, data, acl, fc.oneof(fc.constantFrom(int(5), int(6)), flags), ttl)],
  [OP.delete, record(path, version)],
  [OP.setData, record(path, data, version)],
  [OP.check, record(path, version)],
]
const READS: readonly (readonly [op: number, record: Field])[] = [
  [OP.exists, record(path, anyBool)],
  [OP.getData, record(path, anyBool)],
  [OP.getChildren, record(path, anyBool)],
  [OP.getChildren2, record(path, anyBool)],
]
const watchLists = [ttl, paths, paths, paths] as const
const NOTHING: Field = fc.uint8Array({ maxLength: 4 }).map((rest) => Buffer.from(rest))

/** Every operation that there is but multi and multiRead, those of servers among themselves too. */
const SINGLE: readonly (readonly [op: number, record: Field])[] = [
  ...OPERATIONS,
  ...READS,
  [OP.setAcl, record(path, acl, version)],
  [OP.getAcl, path],
  [OP.sync, path],
  [OP.reconfig, record(data, data, data, ttl)],
  [OP.checkWatches, record(path, anyInt.map(int))],
  [OP.removeWatches, record(path, anyInt.map(int))],
  [OP.addWatch, record(path, fc.oneof(fc.constantFrom(int(0), int(1)), anyInt.map(int)))],
  [
    OP.auth,
    record(
      anyInt.map(int),
      fc.oneof(fc.constantFrom('digest', 'ip', 'world', 'x509', 'sasl', 'ensemble', '').map(text), data),
      data,
    ),
  ],
  [OP.sasl, data],
  [OP.setWatches, record(...watchLists)],
  [OP.setWatches2, record(...watchLists, paths, paths)],
  [OP.getEphemerals, path],
  [OP.getAllChildrenNumber, path],
  [OP.whoAmI, NOTHING],
  [OP.ping, NOTHING],
  [OP.closeSession, NOTHING],
  [OP.deleteContainer, path],
  [OP.createSession, anyInt.map(int)],
  [OP.notification, NOTHING],
  [OP.error, NOTHING],
]

const subHeader = (op: number, done = false): Buffer => new JuteWriter().int(op).bool(done).int(-1).done()
const END = subHeader(-1, true)

/** Sub-operations, mostly of the right kind, then mostly an end. */
function several(right: readonly (readonly [number, Field])[]): Field {
  const one = (from: readonly (readonly [number, Field])[]): Field =>
    fc.oneof(...from.map(([op, body]) => body.map((bytesOfIt) => Buffer.concat([subHeader(op), bytesOfIt]))))
  const nested = fc.constant(Buffer.concat([subHeader(OP.multi), subHeader(OP.multi), END, END]))
  const item = fc.oneof(
    { weight: 1500, arbitrary: one(right) },
    { weight: 50, arbitrary: one(SINGLE) },
    { weight: 50, arbitrary: nested },
  )
  const end = fc.oneof(
    { weight: 600, arbitrary: fc.constant(END) },
    { weight: 50, arbitrary: fc.constantFrom(subHeader(-1), subHeader(1, true), Buffer.alloc(0)) },
  )
  return fc.tuple(fc.array(item, { maxLength: 6 }), end).map(([items, last]) => Buffer.concat([...items, last]))
}

/** More operations than are allowed, each as short as can be. */
const tooMany = fc.constantFrom(10_000, 10_001, 40_000).map((count) => {
  const one = Buffer.concat([subHeader(OP.check), text('/'), int(-1)])
  return Buffer.concat([...Array.from({ length: count }, () => one), END])
})

/** Everything that an operation has, by its code, and how often it is asked for. */
export const HOSTILE_RECORDS: readonly (readonly [op: number, record: Field, weight: number])[] = [
  ...SINGLE.map(([op, body]) => [op, body, op === OP.closeSession || isEnd(op) ? 5 : 50] as const),
  [OP.multi, several(OPERATIONS), 200],
  [OP.multi, tooMany, 1],
  [OP.multiRead, several(READS.slice(1, 3)), 100],
]

/** Asked for by a client it ends the connection: rarely, or nothing else is ever reached. */
function isEnd(op: number): boolean {
  return [OP.auth, OP.sasl, OP.check, OP.notification, OP.error, OP.createSession, OP.deleteContainer].includes(
    op as 13,
  )
}

// ── frames ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

const damage = fc.oneof(
  { weight: 700, arbitrary: fc.constant((body: Buffer) => body) },
  { weight: 50, arbitrary: fc.nat(60).map((keep) => (body: Buffer) => body.subarray(0, keep)) },
  {
    weight: 50,
    arbitrary: fc.uint8Array({ maxLength: 20 }).map((more) => (body: Buffer) => Buffer.concat([body, more])),
  },
  {
    weight: 100,
    arbitrary: fc.tuple(fc.nat(80), fc.constantFrom(...INT32)).map(
      ([at, value]) =>
        (body: Buffer) =>
          patched(body, at, int(value)),
    ),
  },
  {
    weight: 100,
    arbitrary: fc.tuple(fc.nat(80), fc.nat(255)).map(
      ([at, value]) =>
        (body: Buffer) =>
          patched(body, at, Buffer.of(value)),
    ),
  },
)

function patched(body: Buffer, at: number, patch: Buffer): Buffer {
  if (at >= body.length) return body
  const copy = Buffer.from(body)
  patch.copy(copy, at)
  return copy
}

/** Few, so that they meet; all that mean something. */
const xid = fc.oneof(
  { weight: 500, arbitrary: fc.integer({ min: 1, max: 5 }) },
  { weight: 100, arbitrary: fc.constantFrom(-1, -2, -4, -8, 0, 0x7fff_ffff, -0x8000_0000) },
)

const known = fc.oneof(
  ...HOSTILE_RECORDS.map(([op, body, weight]) => ({
    weight,
    arbitrary: body.map((bytesOfIt) => ({ op, body: bytesOfIt })),
  })),
)
const unknown = fc.record({ op: anyInt, body: fc.uint8Array({ maxLength: 40 }).map((some) => Buffer.from(some)) })

/** Of any operation. */
export const hostileFrame: fc.Arbitrary<HostileFrame> = fc
  .tuple(
    xid,
    fc.oneof({ weight: 10000, arbitrary: known }, { weight: 50, arbitrary: unknown }),
    damage,
    fc.oneof(
      { weight: 20000, arbitrary: fc.constant(undefined) },
      { weight: 50, arbitrary: fc.constantFrom(-1, 0, 7, 0x10_0000, 0x7fff_ffff, -0x8000_0000) },
    ),
  )
  .map(([number, { op, body }, harm, length]) => {
    const harmed = harm(body)
    // Answered on arrival: whose reply it is must be seen from the xid.
    const isOutOfTurn = op === OP.auth || op === OP.sasl
    return {
      xid: isOutOfTurn ? 1000 + (number & 7) : number,
      op,
      body: harmed.subarray(0, FRAME_BYTES_MAX - 8),
      length,
    }
  })

export function encodeFrame({ xid: number, op, body, length }: HostileFrame): Buffer {
  return Buffer.concat([int(length ?? 8 + body.length), int(number), int(op), body])
}
