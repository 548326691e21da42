// The subject of a certificate as ZooKeeper names it in an access list: RFC 2253 as Java writes it, the last part first. Checks
// nothing: that is TLS' business.

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

const TAG = { utf8: 0x0c, teletex: 0x14, bmp: 0x1e, version: 0xa0 } as const
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
    return nameText(subjectOf(Buffer.from(der)))
  } catch {
    return undefined
  }
}

interface Item {
  readonly tag: number
  /** Header included. */
  readonly all: Buffer
  readonly content: Buffer
}

/** The items in a run of DER. Throws if one is cut off. */
function items(bytes: Buffer): Item[] {
  const found: Item[] = []
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes.readUInt8(at)
    const short = bytes.readUInt8(at + 1)
    const longBytes = short < 0x80 ? 0 : short & 0x7f
    const length = longBytes === 0 ? short : bytes.readUIntBE(at + 2, longBytes)
    const start = at + 2 + longBytes
    const end = start + length
    if (end > bytes.length) throw new RangeError('the item is cut off')
    found.push({ tag, all: bytes.subarray(at, end), content: bytes.subarray(start, end) })
    at = end
  }
  return found
}

/** Certificate → tbsCertificate → [version], serial number, algorithm, issuer, validity, subject. */
function subjectOf(der: Buffer): Buffer {
  const [certificate] = items(der)
  const [toBeSigned] = items((certificate as Item).content)
  const fields = items((toBeSigned as Item).content)
  const first = fields[0]?.tag === TAG.version ? 1 : 0
  return (fields[first + 4] as Item).content
}

function nameText(name: Buffer): string {
  return items(name)
    .reverse()
    .map(({ content }) => items(content).map(attributeText).join('+'))
    .join(',')
}

function attributeText(attribute: Item): string {
  const [type, value] = items(attribute.content) as [Item, Item]
  const numbers = objectId(type.content)
  const keyword = KEYWORDS[numbers]
  const text = keyword === undefined ? undefined : characters(value)
  return text === undefined ? `${keyword ?? numbers}=#${value.all.toString('hex')}` : `${keyword}=${escaped(text)}`
}

function objectId(bytes: Buffer): string {
  const numbers: number[] = []
  let value = 0
  for (const byte of bytes) {
    value = value * 128 + (byte & 0x7f)
    if (byte >= 0x80) continue
    numbers.push(value)
    value = 0
  }
  const first = numbers.shift() as number
  const top = Math.min(2, Math.floor(first / 40))
  return [top, first - top * 40, ...numbers].join('.')
}

function characters({ tag, content }: Item): string | undefined {
  const encoding = ENCODINGS[tag]
  if (encoding !== undefined) return content.toString(encoding)
  if (tag === TAG.bmp) return Buffer.from(content).swap16().toString('utf16le')
  return undefined
}

function escaped(text: string): string {
  return text.replace(/[,=+<>#;"\\]/g, '\\$&').replace(/^ +| +$/g, (spaces) => '\\ '.repeat(spaces.length))
}
