// Who is let in and how fast, as clients see it: authentication, SASL, enforced authentication, throttles, read-only sessions.

import { describe, expect, it } from 'vitest'
import { create, getData, setData, WireClient, ZooKeeperHarness } from '../../test/support/zookeeper-harness.ts'
import { DelosError } from '../base/delos-error.ts'
import type { Refusal } from './access-stats.ts'
import { ERR } from './codec/error-codes.ts'
import { OP } from './codec/opcodes.ts'
import { saslResponse } from './sasl.test-support.ts'

const USERS = new Map([
  ['alice', 'secret'],
  ['root', 'toor'],
])
const auth = (scheme: string, credential: string) =>
  ({ op: OP.auth, scheme, credential: Buffer.from(credential) }) as const
const refused = (harness: ZooKeeperHarness, reason: Refusal): number => harness.server.access.stats.refusals[reason]
const access = (scheme: string, id: string) => [{ perms: 31, scheme, id }]

/** Runs the exchange; the errors of its replies. */
function saslLogin(client: WireClient, user: string, password: string): number[] {
  const first = client.ask({ op: OP.sasl, token: Buffer.alloc(0) })
  if (first.err !== 0) return [first.err]
  const { response, proof } = saslResponse(first.body.data?.toString() ?? '', user, password)
  const second = client.ask({ op: OP.sasl, token: response })
  if (second.err === 0) expect(second.body.data?.toString()).toBe(proof)
  return [first.err, second.err]
}

describe('authentication', () => {
  it('by superDigest may do everything; other users nothing more', async () => {
    const superDigest = 'super:D/InIHSb7yEEbrWz8b9l71RjZJU='
    const harness = await ZooKeeperHarness.start({ access: { authentication: { superDigest } } })
    const [owner, root] = [harness.client(), harness.client()]
    owner.ask(auth('digest', 'a:b'))
    owner.create('/a', 'x', 0, access('auth', ''))
    expect(root.ask(getData('/a')).err).toBe(ERR.noAuth)
    expect(root.ask(auth('digest', 'super:wrong')).err).toBe(0)
    expect(root.ask(getData('/a')).err).toBe(ERR.noAuth)
    const reply = root.ask(auth('digest', 'super:test'))
    expect([reply.err, reply.zxid]).toEqual([0, 0])
    expect(root.ask(getData('/a')).err).toBe(0)
    expect(root.ask({ op: OP.getAcl, path: '/a' }).body.acl?.[0]?.id).toBe('a:3OptnM09ILoVSfbZtd3mB0IViII=')
  })

  it('hashes by the algorithm that it is told, and names one that does not exist', async () => {
    const harness = await ZooKeeperHarness.start({ access: { authentication: { digestAlgorithm: 'SHA-256' } } })
    const client = harness.client()
    client.ask(auth('digest', 'a:b'))
    client.create('/a', 'x', 0, access('auth', ''))
    expect(client.ask({ op: OP.getAcl, path: '/a' }).body.acl?.[0]?.id).toMatch(/^a:.{43}=$/)
    const wrong = ZooKeeperHarness.start({ access: { authentication: { digestAlgorithm: 'ROT13' } } })
    await expect(wrong).rejects.toThrow(/ROT13/)
  })

  it('by digest can be switched off', async () => {
    const harness = await ZooKeeperHarness.start({ access: { authentication: { digestEnabled: false } } })
    const client = harness.client()
    expect(client.ask(auth('digest', 'a:b')).err).toBe(ERR.authFailed)
    expect([client.socket.ended, refused(harness, 'authentication')]).toEqual([true, 1])
    expect(harness.logged.at(-1)).toMatchObject({
      line: 'warn authentication failed',
      fields: { client: expect.stringMatching(/^127\.0\.0\.1:\d+$/), scheme: 'digest' },
    })
  })

  it("closes without an answer who states another ensemble's name", async () => {
    const harness = await ZooKeeperHarness.start({ access: { authentication: { ensembleNames: ['blue', 'green'] } } })
    const client = harness.client()
    expect(client.ask(auth('ensemble', '')).err).toBe(0)
    expect(client.ask(auth('ensemble', 'green')).err).toBe(0)
    client.send(auth('ensemble', 'red'))
    harness.turn()
    expect([client.take(), client.socket.ended, refused(harness, 'ensemble-name')]).toEqual([[], true, 1])
    const { ensembleNamesRight, ensembleNamesAbsent } = harness.server.access.stats
    expect([ensembleNamesRight, ensembleNamesAbsent]).toEqual([1, 1])
    const plain = await ZooKeeperHarness.start()
    expect(plain.client().ask(auth('ensemble', 'blue')).err).toBe(ERR.authFailed)
  })

  it('that is enforced answers everything else with -124 and closes', async () => {
    const harness = await ZooKeeperHarness.start({ access: { authentication: { enforcedSchemes: ['digest'] } } })
    const proven = harness.client()
    expect(proven.ask(auth('digest', 'a:b')).err).toBe(0)
    expect(proven.create('/a').err).toBe(0)
    for (const request of [getData('/a'), create('/b'), { op: OP.ping } as const]) {
      const client = harness.client()
      const reply = client.ask(request)
      expect([reply.err, reply.zxid, client.socket.ended]).toEqual([ERR.sessionClosedRequireSaslAuth, 0, true])
    }
    expect(refused(harness, 'unauthenticated')).toBe(3)
    const impossible = ZooKeeperHarness.start({ access: { authentication: { enforcedSchemes: ['sasl'] } } })
    await expect(impossible).rejects.toThrow('the scheme sasl is not available')
  })
})

