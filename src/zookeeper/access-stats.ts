// Counters of who was not let in, or not served, and why. Plain numbers, like those of server-stats.ts.

/** Why a client or a request was refused; label values of a metric. */
export const REFUSALS = [
  'authentication',
  'sasl',
  'unauthenticated',
  'ensemble-name',
  'tls-handshake',
  'tls-certificate',
  'tls-plain-text',
  'tls-handshakes-max',
  'connection-throttle',
  'request-throttle',
  'stale-request',
  'large-request',
  'read-only',
] as const

export type Refusal = (typeof REFUSALS)[number]

export class AccessStats {
  readonly refusals = Object.fromEntries(REFUSALS.map((name) => [name, 0])) as Record<Refusal, number>
  /** Authentications that gave an identity: by `auth` requests, by SASL. */
  authentications = 0
  saslAuthentications = 0
  /** Clients that stated the right name of this ensemble, and that stated none. */
  ensembleNamesRight = 0
  ensembleNamesAbsent = 0
  /** Requests that had to wait for their turn. */
  throttleWaits = 0

  refused(reason: Refusal): void {
    this.refusals[reason]++
  }
}
