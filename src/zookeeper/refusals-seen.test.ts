// Whoever is refused, throttled, or sent too much: the operator sees it, with the client's address and the reason, at a bounded
// rate, and counted.

import { describe, expect, it } from 'vitest'
import { create, getData, setData, WireClient, ZooKeeperHarness } from '../../test/support/zookeeper-harness.ts'
import { DelosError } from '../base/delos-error.ts'
import { OP } from './codec/opcodes.ts'
import type { WireRequest } from './codec/wire-requests.ts'

type Options = NonNullable<Parameters<typeof ZooKeeperHarness.start>[0]>

interface Case {
  readonly what: string
  readonly options?: Options
  readonly does: (harness: ZooKeeperHarness) => unknown
  /** Of the line. */
  readonly message: string
  /** One of its fields. */
  readonly reason: RegExp
  readonly counted: (server: ZooKeeperHarness['server']) => number
}

const newcomer = (harness: ZooKeeperHarness): WireClient => new WireClient(harness, harness.socket('10.9.8.7'))
const client = (harness: ZooKeeperHarness): WireClient => harness.client({ address: '10.9.8.7' })
const auth = (scheme: string, credential = ''): WireRequest => ({
  op: OP.auth,
  scheme,
  credential: Buffer.from(credential),
})
const children: WireRequest = { op: OP.getChildren, path: '/', watch: false }

const CASES: readonly Case[] = [
  {
    what: 'a failed authentication',
    does: (harness) => client(harness).send(auth('made-up')),
    message: 'authentication failed',
    reason: /no such authentication scheme/,
    counted: ({ stats, access }) => stats.authFailures * access.stats.refusals.authentication,
  },
  {
    what: 'a SASL exchange that fails',
    options: { access: { authentication: { saslUsers: new Map([['alice', 'secret']]) } } },
    does: (harness) => client(harness).send({ op: OP.sasl, token: Buffer.from('rubbish') }),
    message: 'SASL authentication failed',
    reason: /./,
    counted: ({ access }) => access.stats.refusals.sasl,
  },
  {
    what: 'Kerberos',
    does: (harness) => client(harness).send({ op: OP.sasl, token: Buffer.of(0x60, 0x82, 1, 2) }),
    message: 'SASL authentication failed',
    reason: /Kerberos \(GSSAPI\) is not supported/,
    counted: ({ access }) => access.stats.refusals.sasl,
  },
  {
    what: 'a request without the authentication that is enforced',
    options: { access: { authentication: { enforcedSchemes: ['digest'] } } },
    does: (harness) => client(harness).send(getData('/')),
    message: 'a client asks without the authentication that is enforced',
    reason: /digest/,
    counted: ({ access }) => access.stats.refusals.unauthenticated,
  },
  {
    what: "another ensemble's name",
    options: { access: { authentication: { ensembleNames: ['ours'] } } },
    does: (harness) => client(harness).send(auth('ensemble', 'theirs')),
    message: 'a client looks for another ensemble',
    reason: /theirs/,
    counted: ({ access }) => access.stats.refusals['ensemble-name'],
  },
  {
    what: "another session's password",
    does: (harness) => {
      const { sessionId = 0n } = client(harness).connected ?? {}
      newcomer(harness).shakeHands({ sessionId, password: Buffer.alloc(16, 1) })
    },
    message: 'a client was refused',
    reason: /no such session, or not its password/,
    counted: ({ stats }) => stats.closes['session-refused'],
  },
  {
    what: 'a client of another history',
    does: (harness) => {
      newcomer(harness).shakeHands({ lastZxidSeen: 1_000_000 })
      return harness.settle()
    },
    message: 'client has seen a newer zxid',
    reason: /1000000/,
    counted: ({ stats }) => stats.closes['client-zxid-ahead'],
  },
  {
    what: 'too many new sessions',
    options: { access: { connectionThrottle: { maxTokens: 1, fillTimeMs: 1000 } } },
    does: (harness) => {
      harness.client()
      newcomer(harness).shakeHands({})
    },
    message: 'too many new sessions',
    reason: /connection throttle/,
    counted: ({ access }) => access.stats.refusals['connection-throttle'],
  },
  {
    what: 'too many connections',
    options: { limits: { connectionsMax: 1 } },
    does: (harness) => {
      harness.client()
      newcomer(harness)
    },
    message: 'too many connections',
    reason: /connectionsMax/,
    counted: ({ stats }) => stats.limitsHit.connectionsMax,
  },
  {
    what: 'a connection that asks for no session',
    does: (harness) => {
      newcomer(harness)
      harness.pass(10_001)
    },
    message: 'a client has asked for no session in time',
    reason: /handshakeMs/,
    counted: ({ stats }) => stats.closes['handshake-timeout'],
  },
  {
    what: 'a request that waited too long',
    options: { access: { requestThrottle: { requestsMax: 1, waitMs: 500 } } },
    does: (harness) => {
      const [first, second] = [harness.client(), client(harness)]
      harness.hold()
      first.send(create('/a'))
      second.send(create('/b'))
      harness.pass(501)
      harness.release()
    },
    message: 'a request waited too long',
    reason: /waitedMs/,
    counted: ({ access }) => access.stats.refusals['request-throttle'],
  },
  {
    what: 'a large request too many',
    options: { access: { requestThrottle: { largeRequestBytes: 100, largeRequestsBytesMax: 200 } } },
    does: (harness) => {
      const who = client(harness)
      harness.hold()
      who.send(setData('/', 'x'.repeat(120)), setData('/', 'x'.repeat(120)))
    },
    message: 'too many large requests',
    reason: /underWay/,
    counted: ({ access }) => access.stats.refusals['large-request'],
  },
  {
    what: 'a frame that is too long',
    does: (harness) => client(harness).socket.send(Buffer.of(0x7f, 0, 0, 0)),
    message: 'frame length out of range',
    reason: /frameBytesMax/,
    counted: ({ stats }) => stats.limitsHit.frameBytesMax,
  },
  {
    what: 'a connect request that is none',
    does: (harness) => newcomer(harness).socket.send(Buffer.of(0, 0, 0, 1, 7)),
    message: 'malformed connect request',
    reason: /./,
    counted: ({ stats }) => stats.closes['bad-frame'],
  },
  {
    what: 'a request that can not be read',
    does: (harness) => client(harness).sendRaw(OP.getData, Buffer.of(0, 0)),
    message: 'a request can not be read',
    reason: /getData/,
    counted: ({ stats }) => stats.requestsFailed,
  },
  {
    what: 'an operation that is none',
    does: (harness) => client(harness).sendRaw(4711),
    message: 'no such operation',
    reason: /4711/,
    counted: ({ stats }) => stats.closes.unimplemented,
  },
  {
    what: 'an update that the log refuses',
    does: (harness) => {
      const who = client(harness)
      harness.zelos.log.refuse = new DelosError('DISK_FULL', 'no room')
      who.send(create('/a'))
    },
    message: 'the database refused a request',
    reason: /DISK_FULL/,
    counted: ({ stats }) => stats.requestsFailed,
  },
  {
    what: 'a reply beyond replyBytesMax',
    options: { limits: { replyBytesMax: 10 } },
    does: (harness) => {
      const who = client(harness)
      who.create('/a-long-name-for-a-node')
      who.send(children)
    },
    message: 'a read was refused',
    reason: /getChildren/,
    counted: ({ stats }) => stats.limitsHit.replyBytesMax,
  },
  {
    what: 'a reply that its client may not take',
    options: { limits: { frameBytesMax: 2_000 } },
    does: (harness) => {
      const who = client(harness)
      for (let i = 0; i < 30; i++) who.create(`/${String(i).padStart(100, 'n')}`)
      who.send(children)
      expect(who.take()).toHaveLength(1)
    },
    message: 'a reply is longer than a client may take',
    reason: /jute\.maxbuffer/,
    counted: ({ stats }) => stats.oversizeReplies,
  },
  {
    what: 'replies that nobody reads',
    options: { limits: { unsentBytesMax: 1_000 } },
    does: (harness) => {
      const who = client(harness)
      who.create('/a', 'x'.repeat(600))
      who.socket.taking = false
      who.send(getData('/a'), getData('/a'))
      harness.turn()
    },
    message: 'client does not read its replies',
    reason: /unsentBytesMax/,
    counted: ({ stats }) => stats.limitsHit.unsentBytesMax,
  },
]