describe('SASL', () => {
  const withUsers = (more: object = {}): Promise<ZooKeeperHarness> =>
    ZooKeeperHarness.start({
      access: { authentication: { saslUsers: USERS, saslSuperUsers: ['root'], ...more } },
      aclSchemes: ['digest', 'sasl'],
    })

  it('gives a user its identity, and super users all', async () => {
    const harness = await withUsers()
    const [alice, root, other] = [harness.client(), harness.client(), harness.client()]
    expect(saslLogin(alice, 'alice', 'secret')).toEqual([0, 0])
    expect(alice.create('/a', 'x', 0, access('sasl', 'alice')).err).toBe(0)
    expect(alice.create('/b', 'x', 0, access('auth', '')).err).toBe(0)
    expect(alice.ask({ op: OP.getAcl, path: '/b' }).body.acl).toEqual(access('sasl', 'alice'))
    expect(other.ask(getData('/a')).err).toBe(ERR.noAuth)
    expect(saslLogin(root, 'root', 'toor')).toEqual([0, 0])
    expect(root.ask(getData('/a')).err).toBe(0)
    expect(harness.server.access.stats.saslAuthentications).toBe(2)
  })

  it('that fails is answered with authFailed and closed; if SASL is enforced, with -124', async () => {
    for (const [enforcedSchemes, err] of [
      [[], ERR.authFailed],
      [['sasl'], ERR.sessionClosedRequireSaslAuth],
    ] as const) {
      const harness = await withUsers({ enforcedSchemes })
      const client = harness.client()
      expect(saslLogin(client, 'alice', 'wrong')).toEqual([0, err])
      expect([client.socket.ended, refused(harness, 'sasl')]).toEqual([true, 1])
      expect(harness.logged.at(-1)?.fields).toMatchObject({ reason: 'wrong password of "alice"' })
      const kerberos = harness.client()
      expect(kerberos.ask({ op: OP.sasl, token: Buffer.of(0x60, 1) }).err).toBe(err)
      expect(harness.logged.at(-1)?.fields).toMatchObject({ reason: expect.stringMatching(/Kerberos/) })
    }
  })

  it('that fails may be forgiven: the client goes on without an identity, and may try again', async () => {
    const harness = await withUsers({ allowSaslFailedClients: true })
    const client = harness.client()
    const first = client.ask({ op: OP.sasl, token: Buffer.alloc(0) }).body.data?.toString() ?? ''
    const failed = client.ask({ op: OP.sasl, token: saslResponse(first, 'alice', 'wrong').response })
    expect([failed.err, failed.body.data, client.socket.ended]).toEqual([0, null, false])
    expect(client.create('/a', 'x', 0, access('auth', '')).err).toBe(ERR.invalidAcl)
    expect(saslLogin(client, 'alice', 'secret')).toEqual([0, 0])
  })

  it('without users is answered with nothing, Kerberos with a refusal, and no list may name a SASL user', async () => {
    const harness = await ZooKeeperHarness.start()
    const client = harness.client()
    const reply = client.ask({ op: OP.sasl, token: Buffer.alloc(0) })
    expect([reply.err, reply.body.data]).toEqual([0, null])
    expect(client.create('/a', 'x', 0, access('sasl', 'alice')).err).toBe(ERR.invalidAcl)
    expect(client.ask({ op: OP.sasl, token: Buffer.of(0x60, 1) }).err).toBe(ERR.authFailed)
    expect(client.socket.ended).toBe(true)
  })
})

