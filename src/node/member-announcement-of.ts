// Where clients reach this server, as far as it can know: what /zookeeper/config tells them. Not what it listens on: clients that
// read the configuration (Curator) go where it says.

import type { Announcement } from '../zelos/tree/config-node.ts'

/**
 * In ZooKeeper's format. No other server connects to this one, so it has no ports for that: 0. Without an address, if what it listens
 * on is one that means another machine elsewhere, or none: nothing is better than what leads clients astray.
 *
 * `bound`: `host:port` that is listened on, undefined as long as it is not. `advertiseHost`: what an operator says instead of the
 * host.
 */
export function memberAnnouncementOf(
  server: string,
  bound: string | undefined,
  advertiseHost: string | undefined,
  members: readonly string[],
): Announcement | undefined {
  if (bound === undefined) return undefined
  const { host, port } = divided(bound)
  const announced = advertiseHost === undefined ? reachable(host) : bracketed(advertiseHost)
  const address = announced === '' ? '' : `${announced}:0:0:participant;${announced}${port}`
  return { server, address, members }
}

/**
 * What other servers tell their clients: `host:port`. Empty if nothing is listened on, or on all addresses and nobody says which one
 * leads here. One of this machine alone is told: who may share a lease with it may be there too.
 */
export function clientAddressOf(bound: string | undefined, advertiseHost: string | undefined): string {
  if (bound === undefined) return ''
  const { host, port } = divided(bound)
  if (advertiseHost !== undefined) return `${bracketed(advertiseHost)}${port}`
  return host === '0.0.0.0' || host === '[::]' ? '' : bound
}

/** `port` with its colon. */
function divided(bound: string): { readonly host: string; readonly port: string } {
  const colon = bound.lastIndexOf(':')
  return { host: bound.slice(0, colon), port: bound.slice(colon) }
}

function reachable(host: string): string {
  return /^(127\.|localhost$|0\.0\.0\.0$|\[(::1?|::ffff:(127|0)\..*)\]$)/.test(host) ? '' : host
}

function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
}
