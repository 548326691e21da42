// Which optional schemes the access lists of a server's clients may name: those by which somebody can authenticate there.

import type { OptionalScheme } from '../zelos/tree/acl-schemes.ts'
import { DEFAULT_ACCESS } from '../zookeeper/access-options.ts'
import type { ZooKeeperOptions } from './open-options.ts'

export function aclSchemesOf({ access, tls }: ZooKeeperOptions = {}): OptionalScheme[] {
  const { digestEnabled, saslUsers } = { ...DEFAULT_ACCESS, ...access }.authentication
  const sasl: OptionalScheme[] = saslUsers === undefined ? [] : ['sasl']
  return [...(digestEnabled ? (['digest'] as const) : []), ...sasl, ...(tls ? (['x509'] as const) : [])]
}