describe('throttles', () => {
  it('new sessions past the tokens are closed without an answer', async () => {
    const harness = await ZooKeeperHarness.start({ access: { connectionThrottle: { maxTokens: 2, fillTimeMs: 1000 } } })
    harness.client()
    harness.client()
    const third = new WireClient(harness, harness.socket())
    third.shakeHands({})
    expect([third.connected, third.socket.ended, refused(harness, 'connection-throttle')]).toEqual([undefined, true, 1])
    harness.pass(1001)
    harness.client()
  })

  it('a request past the limit waits for its turn, the connection is not read meanwhile, order is kept', async () => {
    const harness = await ZooKeeperHarness.start({ access: { requestThrottle: { requestsMax: 2 } } })
    const [one, two] = [harness.client(), harness.client()]
    one.create('/a', '0')
    harness.hold()
    one.send(setData('/a', '1'), setData('/a', '2'), setData('/a', '3'), getData('/a'))
    two.send(setData('/a', '4'), getData('/a'))
    expect([one.socket.paused, two.socket.paused]).toEqual([true, true])
    expect(harness.server.access.requests).toMatchObject({ requests: 2, waitingCount: 2 })
    harness.release()
    expect(one.takeBriefly()).toEqual(['2:0', '3:0', '4:0', '5:0'])
    expect(two.takeBriefly()).toEqual(['1:0', '2:0'])
    expect([one.socket.paused, two.socket.paused]).toEqual([false, false])
    expect(harness.server.access.requests).toMatchObject({ requests: 0, waitingCount: 0 })
    expect(harness.server.access.stats.throttleWaits).toBeGreaterThanOrEqual(2)
  })

  it('a request that waited too long is answered throttledOp, and nothing done', async () => {
    const harness = await ZooKeeperHarness.start({ access: { requestThrottle: { requestsMax: 1, waitMs: 500 } } })
    const [one, two] = [harness.client(), harness.client()]
    one.create('/a', '0')
    harness.hold()
    one.send(setData('/a', '1'))
    two.send(setData('/a', '2'))
    harness.pass(501)
    harness.release()
    expect([one.takeBriefly(), two.takeBriefly()]).toEqual([['2:0'], [`1:${ERR.throttledOp}`]])
    expect(one.ask(getData('/a')).body.data?.toString()).toBe('1')
    expect(refused(harness, 'request-throttle')).toBe(1)
  })

  it('a connection that goes leaves its place to others', async () => {
    const harness = await ZooKeeperHarness.start({ access: { requestThrottle: { requestsMax: 1 } } })
    const [one, two, three] = [harness.client(), harness.client(), harness.client()]
    harness.hold()
    one.send(create('/a'))
    two.send(create('/b'))
    three.send(create('/c'))
    two.socket.close()
    one.socket.close()
    harness.turn()
    expect([refused(harness, 'stale-request'), harness.server.access.requests?.waitingCount]).toEqual([1, 0])
    harness.release()
    expect(three.takeBriefly()).toEqual(['1:0'])
    expect(three.ask({ op: OP.exists, path: '/b', watch: false }).err).toBe(ERR.noNode)
  })

  it('large requests past their sum of bytes close their connection', async () => {
    const limits = { largeRequestBytes: 100, largeRequestsBytesMax: 500 }
    const harness = await ZooKeeperHarness.start({ access: { requestThrottle: limits } })
    const [one, two] = [harness.client(), harness.client()]
    one.create('/a', '0')
    harness.hold()
    one.send(setData('/a', 'x'.repeat(300)), setData('/a', 'small'))
    two.send(setData('/a', 'small'), setData('/a', 'y'.repeat(300)))
    expect([two.socket.ended, refused(harness, 'large-request')]).toEqual([true, 1])
    harness.release()
    expect(one.takeBriefly()).toEqual(['2:0', '3:0'])
    expect(one.ask(setData('/a', 'z'.repeat(300))).err).toBe(0)
    expect(harness.server.access.requests?.largeBytes).toBe(0)
  })
})