describe('the operator sees', () => {
  it.each(CASES)(
    '$what, with address and reason, and counts it',
    async ({ options, does, message, reason, counted }) => {
      const harness = await ZooKeeperHarness.start(options)
      await does(harness)
      harness.turn()
      const lines = harness.logged.filter(({ line }) => line === `warn ${message}`)
      expect(lines, harness.warnings().join('; ')).toHaveLength(1)
      const [{ fields } = { fields: {} }] = lines
      expect(fields).toMatchObject({ client: expect.stringMatching(/^10\.9\.8\.7:\d+$/) })
      expect(JSON.stringify(fields)).toMatch(reason)
      // Connections that were ended are closed then, and counted.
      harness.pass(6_000)
      expect(counted(harness.server)).toBe(1)
    },
  )

  it('of a flood of refusals fifty a second, how many were left out, and counts them all', async () => {
    const harness = await ZooKeeperHarness.start()
    const knock = (): void => newcomer(harness).socket.send(Buffer.of(0, 0, 0, 1, 7))
    for (let i = 0; i < 10_000; i++) knock()
    expect(harness.logged).toHaveLength(50)
    expect(harness.server.stats.closes['bad-frame']).toBe(0)
    harness.pass(6_000)
    expect(harness.server.stats.closes['bad-frame']).toBe(10_000)
    knock()
    expect(harness.logged.slice(50).map(({ line, fields }) => [line, fields])[0]).toEqual([
      'warn warnings about clients were left out',
      { leftOut: 9_950 },
    ])
  })
})
