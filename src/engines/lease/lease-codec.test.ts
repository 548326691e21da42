import { describe, expect, it } from 'vitest'
import { readGolden } from '../../../test/support/golden.ts'
import { controlEntry } from '../../engine/entry.ts'
import { decodeEntry, encodeEntry } from '../../engine/entry-codec.ts'
import { decodeLeaseHeader, encodeLeaseHeader, type LeaseHeader } from './lease-codec.ts'

const HEADERS: readonly (readonly [string, LeaseHeader])[] = [
  [
    'lease-take',
    { kind: 'take', serverId: '3f9a2c', address: '10.0.0.1:2181', durationMs: 3000, replaces: 70_000, heardAt: 70_100 },
  ],
  ['lease-renew', { kind: 'renew', epoch: 70_000, applied: 70_200 }],
  ['lease-release', { kind: 'release', epoch: 70_000 }],
  ['lease-fire', { kind: 'fire', epoch: 70_000, position: 70_150, index: 3 }],
  ['lease-update', { kind: 'update', epoch: 70_000 }],
]

describe("Lease's header", () => {
  it.each(HEADERS)('of %s is written as the stored format has it, for ever', (name, header) => {
    const bytes = encodeEntry(controlEntry('lease', encodeLeaseHeader(header), true))
    expect(bytes.toString('hex')).toBe(readGolden(`entries/${name}.hex`))
  })

  it.each(HEADERS)('of %s is read from the stored format', (name, header) => {
    const entry = decodeEntry(Buffer.from(readGolden(`entries/${name}.hex`), 'hex'))
    expect(decodeLeaseHeader(entry.headers.get('lease')?.bytes as Uint8Array)).toEqual(header)
  })

  it('of a newer format or an unknown kind is refused', () => {
    for (const bytes of [
      [16, 2],
      [40, 1],
    ]) {
      expect(() => decodeLeaseHeader(Buffer.from(bytes))).toThrow(expect.objectContaining({ code: 'FORMAT' }))
    }
  })
})
