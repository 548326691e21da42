import { describe, expect, it } from 'vitest'
import { certificateSubject } from './certificate-subject.ts'

/** Of /C=DE/O=Exa, mple=#1/OU=a b/emailAddress=a@b.c/CN=Zoë "x". */
const CERTIFICATE = Buffer.from(
  [
    'MIICDjCCAbOgAwIBAgIUMbuKyReu6cgjt0vxSzai4w8zzuYwCgYIKoZIzj0EAwIwWzELMAkGA1UEBhMCREUxFTATBgNVBAoMDEV4',
    'YSwgbXBsZT0jMTEMMAoGA1UECwwDYSBiMRQwEgYJKoZIhvcNAQkBFgVhQGIuYzERMA8GA1UEAwwIWm/DqyAieCIwIBcNMjYxMTIy',
    'MTU1MTA1WhgPMjEyNjEwMjkxNTUxMDVaMFsxCzAJBgNVBAYTAkRFMRUwEwYDVQQKDAxFeGEsIG1wbGU9IzExDDAKBgNVBAsMA2Eg',
    'YjEUMBIGCSqGSIb3DQEJARYFYUBiLmMxETAPBgNVBAMMCFpvw6sgIngiMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDnf2ByqE',
    'H3RSy5T46SLiyRHO550+slQGUm+br8g0j2kz0lPnws9yLWjbDHpEdebKp2SM5BM9cVOZZzlSGUCaqKNTMFEwHQYDVR0OBBYEFCtm',
    'tW38/apFrCr/pp2f8XwDIaDMMB8GA1UdIwQYMBaAFCtmtW38/apFrCr/pp2f8XwDIaDMMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZI',
    'zj0EAwIDSQAwRgIhAJO5n9CI40+xTikcj9TSQxKy9l1qIXhwEirFJYeSwxIQAiEAiAXPsne8ioIjEYX3viA0jkLsqJxTD6icKZlS',
    'lr3OJCA=',
  ].join(''),
  'base64',
)

describe('the subject of a certificate', () => {
  it('is written as Java does: last part first, escaped, in numbers what has no name', () => {
    expect(certificateSubject(CERTIFICATE)).toBe(
      'CN=Zoë \\"x\\",1.2.840.113549.1.9.1=#16056140622e63,OU=a b,O=Exa\\, mple\\=\\#1,C=DE',
    )
  })

  it('is nothing if the bytes are no certificate, wherever they are cut off', () => {
    for (let length = 0; length < 120; length++) {
      expect(certificateSubject(CERTIFICATE.subarray(0, length)), String(length)).toBeUndefined()
    }
    expect(certificateSubject(Buffer.alloc(400, 0x30))).toBeUndefined()
  })
})
