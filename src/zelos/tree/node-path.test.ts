import { describe, expect, it } from 'vitest'
import { childOf, isSystemNode, isValidPath, nameOf, parentOf, withSequence } from './node-path.ts'

describe('paths', () => {
  it.each(['/', '/a', '/a/b', '/a.b', '/...', '/.a', '/a..', '/ä/€', '/a b', '/\u00a0', '/\uf900', '/\uffef'])(
    '%j is valid',
    (path) => expect(isValidPath(path)).toBe(true),
  )

  it.each([
    '',
    'a',
    'a/b',
    '/a/',
    '//',
    '//a',
    '/a//b',
    '/.',
    '/..',
    '/./a',
    '/a/../b',
    '/a/.',
    '/\x00',
    '/a\x1fb',
    '/\x7f',
    '/\x9f',
    '/\ud800',
    '/\ue000',
    '/\uf8ff',
    '/\ufff0',
    '/\uffff',
    '/😀',
  ])('%j is refused', (path) => expect(isValidPath(path)).toBe(false))

  it('have a parent and a name, and a child that is the way back', () => {
    expect([parentOf('/a'), parentOf('/a/b'), nameOf('/a/b')]).toEqual(['/', '/a', 'b'])
    expect([childOf('/', 'a'), childOf('/a', 'b')]).toEqual(['/a', '/a/b'])
  })

  it('of system nodes are known', () => {
    expect(['/', '/zookeeper', '/zookeeper/quota', '/zookeeper/config', '/zookeeper/x'].map(isSystemNode)).toEqual([
      true,
      true,
      true,
      true,
      false,
    ])
  })

  it('get ten digits of sequence, the sign included after an overflow', () => {
    expect(withSequence('/a-', 0)).toBe('/a-0000000000')
    expect(withSequence('/a-', 2 ** 31 - 1)).toBe('/a-2147483647')
    expect(withSequence('/a-', -1)).toBe('/a--000000001')
    expect(withSequence('/a-', -(2 ** 31))).toBe('/a--2147483648')
  })
})
