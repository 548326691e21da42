// ZooKeeper's four-letter words: plain text answers for operators and monitoring, on the client port. Line for line what
// ZooKeeper prints, since tools parse it; lines of our own stand where those tools do not look: last, or with a name of
// their own. Which words are answered is the whitelist's.

import { type FourLetterWord, fourLetterWord, TELNET_CLOSE } from './codec/handshake.ts'
import { connectionLine } from './connection-report.ts'
import { javaDecimal } from './java-double.ts'
import { monitorRows } from './monitor-rows.ts'
import { dump, wchc, wchp, wchs } from './operator-reports.ts'
import { DEFAULT_FOUR_LETTER_WORDS, LISTEN_BACKLOG, ZOOKEEPER_VERSION } from './server-options.ts'
import type { LatencyStats } from './server-stats.ts'
import type { ServerView } from './server-view.ts'

/** `tail`: what came behind the word in the same chunk. */
type Answer = (server: ServerView, tail: Uint8Array) => string

const ANSWERS: Record<FourLetterWord, Answer> = {
  conf: (server) => configuration(server),
  cons: (server) => `${clients(server, false)}\n`,
  crst: resetConnections,
  dirs: (server) => directories(server),
  dump: (server) => dump(server),
  envi: (server) => environment(server),
  gtmk: (server) => String(server.traceMask),
  // ZooKeeper keeps digests of its tree and shows some; this server compares those of its store, per log position.
  hash: () => '',
  isro: (server) => (server.readOnly ? 'ro' : 'rw'),
  mntr: (server) => monitor(server),
  ruok: () => 'imok',
  srst: resetServer,
  srvr: (server) => `${zookeeperVersion()}${summary(server)}`,
  stat: (server) => `${zookeeperVersion()}Clients:\n${clients(server, true)}\n${summary(server)}`,
  stmk: setTraceMask,
  wchc: (server) => wchc(server),
  wchp: (server) => wchp(server),
  wchs: (server) => wchs(server),
}

/** The answer to the word that these first four bytes of a connection are, or undefined if they are none. */
export function answerFourLetterWord(firstInt32: number, server: ServerView, tail: Uint8Array): string | undefined {
  if (firstInt32 === TELNET_CLOSE) return ''
  const word = fourLetterWord(firstInt32)
  if (word === undefined) return undefined
  if (!isAllowed(word, server)) return `${word} is not executed because it is not in the whitelist.\n`
  return ANSWERS[word](server, tail)
}

function isAllowed(word: FourLetterWord, { options, access }: ServerView): boolean {
  const words: readonly string[] = options.fourLetterWords ?? DEFAULT_FOUR_LETTER_WORDS
  // Without these, ZooKeeper's own scripts and read-only clients know nothing of a server.
  if (word === 'srvr' || (word === 'isro' && access.options.readOnlyMode)) return true
  return words.includes('*') || words.includes(word)
}

function resetConnections(server: ServerView): string {
  for (const client of server.connections) client.resetStats()
  return 'Connection stats reset.\n'
}

function resetServer({ stats }: ServerView): string {
  stats.reset()
  return 'Server stats reset.\n'
}

/** The mask is eight bytes behind the word; without them nothing is set, and the answer is empty. */
function setTraceMask(server: ServerView, tail: Uint8Array): string {
  if (tail.length < 8) return ''
  server.traceMask = Buffer.from(tail).readBigInt64BE(0)
  return String(server.traceMask)
}

function zookeeperVersion(): string {
  return `Zookeeper version: ${ZOOKEEPER_VERSION}\n`
}

function summary(server: ServerView): string {
  const { stats, zelos } = server
  return [
    `Latency min/avg/max: ${latency(stats.latency)}`,
    `Received: ${stats.shownPacketsReceived}`,
    `Sent: ${stats.shownPacketsSent}`,
    `Connections: ${server.connections.size}`,
    `Outstanding: ${server.outstanding}`,
    `Zxid: 0x${zelos.lastZxid.toString(16)}`,
    'Mode: standalone',
    `Node count: ${zelos.stats.nodeCount}`,
    `Delos version: ${server.options.productVersion}`,
    '',
  ].join('\n')
}

function latency(stats: LatencyStats): string {
  return `${Math.round(stats.minMs)}/${javaDecimal(stats.averageMs)}/${Math.round(stats.maxMs)}`
}

function clients(server: ServerView, brief: boolean): string {
  return [...server.connections].map((client) => ` ${connectionLine(client, server, brief)}\n`).join('')
}

function monitor(server: ServerView): string {
  return monitorRows(server)
    .map(([key, value]) => `zk_${key}\t${value}\n`)
    .join('')
}

function directories({ options }: ServerView): string {
  const { storeBytes = 0, logBytes = 0 } = options.storage?.() ?? {}
  return `datadir_size: ${storeBytes}\nlogdir_size: ${logBytes}\n`
}

function configuration(server: ServerView): string {
  const { options } = server
  const { storeBytes = 0, logBytes = 0 } = options.storage?.() ?? {}
  const [minMs, maxMs] = server.timeoutRange
  return [
    `clientPort=${server.boundPort}`,
    `secureClientPort=${server.securePort}`,
    `dataDir=${options.dataDir}`,
    `dataDirSize=${storeBytes}`,
    `dataLogDir=${options.dataDir}`,
    `dataLogSize=${logBytes}`,
    `tickTime=${options.tickMs}`,
    `maxClientCnxns=${server.limits.connectionsPerIpMax}`,
    `minSessionTimeout=${minMs}`,
    `maxSessionTimeout=${maxMs}`,
    `clientPortListenBacklog=${LISTEN_BACKLOG}`,
    'serverId=0',
    `maxCnxns=${server.limits.connectionsMax}`,
    '',
  ].join('\n')
}

function environment(server: ServerView): string {
  const rows = environmentRows(server).map(([name, value]) => `${name}=${value}\n`)
  return `Environment:\n${rows.join('')}`
}

/** Also for the AdminServer. */
export function environmentRows({ options }: ServerView): (readonly [name: string, value: string])[] {
  return [
    ['zookeeper.version', ZOOKEEPER_VERSION],
    ...(options.process?.environment ?? []),
    ['delos.version', options.productVersion],
  ]
}
