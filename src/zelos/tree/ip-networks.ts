// IPv4 and IPv6 addresses and networks as texts: which are well-formed, and which address lies in which network.

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

/** True for an address, or one with a number of bits. */
export function isNetwork(text: string): boolean {
  return parseNetwork(text) !== undefined
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
