// The limits of a server as the README shows them: numbers from the code, words from here.

import { BASE_LIMITS } from '../src/engines/base-engine/base-limits.ts'
import { BATCHING_LIMITS } from '../src/engines/batching-engine.ts'
import { resolveLogOptions } from '../src/log/log-options.ts'
import { DEFAULT_ZELOS_LIMITS, type ZelosLimitName } from '../src/zelos/limits.ts'
import { type ClientLimitName, DEFAULT_CLIENT_LIMITS } from '../src/zookeeper/server-options.ts'

type Row = readonly [limit: string, value: string, past: string]

/** What the protocol server does past a limit of a connection. A new limit without a line does not compile. */
const CLIENT_WORDS: Readonly<Record<ClientLimitName, readonly [limit: string, past: string]>> = {
  connectionsMax: ['connections (`--max-connections`)', 'the new one is closed'],
  connectionsPerIpMax: ['connections of one address (`--max-connections-per-ip`)', 'the new one is closed'],
  frameBytesMax: ['bytes of a request', 'the connection is closed'],
  outstandingMax: ['unanswered requests of a connection', 'the server stops reading from it'],
  outstandingBytesMax: ['bytes of them', 'the server stops reading from it'],
  unsentBytesMax: ['unsent bytes of a connection', 'the connection is closed'],
  allUnsentBytesMax: ['unsent bytes of all connections', 'the connection that asks for more is closed'],
  replyBytesMax: ['bytes of the names in a getChildren reply', 'system error'],
  multiReadsMax: ['reads of a multiRead', 'system error'],
  multiReadNamesMax: ['bytes of the names that it lists', 'system error'],
  identitiesMax: ['identities of a connection', 'authentication failed'],
  handshakeMs: ['time to open a session', 'the connection is closed'],
}

const ZELOS_WORDS: Readonly<Record<ZelosLimitName, readonly [limit: string, past: string]>> = {
  multiOperationsMax: ['operations of a multi', 'bad arguments'],
  updateBytesMax: ['bytes of an update in the log', 'bad arguments'],
  aclCharsMax: ['characters of an access list', 'bad arguments'],
  timedNodesMax: ['containers and TTL nodes', 'bad arguments'],
  sessionsMax: ['sessions', 'no new one is opened'],
  watchesMax: ['watches of a server', 'system error'],
  watchesPerConnectionMax: ['watches of a connection', 'system error'],
  lastingWatchesPerResetMax: ['persistent watches that one setWatches2 sets again', 'system error'],
  watchCharsMax: ['characters of their paths', 'system error'],
  watchCharsPerConnectionMax: ['the same of a connection', 'system error'],
  comparedNodesMax: ['nodes looked at for missed events of a connection', 'events of the others are lost'],
  pendingUpdatesMax: ['updates on their way through the log', 'refused for now'],
  pendingBytesMax: ['bytes of them', 'refused for now'],
}

/** Rows of the table, in order. */
export function limitRows(): Row[] {
  const log = resolveLogOptions({} as Parameters<typeof resolveLogOptions>[0])
  return [
    ...rowsOf(DEFAULT_CLIENT_LIMITS, CLIENT_WORDS),
    ...rowsOf(DEFAULT_ZELOS_LIMITS, ZELOS_WORDS),
    row('batchCountMax', 'proposals in a batch', BATCHING_LIMITS.batchCountMax, 'the rest goes into the next one'),
    row('batchBytesMax', 'bytes of a batch', BATCHING_LIMITS.batchBytesMax, 'the rest goes into the next one'),
    row('proposalsMax', 'log entries between append and apply', BASE_LIMITS.proposalsMax, 'refused for now'),
    row('maxEntryBytes', 'bytes of a log entry', log.maxEntryBytes, 'refused; above 4 MiB it is stored in pieces'),
    row(
      'retentionBytes',
      'log kept for readers (`--log-retention-bytes`)',
      log.retention.bytes,
      'the oldest is trimmed',
    ),
  ]
}

function rowsOf<Name extends string>(
  limits: Readonly<Record<Name, number>>,
  words: Readonly<Record<Name, readonly [limit: string, past: string]>>,
): Row[] {
  const names = Object.keys(words) as Name[]
  return names.map((name) => row(name, words[name][0], limits[name], words[name][1]))
}

function row(name: string, limit: string, value: number, past: string): Row {
  return [limit, shown(name, value), past]
}

function shown(name: string, value: number): string {
  if (value === 0) return 'off'
  if (name.endsWith('Ms')) return `${value / 1000} s`
  if (/bytes/i.test(name)) {
    if (value % 1024 ** 3 === 0) return `${value / 1024 ** 3} GiB`
    if (value % 1024 ** 2 === 0) return `${value / 1024 ** 2} MiB`
  }
  return value.toString().replace(/\B(?=(\d{3})+$)/g, ' ')
}
