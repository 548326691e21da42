// ZooKeeper's access rules as pure functions: what a list may contain, who may do what, what others see of it.

import type { Requester } from '../requests.ts'
import { type Acl, type Identity, PERM } from '../znode.ts'

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
    } else if (isValidId(entry)) stored.push(entry)
    else return undefined
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

// An address does not authenticate, and `super` is no scheme of its own.
function expandAuth(perms: number, requester: Requester): Acl[] {
  return requester.identities
    .filter((identity) => identity.scheme === 'digest')
    .map((identity) => ({ perms, scheme: identity.scheme, id: identity.id }))
}

function isValidId(entry: Acl): boolean {
  if (entry.scheme === 'digest') return isDigestId(entry.id)
  return entry.scheme === 'ip' && parseNetwork(entry.id) !== undefined
}

// `user:hash`: exactly two parts, where empty parts at the end do not count.
function isDigestId(id: string): boolean {
  const parts = id.split(':')
  while (parts.length > 0 && parts[parts.length - 1] === '') parts.pop()
  return parts.length === 2
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
  return requester.identities.some((identity) => identity.scheme === entry.scheme && identity.id === entry.id)
}

/** What those who may not administer a node see of its list: no password hashes. */
export function maskAcl(acl: readonly Acl[]): readonly Acl[] {
  return acl.map((entry) => (entry.scheme === 'digest' ? { ...entry, id: entry.id.replace(/:.*/s, ':x') } : entry))
}

interface Network {
  readonly address: Uint8Array
  readonly bits: number
}

/** True if `address` lies in `network` (`10.0.0.0/8`, `::1`); an IPv4-mapped IPv6 address counts as IPv4. */
export function addressInNetwork(address: string, network: string): boolean {
  const parsed = parseNetwork(network)
  const bytes = parseAddress(address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address)
  if (parsed === undefined || bytes === undefined || bytes.length !== parsed.address.length) return false
  for (let bit = 0; bit < parsed.bits; bit += 8) {
    const mask = parsed.bits - bit >= 8 ? 0xff : (0xff00 >> (parsed.bits - bit)) & 0xff
    const at = bit >> 3
    if ((((bytes[at] as number) ^ (parsed.address[at] as number)) & mask) !== 0) return false
  }
  return true
}

function parseNetwork(text: string): Network | undefined {
  const slash = text.indexOf('/')
  const address = parseAddress(slash === -1 ? text : text.slice(0, slash))
  if (address === undefined) return undefined
  if (slash === -1) return { address, bits: address.length * 8 }
  const bits = parseDecimal(text.slice(slash + 1))
  return bits === undefined || bits > address.length * 8 ? undefined : { address, bits }
}

function parseDecimal(text: string): number | undefined {
  return /^[0-9]{1,3}$/.test(text) ? Number(text) : undefined
}

function parseAddress(text: string): Uint8Array | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text)
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split('.').map(parseDecimal)
  if (parts.length !== 4 || parts.some((part) => part === undefined || part > 255)) return undefined
  return Uint8Array.from(parts as number[])
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const head = parseGroups(halves[0] as string)
  const tail = halves.length === 2 ? parseGroups(halves[1] as string) : []
  if (head === undefined || tail === undefined) return undefined
  const gap = 16 - head.length - tail.length
  if (halves.length === 2 ? gap < 2 : gap !== 0) return undefined
  return Uint8Array.from([...head, ...new Array<number>(gap).fill(0), ...tail])
}

function parseGroups(text: string): number[] | undefined {
  if (text === '') return []
  const bytes: number[] = []
  for (const group of text.split(':')) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined
    const value = Number.parseInt(group, 16)
    bytes.push(value >> 8, value & 0xff)
  }
  return bytes
}
