// The keys of a zoo.cfg about who may talk to a server and how fast: TLS, authentication, throttles, read-only sessions.

import { becomes, becomesUnless, ignored, isFalse, type Rule, refused } from './zoo-cfg-rule.ts'

const JAVA_STORE =
  "can't be honoured: Java's key stores can't be read; convert it to PEM or PKCS#12 (--tls-cert, --tls-ca)"

/** Files that are read here too; a JKS store is not. */
const store =
  (setting: string): Rule =>
  (value) =>
    /\.(pem|p12|pfx|crt)$/i.test(value) ? { setting, value } : { note: JAVA_STORE }

/** Java's `true` in any letters; everything else is false. */
const flag =
  (setting: string): Rule =>
  (value) => ({ setting, value: String(value.toLowerCase() === 'true') })

const schemes: Rule = (_, all) => {
  const enforced = all.get('enforce.auth.schemes') ?? ''
  return isFalse(all.get('enforce.auth.enabled') ?? 'false') || enforced === ''
    ? 'done'
    : { setting: 'enforce-auth-schemes', value: enforced }
}

/** Kinds of alternative names by ZooKeeper's number. */
const NAME_KINDS: Readonly<Record<string, string>> = {
  1: 'mail',
  2: 'dns',
  4: 'directory',
  6: 'uri',
  7: 'ip',
  8: 'registered',
}

/** `SAN` in any letters; everything else is the subject. */
const certificateName: Rule = (value, all) => {
  if (value.toLowerCase() !== 'san') return 'done'
  const type = all.get('ssl.x509.clientCertIdSanMatchType') ?? 'none'
  const kind = NAME_KINDS[type]
  if (kind !== undefined) return { setting: 'x509-name-kind', value: kind }
  return {
    note: `can't be honoured: clientCertIdSanMatchType is ${type}, must be ${Object.keys(NAME_KINDS).join(', ')}`,
  }
}

/** Settings of throttles have one name in ZooKeeper's documents, and in a zoo.cfg another one has an effect. */
function underBoth(documented: string, effective: string, rule: Rule): Readonly<Record<string, Rule>> {
  return { [documented]: rule, [effective]: rule }
}

export const ACCESS_RULES: Readonly<Record<string, Rule>> = {
  secureClientPort: becomes('secure-client-port'),
  secureClientPortAddress: ignored('all listeners of this server share one address (--host)'),
  'client.portUnification': flag('port-unification'),
  'ssl.keyStore.location': store('tls-cert'),
  'ssl.keyStore.password': refused('a passphrase is read from a file (--tls-passphrase-file)'),
  'ssl.keyStore.passwordPath': becomes('tls-passphrase-file'),
  'ssl.trustStore.location': store('tls-ca'),
  'ssl.trustStore.password': ignored('PEM files with certificates have none'),
  'ssl.trustStore.passwordPath': ignored('PEM files with certificates have none'),
  'ssl.clientAuth': becomes('tls-client-auth'),
  'ssl.crl': (value) => (isFalse(value) ? 'done' : { note: "can't be honoured: give the list as a file (--tls-crl)" }),
  'ssl.ocsp': (value) =>
    isFalse(value)
      ? 'done'
      : { note: "can't be honoured: nobody is asked by OCSP; give revoked certificates as a list (--tls-crl)" },
  'client.certReload': ignored('files of TLS are looked at every --tls-reload-ms'),
  'ssl.handshakeDetectionTimeoutMillis': becomes('tls-handshake-ms'),
  'netty.server.outstandingHandshake.limit': becomesUnless('tls-handshakes-max', '-1'),

  'DigestAuthenticationProvider.superDigest': becomes('super-digest'),
  'DigestAuthenticationProvider.digestAlg': becomes('digest-algorithm'),
  'DigestAuthenticationProvider.enabled': flag('digest-auth'),
  'X509AuthenticationProvider.superUser': becomes('x509-super-user'),
  'ssl.x509.clientCertIdType': certificateName,
  'ssl.x509.clientCertIdSanMatchType': () => 'done',
  'ssl.x509.clientCertIdSanMatchRegex': becomes('x509-name-match'),
  'ssl.x509.clientCertIdSanExtractRegex': becomes('x509-name-extract'),
  'ssl.x509.clientCertIdSanExtractMatcherGroupIndex': becomes('x509-name-group'),
  superUser: becomes('sasl-super-users'),
  allowSaslFailedClients: flag('allow-sasl-failed-clients'),
  sessionRequireClientSASLAuth: (value) =>
    value.toLowerCase() === 'true' ? { setting: 'enforce-auth-schemes', value: 'sasl' } : 'done',
  'enforce.auth.enabled': schemes,
  'enforce.auth.schemes': schemes,
  ensembleAuthName: becomes('ensemble-names'),
  'readonlymode.enabled': flag('read-only-mode'),

  ...underBoth('connectionMaxTokens', 'connection_throttle_tokens', becomes('connection-tokens')),
  ...underBoth('connectionTokenFillTime', 'connection_throttle_fill_time', becomes('connection-token-fill-ms')),
  ...underBoth('connectionTokenFillCount', 'connection_throttle_fill_count', becomes('connection-token-fill-count')),
  ...underBoth('connectionFreezeTime', 'connection_throttle_freeze_time', becomes('connection-freeze-ms')),
  ...underBoth('connectionDropIncrease', 'connection_throttle_drop_increase', becomes('connection-drop-increase')),
  ...underBoth('connectionDropDecrease', 'connection_throttle_drop_decrease', becomes('connection-drop-decrease')),
  ...underBoth('connectionDecreaseRatio', 'connection_throttle_decrease_ratio', becomes('connection-decrease-ratio')),
  ...underBoth('connectionWeightEnabled', 'connection_throttle_weight_enabled', flag('connection-weights')),
  ...underBoth(
    'connectionGlobalSessionWeight',
    'connection_throttle_global_session_weight',
    becomes('connection-weight-new'),
  ),
  ...underBoth(
    'connectionRenewSessionWeight',
    'connection_throttle_renew_session_weight',
    becomes('connection-weight-renew'),
  ),
  ...underBoth(
    'connectionLocalSessionWeight',
    'connection_throttle_local_session_weight',
    ignored('every session is replicated'),
  ),
  ...underBoth('requestThrottleLimit', 'request_throttle_max_requests', becomes('request-throttle-limit')),
  ...underBoth(
    'requestThrottleStallTime',
    'request_throttle_stall_time',
    ignored('a request that waits goes on as soon as there is room'),
  ),
  ...underBoth(
    'requestThrottleDropStale',
    'request_throttle_drop_stale',
    ignored('a request that waits goes with its connection'),
  ),
  ...underBoth('throttledOpWaitTime', 'throttled_op_wait_time', becomes('throttled-op-wait-ms')),
  largeRequestThreshold: becomes('large-request-threshold-bytes'),
  largeRequestMaxBytes: becomesUnless('large-request-max-bytes', '-1'),
}

/** Prefixes of the others, most telling first. */
export const ACCESS_PATTERNS: readonly (readonly [pattern: RegExp, rule: Rule])[] = [
  [/^authProvider\./, ignored('what is there needs no class: digest, ip, x509 with TLS, sasl with --sasl-users')],
  [/^kerberos|^jaas|^requireKerberosConfig$/, refused('Kerberos is not supported; SASL DIGEST-MD5 is (--sasl-users)')],
  [/^(ssl|client)\./, refused('not offered by this version')],
]
