import { describe, expect, it } from 'vitest'
import { readGolden } from '../../../test/support/golden.ts'
import { controlEntry } from '../../engine/entry.ts'
import { decodeEntry, encodeEntry } from '../../engine/entry-codec.ts'
import { decodeTimeHeader, encodeTimeHeader, type TimeHeader } from './time-header.ts'

const HEADERS: readonly (readonly [string, TimeHeader])[] = [
  ['time-vote', { kind: 'vote', serverId: '3f9a2c', generation: 70_000, id: 'zelos\x00s\x00\xff' }],
  ['time-probe', { kind: 'probe' }],
  ['time-age', { kind: 'age', stepMs: 10_800_000 }],
]

describe("Time's header", () => {
  it.each(HEADERS)('of %s is written as the stored format has it, for ever', (name, header) => {
    const bytes = encodeEntry(controlEntry('time', encodeTimeHeader(header), true))
    expect(bytes.toString('hex')).toBe(readGolden(`entries/${name}.hex`))
  })

  it.each(HEADERS)('of %s is read from the stored format', (name, header) => {
    const entry = decodeEntry(Buffer.from(readGolden(`entries/${name}.hex`), 'hex'))
    expect(decodeTimeHeader(entry.headers.get('time')?.bytes as Uint8Array)).toEqual(header)
  })

  it('of a newer format or an unknown kind is refused', () => {
    for (const bytes of [
      [16, 2],
      [40, 1],
    ]) {
      expect(() => decodeTimeHeader(Buffer.from(bytes))).toThrow(expect.objectContaining({ code: 'FORMAT' }))
    }
  })
})