describe('while the log takes no updates', () => {
  const full = new DelosError('DISK_FULL', 'free space is below the reserve')

  it('a client that asks for it gets a session that reads, until the log takes updates again', async () => {
    const harness = await ZooKeeperHarness.start({ access: { readOnlyMode: true } })
    const before = harness.client()
    before.create('/a', 'data')
    harness.zelos.log.refuse = full
    const client = new WireClient(harness, harness.socket())
    client.shakeHands({ readOnly: true })
    expect(client.connected).toMatchObject({ readOnly: true, timeoutMs: 10_000 })
    expect(client.ask(getData('/a')).body.data?.toString()).toBe('data')
    for (const request of [setData('/a', 'x'), create('/b'), { op: OP.sync, path: '/' } as const]) {
      expect(client.ask(request).err).toBe(ERR.notReadOnly)
    }
    expect(client.ask({ op: OP.ping }).err).toBe(0)
    expect(before.ask(setData('/a', 'x')).err).toBe(ERR.systemError)
    harness.pass(5000)
    expect(client.socket.ended).toBe(false)
    harness.zelos.log.refuse = undefined
    harness.pass(1000)
    expect([client.socket.ended, before.socket.ended]).toEqual([true, false])
    client.socket.close()
    const again = new WireClient(harness, harness.socket())
    again.shakeHands({ readOnly: true })
    expect(again.connected).toMatchObject({ readOnly: false })
    expect(refused(harness, 'read-only')).toBe(3)
  })

  it('a client keeps the session that it has, if it knows the password', async () => {
    const harness = await ZooKeeperHarness.start({ access: { readOnlyMode: true } })
    const owner = harness.client()
    owner.create('/e', '', 1)
    owner.socket.close()
    harness.zelos.log.refuse = full
    const sessionId = owner.connected?.sessionId as bigint
    const thief = new WireClient(harness, harness.socket())
    thief.shakeHands({ readOnly: true, sessionId, password: Buffer.alloc(16, 9) })
    expect(thief.connected).toMatchObject({ timeoutMs: 0 })
    const again = new WireClient(harness, harness.socket())
    again.shakeHands({ readOnly: true, sessionId, password: owner.connected?.password as Uint8Array })
    expect(again.connected).toMatchObject({ sessionId, readOnly: true })
    expect(again.ask(getData('/e')).body.stat?.ephemeralOwner).toBe(sessionId)
    expect(again.ask({ op: OP.closeSession }).err).toBe(ERR.notReadOnly)
  })

  it('a session that only reads can be closed', async () => {
    const harness = await ZooKeeperHarness.start({ access: { readOnlyMode: true } })
    harness.zelos.log.refuse = full
    const client = new WireClient(harness, harness.socket())
    client.shakeHands({ readOnly: true })
    expect([client.ask({ op: OP.closeSession }).err, client.socket.ended]).toEqual([0, true])
    client.socket.close()
    expect(harness.server.access.readOnly.isOn).toBe(false)
  })

  it('all others are closed without a session, and so is everybody if the mode is off', async () => {
    for (const [readOnlyMode, readOnly] of [
      [true, false],
      [false, true],
    ] as const) {
      const harness = await ZooKeeperHarness.start({ access: { readOnlyMode } })
      harness.zelos.log.refuse = full
      const client = new WireClient(harness, harness.socket())
      client.shakeHands({ readOnly })
      expect([client.connected, client.socket.ended]).toEqual([undefined, true])
    }
  })
})
