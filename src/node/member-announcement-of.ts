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
  const colon = bound.lastIndexOf(':')
  const host = advertiseHost === undefined ? reachable(bound.slice(0, colon)) : bracketed(advertiseHost)
  const address = host === '' ? '' : `${host}:0:0:participant;${host}${bound.slice(colon)}`
  return { server, address, members }
}

function reachable(host: string): string {
  return /^(127\.|localhost$|0\.0\.0\.0$|\[(::1?|::ffff:(127|0)\..*)\]$)/.test(host) ? '' : host
}

function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
}
