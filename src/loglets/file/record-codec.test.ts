import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readGolden } from '../../../test/support/golden.ts'
import { LOGLET_START, type LogletOffset } from '../../log/position.ts'
import { simulate } from '../../sim/simulation.ts'
import { FileLogletProvider } from './file-loglet-provider.ts'
import {
  crcSeed,
  decodeSegmentHeader,
  encodeSegmentHeader,
  putRecord,
  readRecord,
  recordBytes,
} from './record-codec.ts'

const SEED = crcSeed('n')
const payloads = fc.uint8Array({ maxLength: 300 })

function encode(payload: Uint8Array, offset: number, groupIndex: number): Buffer {
  const bytes = Buffer.alloc(recordBytes(payload.length), 0xaa)
  putRecord(bytes, 0, { kind: 1, offset, groupIndex, segment: 7, payload }, SEED)
  return bytes
}

describe('a record', () => {
  it('is read back as it was written, at a multiple of 8', () => {
    fc.assert(
      fc.property(payloads, fc.nat({ max: 1000 }), fc.maxSafeNat(), (payload, groupIndex, offset) => {
        fc.pre(offset >= groupIndex)
        const bytes = encode(payload, offset, groupIndex)
        const record = readRecord(bytes, 0, 7, SEED)
        if ('needs' in record) throw new Error('no record')
        expect(bytes.length % 8).toBe(0)
        expect(record).toMatchObject({ kind: 1, offset, groupStart: offset - groupIndex, end: bytes.length })
        expect(Buffer.from(payload).equals(bytes.subarray(record.payloadStart, record.payloadEnd))).toBe(true)
      }),
    )
  })

  it('is not one with any bit flipped, of another loglet, or of another segment', () => {
    fc.assert(
      fc.property(payloads, fc.nat(), fc.nat({ max: 7 }), (payload, at, bit) => {
        const bytes = encode(payload, 5, 0)
        expect(readRecord(bytes, 0, 7, crcSeed('m'))).toHaveProperty('needs')
        expect(readRecord(bytes, 0, 8, SEED)).toHaveProperty('needs')
        const place = at % bytes.length
        bytes[place] = (bytes[place] as number) ^ (1 << bit)
        expect(readRecord(bytes, 0, 7, SEED)).toHaveProperty('needs')
      }),
    )
  })

  it('cut off anywhere says how many bytes it needs', () => {
    fc.assert(
      fc.property(payloads, fc.nat(), (payload, cut) => {
        const bytes = encode(payload, 5, 0)
        const short = bytes.subarray(0, cut % bytes.length)
        expect(readRecord(short, 0, 7, SEED)).toEqual({ needs: short.length < 24 ? 24 : bytes.length })
      }),
    )
  })

  it('is never found in zeros', () => {
    expect(readRecord(Buffer.alloc(100), 0, 0, SEED)).toEqual({ needs: 0 })
  })
})

describe('a segment header', () => {
  it('is read back, and is nothing with a bit flipped', () => {
    const header = { segment: 3, firstOffset: 2 ** 40, wallMs: 1_700_000_000_000 }
    const bytes = encodeSegmentHeader(header, SEED)
    expect(decodeSegmentHeader(bytes, SEED)).toEqual(header)
    for (let i = 0; i < bytes.length; i++) {
      const damaged = Buffer.from(bytes)
      damaged[i] = (damaged[i] as number) ^ 1
      expect(decodeSegmentHeader(damaged, SEED)).toBeUndefined()
    }
  })
})

describe('a segment file', () => {
  const config = { kind: 'file', params: {}, nonce: 'golden' }
  const path = 'log/loglet-golden/00000001.seg'

  it('is written as it always was', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const { disk } = world.server('a').boot()
      await disk.makeDir('log')
      const clock = { monotonicMs: () => 0, wallMs: () => 1_700_000_000_000 }
      const loglet = await new FileLogletProvider('log', disk, clock, { reserveBytes: 0 }).create(config)
      await loglet.append(Buffer.from('first'))
      await Promise.all([loglet.append(Buffer.from('second')), loglet.append(Buffer.from('third'))])
      await loglet.seal({ kind: 'file', params: { n: 1 } })
      await loglet.close()
      const file = await disk.open(path, 'read')
      const golden = readGolden('log/segment.hex')
      const bytes = Buffer.alloc(golden.length / 2)
      await file.read(bytes, 0)
      expect(bytes.toString('hex')).toBe(golden)
    })
  })

  it('is read as it always was', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const { disk, clock } = world.server('a').boot()
      await disk.makeDir('log')
      const provider = new FileLogletProvider('log', disk, clock, { reserveBytes: 0 })
      await (await provider.create(config)).close()
      const file = await disk.open(path, 'update')
      await file.write(Buffer.from(readGolden('log/segment.hex'), 'hex'), 0)
      const loglet = await provider.open(config)
      const tail = { tail: 3, sealed: true, successor: { kind: 'file', params: { n: 1 } } }
      expect(await loglet.checkTail()).toEqual(tail)
      const { entries } = await loglet.readNext(LOGLET_START, 3 as LogletOffset, 1000)
      expect(entries.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(['first', 'second', 'third'])
    })
  })
})
