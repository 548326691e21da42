// A client of SASL DIGEST-MD5, written from RFC 2831 and apart from the server, for tests.

import { createHash } from 'node:crypto'

const md5 = (...parts: (string | Buffer)[]): Buffer =>
  createHash('md5')
    .update(Buffer.concat(parts.map((part) => Buffer.from(part as string, 'latin1'))))
    .digest()

export interface SaslClientFields {
  readonly realm?: string
  readonly uri?: string
  readonly nc?: string
  readonly qop?: string
  readonly nonce?: string
  readonly authzid?: string
}

/** The response to a challenge, and the proof that the server owes. */
export function saslResponse(
  challenge: string,
  user: string,
  password: string,
  fields: SaslClientFields = {},
): { readonly response: Buffer; readonly proof: string } {
  const given = (name: string): string => new RegExp(`${name}="?([^",]*)`).exec(challenge)?.[1] ?? ''
  const { realm = given('realm'), uri = 'zookeeper/zk-sasl-md5', nc = '00000001', qop = 'auth', authzid } = fields
  const nonce = fields.nonce ?? given('nonce')
  const cnonce = 'b2theX=='
  const tail = `:${nonce}:${cnonce}${authzid === undefined ? '' : `:${authzid}`}`
  const session = md5(md5(`${user}:${realm}:${password}`), tail).toString('hex')
  const digest = (method: string): string =>
    md5(`${session}:${nonce}:${nc}:${cnonce}:${qop}:${md5(`${method}:${uri}`).toString('hex')}`).toString('hex')
  const text = [
    `charset=utf-8,username="${user}",realm="${realm}",nonce="${nonce}",nc=${nc},cnonce="${cnonce}"`,
    `digest-uri="${uri}",maxbuf=65536,response=${digest('AUTHENTICATE')},qop=${qop}`,
    ...(authzid === undefined ? [] : [`authzid="${authzid}"`]),
  ].join(',')
  return { response: Buffer.from(text), proof: `rspauth=${digest('')}` }
}
