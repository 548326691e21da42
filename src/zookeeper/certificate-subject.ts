// The subject of a certificate as ZooKeeper names it in an access list: RFC 2253 as Java writes it, the last part first. Checks
// nothing: that is TLS' business.

import { certificateFields, type DerItem, derItems, objectId } from './der.ts'

/** Attributes that have a name in RFC 2253; all others are written as numbers, with their value in hexadecimal. */
const KEYWORDS: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'STREET',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
}

const TAG = { utf8: 0x0c, teletex: 0x14, bmp: 0x1e } as const
/** Tags of character strings, by the encoding of their bytes. */
const ENCODINGS: Readonly<Record<number, BufferEncoding>> = {
  [TAG.utf8]: 'utf8',
  [TAG.teletex]: 'latin1',
  18: 'latin1', // numeric
  19: 'latin1', // printable
  22: 'latin1', // IA5
}

/** `CN=alice,O=Example`; undefined if these bytes are no certificate. */
export function certificateSubject(der: Uint8Array): string | undefined {
  try {
    return nameText((certificateFields(Buffer.from(der))[SUBJECT] as DerItem).content)
  } catch {
    return undefined
  }
}

/** Serial number, algorithm, issuer, validity, subject. */
const SUBJECT = 4

/** A Name as text. Throws if it is none. */
export function nameText(name: Buffer): string {
  return derItems(name)
    .reverse()
    .map(({ content }) => derItems(content).map(attributeText).join('+'))
    .join(',')
}

function attributeText(attribute: DerItem): string {
  const [type, value] = derItems(attribute.content) as [DerItem, DerItem]
  const numbers = objectId(type.content)
  const keyword = KEYWORDS[numbers]
  const text = keyword === undefined ? undefined : characters(value)
  return text === undefined ? `${keyword ?? numbers}=#${value.all.toString('hex')}` : `${keyword}=${escaped(text)}`
}

function characters({ tag, content }: DerItem): string | undefined {
  const encoding = ENCODINGS[tag]
  if (encoding !== undefined) return content.toString(encoding)
  if (tag === TAG.bmp) return Buffer.from(content).swap16().toString('utf16le')
  return undefined
}

function escaped(text: string): string {
  return text.replace(/[,=+<>#;"\\]/g, '\\$&').replace(/^ +| +$/g, (spaces) => '\\ '.repeat(spaces.length))
}
