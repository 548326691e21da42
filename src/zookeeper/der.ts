// As much of DER as it takes to find something in a certificate. Everything throws at bytes that are cut off.

const VERSION_TAG = 0xa0

export interface DerItem {
  readonly tag: number
  /** Header included. */
  readonly all: Buffer
  readonly content: Buffer
}

/** The items in a run of DER. Throws if one is cut off. */
export function derItems(bytes: Buffer): DerItem[] {
  const found: DerItem[] = []
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

/** Certificate → tbsCertificate → what it has behind its version: serial number, algorithm, issuer, validity, subject and more. */
export function certificateFields(der: Buffer): DerItem[] {
  const [certificate] = derItems(der)
  const [toBeSigned] = derItems((certificate as DerItem).content)
  const fields = derItems((toBeSigned as DerItem).content)
  return fields[0]?.tag === VERSION_TAG ? fields.slice(1) : fields
}

/** `2.5.4.3`. */
export function objectId(bytes: Buffer): string {
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
