import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DelosError } from '../base/delos-error.ts'
import { decodeUpdate, UpdateEncoder } from './request-codec.ts'
import type { Requester, Update } from './requests.ts'

const WALL_MS = 1_700_000_000_123
const requester: Requester = {
  session: 2 ** 40 + 5,
  ownerEpoch: 3,
  address: '::1',
  identities: [{ scheme: 'digest', id: 'alice:hash' }],
}
const anonymous: Requester = { session: 7, ownerEpoch: 1, address: '127.0.0.1', identities: [] }
const OPEN = [{ perms: 31, scheme: 'world', id: 'anyone' }]
const password = Uint8Array.from({ length: 16 }, (_, i) => i)

const SAMPLES: Readonly<Record<string, Update>> = {
  create: {
    kind: 'write',
    requester,
    operation: { op: 'create', path: '/ä', data: null, acl: [{ perms: -1, scheme: 'auth', id: '' }], flags: 3 },
  },
  'create-open': {
    kind: 'write',
    requester: anonymous,
    operation: { op: 'create', path: '/a', data: Uint8Array.of(1, 2), acl: OPEN, flags: 0 },
  },
  delete: { kind: 'write', requester: anonymous, operation: { op: 'delete', path: '/a', version: -1 } },
  'set-data': {
    kind: 'write',
    requester: anonymous,
    operation: { op: 'setData', path: '/a', data: new Uint8Array(0), version: 2 ** 31 - 1 },
  },
  'set-acl': {
    kind: 'write',
    requester,
    operation: { op: 'setAcl', path: '/a', acl: [{ perms: 1, scheme: 'ip', id: '10.0.0.0/8' }], version: 4 },
  },
  multi: {
    kind: 'multi',
    requester: anonymous,
    operations: [
      { op: 'check', path: '/a', version: 5 },
      { op: 'setData', path: '/a', data: null, version: -1 },
      { op: 'delete', path: '/b', version: 0 },
    ],
  },
  'create-ttl': {
    kind: 'write',
    requester: anonymous,
    operation: {
      op: 'create',
      path: '/t',
      data: Uint8Array.of(1),
      acl: OPEN,
      flags: 2,
      lifetime: { kind: 'ttl', ms: 2 ** 40 - 1 },
    },
  },
  'multi-container': {
    kind: 'multi',
    requester: anonymous,
    operations: [
      { op: 'create', path: '/c', data: null, acl: OPEN, flags: 0, lifetime: { kind: 'container', ms: 60_000 } },
      { op: 'create', path: '/c/x', data: null, acl: OPEN, flags: 0 },
    ],
  },
  'expire-node': { kind: 'expireNode', path: '/t', since: 2 ** 33, leftMs: 3_600_000 },
  'create-session': { kind: 'createSession', password, timeoutMs: 30_000, address: '10.0.0.1' },
  'move-session': { kind: 'moveSession', session: 9, password, timeoutMs: 4000, address: '10.0.0.1' },
  'close-session': { kind: 'closeSession', requester: anonymous },
  'expire-session': { kind: 'expireSession', session: 9, heardAt: 2 ** 33 },
  'arm-timers': { kind: 'armTimers' },
  'end-session': { kind: 'endSession', session: 2 ** 40 },
  'count-quota': { kind: 'countQuota', quota: '/zookeeper/quota/a' },
  'begin-quota': {
    kind: 'write',
    requester: anonymous,
    operation: { op: 'create', path: '/zookeeper/quota/a/zookeeper_stats', data: null, acl: OPEN, flags: 0 },
  },
  'announce-member': {
    kind: 'announceMember',
    server: 'a1',
    address: 'h:0:0:participant;h:2181',
    members: ['a1', 'b2'],
  },
  'renew-sessions': {
    kind: 'renewSessions',
    sessions: [
      { session: 9, ownerEpoch: 1 },
      { session: 2 ** 40, ownerEpoch: 300 },
    ],
  },
}

/** Plain values, so that views compare with arrays and lazily decoded requesters with literals. */
function plain(update: Update): unknown {
  const who = 'requester' in update ? update.requester : undefined
  const copy = who === undefined ? update : { ...update, requester: { ...pick(who) } }
  return JSON.parse(
    JSON.stringify(copy, (_key, value) => (value instanceof Uint8Array ? [...value] : (bufferData(value) ?? value))),
  )
}

function pick({ session, ownerEpoch, address, identities }: Requester): Requester {
  return { session, ownerEpoch, address, identities }
}

// JSON.stringify calls Buffer's toJSON before the replacer sees it.
function bufferData(value: unknown): number[] | undefined {
  const json = value as { type?: string; data?: number[] } | null
  return json?.type === 'Buffer' ? json.data : undefined
}

describe('the update codec', () => {
  const encoder = new UpdateEncoder()

  it('writes the stored format', async () => {
    const lines = Object.entries(SAMPLES).map(([name, update]) => {
      return `${name} ${encoder.encode(update, WALL_MS).toString('hex')}\n`
    })
    const enforcing = new UpdateEncoder(true).encode(SAMPLES.delete as Update, WALL_MS)
    lines.push(`delete-enforcing-quotas ${enforcing.toString('hex')}\n`)
    const keeping = new UpdateEncoder(true, true).encode(SAMPLES.delete as Update, WALL_MS)
    lines.push(`delete-keeping-changes ${keeping.toString('hex')}\n`)
    expect(decodeUpdate(keeping)).toMatchObject({ enforceQuotas: true, countInPieces: false, keepChanges: true })
    expect(decodeUpdate(enforcing)).toMatchObject({
      enforceQuotas: true,
      keepChanges: false,
      update: { kind: 'write' },
    })
    await expect(lines.join('')).toMatchFileSnapshot('../../testdata/zelos/updates.hex')
  })

  it.each(Object.keys(SAMPLES))('reads back what it wrote: %s', (name) => {
    const update = SAMPLES[name] as Update
    const decoded = decodeUpdate(encoder.encode(update, WALL_MS))
    expect(decoded.wallMs).toBe(WALL_MS)
    expect(plain(decoded.update)).toEqual(plain(update))
  })

  it('reads back any write', () => {
    const path = fc.string({ unit: 'binary' })
    const data = fc.option(fc.uint8Array({ maxLength: 300 }))
    const version = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
    const acl = fc.array(fc.record({ perms: version, scheme: fc.string(), id: fc.string() }))
    const operation = fc.oneof(
      fc.record({ op: fc.constant('create' as const), path, data, acl, flags: fc.nat(3) }),
      fc.record({ op: fc.constant('setData' as const), path, data, version }),
      fc.record({ op: fc.constant('setAcl' as const), path, acl, version }),
    )
    fc.assert(
      fc.property(operation, (one) => {
        const update: Update = { kind: 'write', requester, operation: one }
        expect(plain(decodeUpdate(encoder.encode(update, 0)).update)).toEqual(plain(update))
      }),
    )
  })

  it('reports a newer format and a cut entry, and reads no further', () => {
    const good = encoder.encode(SAMPLES.multi as Update, WALL_MS)
    const newer = Buffer.from(good)
    newer[0] = 9
    expect(() => decodeUpdate(newer)).toThrow(DelosError)
    for (let length = 0; length < good.length; length++) {
      expect(() => decodeUpdate(good.subarray(0, length))).toThrow(DelosError)
    }
  })

  it('hands out buffers of their own', () => {
    const first = encoder.encode(SAMPLES.delete as Update, 1)
    const copy = Buffer.from(first)
    encoder.encode(SAMPLES.multi as Update, 2)
    expect(first).toEqual(copy)
  })
})
