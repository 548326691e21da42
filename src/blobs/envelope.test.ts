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
    const readers = { 'envelope-plain': plain, 'envelope-sealed': sealed }
    for (const [name, envelope] of Object.entries(readers)) {
      const wrapped = Buffer.from(readGolden(`backups/${name}.hex`), 'hex')
      expect(Buffer.from(await envelope.unwrap(NAME, wrapped)).toString()).toBe('what is inside, what is inside')
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
  })

  it('with a key takes nothing that is not encrypted, unless it is told to: a key may be introduced later', async () => {
    const planted = await plain.wrap(NAME, content(5000))
    await expect(sealed.unwrap(NAME, planted)).rejects.toMatchObject({
      code: 'MISMATCH',
      message: expect.stringContaining('accept-clear'),
    })
    const moving = new DeflatedEnvelope({ random, key: KEY, acceptClear: true })
    expect(await moving.unwrap(NAME, planted)).toHaveLength(5000)
    expect(await moving.unwrap(NAME, await sealed.wrap(NAME, content(5000)))).toHaveLength(5000)
  })
})
