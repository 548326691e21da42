// What a server is told about who may talk to it and how fast: authentication, throttles, read-only sessions. Plain values with
// their defaults; what they mean is the modules' that take them.

import { AssertionFailure } from '../base/assert.ts'
import type { AlternativeNameRule } from './certificate-identity.ts'
import type { SaslUsers } from './sasl-digest-md5.ts'

export interface AuthenticationOptions {
  /** False: no client gets a digest identity, and no access list may name one. */
  readonly digestEnabled: boolean
  /** As Java calls it: `SHA1`, `SHA-256`, `MD5`. */
  readonly digestAlgorithm: string
  /** The identity `super:hash` whose owner may do everything. */
  readonly superDigest: string | undefined
  /** Which alternative name of a certificate is its owner's identity; undefined: the subject is. */
  readonly x509Name: AlternativeNameRule | undefined
  /** The identity of a certificate whose owner may do everything. */
  readonly x509SuperUser: string | undefined
  /** Users of DIGEST-MD5; undefined: SASL is off. */
  readonly saslUsers: SaslUsers | undefined
  /** SASL users who may do everything. */
  readonly saslSuperUsers: readonly string[]
  /** A client whose SASL exchange failed goes on without an identity. */
  readonly allowSaslFailedClients: boolean
  /** Names of this ensemble that a client may state; another closes its connection. Undefined: none may be stated. */
  readonly ensembleNames: readonly string[] | undefined
  /** If not empty: a client needs an identity of one of these schemes for every request. */
  readonly enforcedSchemes: readonly string[]
}

/** ZooKeeper's token bucket for new sessions. */
export interface ConnectionThrottleOptions {
  /** Tokens in the full bucket; 0 = off. */
  readonly maxTokens: number
  readonly fillTimeMs: number
  readonly fillCount: number
  /** How often the chance of refusing at random is looked at; -1 = no such chance. */
  readonly freezeTimeMs: number
  readonly dropIncrease: number
  readonly dropDecrease: number
  /** Share of the bucket that may be missing for the chance to sink. */
  readonly decreaseRatio: number
  /** Count tokens by what a session costs; otherwise each costs one. */
  readonly weighted: boolean
  readonly newSessionWeight: number
  readonly renewSessionWeight: number
}

export interface RequestThrottleOptions {
  /** Requests of all connections that wait for an answer, past which others wait for their turn; 0 = off. */
  readonly requestsMax: number
  /** A request that waited longer for its turn is answered throttledOp; 0 = off. */
  readonly waitMs: number
  /** Requests with more bytes than this are large; -1 = none is. */
  readonly largeRequestBytes: number
  /** Bytes of large requests under way, past which the connection of another one is closed. */
  readonly largeRequestsBytesMax: number
}

export interface AccessOptions {
  readonly authentication: AuthenticationOptions
  readonly connectionThrottle: ConnectionThrottleOptions
  readonly requestThrottle: RequestThrottleOptions
  /** Clients that ask for it get sessions that only read while the log takes no updates. */
  readonly readOnlyMode: boolean
}

/** Bytes by chance, for what must not be guessed. */
export interface Chance {
  uint32(): number
  bytes(length: number): Uint8Array
}

/** For servers that need none. */
export const NO_CHANCE: Chance = { uint32: noChance, bytes: noChance }

function noChance(): never {
  throw new AssertionFailure('what must not be guessed needs a source of chance')
}

export const DEFAULT_ACCESS: AccessOptions = {
  authentication: {
    digestEnabled: true,
    digestAlgorithm: 'SHA1',
    superDigest: undefined,
    x509Name: undefined,
    x509SuperUser: undefined,
    saslUsers: undefined,
    saslSuperUsers: [],
    allowSaslFailedClients: false,
    ensembleNames: undefined,
    enforcedSchemes: [],
  },
  connectionThrottle: {
    maxTokens: 0,
    fillTimeMs: 1,
    fillCount: 1,
    freezeTimeMs: -1,
    dropIncrease: 0.02,
    dropDecrease: 0.002,
    decreaseRatio: 0,
    weighted: false,
    newSessionWeight: 3,
    renewSessionWeight: 2,
  },
  requestThrottle: {
    requestsMax: 0,
    waitMs: 0,
    largeRequestBytes: -1,
    largeRequestsBytesMax: 100 * 1024 * 1024,
  },
  readOnlyMode: false,
}
