// From settings to what the protocol server is told of access and TLS: reads the files that settings name.

import { readFile } from 'node:fs/promises'
import { DelosError } from '../base/delos-error.ts'
import type { AccessOptions } from '../zookeeper/access-options.ts'
import { type AlternativeNameRule, NAME_KINDS } from '../zookeeper/certificate-identity.ts'
import { parseSaslUsers } from '../zookeeper/sasl-users.ts'
import type { ClientTlsOptions } from './client-tls.ts'
import type { Settings } from './settings.ts'

/** Rejects with INVALID_ARGUMENT if the file of SASL users can't be read, or is none. */
export async function accessOptions(values: Settings): Promise<AccessOptions> {
  return {
    authentication: {
      digestEnabled: values.digestAuth,
      digestAlgorithm: values.digestAlgorithm,
      superDigest: values.superDigest,
      x509Name: alternativeName(values),
      x509SuperUser: values.x509SuperUser,
      saslUsers: values.saslUsers === undefined ? undefined : await saslUsers(values.saslUsers),
      saslSuperUsers: values.saslSuperUsers ?? [],
      allowSaslFailedClients: values.allowSaslFailedClients,
      ensembleNames: values.ensembleNames,
      enforcedSchemes: values.enforceAuthSchemes ?? [],
    },
    connectionThrottle: {
      maxTokens: values.connectionTokens,
      fillTimeMs: values.connectionTokenFillMs,
      fillCount: values.connectionTokenFillCount,
      freezeTimeMs: values.connectionFreezeMs,
      dropIncrease: values.connectionDropIncrease,
      dropDecrease: values.connectionDropDecrease,
      decreaseRatio: values.connectionDecreaseRatio,
      weighted: values.connectionWeights,
      newSessionWeight: values.connectionWeightNew,
      renewSessionWeight: values.connectionWeightRenew,
    },
    requestThrottle: {
      requestsMax: values.requestThrottleLimit,
      waitMs: values.throttledOpWaitMs,
      largeRequestBytes: values.largeRequestThresholdBytes,
      largeRequestsBytesMax: values.largeRequestMaxBytes,
    },
    readOnlyMode: values.readOnlyMode,
  }
}

function alternativeName(values: Settings): AlternativeNameRule | undefined {
  const { x509NameExtract, x509NameGroup: group, x509NameKind, x509NameMatch } = values
  if (x509NameKind === 'subject') return undefined
  const [match, extract] = [new RegExp(x509NameMatch), new RegExp(x509NameExtract)]
  return { kind: NAME_KINDS[x509NameKind], match, extract, group }
}

async function saslUsers(file: string) {
  let content: string
  try {
    content = await readFile(file, 'utf8')
  } catch (error) {
    throw DelosError.from(error, 'INVALID_ARGUMENT', `can't read ${file}`)
  }
  return parseSaslUsers(content, file)
}

/** Undefined if no port takes TLS. Throws INVALID_ARGUMENT if one does and there is no certificate. */
export function tlsOptions(values: Settings): ClientTlsOptions | undefined {
  const { secureClientPort: port, portUnification, tlsCert, tlsKey, tlsCa, tlsCrl, tlsPassphraseFile } = values
  if (port === 'off' && !portUnification) return undefined
  if (tlsCert === undefined) {
    throw new DelosError('INVALID_ARGUMENT', 'tls-cert: secure-client-port and port-unification need a certificate')
  }
  return {
    port,
    portUnification,
    cert: tlsCert,
    ...(tlsKey !== undefined && { key: tlsKey }),
    ...(tlsCa !== undefined && { ca: tlsCa }),
    ...(tlsCrl !== undefined && { crl: tlsCrl }),
    ...(tlsPassphraseFile !== undefined && { passphraseFile: tlsPassphraseFile }),
    clientAuth: values.tlsClientAuth,
    reloadMs: values.tlsReloadMs,
    handshakesMax: values.tlsHandshakesMax,
    handshakeMs: values.tlsHandshakeMs,
  }
}
