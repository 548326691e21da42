// ZooKeeper's access rules as pure functions: what a list may contain, who may do what, what others see of it.

import type { Requester } from '../requests.ts'
import { type Acl, type Identity, PERM } from '../znode.ts'
import { isProven, validEntry } from './acl-schemes.ts'
import { addressInNetwork } from './ip-networks.ts'

/** The list of most nodes: everybody may do everything. */
export const OPEN_ACL: readonly Acl[] = [{ perms: PERM.ALL, scheme: 'world', id: 'anyone' }]

/** Everybody may read. */
export const READ_ACL: readonly Acl[] = [{ perms: PERM.READ, scheme: 'world', id: 'anyone' }]

export function isOpenAcl(acl: readonly Acl[]): boolean {
  const only = acl.length === 1 ? acl[0] : undefined
  return only !== undefined && only.perms === PERM.ALL && isWorldAnyone(only)
}

function isWorldAnyone(one: Identity): boolean {
  return one.scheme === 'world' && one.id === 'anyone'
}

/**
 * The list as it is stored: duplicates removed, `auth` replaced by the requester's authenticated identities. Undefined if
 * ZooKeeper answers INVALID_ACL: empty, an unknown scheme, a malformed id, `auth` without an authenticated identity.
 */
export function fixupAcl(acl: readonly Acl[], requester: Requester): readonly Acl[] | undefined {
  if (isOpenAcl(acl)) return OPEN_ACL
  const stored: Acl[] = []
  for (const entry of withoutDuplicates(acl)) {
    if (isWorldAnyone(entry)) stored.push(entry)
    else if (entry.scheme === 'auth') {
      const expanded = expandAuth(entry.perms, requester)
      if (expanded.length === 0) return undefined
      stored.push(...expanded)
    } else {
      const valid = validEntry(entry)
      if (valid === undefined) return undefined
      stored.push(valid)
    }
  }
  return stored.length === 0 ? undefined : stored
}

function withoutDuplicates(acl: readonly Acl[]): readonly Acl[] {
  const seen = new Set<string>()
  return acl.filter((entry) => {
    const text = JSON.stringify([entry.perms, entry.scheme, entry.id])
    if (seen.has(text)) return false
    seen.add(text)
    return true
  })
}

function expandAuth(perms: number, requester: Requester): Acl[] {
  return requester.identities.filter(({ scheme }) => isProven(scheme)).map(({ scheme, id }) => ({ perms, scheme, id }))
}

/** True if one of the wanted permissions (a bit sum) is granted by any entry. `super` may do everything. */
export function isPermitted(acl: readonly Acl[], perms: number, requester: Requester): boolean {
  for (const entry of acl) {
    if ((entry.perms & perms) !== 0 && isWorldAnyone(entry)) return true
  }
  for (const entry of acl) {
    if ((entry.perms & perms) !== 0 && matches(entry, requester)) return true
  }
  return acl.length === 0 || requester.identities.some((identity) => identity.scheme === 'super')
}

function matches(entry: Acl, requester: Requester): boolean {
  if (entry.scheme === 'ip') return addressInNetwork(requester.address, entry.id)
  return requester.identities.some((identity) => identity.scheme === entry.scheme && isSame(identity, entry))
}

// A SASL user of this name is every SASL user.
function isSame(identity: Identity, entry: Acl): boolean {
  return identity.id === entry.id || (identity.scheme === 'sasl' && identity.id === 'super')
}

/** What those who may not administer a node see of its list: no password hashes. */
export function maskAcl(acl: readonly Acl[]): readonly Acl[] {
  return acl.map((entry) => (entry.scheme === 'digest' ? { ...entry, id: entry.id.replace(/:.*/s, ':x') } : entry))
}
