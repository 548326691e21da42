// Which ids an access list may name, scheme by scheme, and which schemes a server admits. Who may do what is acl-rules.ts'.

import type { UpdateOperation } from '../requests.ts'
import type { Acl } from '../znode.ts'
import { isDistinguishedName } from './distinguished-name.ts'
import { isNetwork } from './ip-networks.ts'

/**
 * Servers may differ in the schemes that they admit, but apply must not: a server that admits one of these puts the mark before
 * it in the log, and apply takes it for the scheme behind the mark. Without the mark they are as unknown as any other word,
 * which is also how they were read before they existed.
 */
const MARK = '+'

/** Schemes that a server admits only if it can authenticate by them. */
export const OPTIONAL_SCHEMES = ['digest', 'sasl', 'x509'] as const

export type OptionalScheme = (typeof OPTIONAL_SCHEMES)[number]

/** In the place of a scheme that this server does not admit: refused in apply, in its turn among the other errors. */
const UNKNOWN = ''

/** The schemes of ids that a client proves, so that `auth` stands for them. An address proves nothing, nor is `super` an id. */
export function isProven(scheme: string): boolean {
  return scheme === 'digest' || scheme === 'sasl' || scheme === 'x509'
}

/** The entry as it is stored; undefined if its scheme is unknown or its id malformed. `world` and `auth` are not for here. */
export function validEntry(entry: Acl): Acl | undefined {
  switch (entry.scheme) {
    case 'digest':
      return isDigestId(entry.id) ? entry : undefined
    case 'ip':
      return isNetwork(entry.id) ? entry : undefined
    case `${MARK}sasl`:
      return isPrincipal(entry.id) ? { ...entry, scheme: 'sasl' } : undefined
    case `${MARK}x509`:
      return isDistinguishedName(entry.id) ? { ...entry, scheme: 'x509' } : undefined
    default:
      return undefined
  }
}

// `user:hash`: exactly two parts, where empty parts at the end do not count.
function isDigestId(id: string): boolean {
  const parts = id.split(':')
  while (parts.length > 0 && parts[parts.length - 1] === '') parts.pop()
  return parts.length === 2
}

/** `name`, `name@realm` or `name/host@realm`, as Kerberos writes them; what has no @ is all name. */
function isPrincipal(id: string): boolean {
  return !id.includes('@') || /^[^/@]*(\/[^/@]*)?@[^/@]*$/.test(id)
}

/** The operation as it goes into the log of a server that admits these schemes. Cheap for what has no list of its own. */
export function admitOperation(operation: UpdateOperation, schemes: ReadonlySet<OptionalScheme>): UpdateOperation {
  if (!('acl' in operation)) return operation
  const { acl } = operation
  return acl.every(({ scheme }) => scheme === 'world')
    ? operation
    : { ...operation, acl: acl.map((one) => admit(one, schemes)) }
}

function admit(entry: Acl, schemes: ReadonlySet<OptionalScheme>): Acl {
  const { scheme } = entry
  // Clients don't write the mark.
  if (scheme.startsWith(MARK)) return { ...entry, scheme: UNKNOWN }
  if (scheme !== 'digest' && scheme !== 'sasl' && scheme !== 'x509') return entry
  if (!schemes.has(scheme)) return { ...entry, scheme: UNKNOWN }
  return scheme === 'digest' ? entry : { ...entry, scheme: MARK + scheme }
}
