// Values as JSON text and back: bigint, bytes, times and numbers that JSON lacks travel as objects with one `$` member. A
// stored format (schemas). Equal values give equal texts.

import { DelosError } from '../../base/delos-error.ts'

export function toTaggedJson(value: unknown): string {
  return JSON.stringify(tagged(value))
}

export function fromTaggedJson(text: string): unknown {
  return untagged(JSON.parse(text))
}

function tagged(value: unknown): unknown {
  if (typeof value === 'bigint') return { $int: String(value) }
  if (typeof value === 'number' && !Number.isFinite(value)) return { $double: String(value) }
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') }
  if (value instanceof Date) return { $time: value.getTime() }
  if (Array.isArray(value)) return value.map(tagged)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.fromEntries(
    Object.entries(value).flatMap(([name, member]) => (member === undefined ? [] : [[name, tagged(member)]])),
  )
  return Object.keys(members).some((name) => name.startsWith('$')) ? { $object: members } : members
}

function untagged(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(untagged)
  if (typeof value !== 'object' || value === null) return value
  const names = Object.keys(value)
  const tag = names.length === 1 ? (names[0] as string) : ''
  if (!tag.startsWith('$')) return untaggedMembers(value)
  const inner = (value as Record<string, unknown>)[tag]
  if (tag === '$int' && typeof inner === 'string') return BigInt(inner)
  if (tag === '$double') return Number(inner)
  if (tag === '$bytes' && typeof inner === 'string') return new Uint8Array(Buffer.from(inner, 'base64'))
  if (tag === '$time' && typeof inner === 'number') return new Date(inner)
  if (tag === '$object' && typeof inner === 'object' && inner !== null) return untaggedMembers(inner)
  throw new DelosError('CORRUPT', `a value with the unknown tag ${tag}`)
}

function untaggedMembers(value: object): unknown {
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, untagged(member)]))
}
