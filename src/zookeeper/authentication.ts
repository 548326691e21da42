// What a client proves by an `auth` request: scheme and credential in, identity out. Access control itself is Zelos'.

import { createHash } from 'node:crypto'
import type { Identity } from '../zelos/znode.ts'

export type AuthOutcome =
  /** The connection gains this identity. */
  | { readonly kind: 'identity'; readonly identity: Identity }
  /** Accepted without gaining anything (`ip` is implicit for every connection). */
  | { readonly kind: 'accepted' }
  | { readonly kind: 'refused'; readonly reason: string }

/** The schemes that clients may use: digest (`user:password`) and ip. */
export function authenticate(scheme: string, credential: Uint8Array | null): AuthOutcome {
  switch (scheme) {
    case 'digest':
      return authenticateDigest(credential)
    case 'ip':
      return { kind: 'accepted' }
    default:
      return { kind: 'refused', reason: `no such authentication scheme: ${JSON.stringify(scheme.slice(0, 64))}` }
  }
}

/** ZooKeeper's digest identity: the user's name and the base64 SHA-1 of `user:password`. */
function authenticateDigest(credential: Uint8Array | null): AuthOutcome {
  const text = Buffer.from(credential ?? []).toString('utf8')
  const user = text.split(':', 1)[0] as string
  const hash = createHash('sha1').update(text, 'utf8').digest('base64')
  return { kind: 'identity', identity: { scheme: 'digest', id: `${user}:${hash}` } }
}
