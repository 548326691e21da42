// Who the owner of a certificate is to access lists: its subject, or a part of one of its alternative names, as ZooKeeper's
// x509.clientCertId* settings say. Checks nothing: that is TLS' business.

import { certificateSubject, nameText } from './certificate-subject.ts'
import { certificateFields, type DerItem, derItems, objectId } from './der.ts'

/** Kinds of alternative names that have a text, by their number. */
export const NAME_KINDS = { mail: 1, dns: 2, directory: 4, uri: 6, ip: 7, registered: 8 } as const

/** Which alternative name, and what of it. */
export interface AlternativeNameRule {
  /** One of NAME_KINDS. */
  readonly kind: number
  /** Exactly one name of this kind must contain a match. */
  readonly match: RegExp
  /** The identity is this group of the first match in it. */
  readonly extract: RegExp
  /** 0: all that matched. */
  readonly group: number
}

export type CertificateIdentity =
  | { readonly kind: 'known'; readonly id: string }
  | { readonly kind: 'unknown'; readonly reason: string }

const ALTERNATIVE_NAMES = '2.5.29.17'
const EXTENSIONS_TAG = 0xa3
const OCTETS_TAG = 0x04
const KIND_MASK = 0x1f

/** `der`: a certificate. Without a rule its subject. */
export function certificateIdentity(der: Uint8Array, rule: AlternativeNameRule | undefined): CertificateIdentity {
  if (rule === undefined) {
    const id = certificateSubject(der)
    return id === undefined ? unknown('the certificate has no subject that can be read') : { kind: 'known', id }
  }
  const names = alternativeNames(der, rule.kind)
  if (names === undefined) return unknown('the alternative names of the certificate can not be read')
  const matching = names.filter((name) => rule.match.test(name))
  const [name] = matching
  if (name === undefined || matching.length > 1) {
    return unknown(`${matching.length} alternative names of the certificate match, and one must`)
  }
  const id = rule.extract.exec(name)?.[rule.group]
  return id === undefined || id === ''
    ? unknown('nothing can be extracted from the alternative name')
    : { kind: 'known', id }
}

function unknown(reason: string): CertificateIdentity {
  return { kind: 'unknown', reason }
}

/** Those of one kind; undefined if these bytes are no certificate. */
export function alternativeNames(der: Uint8Array, kind: number): string[] | undefined {
  try {
    return generalNames(Buffer.from(der))
      .filter(({ tag }) => (tag & KIND_MASK) === kind)
      .map(({ content }) => textOf(kind, content))
  } catch {
    return undefined
  }
}

function generalNames(der: Buffer): DerItem[] {
  const extensions = certificateFields(der).find(({ tag }) => tag === EXTENSIONS_TAG)
  if (extensions === undefined) return []
  for (const extension of derItems((derItems(extensions.content)[0] as DerItem).content)) {
    const parts = derItems(extension.content)
    if (objectId((parts[0] as DerItem).content) !== ALTERNATIVE_NAMES) continue
    const value = parts.find(({ tag }) => tag === OCTETS_TAG) as DerItem
    return derItems((derItems(value.content)[0] as DerItem).content)
  }
  return []
}

function textOf(kind: number, content: Buffer): string {
  switch (kind) {
    case NAME_KINDS.directory:
      return nameText((derItems(content)[0] as DerItem).content)
    case NAME_KINDS.ip:
      return addressText(content)
    case NAME_KINDS.registered:
      return objectId(content)
    default:
      return content.toString('latin1')
  }
}

function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.length !== 16) throw new RangeError('no address')
  return Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16)).join(':')
}
