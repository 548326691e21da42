// What a client proves: scheme and credential in, identities out; and whether what it has proven is enough to be served.
// Access control itself is Zelos'.

import { createHash } from 'node:crypto'
import { DelosError } from '../base/delos-error.ts'
import type { Identity } from '../zelos/znode.ts'
import type { AuthenticationOptions, Chance } from './access-options.ts'
import { certificateIdentity } from './certificate-identity.ts'
import { DigestMd5Exchange } from './sasl-digest-md5.ts'

export type AuthOutcome =
  /** The connection gains these identities; none for what proves nothing (`ip` is implicit for every connection). */
  | { readonly kind: 'accepted'; readonly identities: readonly Identity[] }
  | { readonly kind: 'refused'; readonly reason: string }
  /** The client looks for another ensemble: its connection is closed without an answer, so that it goes on looking. */
  | { readonly kind: 'wrong-ensemble'; readonly reason: string }

const ACCEPTED: AuthOutcome = { kind: 'accepted', identities: [] }
const SUPER: Identity = { scheme: 'super', id: '' }
const NONCE_BYTES = 24

export class Authentication {
  readonly options: AuthenticationOptions
  private readonly algorithm: string
  private readonly chance: Chance

  /** Throws INVALID_ARGUMENT if there is no such digest algorithm, or a scheme is enforced that nobody can have. */
  constructor(options: AuthenticationOptions, chance: Chance) {
    this.options = options
    this.chance = chance
    this.algorithm = hashName(options.digestAlgorithm)
    const schemes = ['ip', 'x509', ...(options.digestEnabled ? ['digest'] : []), ...(options.saslUsers ? ['sasl'] : [])]
    const missing = options.enforcedSchemes.find((scheme) => !schemes.includes(scheme))
    if (missing === undefined) return
    throw new DelosError('INVALID_ARGUMENT', `enforced authentication: the scheme ${missing} is not available`)
  }

  /** Answers an `auth` request. `certificate`: the client's, DER, checked by TLS. */
  authenticate(scheme: string, credential: Uint8Array | null, certificate: Uint8Array | undefined): AuthOutcome {
    const { digestEnabled, ensembleNames } = this.options
    if (scheme === 'ip') return ACCEPTED
    if (scheme === 'digest' && digestEnabled) return this.digest(credential)
    if (scheme === 'x509') {
      return certificate === undefined ? refused('no client certificate') : this.byCertificate(certificate)
    }
    if (scheme === 'ensemble' && ensembleNames !== undefined) return ensemble(credential, ensembleNames)
    if (scheme === 'sasl') return refused('SASL is an exchange of its own')
    return refused(`no such authentication scheme: ${JSON.stringify(scheme.slice(0, 64))}`)
  }

  /** The user's name and the base64 digest of `user:password`. */
  private digest(credential: Uint8Array | null): AuthOutcome {
    const text = Buffer.from(credential ?? []).toString('utf8')
    const user = text.split(':', 1)[0] as string
    const id = `${user}:${createHash(this.algorithm).update(text, 'utf8').digest('base64')}`
    const own: Identity = { scheme: 'digest', id }
    return { kind: 'accepted', identities: id === this.options.superDigest ? [SUPER, own] : [own] }
  }

  /** What a certificate, DER, makes its owner. */
  byCertificate(certificate: Uint8Array): AuthOutcome {
    const { x509Name, x509SuperUser } = this.options
    const found = certificateIdentity(certificate, x509Name)
    if (found.kind === 'unknown') return refused(found.reason)
    const { id } = found
    const own: Identity = { scheme: 'x509', id }
    return { kind: 'accepted', identities: id === x509SuperUser ? [{ scheme: 'super', id }, own] : [own] }
  }

  /** What a SASL user is. */
  bySasl(user: string): readonly Identity[] {
    const own: Identity = { scheme: 'sasl', id: user }
    return this.options.saslSuperUsers.includes(user) ? [own, SUPER] : [own]
  }

  /** A new exchange; undefined if SASL is off. */
  saslExchange(): DigestMd5Exchange | undefined {
    const { saslUsers } = this.options
    if (saslUsers === undefined) return undefined
    return new DigestMd5Exchange(saslUsers, Buffer.from(this.chance.bytes(NONCE_BYTES)).toString('base64'))
  }

  /** True if requests are only served to clients that have proven something. */
  get isEnforced(): boolean {
    return this.options.enforcedSchemes.length > 0
  }

  get isSaslEnforced(): boolean {
    return this.options.enforcedSchemes.includes('sasl')
  }

  /** Is that enough? Every connection has its address. */
  suffices(identities: readonly Identity[]): boolean {
    const { enforcedSchemes } = this.options
    return enforcedSchemes.includes('ip') || identities.some(({ scheme }) => enforcedSchemes.includes(scheme))
  }
}

function refused(reason: string): AuthOutcome {
  return { kind: 'refused', reason }
}

/** No name at all is no wrong one. */
function ensemble(credential: Uint8Array | null, names: readonly string[]): AuthOutcome {
  const name = Buffer.from(credential ?? []).toString('utf8')
  if (name === '' || names.includes(name)) return ACCEPTED
  return { kind: 'wrong-ensemble', reason: `another ensemble's name: ${JSON.stringify(name.slice(0, 64))}` }
}

/** Java's name of a digest algorithm as this platform calls it. */
function hashName(algorithm: string): string {
  const name = algorithm.toLowerCase().replace(/^sha-/, 'sha')
  try {
    createHash(name)
    return name
  } catch {
    throw new DelosError('INVALID_ARGUMENT', `no such digest algorithm: ${algorithm}`)
  }
}
