// Sessions, ephemerals and watches as ZooKeeper's operators know them (dump, wchs, wchc, wchp), as data and as text. Bounded: a
// report that would be longer is cut, and says so.

import type { WatchSink } from '../zelos/zelos.ts'
import type { SessionId } from '../zelos/znode.ts'
import { sessionHex } from './codec/session-id.ts'
import { javaDate } from './java-date.ts'
import type { ConnectionView, ServerView } from './server-view.ts'

/** Paths and sessions that one report names at most: about 1 MB, and some milliseconds of the event loop. */
export const REPORT_LINES_MAX = 10_000

/** What belongs together, by key, and whether something was left out. */
export interface Grouped<K, V> {
  readonly groups: ReadonlyMap<K, readonly V[]>
  readonly cut: boolean
}

/** Paths whose data a session waits for, by session. */
export function watchedPaths({ zelos }: ServerView): Grouped<SessionId, string> {
  return grouped(
    pairsOf(
      zelos.inspection.watchesBySink(),
      ([sink]) => sessionOf(sink),
      ([, paths]) => paths,
    ),
  )
}

/** The same the other way round. */
export function watchingSessions({ zelos }: ServerView): Grouped<string, SessionId> {
  const pairs = pairsOf(
    zelos.inspection.watchesByPath,
    ([path]) => path,
    ([, sinks]) => sinks,
  )
  return grouped(mapped(pairs, ([path, sink]) => [path, sessionOf(sink)]))
}

export interface WatchSummary {
  readonly connections: number
  readonly paths: number
  readonly watches: number
}

export function watchSummary({ zelos }: ServerView): WatchSummary {
  let connections = 0
  let watches = 0
  for (const [, paths] of zelos.inspection.watchesBySink()) {
    connections++
    watches += paths.size
  }
  return { connections, paths: zelos.inspection.watchesByPath.size, watches }
}

/**
 * Sessions by when they would end if nobody gave a sign of life, in the buckets of a tick in which ZooKeeper counts; ms of the
 * monotonic clock. An estimate: what ends a session are the replicated timers.
 */
export function sessionExpiries(server: ServerView): Grouped<number, SessionId> {
  const heard = new Map<SessionId, number>()
  for (const client of server.connections)
    if (client.session !== undefined) heard.set(client.session.id, heardMs(client))
  return inOrder(
    grouped(
      mapped(server.zelos.inspection.sessions(), ({ id, timeoutMs, leftMs }) => [
        bucketEnd(Math.max(heard.get(id) ?? 0, leftMs) + timeoutMs, server),
        id,
      ]),
    ),
  )
}

/** Connections by when they would be closed for their silence. */
export function connectionExpiries(server: ServerView): Grouped<number, ConnectionView> {
  return inOrder(
    grouped(
      mapped(server.connections, (client) => {
        const silenceMs = client.session?.timeoutMs ?? server.limits.handshakeMs
        return [bucketEnd(heardMs(client) + silenceMs, server), client]
      }),
    ),
  )
}

export function ephemeralsBySession({ zelos }: ServerView): Grouped<SessionId, string> {
  const { bySession, cut } = zelos.inspection.ephemerals(REPORT_LINES_MAX)
  return { groups: bySession, cut }
}

// ── as text ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

export function wchs(server: ServerView): string {
  const { connections, paths, watches } = watchSummary(server)
  return `${connections} connections watching ${paths} paths\nTotal watches:${watches}\n`
}

export function wchc(server: ServerView): string {
  return `${indented(watchedPaths(server), sessionHex, asItIs)}\n`
}

export function wchp(server: ServerView): string {
  return `${indented(watchingSessions(server), asItIs, sessionHex)}\n`
}

export function dump(server: ServerView): string {
  const ephemerals = ephemeralsBySession(server)
  return [
    'SessionTracker dump:\nSession ',
    expiries(server, sessionExpiries(server), sessionHex),
    'ephemeral nodes dump:\n',
    `Sessions with Ephemerals (${ephemerals.groups.size}):\n`,
    indented(ephemerals, (session) => `${sessionHex(session)}:`, asItIs),
    'Connections dump:\nConnections ',
    expiries(server, connectionExpiries(server), named),
  ].join('')
}

function expiries<V>(server: ServerView, { groups, cut }: Grouped<number, V>, show: (value: V) => string): string {
  let count = 0
  const sets = [...groups].map(([atMs, values]) => {
    count += values.length
    const at = javaDate(server.wallMs() + atMs - server.nowMs())
    return `${values.length} expire at ${at}:\n${values.map((value) => `\t${show(value)}\n`).join('')}`
  })
  return `Sets (${groups.size})/(${count}):\n${sets.join('')}${cut ? CUT : ''}`
}

function named({ connection, session }: ConnectionView): string {
  return `ip: /${addressOf(connection)} sessionId: ${session === undefined ? '0x0' : sessionHex(session.id)}`
}

function indented<K, V>({ groups, cut }: Grouped<K, V>, head: (key: K) => string, line: (value: V) => string): string {
  const blocks = [...groups].map(
    ([key, values]) => `${head(key)}\n${values.map((value) => `\t${line(value)}\n`).join('')}`,
  )
  return `${blocks.join('')}${cut ? CUT : ''}`
}

const CUT = `... cut after ${REPORT_LINES_MAX} lines\n`

/** `host:port`, IPv6 in brackets. */
export function addressOf({ remoteAddress, remotePort }: ConnectionView['connection']): string {
  return remoteAddress.includes(':') ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`
}

// ── grouping ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function grouped<K, V>(pairs: Iterable<readonly [K, V]>): Grouped<K, V> {
  const groups = new Map<K, V[]>()
  let left = REPORT_LINES_MAX
  for (const [key, value] of pairs) {
    if (left-- === 0) return { groups, cut: true }
    const values = groups.get(key)
    if (values === undefined) groups.set(key, [value])
    else values.push(value)
  }
  return { groups, cut: false }
}

function inOrder<V>({ groups, cut }: Grouped<number, V>): Grouped<number, V> {
  return { groups: new Map([...groups].sort(([one], [other]) => one - other)), cut }
}

function* pairsOf<T, K, V>(
  things: Iterable<T>,
  key: (thing: T) => K,
  values: (thing: T) => Iterable<V>,
): Iterable<readonly [K, V]> {
  for (const thing of things) for (const value of values(thing)) yield [key(thing), value]
}

function* mapped<T, R>(things: Iterable<T>, map: (thing: T) => R): Iterable<R> {
  for (const thing of things) yield map(thing)
}

function heardMs({ lastReplyMs, acceptedMs }: ConnectionView): number {
  return Math.max(lastReplyMs, acceptedMs)
}

function bucketEnd(ms: number, { options }: ServerView): number {
  return (Math.floor(ms / options.tickMs) + 1) * options.tickMs
}

function sessionOf(sink: WatchSink): SessionId {
  return sink.requester.session
}

function asItIs(text: string): string {
  return text
}
