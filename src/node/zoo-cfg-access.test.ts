import { describe, expect, it } from 'vitest'
import { ACCESS_PATTERNS, ACCESS_RULES } from './zoo-cfg-access.ts'

function outcome(key: string, value: string, others: Readonly<Record<string, string>> = {}): unknown {
  const all = new Map(Object.entries({ ...others, [key]: value }))
  const rule = ACCESS_RULES[key] ?? ACCESS_PATTERNS.find(([pattern]) => pattern.test(key))?.[1]
  return rule?.(value, all)
}

describe('the keys of a zoo.cfg about access', () => {
  it('say which alternative name of a certificate is its identity', () => {
    const [type, kind] = ['ssl.x509.clientCertIdType', 'ssl.x509.clientCertIdSanMatchType']
    expect(outcome(type, 'SAN', { [kind]: '6' })).toEqual({ setting: 'x509-name-kind', value: 'uri' })
    expect(outcome(type, 'SAN', { [kind]: '0' })).toEqual({ note: expect.stringContaining('must be 1, 2, 4, 6, 7, 8') })
    expect(outcome(type, 'SDN')).toBe('done')
    expect(outcome('ssl.x509.clientCertIdSanMatchRegex', 'a')).toEqual({ setting: 'x509-name-match', value: 'a' })
  })

  it('of throttles are known by the names of the documents and by those that have an effect in ZooKeeper', () => {
    const limit = { setting: 'request-throttle-limit', value: '7' }
    for (const key of ['requestThrottleLimit', 'request_throttle_max_requests'])
      expect(outcome(key, '7')).toEqual(limit)
    const wait = { setting: 'throttled-op-wait-ms', value: '7' }
    for (const key of ['throttledOpWaitTime', 'throttled_op_wait_time']) expect(outcome(key, '7')).toEqual(wait)
    const tokens = { setting: 'connection-tokens', value: '7' }
    for (const key of ['connectionMaxTokens', 'connection_throttle_tokens']) expect(outcome(key, '7')).toEqual(tokens)
  })

  it('are refused with a word where the matter is: OCSP, Kerberos, Java key stores', () => {
    expect(outcome('ssl.ocsp', 'true')).toEqual({ note: expect.stringContaining('OCSP') })
    expect(outcome('ssl.ocsp', 'false')).toBe('done')
    for (const key of ['kerberos.removeHostFromPrincipal', 'jaasLoginRenew', 'requireKerberosConfig']) {
      expect(outcome(key, '1')).toEqual({ note: expect.stringContaining('Kerberos is not supported') })
    }
    expect(outcome('ssl.keyStore.location', 'server.jks')).toEqual({ note: expect.stringContaining('PKCS#12') })
    expect(outcome('ssl.keyStore.location', 'server.p12')).toEqual({ setting: 'tls-cert', value: 'server.p12' })
  })
})
