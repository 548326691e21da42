// How one connection gains identities: `auth` requests, the steps of a SASL exchange, its certificate; and how it ends if they
// don't suffice. Answered on arrival and out of turn, as ZooKeeper does: later requests of the connection have the identity.

import type { Identity } from '../zelos/znode.ts'
import type { AccessControl } from './access-control.ts'
import type { Refusal } from './access-stats.ts'
import { ERR } from './codec/error-codes.ts'
import { OP } from './codec/opcodes.ts'
import { writeHeaderReply, writeTokenReply } from './codec/replies.ts'
import type { AuthRequest, SaslRequest } from './codec/wire-requests.ts'
import type { RequestClient } from './request-client.ts'
import { type DigestMd5Exchange, isGssApi, KERBEROS_REFUSED } from './sasl-digest-md5.ts'
import type { ServerContext } from './server-context.ts'

/** Such replies carry no zxid. */
const NO_ZXID = 0

export class ClientAuthentication {
  private readonly server: ServerContext
  private readonly access: AccessControl
  private readonly client: RequestClient
  private readonly certificate: Uint8Array | undefined
  private exchange: DigestMd5Exchange | undefined

  /** `certificate`: the client's, DER, if it has one. It has its owner's identities from the start. */
  constructor(server: ServerContext, client: RequestClient, certificate: Uint8Array | undefined) {
    this.server = server
    this.access = server.access
    this.client = client
    this.certificate = certificate
    if (certificate !== undefined) this.introduce(certificate)
  }

  /** It goes on without an identity if there is none to be had from its certificate. */
  private introduce(certificate: Uint8Array): void {
    const outcome = this.access.authentication.byCertificate(certificate)
    if (outcome.kind === 'accepted') this.gain(outcome.identities)
    else this.refused('authentication', { scheme: 'x509', reason: outcome.reason })
  }

  /** False: the client has proven too little for any request, was told, and is closed. */
  mayAsk(xid: number, op: number, arrivedMs: number): boolean {
    const { authentication } = this.access
    const { identities } = this.client.requester
    if (authentication.suffices(identities)) return true
    this.refused('unauthenticated', {
      has: identities.map(({ scheme }) => scheme),
      needs: authentication.options.enforcedSchemes,
    })
    writeHeaderReply(this.client.replies, xid, NO_ZXID, ERR.sessionClosedRequireSaslAuth)
    this.client.replyWritten(arrivedMs, op, xid, ERR.sessionClosedRequireSaslAuth)
    this.client.end('auth-failed')
    return false
  }

  auth({ scheme, credential }: AuthRequest, xid: number, arrivedMs: number): void {
    const outcome = this.access.authentication.authenticate(scheme, credential, this.certificate)
    if (outcome.kind === 'wrong-ensemble') {
      this.refused('ensemble-name', { reason: outcome.reason })
      return this.client.end('auth-failed')
    }
    const reason = outcome.kind === 'refused' ? outcome.reason : this.gain(outcome.identities)
    if (reason !== undefined) this.refused('authentication', { scheme: scheme.slice(0, 64), reason })
    else if (scheme === 'ensemble') this.countEnsemble(credential)
    const err = reason === undefined ? ERR.ok : ERR.authFailed
    writeHeaderReply(this.client.replies, xid, NO_ZXID, err)
    this.client.replyWritten(arrivedMs, OP.auth, xid, err)
    if (reason !== undefined) this.client.end('auth-failed')
  }

  sasl({ token }: SaslRequest, xid: number, arrivedMs: number): void {
    this.exchange ??= this.access.authentication.saslExchange()
    const { exchange } = this
    const bytes = token ?? Buffer.alloc(0)
    if (exchange === undefined) {
      // Without users the answer is empty, which is all that ZooKeeper says, and its clients know it.
      if (isGssApi(bytes)) return this.saslFailed(KERBEROS_REFUSED, xid, arrivedMs)
      this.client.warn({}, 'a client wants to authenticate by SASL, which has no users here')
      return this.saslReply(xid, arrivedMs, ERR.ok, null)
    }
    const step = exchange.step(bytes)
    if (step.kind === 'refused') return this.saslFailed(step.reason, xid, arrivedMs)
    if (step.kind === 'proven') {
      const full = this.gain(this.access.authentication.bySasl(step.user))
      if (full !== undefined) return this.saslFailed(full, xid, arrivedMs)
      this.access.stats.saslAuthentications++
    }
    this.saslReply(xid, arrivedMs, ERR.ok, step.token)
  }

  private saslFailed(reason: string, xid: number, arrivedMs: number): void {
    const { options, isSaslEnforced } = this.access.authentication
    this.exchange = undefined
    this.refused('sasl', { reason })
    if (options.allowSaslFailedClients && !isSaslEnforced) return this.saslReply(xid, arrivedMs, ERR.ok, null)
    this.saslReply(xid, arrivedMs, isSaslEnforced ? ERR.sessionClosedRequireSaslAuth : ERR.authFailed, null)
    this.client.end('auth-failed')
  }

  private saslReply(xid: number, arrivedMs: number, err: number, token: Uint8Array | null): void {
    writeTokenReply(this.client.replies, xid, NO_ZXID, err, token)
    this.client.replyWritten(arrivedMs, OP.sasl, xid, err)
  }

  /** Why the connection can't have more identities; undefined if all is well. */
  private gain(gained: readonly Identity[]): string | undefined {
    const { client, server } = this
    const { identities } = client.requester
    const fresh = gained.filter((one) => !identities.some(({ scheme, id }) => scheme === one.scheme && id === one.id))
    if (fresh.length > 0) {
      const { identitiesMax } = server.limits
      if (identities.length + fresh.length > identitiesMax) {
        server.stats.limitHit('identitiesMax')
        return `identitiesMax is ${identitiesMax}`
      }
      client.requester = { ...client.requester, identities: [...identities, ...fresh] }
    }
    if (gained.length > 0) this.access.stats.authentications++
    return undefined
  }

  private countEnsemble(credential: Uint8Array | null): void {
    const { stats } = this.access
    if (credential === null || credential.length === 0) stats.ensembleNamesAbsent++
    else stats.ensembleNamesRight++
  }

  private refused(reason: Refusal, fields: object): void {
    this.server.stats.authFailures++
    this.access.stats.refused(reason)
    this.client.warn(fields, MESSAGES[reason] ?? 'authentication failed')
  }
}

const MESSAGES: Partial<Record<Refusal, string>> = {
  sasl: 'SASL authentication failed',
  unauthenticated: 'a client asks without the authentication that is enforced',
  'ensemble-name': 'a client looks for another ensemble',
}
