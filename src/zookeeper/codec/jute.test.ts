import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { JuteReader } from './jute-reader.ts'
import { JuteWriter } from './jute-writer.ts'
import { MarshallingError, NULL_VALUE, TRUNCATED, UNREASONABLE_LENGTH } from './marshalling-error.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')
const reading = (bytes: Buffer, frameBytesMax?: number): JuteReader =>
  new JuteReader(frameBytesMax).reset(bytes, 0, bytes.length)

type Field =
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'int32'; readonly value: number }
  | { readonly kind: 'int64'; readonly value: number }
  | { readonly kind: 'bigint64'; readonly value: bigint }
  | { readonly kind: 'nullableString'; readonly value: string | null }
  | { readonly kind: 'bytes'; readonly value: Uint8Array | null }
  | { readonly kind: 'strings'; readonly value: string[] }

const text = fc.oneof(fc.string({ maxLength: 80 }), fc.string({ unit: 'binary', maxLength: 40 }))
const field: fc.Arbitrary<Field> = fc.oneof(
  fc.record({ kind: fc.constant('bool' as const), value: fc.boolean() }),
  fc.record({ kind: fc.constant('int32' as const), value: fc.integer() }),
  fc.record({ kind: fc.constant('int64' as const), value: fc.maxSafeInteger() }),
  fc.record({ kind: fc.constant('bigint64' as const), value: fc.bigInt(-(1n << 63n), (1n << 63n) - 1n) }),
  fc.record({ kind: fc.constant('nullableString' as const), value: fc.option(text) }),
  fc.record({ kind: fc.constant('bytes' as const), value: fc.option(fc.uint8Array({ maxLength: 300 })) }),
  fc.record({ kind: fc.constant('strings' as const), value: fc.array(text, { maxLength: 8 }) }),
)

function write(to: JuteWriter, one: Field): void {
  switch (one.kind) {
    case 'bool':
      return to.bool(one.value)
    case 'int32':
      return to.int32(one.value)
    case 'int64':
      return to.int64(one.value)
    case 'bigint64':
      return to.bigint64(one.value)
    case 'nullableString':
      return to.string(one.value)
    case 'bytes':
      return to.bytes(one.value)
    case 'strings':
      return to.strings(one.value)
  }
}

describe('JuteWriter and JuteReader', () => {
  it('read back every sequence of fields that was written, frame by frame, over any number of takes', () => {
    const to = new JuteWriter()
    const from = new JuteReader()
    fc.assert(
      fc.property(fc.array(fc.array(field, { maxLength: 12 }), { maxLength: 6 }), (frames) => {
        for (const fields of frames) {
          to.beginFrame()
          for (const one of fields) write(to, one)
          to.endFrame()
        }
        const bytes = to.take()
        let at = 0
        for (const fields of frames) {
          const length = bytes.readInt32BE(at)
          from.reset(bytes, at + 4, at + 4 + length)
          for (const one of fields) {
            const read = from[one.kind]()
            if (one.value instanceof Uint8Array) expect(Buffer.from(one.value).equals(read as Buffer)).toBe(true)
            else expect(read).toEqual(one.value)
          }
          expect(from.remaining).toBe(0)
          at += 4 + length
        }
        expect(at).toBe(bytes.length)
      }),
      { numRuns: 500 },
    )
  })

  it('read whatever bytes there are with a MarshallingError or a value, and nothing that depends on bytes outside', () => {
    const outcome = (inside: Uint8Array, fill: number, kinds: readonly Field['kind'][]): unknown[] => {
      const around = Buffer.alloc(inside.length + 64, fill)
      around.set(inside, 32)
      const from = new JuteReader(4096).reset(around, 32, 32 + inside.length)
      const seen: unknown[] = []
      try {
        for (const kind of kinds) {
          const value = from[kind]()
          seen.push(Buffer.isBuffer(value) ? value.toString('hex') : value)
        }
      } catch (error) {
        expect(error).toBeInstanceOf(MarshallingError)
        seen.push((error as MarshallingError).reason)
      }
      return seen
    }
    const kinds = fc.array(
      field.map((one) => one.kind),
      { minLength: 1, maxLength: 10 },
    )
    const lengths = fc.constantFrom(-2147483648, -2, -1, 0, 1, 4, 5, 0x7fffffff)
    const word = fc.oneof(lengths, fc.integer()).map((value) => {
      const bytes = Buffer.alloc(4)
      bytes.writeInt32BE(value)
      return bytes
    })
    const inside = fc
      .array(fc.oneof(word, fc.uint8Array({ maxLength: 9 })), { maxLength: 10 })
      .map((parts) => Buffer.concat(parts))
    fc.assert(
      fc.property(inside, kinds, (bytes, wanted) => {
        expect(outcome(bytes, 0x00, wanted)).toEqual(outcome(bytes, 0xff, wanted))
      }),
      { numRuns: 2000 },
    )
  })
})

