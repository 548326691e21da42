import { describe, expect, it } from 'vitest'
import { type ContentDigest, createContentDigest } from './content-digest.ts'
import { createRowHasher } from './row-hash.ts'

const digestKey = Uint8Array.from({ length: 16 }, (_, i) => i)
const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1')

function empty(key = digestKey): ContentDigest {
  return createContentDigest(key, createRowHasher)
}

function digestOf(rows: Record<string, string>): ContentDigest {
  const digest = empty()
  for (const [key, value] of Object.entries(rows)) digest.change(bytes(key), undefined, bytes(value))
  return digest
}

describe('a digest that follows a content', () => {
  it('is stored in format 1, and read back', () => {
    const digest = digestOf({ 'a\x00x': '1', 'zelos\x00y': '2' })
    const record = digest.encode()
    expect(Buffer.from(record).toString('hex')).toBe(
      [
        '01',
        '000102030405060708090a0b0c0d0e0f',
        '01000000',
        '61',
        '90cd361bdaa7fb6a5273bcf7ac501083',
        '05000000',
        '7a656c6f73',
        'b28bac90d11131a80aae7813d4b7b3ed',
      ].join(''),
    )
    const loaded = digestOf({ 'b\x00': 'forgotten' })
    expect(loaded.load(record)).toBe(true)
    expect(loaded.read()).toEqual(digest.read())
  })

  it('is not read back under another key or from another format', () => {
    const loaded = digestOf({ 'b\x00': 'stays' })
    const before = loaded.read()
    expect(loaded.load(empty(new Uint8Array(16)).encode())).toBe(false)
    const newer = empty().encode()
    newer[0] = 2
    expect(loaded.load(newer)).toBe(false)
    expect(loaded.read()).toEqual(before)
  })

  it('adds up from parts, and a copy goes its own way', () => {
    const walked = digestOf({ 'a\x00x': '1', 'a\x00y': '2' })
    const changed = empty()
    changed.change(bytes('a\x00x'), bytes('1'), bytes('3'))
    changed.change(bytes('a\x00y'), bytes('2'), undefined)
    changed.change(bytes('b\x00'), undefined, bytes('4'))
    const sum = walked.plus(changed)
    expect(sum.read()).toEqual(digestOf({ 'a\x00x': '3', 'b\x00': '4' }).read())
    const copy = sum.copy()
    sum.change(bytes('b\x00'), bytes('4'), undefined)
    expect([...sum.read().keys()]).toEqual(['a'])
    expect([...copy.read().keys()]).toEqual(['a', 'b'])
  })

  it('carries and borrows over all 128 bits', () => {
    let numbers = 0n
    const digest = empty()
    const lanes = new Uint32Array(4)
    for (let i = 0; i < 300; i++) {
      createRowHasher(digestKey)(bytes('k\x00'), bytes(String(i)), lanes)
      const hashed = lanes.reduceRight((number, lane) => (number << 32n) | BigInt(lane), 0n)
      numbers = BigInt.asUintN(128, i % 3 === 0 ? numbers - hashed : numbers + hashed)
      if (i % 3 === 0) digest.change(bytes('k\x00'), bytes(String(i)), undefined)
      else digest.change(bytes('k\x00'), undefined, bytes(String(i)))
      expect(digest.read().get('k')).toBe(numbers.toString(16).padStart(32, '0'))
    }
  })
})
