import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createRowHasher } from './row-hash.ts'

const zeros = new Uint8Array(16)
const numbers = Uint8Array.from({ length: 16 }, (_, i) => i + 1)

function hashOf(key: Uint8Array | string, value: Uint8Array | string, digestKey = zeros): string {
  const lanes = new Uint32Array(4)
  createRowHasher(digestKey)(Buffer.from(key as string), Buffer.from(value as string), lanes)
  return [...lanes].map((lane) => lane.toString(16).padStart(8, '0')).join('')
}

describe('the hash of a row', () => {
  it('is the same in every version', () => {
    const bytes = Uint8Array.from({ length: 100 }, (_, i) => i * 37)
    const lines: string[] = []
    for (const digestKey of [zeros, numbers])
      for (const length of [0, 1, 3, 4, 15, 16, 17, 32, 100])
        for (const keyLength of [0, 5, 40])
          lines.push(hashOf(bytes.subarray(0, keyLength), bytes.subarray(0, length), digestKey))
    const golden = new URL('../../testdata/store/row-hash.txt', import.meta.url)
    const text = `${lines.join('\n')}\n`
    if (process.env.UPDATE_GOLDEN) writeFileSync(golden, text)
    expect(text).toBe(readFileSync(golden, 'utf8'))
  })

  it('depends on key, value, their order, where the one ends, and the digest key', () => {
    const hashes = [
      hashOf('ab', 'c'),
      hashOf('a', 'bc'),
      hashOf('abc', ''),
      hashOf('', 'abc'),
      hashOf('c', 'ab'),
      hashOf('ab', 'c\x00'),
      hashOf('ab\x00', 'c'),
      hashOf('ba', 'c'),
      hashOf('', ''),
      hashOf('', '\x00'),
      hashOf('\x00', ''),
      hashOf('ab', 'c', numbers),
    ]
    expect(new Set(hashes).size).toBe(hashes.length)
  })

  it('has no two equal lanes among a hundred thousand rows that differ little', () => {
    const seen = [0, 1, 2, 3].map(() => new Set<string>())
    const hash = createRowHasher(zeros)
    const lanes = new Uint32Array(4)
    const rows = 100_000
    for (let i = 0; i < rows; i++) {
      hash(Buffer.from(`zelos\x00n/node-${i >> 4}`), Buffer.from([i & 15, 0, 0, 0]), lanes)
      // Pairs of lanes: 64 bits each, of which no two should meet.
      for (let lane = 0; lane < 4; lane++) seen[lane]?.add(`${lanes[lane]} ${lanes[(lane + 1) & 3]}`)
    }
    expect(seen.map((set) => set.size)).toEqual([rows, rows, rows, rows])
  })

  it('changes each bit with probability one half when a bit of key, value or digest key changes', () => {
    const hash = createRowHasher(zeros)
    const [before, after] = [new Uint32Array(4), new Uint32Array(4)]
    let state = 1
    const random = (): number => {
      state = (Math.imul(state, 0x0019_660d) + 0x3c6e_f35f) | 0
      return (state >>> 16) & 255
    }
    for (const [keyLength, valueLength] of [
      [1, 0],
      [4, 1],
      [20, 40],
      [7, 16],
    ] as const) {
      const bits = (keyLength + valueLength) * 8
      for (let flipped = 0; flipped < bits; flipped += 3) {
        const counts = new Uint32Array(128)
        const rounds = 400
        for (let round = 0; round < rounds; round++) {
          const row = Uint8Array.from({ length: keyLength + valueLength }, random)
          hash(row.subarray(0, keyLength), row.subarray(keyLength), before)
          row[flipped >> 3] = (row[flipped >> 3] as number) ^ (1 << (flipped & 7))
          hash(row.subarray(0, keyLength), row.subarray(keyLength), after)
          for (let bit = 0; bit < 128; bit++) {
            const changed = (before[bit >> 5] as number) ^ (after[bit >> 5] as number)
            counts[bit] = (counts[bit] as number) + ((changed >>> (bit & 31)) & 1)
          }
        }
        // Six standard deviations of 400 throws are 0.15.
        for (const count of counts) {
          if (Math.abs(count / rounds - 0.5) > 0.17)
            throw new Error(`bit ${flipped} of ${keyLength}+${valueLength}: ${count}`)
        }
      }
    }
  })
})
