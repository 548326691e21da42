// The server's side of SASL DIGEST-MD5 (RFC 2831, qop=auth) as ZooKeeper's clients speak it: empty token, challenge, response,
// proof. One exchange per connection; it knows users and passwords, and nothing of connections.

import { createHash, timingSafeEqual } from 'node:crypto'

/** What clients take for the host: it is no host, but ZooKeeper's constant, and so part of the digest. */
const REALM = 'zk-sasl-md5'
const DIGEST_URI = `zookeeper/${REALM}`
const FIRST_USE = '00000001'
const TOKEN_BYTES_MAX = 4096

/** Passwords by user name. */
export type SaslUsers = ReadonlyMap<string, string>

export type SaslStep =
  | { readonly kind: 'challenge'; readonly token: Buffer }
  /** The client has proven who it is; the token proves that the server knows the password too. */
  | { readonly kind: 'proven'; readonly token: Buffer; readonly user: string }
  | { readonly kind: 'refused'; readonly reason: string }

export class DigestMd5Exchange {
  private readonly users: SaslUsers
  private readonly nonce: string
  private state: 'start' | 'challenged' | 'done' = 'start'

  /** `nonce` must be fresh and not to be guessed. */
  constructor(users: SaslUsers, nonce: string) {
    this.users = users
    this.nonce = nonce
  }

  /** Takes the client's next token. A refusal ends the exchange. */
  step(token: Uint8Array): SaslStep {
    const { state } = this
    this.state = 'done'
    if (token.length > TOKEN_BYTES_MAX) return refused(`the token has more than ${TOKEN_BYTES_MAX} bytes`)
    if (state === 'start') return this.challenge(token)
    return state === 'challenged' ? this.verify(token) : refused('the exchange is over')
  }

  private challenge(token: Uint8Array): SaslStep {
    if (token.length > 0) return refused(isGssApi(token) ? KERBEROS : 'DIGEST-MD5 begins with an empty token')
    this.state = 'challenged'
    const text = `realm="${REALM}",nonce="${this.nonce}",qop="auth",charset=utf-8,algorithm=md5-sess`
    return { kind: 'challenge', token: Buffer.from(text) }
  }

  private verify(token: Uint8Array): SaslStep {
    const fields = readFields(token)
    if (fields === undefined) return refused('malformed response')
    const wrong = this.wrongField(fields)
    if (wrong !== undefined) return refused(`response with a wrong ${wrong}`)
    const user = fields.get('username') ?? ''
    const password = this.users.get(user)
    const name = JSON.stringify(user.slice(0, 64))
    if (password === undefined) return refused(`no such user: ${name}`)
    const digest = digestOf(fields, password)
    if (!isEqual(digest('AUTHENTICATE'), fields.get('response') ?? '')) return refused(`wrong password of ${name}`)
    return { kind: 'proven', user, token: Buffer.from(`rspauth=${digest('')}`) }
  }

  /** The name of a directive that is not what it must be. */
  private wrongField(fields: Fields): string | undefined {
    const expected: readonly (readonly [name: string, value: string, absent?: string])[] = [
      ['nonce', this.nonce],
      ['nc', FIRST_USE],
      ['qop', 'auth', 'auth'],
      ['realm', REALM],
    ]
    for (const [name, value, absent] of expected) if ((fields.get(name) ?? absent) !== value) return name
    if ((fields.get('digest-uri') ?? '').toLowerCase() !== DIGEST_URI) return 'digest-uri'
    return (fields.get('cnonce') ?? '') === '' ? 'cnonce' : undefined
  }
}

const KERBEROS = 'Kerberos (GSSAPI) is not supported by this server: use DIGEST-MD5'

/** True for the first token of a Kerberos client: an ASN.1 application tag, which no other mechanism begins with. */
export function isGssApi(token: Uint8Array): boolean {
  return token[0] === 0x60
}

/** Why a token of Kerberos is refused, in words. */
export const KERBEROS_REFUSED = KERBEROS

function refused(reason: string): SaslStep {
  return { kind: 'refused', reason }
}

type Fields = ReadonlyMap<string, string>

const FIELD = /\s*([a-zA-Z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))\s*(?:,|$)/suy

/** `name=value, name="value"`; undefined if it is anything else, or names something twice. */
function readFields(token: Uint8Array): Fields | undefined {
  // Texts are UTF-8 if the client says so, and Latin-1 if not.
  const latin = Buffer.from(token).toString('latin1')
  const text = /(^|,)\s*charset\s*=\s*"?utf-8/i.test(latin) ? Buffer.from(token).toString('utf8') : latin
  const fields = new Map<string, string>()
  FIELD.lastIndex = 0
  while (FIELD.lastIndex < text.length) {
    const found = FIELD.exec(text)
    if (found === null) return undefined
    const name = (found[1] as string).toLowerCase()
    if (fields.has(name)) return undefined
    fields.set(name, found[2]?.replace(/\\(.)/gsu, '$1') ?? (found[3] as string))
  }
  return fields
}

/** The digest of a response as a function of the method: the client's, or the empty one of the server's proof. */
function digestOf(fields: Fields, password: string): (method: string) => string {
  const { nonce, cnonce, nc, qop, uri, authzid } = {
    nonce: fields.get('nonce'),
    cnonce: fields.get('cnonce'),
    nc: fields.get('nc'),
    qop: fields.get('qop') ?? 'auth',
    uri: fields.get('digest-uri'),
    authzid: fields.get('authzid'),
  }
  const colon = Buffer.from(':')
  const user = [bytesOf(fields.get('username') ?? ''), colon, bytesOf(REALM), colon, bytesOf(password)]
  const secret = md5(Buffer.concat(user))
  const tail = `:${nonce}:${cnonce}${authzid === undefined ? '' : `:${authzid}`}`
  const session = md5(Buffer.concat([secret, Buffer.from(tail)])).toString('hex')
  return (method) => {
    const subject = md5(Buffer.from(`${method}:${uri}`)).toString('hex')
    return md5(Buffer.from(`${session}:${nonce}:${nc}:${cnonce}:${qop}:${subject}`)).toString('hex')
  }
}

/** Names and passwords are hashed as Latin-1 wherever they can be. */
function bytesOf(text: string): Buffer {
  return /^[\u0000-\u00ff]*$/u.test(text) ? Buffer.from(text, 'latin1') : Buffer.from(text, 'utf8')
}

function md5(bytes: Uint8Array): Buffer {
  return createHash('md5').update(bytes).digest()
}

function isEqual(expected: string, given: string): boolean {
  const [one, other] = [Buffer.from(expected), Buffer.from(given)]
  return one.length === other.length && timingSafeEqual(one, other)
}
