import { describe, expect, it } from 'vitest'
import { readGolden } from '../../test/support/golden.ts'
import { SeededRandom } from '../sim/seeded-random.ts'
import { CompressedEnvelope, KEY_BYTES, type PackedPart } from './envelope.ts'

const KEY = Buffer.alloc(KEY_BYTES, 7)
const NAME = 'zelos/of/mine.segment'
const random = new SeededRandom(1)
const plain = new CompressedEnvelope({ random })
const sealed = new CompressedEnvelope({ random, key: KEY })

async function wrapped(envelope: CompressedEnvelope, inside: Uint8Array, name = NAME): Promise<Buffer> {
  return Buffer.concat(await envelope.wrap(name, inside))
}

function content(bytes: number): Buffer {
  const made = Buffer.alloc(bytes)
  for (let i = 0; i < bytes; i++) made[i] = (i * 31 + (i >> 9)) & 255
  return made
}

describe('the envelope of a blob', () => {
  it.each([
    ['plain', plain],
    ['sealed', sealed],
  ])('gives back what was put in, whatever its size: %s', async (_, envelope) => {
    for (const bytes of [0, 1, 1000, 1024 * 1024, 1024 * 1024 + 1, 3_000_000]) {
      const inside = content(bytes)
      const blob = await wrapped(envelope, inside)
      expect(Buffer.from(await envelope.unwrap(NAME, blob)).equals(inside)).toBe(true)
    }
  })

  it('reads what earlier versions wrote', async () => {
    const readers = { 'envelope-plain': plain, 'envelope-sealed': sealed }
    for (const [name, envelope] of Object.entries(readers)) {
      for (const version of ['', '-2']) {
        const blob = Buffer.from(readGolden(`backups/${name}${version}.hex`), 'hex')
        expect(Buffer.from(await envelope.unwrap(NAME, blob)).toString()).toBe('what is inside, what is inside')
      }
    }
  })

  it.each([
    ['plain', plain],
    ['sealed', sealed],
  ])('takes what is inside in parts, which may be changed once they are taken: %s', async (_, envelope) => {
    const inside = content(2_500_000)
    const part = Buffer.alloc(700_000)
    const parts: PackedPart[] = []
    for (let at = 0; at < inside.length; at += part.length) {
      const bytes = inside.copy(part, 0, at)
      parts.push(await envelope.pack(part.subarray(0, bytes)))
      part.fill(0)
    }
    // What is known last can come first; and what has failed on the way is sealed again.
    const head = await envelope.pack(Buffer.from('head'))
    for (let attempt = 0; attempt < 2; attempt++) {
      const read = Buffer.from(await envelope.unwrap(NAME, Buffer.concat(envelope.seal(NAME, [head, ...parts]))))
      expect(read.equals(Buffer.concat([Buffer.from('head'), inside]))).toBe(true)
    }
  })

  it('tells damage anywhere, and of an encrypted one also another name, order or end', async () => {
    for (const envelope of [plain, sealed]) {
      const blob = await wrapped(envelope, content(500))
      for (let at = 0; at < blob.length; at += 7) {
        const damaged = Buffer.from(blob)
        damaged[at] = (damaged[at] as number) ^ 64
        await expect(envelope.unwrap(NAME, damaged), `byte ${at}`).rejects.toMatchObject({
          code: expect.stringMatching(/CORRUPT|FORMAT|MISMATCH/),
        })
      }
      await expect(envelope.unwrap(NAME, blob.subarray(0, -1))).rejects.toMatchObject({ code: 'CORRUPT' })
      await expect(envelope.unwrap(NAME, Buffer.concat([blob, blob]))).rejects.toMatchObject({ code: 'CORRUPT' })
    }
    const blob = await wrapped(sealed, content(500))
    await expect(sealed.unwrap('zelos/of/other.segment', blob)).rejects.toMatchObject({ code: 'CORRUPT' })
  })

  it('is nothing to who lacks the key, and no two are alike', async () => {
    const inside = content(5000)
    const [one, two] = [await wrapped(sealed, inside), await wrapped(sealed, inside)]
    expect(one.equals(two)).toBe(false)
    expect(one.includes(inside.subarray(100, 130))).toBe(false)
    const other = new CompressedEnvelope({ random, key: Buffer.alloc(KEY_BYTES, 8) })
    for (const envelope of [plain, other]) {
      await expect(envelope.unwrap(NAME, one)).rejects.toMatchObject({ code: 'MISMATCH' })
    }
  })

  it('with a key takes nothing that is not encrypted, unless it is told to: a key may be introduced later', async () => {
    const planted = await wrapped(plain, content(5000))
    await expect(sealed.unwrap(NAME, planted)).rejects.toMatchObject({
      code: 'MISMATCH',
      message: expect.stringContaining('accept-clear'),
    })
    const moving = new CompressedEnvelope({ random, key: KEY, acceptClear: true })
    expect(await moving.unwrap(NAME, planted)).toHaveLength(5000)
    expect(await moving.unwrap(NAME, await wrapped(sealed, content(5000)))).toHaveLength(5000)
  })
})
