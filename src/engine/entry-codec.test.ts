import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readGolden } from '../../test/support/golden.ts'
import { ByteWriter } from '../base/byte-writer.ts'
import { encodeFlagChange } from './engine-flags.ts'
import { controlEntry, type Entry, entryOf, type Header, NO_HEADERS, withHeader } from './entry.ts'
import { decodeEntry, encodeEntry, encodeStamped } from './entry-codec.ts'

const text = (value: string) => Buffer.from(value, 'utf8')

/** One stored entry of each shape, by the name of its golden file. */
const GOLDEN: Record<string, Entry> = {
  'payload-only': entryOf(text('set /a 1')),
  'payload-empty': entryOf(text('')),
  'control-without-payload': controlEntry('time', text('vote')),
  'control-must-understand': controlEntry('batching', encodeFlagChange({ kind: 'flag', enabled: true }), true),
  'level-change': controlEntry('lease', encodeFlagChange({ kind: 'level', level: 300 }), true),
  'headers-and-payload': withHeader(
    withHeader(withHeader(entryOf(text('p')), 'view-tracking', text('v')), 'base', text('')),
    'lease',
    text('l'),
    true,
  ),
}

const entries: fc.Arbitrary<Entry> = fc
  .record({
    headers: fc.uniqueArray(
      fc.tuple(fc.stringMatching(/^[a-z][a-z0-9-]{0,30}$/), fc.uint8Array({ maxLength: 40 }), fc.boolean()),
      { selector: ([name]) => name, maxLength: 6 },
    ),
    payload: fc.option(fc.uint8Array({ maxLength: 3000, size: 'max' }), { nil: undefined }),
  })
  .map(({ headers, payload }) => {
    const map = new Map<string, Header>(
      headers.map(([name, bytes, mustUnderstand]) => [name, { bytes, mustUnderstand }]),
    )
    return { headers: map.size === 0 ? NO_HEADERS : map, payload, index: 0 }
  })

describe('the entry codec', () => {
  for (const [name, entry] of Object.entries(GOLDEN)) {
    it(`encodes ${name} as the stored format has it, for ever`, () => {
      expect(encodeEntry(entry).toString('hex')).toBe(readGolden(`entries/${name}.hex`))
    })

    it(`decodes ${name} from the stored format`, () => {
      expect(plain(decodeEntry(Buffer.from(readGolden(`entries/${name}.hex`), 'hex')))).toEqual(plain(entry))
    })
  }

  it('gives back every entry, with unknown headers, and tells no payload from an empty one', () => {
    fc.assert(
      fc.property(entries, (entry) => {
        expect(plain(decodeEntry(encodeEntry(entry)))).toEqual(plain(entry))
      }),
    )
  })

  it('has one encoding for an entry, whatever the order in which headers were added', () => {
    fc.assert(
      fc.property(entries, (entry) => {
        const reversed = { ...entry, headers: new Map([...entry.headers].reverse()) }
        expect(encodeEntry(reversed)).toEqual(encodeEntry(entry))
      }),
    )
  })

  it('stamps a header as if it had been in the map', () => {
    fc.assert(
      fc.property(entries, fc.uint8Array({ maxLength: 40 }), (entry, stamp) => {
        fc.pre(!entry.headers.has('base'))
        expect(encodeStamped(entry, 'base', stamp)).toEqual(encodeEntry(withHeader(entry, 'base', stamp)))
      }),
    )
  })

  it('decodes payload and headers as views, without a copy', () => {
    const bytes = encodeEntry(GOLDEN['headers-and-payload'] as Entry)
    const entry = decodeEntry(bytes)
    expect(entry.payload?.buffer).toBe(bytes.buffer)
    expect(entry.headers.get('lease')?.bytes.buffer).toBe(bytes.buffer)
  })

  it('calls damage CORRUPT and another version FORMAT, and never anything else', () => {
    const bytes = encodeEntry(GOLDEN['headers-and-payload'] as Entry)
    expect(() => decodeEntry(Buffer.from([0xd2, ...bytes.subarray(1)]))).toThrow(
      expect.objectContaining({ code: 'FORMAT' }),
    )
    for (let length = 1; length < bytes.length - 1; length++) {
      expect(() => decodeEntry(bytes.subarray(0, length))).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    }
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), (noise) => {
        noise[0] = 0xd1
        try {
          decodeEntry(noise)
        } catch (thrown) {
          expect(thrown).toMatchObject({ code: 'CORRUPT' })
        }
      }),
    )
  })

  it('refuses headers that are out of order or there twice', () => {
    const writer = new ByteWriter()
    for (const byte of [0xd1, 2, 2]) writer.u8(byte)
    for (const name of ['time', 'time']) {
      writer.string(name)
      writer.u8(0)
      writer.bytes(text('x'))
    }
    expect(() => decodeEntry(writer.toBytes())).toThrow(/out of order/)
  })
})

function plain(entry: Entry) {
  const headers = [...entry.headers].map(([name, header]) => [name, Buffer.from(header.bytes), header.mustUnderstand])
  return {
    headers: headers.sort(([a], [b]) => ((a as string) < (b as string) ? -1 : 1)),
    payload: entry.payload === undefined ? undefined : Buffer.from(entry.payload),
  }
}
