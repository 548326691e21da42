import { describe, expect, it } from 'vitest'
import { saslResponse } from './sasl.test-support.ts'
import { DigestMd5Exchange, type SaslStep } from './sasl-digest-md5.ts'
import { parseSaslUsers } from './sasl-users.ts'

const USERS = new Map([
  ['alice', 'secret'],
  ['jörg', 'geheim'],
])
const challenged = (): { exchange: DigestMd5Exchange; challenge: string } => {
  const exchange = new DigestMd5Exchange(USERS, 'fresh')
  const step = exchange.step(Buffer.alloc(0))
  return { exchange, challenge: step.kind === 'challenge' ? step.token.toString() : '' }
}
const outcome = (step: SaslStep): string => (step.kind === 'refused' ? step.reason : step.kind)

describe('DIGEST-MD5', () => {
  it('challenges with realm, nonce and quality, and proves itself to who has proven the password', () => {
    const { exchange, challenge } = challenged()
    expect(challenge).toBe('realm="zk-sasl-md5",nonce="fresh",qop="auth",charset=utf-8,algorithm=md5-sess')
    const { response, proof } = saslResponse(challenge, 'alice', 'secret')
    const step = exchange.step(response)
    expect(step).toMatchObject({ kind: 'proven', user: 'alice' })
    expect('token' in step && step.token.toString()).toBe(proof)
    expect(outcome(exchange.step(response))).toBe('the exchange is over')
  })

  it('hashes Latin-1 names as Latin-1, and takes an authorization id into the digest', () => {
    const one = challenged()
    expect(outcome(one.exchange.step(saslResponse(one.challenge, 'jörg', 'geheim').response))).toBe('proven')
    const other = challenged()
    const { response } = saslResponse(other.challenge, 'alice', 'secret', { authzid: 'bob' })
    expect(other.exchange.step(response)).toMatchObject({ kind: 'proven', user: 'alice' })
  })

  it.each([
    ['another password', 'alice', 'wrong', {}, 'wrong password of "alice"'],
    ['an unknown user', 'eve', 'secret', {}, 'no such user: "eve"'],
    ['another nonce', 'alice', 'secret', { nonce: 'old' }, 'response with a wrong nonce'],
    ['a second use of the nonce', 'alice', 'secret', { nc: '00000002' }, 'response with a wrong nc'],
    ['protection that was not offered', 'alice', 'secret', { qop: 'auth-conf' }, 'response with a wrong qop'],
    ['another realm', 'alice', 'secret', { realm: 'other' }, 'response with a wrong realm'],
    ['another service', 'alice', 'secret', { uri: 'ldap/zk-sasl-md5' }, 'response with a wrong digest-uri'],
  ])('refuses %s', (_what, user, password, fields, reason) => {
    const { exchange, challenge } = challenged()
    expect(outcome(exchange.step(saslResponse(challenge, user, password, fields).response))).toBe(reason)
  })

  it.each(['', 'x', 'username="a', 'username=a,username=b', 'a=b,,c=d', '\u0000'])(
    'refuses the response %j',
    (text) => {
      const { exchange } = challenged()
      expect(exchange.step(Buffer.from(text)).kind).toBe('refused')
    },
  )

  it('names Kerberos when it refuses it, and takes no first token but the empty one', () => {
    expect(outcome(new DigestMd5Exchange(USERS, 'n').step(Buffer.of(0x60, 0x82)))).toMatch(/Kerberos.*not supported/)
    expect(outcome(new DigestMd5Exchange(USERS, 'n').step(Buffer.of(1)))).toBe('DIGEST-MD5 begins with an empty token')
    expect(outcome(new DigestMd5Exchange(USERS, 'n').step(Buffer.alloc(5000)))).toMatch(/4096 bytes/)
  })
})

describe('the file of users', () => {
  const users = (text: string): object => Object.fromEntries(parseSaslUsers(text, 'F'))

  it("is ZooKeeper's jaas.conf", () => {
    const jaas = `// comment { }
      Client { org.apache.zookeeper.server.auth.DigestLoginModule required username="x" password="y"; };
      Server {
        org.apache.zookeeper.server.auth.DigestLoginModule required
        user_super="admin secret"
        // user_gone="x"
        user_bob="b\\"ob";
      };`
    expect(users(jaas)).toEqual({ super: 'admin secret', bob: 'b"ob' })
  })

  it('or lines of names and passwords', () => {
    expect(users('# people\nalice:se:cret \n\nuser_bob="two words"\r\n')).toEqual({
      alice: 'se:cret ',
      bob: 'two words',
    })
  })

  it.each([
    ['', 'F: names no user'],
    ['alice', 'F: line 1 is not name:password'],
    ['Client { x required; };', 'F: has no section Server { … }'],
    ['Server { com.sun.security.auth.module.Krb5LoginModule required; };', /Kerberos is not supported/],
    ['Server { my.Module required user_a="b"; };', /unknown login module my.Module/],
    ['Server { org.apache.zookeeper.server.auth.DigestLoginModule required; };', 'F: names no user'],
  ])('%j is refused', (text, message) => {
    expect(() => users(text)).toThrow(message)
  })
})
