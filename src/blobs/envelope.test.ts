import { describe, expect, it } from 'vitest'
import { readGolden } from '../../test/support/golden.ts'
import { SeededRandom } from '../sim/seeded-random.ts'
import { DeflatedEnvelope, KEY_BYTES } from './envelope.ts'

const KEY = Buffer.alloc(KEY_BYTES, 7)
const NAME = 'zelos/of/mine.segment'
const random = new SeededRandom(1)
const plain = new DeflatedEnvelope({ random })
const sealed = new DeflatedEnvelope({ random, key: KEY })

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
      const wrapped = await envelope.wrap(NAME, inside)
      expect(Buffer.from(await envelope.unwrap(NAME, wrapped)).equals(inside)).toBe(true)
    }
  })

  it('reads what earlier versions wrote', async () => {
    for (const name of ['envelope-plain', 'envelope-sealed']) {
      const wrapped = Buffer.from(readGolden(`backups/${name}.hex`), 'hex')
      expect(Buffer.from(await sealed.unwrap(NAME, wrapped)).toString()).toBe('what is inside, what is inside')
    }
  })

  it('tells damage anywhere, and of an encrypted one also another name, order or end', async () => {
    for (const envelope of [plain, sealed]) {
      const wrapped = Buffer.from(await envelope.wrap(NAME, content(500)))
      for (let at = 0; at < wrapped.length; at += 7) {
        const damaged = Buffer.from(wrapped)
        damaged[at] = (damaged[at] as number) ^ 64
        await expect(envelope.unwrap(NAME, damaged), `byte ${at}`).rejects.toMatchObject({
          code: expect.stringMatching(/CORRUPT|FORMAT|MISMATCH/),
        })
      }
      await expect(envelope.unwrap(NAME, wrapped.subarray(0, -1))).rejects.toMatchObject({ code: 'CORRUPT' })
      await expect(envelope.unwrap(NAME, Buffer.concat([wrapped, wrapped]))).rejects.toMatchObject({ code: 'CORRUPT' })
    }
    const wrapped = await sealed.wrap(NAME, content(500))
    await expect(sealed.unwrap('zelos/of/other.segment', wrapped)).rejects.toMatchObject({ code: 'CORRUPT' })
  })

  it('is nothing to who lacks the key, and no two are alike', async () => {
    const inside = content(5000)
    const [one, two] = [await sealed.wrap(NAME, inside), await sealed.wrap(NAME, inside)]
    expect(Buffer.from(one).equals(Buffer.from(two))).toBe(false)
    expect(Buffer.from(one).includes(inside.subarray(100, 130))).toBe(false)
    const other = new DeflatedEnvelope({ random, key: Buffer.alloc(KEY_BYTES, 8) })
    for (const envelope of [plain, other]) {
      await expect(envelope.unwrap(NAME, one)).rejects.toMatchObject({ code: 'MISMATCH' })
    }
    // With the key also what is not encrypted can be read: a key may be introduced later.
    expect(await sealed.unwrap(NAME, await plain.wrap(NAME, inside))).toHaveLength(5000)
  })
})
