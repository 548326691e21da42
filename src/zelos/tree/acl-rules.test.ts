import { describe, expect, it } from 'vitest'
import type { Requester } from '../requests.ts'
import type { Acl, Identity } from '../znode.ts'
import { fixupAcl, isPermitted, maskAcl, OPEN_ACL } from './acl-rules.ts'
import { addressInNetwork } from './ip-networks.ts'

const acl = (perms: number, scheme: string, id: string): Acl => ({ perms, scheme, id })
const requester = (...identities: Identity[]): Requester => ({
  session: 1,
  ownerEpoch: 1,
  address: '10.1.2.3',
  identities,
})
const alice = { scheme: 'digest', id: 'alice:hash' }
const bob = { scheme: 'digest', id: 'bob:hash' }

describe('an access list in a request', () => {
  it('is stored as it is if its entries are well-formed', () => {
    const list = [acl(1, 'world', 'anyone'), acl(2, 'digest', 'a:b'), acl(31, 'ip', '10.0.0.0/8')]
    expect(fixupAcl(list, requester())).toEqual(list)
  })

  it('loses its duplicates, and keeps bits that mean nothing', () => {
    expect(fixupAcl([acl(64, 'world', 'anyone'), acl(64, 'world', 'anyone')], requester())).toEqual([
      acl(64, 'world', 'anyone'),
    ])
  })

  it('has auth replaced by every digest identity of the requester, not by its address and not by super', () => {
    const who = requester(alice, bob, { scheme: 'super', id: '' }, { scheme: 'ip', id: '10.1.2.3' })
    expect(fixupAcl([acl(3, 'auth', '')], who)).toEqual([acl(3, 'digest', alice.id), acl(3, 'digest', bob.id)])
  })

  it('has auth replaced by SASL and certificate identities too', () => {
    const proven = [alice, { scheme: 'sasl', id: 'bob' }, { scheme: 'x509', id: 'CN=c,O=x' }]
    expect(fixupAcl([acl(1, 'auth', '')], requester(...proven))).toEqual(proven.map((one) => ({ perms: 1, ...one })))
  })

  it('is stored under the scheme that the server which logged it admits, and is unknown without its mark', () => {
    expect(fixupAcl([acl(1, '+sasl', 'bob'), acl(2, '+x509', 'CN=c, O=x')], requester())).toEqual([
      acl(1, 'sasl', 'bob'),
      acl(2, 'x509', 'CN=c, O=x'),
    ])
    for (const scheme of ['sasl', 'x509', '+digest', '+', '+ip']) {
      expect(fixupAcl([acl(1, scheme, 'CN=c')], requester()), scheme).toBeUndefined()
    }
  })

  it.each([
    ['empty', []],
    ['a SASL id with two realms', [acl(31, '+sasl', 'a@b@c')]],
    ['a subject that is none', [acl(31, '+x509', 'nonsense')]],
    ['auth without an authenticated identity', [acl(31, 'auth', '')]],
    ['world with another id', [acl(31, 'world', 'everyone')]],
    ['an unknown scheme', [acl(31, 'sasl', 'alice')]],
    ['an empty scheme', [acl(31, '', '')]],
    ['a digest without colon', [acl(31, 'digest', 'alice')]],
    ['a digest without hash', [acl(31, 'digest', 'alice:')]],
    ['a digest with two colons', [acl(31, 'digest', 'a:b:c')]],
    ['an address that is none', [acl(31, 'ip', '10.0.0')]],
    ['a network with too many bits', [acl(31, 'ip', '10.0.0.0/33')]],
    ['a good entry beside a bad one', [acl(31, 'world', 'anyone'), acl(31, 'digest', 'alice')]],
  ])('is refused if it is %s', (_what, list) => {
    expect(fixupAcl(list, requester())).toBeUndefined()
  })
})

describe('permission', () => {
  it('is the union of all entries that match', () => {
    const list = [acl(1, 'world', 'anyone'), acl(2, 'digest', alice.id)]
    expect(isPermitted(list, 1, requester())).toBe(true)
    expect(isPermitted(list, 2, requester())).toBe(false)
    expect(isPermitted(list, 2, requester(bob, alice))).toBe(true)
    expect(isPermitted(list, 1 | 16, requester())).toBe(true)
    expect(isPermitted(list, 16, requester(alice))).toBe(false)
  })

  it('is given to super for everything', () => {
    expect(isPermitted([acl(1, 'digest', alice.id)], 16, requester({ scheme: 'super', id: '' }))).toBe(true)
  })

  it('is given to the SASL user super wherever a SASL user has it, and to nobody else by a name of another scheme', () => {
    const list = [acl(31, 'sasl', 'bob')]
    expect(isPermitted(list, 2, requester({ scheme: 'sasl', id: 'bob' }))).toBe(true)
    expect(isPermitted(list, 2, requester({ scheme: 'sasl', id: 'super' }))).toBe(true)
    expect(isPermitted(list, 2, requester({ scheme: 'sasl', id: 'alice' }))).toBe(false)
    expect(isPermitted(list, 2, requester({ scheme: 'x509', id: 'bob' }))).toBe(false)
    expect(isPermitted([acl(31, 'digest', alice.id)], 2, requester({ scheme: 'sasl', id: 'super' }))).toBe(false)
  })

  it('is given by address without authentication', () => {
    expect(isPermitted([acl(31, 'ip', '10.1.0.0/16')], 2, requester())).toBe(true)
    expect(isPermitted([acl(31, 'ip', '10.2.0.0/16')], 2, requester())).toBe(false)
  })
})

describe('networks', () => {
  it.each([
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3', '10.1.2.4', false],
    ['10.1.2.3', '0.0.0.0/0', true],
    ['10.1.2.3', '10.1.2.2/31', true],
    ['10.1.2.4', '10.1.2.2/31', false],
    ['127.0.0.1', '255.0.0.0/1', false],
    ['::ffff:10.1.2.3', '10.1.0.0/16', true],
    ['::1', '::1', true],
    ['::1', '127.0.0.1', false],
    ['2001:db8::7', '2001:db8::/32', true],
    ['2001:db9::7', '2001:db8::/32', false],
    ['2001:db8:0:0:0:0:0:7', '2001:db8::7', true],
    ['10.1.2.3', '::/0', false],
    ['1:2', '::/0', false],
  ])('%s in %s is %s', (address, network, expected) => {
    expect(addressInNetwork(address, network)).toBe(expected)
  })
})

describe('a masked list', () => {
  it('shows the user of a digest and no hash', () => {
    expect(maskAcl([acl(31, 'digest', 'alice:x7='), ...OPEN_ACL])).toEqual([acl(31, 'digest', 'alice:x'), ...OPEN_ACL])
  })
})
