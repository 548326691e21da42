import { describe, expect, it } from 'vitest'
import { readGolden } from '../../../test/support/golden.ts'
import { entryOf } from '../../engine/entry.ts'
import { decodeEntry, encodeStamped } from '../../engine/entry-codec.ts'
import { BASE, readStamp, Stamper } from './proposal-stamp.ts'

describe("Base's header", () => {
  const stamp = { serverId: '3f9a2c', incarnation: 7, localId: 1000, wallMs: 1_700_000_000_123 }

  it('is written as the stored format has it, for ever', () => {
    const bytes = new Stamper(stamp.serverId, stamp.incarnation).stamp(stamp.localId, stamp.wallMs + 0.75)
    const entry = encodeStamped(entryOf(Buffer.from('set /a 1')), BASE, bytes)
    expect(entry.toString('hex')).toBe(readGolden('entries/stamped.hex'))
  })

  it('is read from the stored format', () => {
    const entry = decodeEntry(Buffer.from(readGolden('entries/stamped.hex'), 'hex'))
    expect(readStamp(entry.headers.get(BASE)?.bytes as Uint8Array)).toEqual(stamp)
  })

  it('of a newer format is refused', () => {
    expect(() => readStamp(Buffer.from([2]))).toThrow(expect.objectContaining({ code: 'FORMAT' }))
  })
})
