import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { CertificateAuthority } from '../../test/support/certificate-authority.ts'
import { alternativeNames, certificateIdentity, NAME_KINDS } from './certificate-identity.ts'

const NAMES =
  'URI:spiffe://example/team/alice,URI:https://example,DNS:a.example,email:a@b.example,IP:10.0.0.7,IP:fe80::1,RID:1.2.3.4,dirName:person'

let certificate: Uint8Array
let plain: Uint8Array
beforeAll(() => {
  const authority = new CertificateAuthority()
  const der = (name: string, alternatives?: string): Uint8Array => {
    const options = alternatives === undefined ? {} : { alternativeNames: alternatives }
    return new X509Certificate(readFileSync(authority.issue(name, '/O=Example/CN=alice', options).cert)).raw
  }
  certificate = der('alternatives', NAMES)
  plain = der('plain')
})

const rule = (kind: number, match = '.*', extract = '.*', group = 0) => ({
  kind,
  match: new RegExp(match),
  extract: new RegExp(extract),
  group,
})

describe('the identity of a certificate', () => {
  it('is its subject, unless a rule says otherwise', () => {
    expect(certificateIdentity(certificate, undefined)).toEqual({ kind: 'known', id: 'CN=alice,O=Example' })
  })

  it('can be an alternative name of any kind that has a text', () => {
    const found = Object.entries(NAME_KINDS).map(([name, kind]) => [name, alternativeNames(certificate, kind)])
    expect(Object.fromEntries(found)).toEqual({
      uri: ['spiffe://example/team/alice', 'https://example'],
      dns: ['a.example'],
      mail: ['a@b.example'],
      ip: ['10.0.0.7', 'fe80:0:0:0:0:0:0:1'],
      registered: ['1.2.3.4'],
      directory: ['O=Example,CN=dir'],
    })
    expect(certificateIdentity(certificate, rule(NAME_KINDS.dns))).toEqual({ kind: 'known', id: 'a.example' })
  })

  it('is a group of the one name that matches', () => {
    const spiffe = rule(NAME_KINDS.uri, '^spiffe:', '^spiffe://[^/]+/(.+)/(.+)$', 2)
    expect(certificateIdentity(certificate, spiffe)).toEqual({ kind: 'known', id: 'alice' })
    expect(certificateIdentity(certificate, { ...spiffe, group: 1 })).toEqual({ kind: 'known', id: 'team' })
  })

  it('is unknown if no name matches, or more than one, or nothing is left of it: never the subject instead', () => {
    const reason = (...given: Parameters<typeof rule>) => certificateIdentity(certificate, rule(...given))
    expect(reason(NAME_KINDS.uri)).toMatchObject({ reason: expect.stringContaining('2 alternative names') })
    expect(reason(NAME_KINDS.dns, 'b')).toMatchObject({ reason: expect.stringContaining('0 alternative names') })
    expect(reason(NAME_KINDS.dns, '.*', 'x(y)', 1)).toMatchObject({ kind: 'unknown' })
    expect(reason(NAME_KINDS.dns, '.*', 'a', 7)).toMatchObject({ kind: 'unknown' })
    expect(certificateIdentity(plain, rule(NAME_KINDS.dns))).toMatchObject({ kind: 'unknown' })
  })

  it('is unknown if the bytes are no certificate, wherever they are cut off', () => {
    for (let length = 0; length < certificate.length; length += 7) {
      const cut = certificateIdentity(certificate.subarray(0, length), rule(NAME_KINDS.dns))
      expect(cut.kind, String(length)).toBe('unknown')
    }
  })
})
