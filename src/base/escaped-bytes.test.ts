import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { escapeBytes, escapeKey, unescapeKey } from './escaped-bytes.ts'
import { keyOfBytes } from './key.ts'

describe('bytes as text', () => {
  it('come back as they were, whatever they are, from printable ASCII', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const text = escapeBytes(bytes)
        expect(text).toMatch(/^[\x20-\x7e]*$/)
        expect(unescapeKey(text)).toBe(keyOfBytes(bytes))
      }),
    )
  })

  it('show zero bytes, backslashes and all that is not printable, and leave the rest alone', () => {
    expect(escapeKey('zelos\x00n2/a b\\\x07\xff')).toBe('zelos\\0n2/a b\\\\\\x07\\xff')
    expect(unescapeKey('zelos\\0n1/größe')).toBe('zelos\x00n1/gr\xc3\xb6\xc3\x9fe')
  })

  it('refuse an escape that is none', () => {
    for (const text of ['\\', '\\n', 'a\\x1', '\\xgg']) {
      expect(() => unescapeKey(text)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    }
  })
})