describe('JuteReader', () => {
  it('replaces malformed UTF-8 by U+FFFD and keeps a byte order mark', () => {
    expect(reading(hex('00000003 61 ff 62')).string()).toBe('a\ufffdb')
    expect(reading(hex('00000002 c3 28')).string()).toBe('\ufffd(')
    expect(reading(hex('00000003 e2 82 41')).string()).toBe('\ufffdA')
    expect(reading(hex('00000003 ef bb bf')).string()).toBe('\ufeff')
  })

  it('tells null from empty, and refuses null only where a string must be', () => {
    expect(reading(hex('ffffffff')).nullableString()).toBeNull()
    expect(reading(hex('00000000')).nullableString()).toBe('')
    expect(reading(hex('ffffffff')).bytes()).toBeNull()
    expect(reading(hex('00000000')).bytes()?.length).toBe(0)
    expect(() => reading(hex('ffffffff')).string()).toThrow(NULL_VALUE)
  })

  it('refuses a length below -1, above the limit, or longer than the frame', () => {
    for (const read of ['nullableString', 'bytes', 'skipBytes'] as const) {
      expect(() => reading(hex('fffffffe'))[read]()).toThrow(UNREASONABLE_LENGTH)
      expect(() => reading(hex('7fffffff'))[read]()).toThrow(UNREASONABLE_LENGTH)
      expect(() => reading(hex('00000002 61'))[read]()).toThrow(TRUNCATED)
      expect(() => reading(hex('000000'))[read]()).toThrow(TRUNCATED)
    }
  })

  it('accepts strings and buffers of exactly the limit, which is twice the frame limit, and not one byte more', () => {
    const frame = (length: number): Buffer => {
      const bytes = Buffer.alloc(4 + length, 0x61)
      bytes.writeInt32BE(length)
      return bytes
    }
    expect(reading(frame(4096), 2048).bytes()?.length).toBe(4096)
    expect(() => reading(frame(4097), 2048).bytes()).toThrow(UNREASONABLE_LENGTH)
    expect(() => reading(frame(4097), 2048).string()).toThrow(UNREASONABLE_LENGTH)
  })

  it('takes a vector count of -1 for null and lower ones for empty, and refuses a count that cannot fit', () => {
    expect(reading(hex('ffffffff')).count(4)).toBe(-1)
    expect(reading(hex('fffffffe')).count(4)).toBe(0)
    expect(reading(hex('80000000')).strings()).toEqual([])
    expect(reading(hex('ffffffff')).strings()).toEqual([])
    expect(reading(hex('00000002 00000000 00000000')).strings()).toEqual(['', ''])
    expect(() => reading(hex('00000003 00000000 00000000')).strings()).toThrow(TRUNCATED)
    expect(() => reading(hex('7fffffff 00000000 00000000')).strings()).toThrow(TRUNCATED)
  })

  it('rounds 64-bit integers only outside the safe range, in order', () => {
    expect(reading(hex('001fffffffffffff')).int64()).toBe(Number.MAX_SAFE_INTEGER)
    expect(reading(hex('ffe0000000000001')).int64()).toBe(Number.MIN_SAFE_INTEGER)
    expect(reading(hex('ffffffffffffffff')).int64()).toBe(-1)
    expect(Number.isSafeInteger(reading(hex('0020000000000000')).int64())).toBe(false)
    expect(reading(hex('7fffffffffffffff')).int64()).toBe(2 ** 63)
    expect(reading(hex('8000000000000000')).int64()).toBe(-(2 ** 63))
  })

  it('passes over the length of a buffer without a view, and over expected bytes only if they are all there', () => {
    const from = reading(hex('00000003 010203 ffffffff 0a0b'))
    expect(from.skipBytes()).toBe(3)
    expect(from.position).toBe(7)
    expect(from.skipBytes()).toBe(-1)
    expect(from.skipIfNext(hex('0a0c'))).toBe(false)
    expect(from.skipIfNext(hex('0a0b0c'))).toBe(false)
    expect(from.skipIfNext(hex('0a0b'))).toBe(true)
    expect(from.remaining).toBe(0)
  })
})

describe('JuteWriter', () => {
  it('hands over buffers that later writes never change, and nothing twice', () => {
    const to = new JuteWriter()
    const taken: [Buffer, string][] = []
    for (let i = 0; i < 50; i++) {
      for (let frame = 0; frame <= i; frame++) {
        to.beginFrame()
        to.string(`${i}/${frame}`.padEnd(i * 3, 'ä'))
        to.endFrame()
      }
      const bytes = to.take()
      taken.push([bytes, bytes.toString('hex')])
    }
    for (const [bytes, asTaken] of taken) expect(bytes.toString('hex')).toBe(asTaken)
    expect(to.take().length).toBe(0)
  })

  it('drops an open frame and keeps the closed ones', () => {
    const to = new JuteWriter()
    to.beginFrame()
    to.int32(7)
    to.endFrame()
    to.beginFrame()
    to.string('x'.repeat(5000))
    to.dropFrame()
    expect(to.size).toBe(8)
    expect(to.take().toString('hex')).toBe('0000000400000007')
  })

  it('writes a string on both sides of the char-by-char length the same way as Buffer does', () => {
    for (let chars = 0; chars < 40; chars++) {
      for (const value of [
        'a'.repeat(chars),
        `${'a'.repeat(chars)}é`,
        '漢'.repeat(chars),
        '\ud83d\ude00'.repeat(chars),
      ]) {
        const to = new JuteWriter()
        to.string(value)
        expect(to.take().subarray(4).equals(Buffer.from(value))).toBe(true)
      }
    }
  })
})
