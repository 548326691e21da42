import { describe, expect, it } from 'vitest'
import type { UpdateOperation } from '../requests.ts'
import { admitOperation, type OptionalScheme } from './acl-schemes.ts'
import { isDistinguishedName } from './distinguished-name.ts'

const withAcl = (...schemes: string[]): UpdateOperation => ({
  op: 'setAcl',
  path: '/a',
  acl: schemes.map((scheme) => ({ perms: 1, scheme, id: 'x' })),
  version: -1,
})
const admitted = (operation: UpdateOperation, ...schemes: OptionalScheme[]): string[] => {
  const done = admitOperation(operation, new Set(schemes))
  return 'acl' in done ? done.acl.map(({ scheme }) => scheme) : []
}

describe('what a server puts into the log', () => {
  it('marks the schemes that it admits, and makes those unknown that it does not', () => {
    const all = withAcl('world', 'auth', 'ip', 'digest', 'sasl', 'x509', 'other')
    expect(admitted(all, 'digest', 'sasl', 'x509')).toEqual([
      'world',
      'auth',
      'ip',
      'digest',
      '+sasl',
      '+x509',
      'other',
    ])
    expect(admitted(all, 'digest')).toEqual(['world', 'auth', 'ip', 'digest', '', '', 'other'])
    expect(admitted(all)).toEqual(['world', 'auth', 'ip', '', '', '', 'other'])
  })

  it('takes no mark from a client', () => {
    expect(admitted(withAcl('+sasl', '+'), 'sasl')).toEqual(['', ''])
  })

  it('leaves alone what has no list, or an open one', () => {
    const open = withAcl('world')
    expect(admitOperation(open, new Set())).toBe(open)
    const other: UpdateOperation = { op: 'delete', path: '/a', version: -1 }
    expect(admitOperation(other, new Set())).toBe(other)
  })
})

describe('a distinguished name', () => {
  it.each(['', 'CN=alice', 'cn=alice, O=Example', 'CN=a\\,b+OU=c', 'CN="a,b",2.5.4.97=x', 'OID.1.2.3=#0403', 'CN='])(
    '%j is one',
    (name) => {
      expect(isDistinguishedName(name)).toBe(true)
    },
  )
  it.each(['alice', 'CN', 'CN=a,', 'XX=a', 'CN=a,b', '=a', 'CN=a,,O=b', 'CN="a'])('%j is none', (name) => {
    expect(isDistinguishedName(name)).toBe(false)
  })
})
