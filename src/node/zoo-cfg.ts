// ZooKeeper's own configuration file (Java's properties) as settings of this server. Every key that does not become one is
// named, in one line with the reason: nobody must believe in a line that has no effect.

import { DelosError } from '../base/delos-error.ts'
import { type RawSettings, SETTING_KEYS, SETTINGS } from './settings.ts'
import { ACCESS_PATTERNS, ACCESS_RULES } from './zoo-cfg-access.ts'
import { becomes, becomesUnless, ignored, isFalse, type Rule, refused } from './zoo-cfg-rule.ts'

export interface ZooCfg {
  /** As it is. */
  readonly text: string
  /** By setting name, not checked yet. */
  readonly settings: RawSettings
  /** One line for each key without effect, or with another one than in ZooKeeper. Never a value: it may be a secret. */
  readonly notes: readonly string[]
  /** Throws INVALID_ARGUMENT if it names several servers: what it describes is not what would be started. */
  requireOneServer(): void
}

/** Reads a zoo.cfg. Never throws: wrong values are found where settings are checked. */
export function readZooCfg(text: string): ZooCfg {
  const all = parseProperties(text)
  const settings: Record<string, string> = {}
  const notes: string[] = []
  for (const [key, value] of all) {
    const outcome = ruleOf(key)(value, all)
    if (outcome === 'done') continue
    if ('setting' in outcome && !KNOWN.has(outcome.setting)) notes.push(`zoo.cfg: ${key}: not offered by this version`)
    else if ('note' in outcome) notes.push(`zoo.cfg: ${key}: ${outcome.note}`)
    else settings[outcome.setting] = outcome.value
  }
  if (!all.has('clientPortAddress')) {
    notes.push(
      'zoo.cfg: clientPortAddress is not there: ZooKeeper would listen on all addresses, this server listens on --host, by default 127.0.0.1',
    )
  }
  return { text, settings, notes, requireOneServer: () => requireOneServer([...all.keys()]) }
}

/**
 * An operator who starts each member of an ensemble with the file that it had would have as many databases, and clients that see
 * now one of them, now another.
 */
function requireOneServer(keys: readonly string[]): void {
  const servers = keys.filter((key) => /^server\.\d+$/.test(key))
  if (servers.length < 2) return
  throw new DelosError(
    'INVALID_ARGUMENT',
    `the zoo.cfg names ${servers.length} servers (${servers.join(', ')}), but ${ONE_SERVER}: started from it, each would have data of its own, and clients that know them all would see now the one, now the other. Start one server, with --zoo-cfg-alone true, and name only that one to clients`,
  )
}

// ── rules ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

const KNOWN: ReadonlySet<string> = new Set(SETTING_KEYS.map((key) => SETTINGS[key].name))

const ONE_HOST = 'all listeners of this server share one address (--host)'
const ONE_SERVER = 'this server is one of its own; it neither joins an ensemble nor follows or leads one'
const NO_PIPELINE = "a knob of ZooKeeper's own request processors"
const NO_SNAPSHOTS =
  'there are no snapshots: a log, trimmed by log-retention-hours and log-retention-bytes, and a store'

const RULES: Readonly<Record<string, Rule>> = {
  dataDir: becomes('data-dir'),
  clientPort: becomes('zookeeper-port'),
  clientPortAddress: becomes('host'),
  tickTime: becomes('tick-ms'),
  minSessionTimeout: becomesUnless('session-timeout-min-ms', '-1'),
  maxSessionTimeout: becomesUnless('session-timeout-max-ms', '-1'),
  maxClientCnxns: becomes('max-connections-per-ip'),
  maxCnxns: becomesUnless('max-connections', '0', 'ignored: there always is a limit (--max-connections)'),
  '4lw.commands.whitelist': (value) => ({ setting: 'four-letter-words', value: wordsOf(value) }),
  'jute.maxbuffer': (value) => ({ setting: 'max-request-bytes', value: String(Number(value)) }),
  'admin.serverPort': (value, all) => (isAdminOff(all) ? 'done' : { setting: 'admin-port', value }),
  'admin.enableServer': (value) => (isFalse(value) ? { setting: 'admin-port', value: 'off' } : 'done'),
  'admin.serverAddress': (value, all) =>
    value === all.get('clientPortAddress') ? 'done' : { note: `ignored: ${ONE_HOST}` },
  'admin.commandURL': (value) => (value === '/commands' ? 'done' : { note: 'ignored: it is always /commands' }),
  'metricsProvider.className': (value) =>
    value.endsWith('.PrometheusMetricsProvider') ? 'done' : { note: 'ignored: metrics are for Prometheus' },
  'metricsProvider.httpPort': becomes('metrics-port'),
  'metricsProvider.httpHost': (value, all) =>
    value === all.get('clientPortAddress') ? 'done' : { note: `ignored: ${ONE_HOST}` },
  'metricsProvider.exportJvmInfo': ignored('there is no Java; memory is shown under the same names'),

  ...ACCESS_RULES,

  dataLogDir: ignored('log and store are both in dataDir'),
  clientPortListenBacklog: ignored('it is 1024'),
  serverCnxnFactory: ignored('there is one way to accept connections'),
  globalOutstandingLimit: ignored('unanswered requests are limited per connection'),
  snapCount: ignored(NO_SNAPSHOTS),
  snapSizeLimitInKb: ignored(NO_SNAPSHOTS),
  preAllocSize: ignored('the log reserves its files by itself'),
  txnLogSizeLimitInKb: ignored('the log reserves its files by itself'),
  forceSync: (value) =>
    value === 'no' ? { note: "can't be honoured: an acknowledged write is always synced" } : 'done',
  'fsync.warningthresholdms': ignored('slow requests are logged with the time of each layer (--slow-ms)'),
  warningThresholdMs: ignored('slow requests are logged with the time of each layer (--slow-ms)'),
  maxBatchSize: ignored(NO_PIPELINE),
  flushDelay: ignored(NO_PIPELINE),
  leaderServes: ignored(ONE_SERVER),
  initLimit: ignored(ONE_SERVER),
  syncLimit: ignored(ONE_SERVER),
  connectToLearnerMasterLimit: ignored(ONE_SERVER),
  electionAlg: ignored(ONE_SERVER),
  cnxTimeout: ignored(ONE_SERVER),
  quorumListenOnAllIPs: ignored(ONE_SERVER),
  syncEnabled: ignored(ONE_SERVER),
  standaloneEnabled: ignored(ONE_SERVER),
  reconfigEnabled: becomes('reconfig-enabled'),
  peerType: (value) => (value === 'observer' ? { note: `can't be honoured: ${ONE_SERVER}` } : 'done'),
  dynamicConfigFile: refused(ONE_SERVER),
  observerMasterPort: refused(ONE_SERVER),
  oraclePath: refused(ONE_SERVER),
  portUnification: refused(ONE_SERVER),
  sslQuorum: refused(ONE_SERVER),
  sslQuorumReloadCertFiles: refused(ONE_SERVER),
  localSessionsEnabled: (value) =>
    isFalse(value) ? 'done' : { note: "can't be honoured: every session is replicated" },
  localSessionsUpgradingEnabled: (value) =>
    isFalse(value) ? 'done' : { note: "can't be honoured: every session is replicated" },
  skipACL: (value) => (value === 'yes' ? { note: "can't be honoured: access lists are always checked" } : 'done'),
  enableEagerACLCheck: ignored('access lists are checked where updates are applied'),
  maxResponseCacheSize: ignored('replies are not kept'),
  maxGetChildrenResponseCacheSize: ignored('replies are not kept'),
  'closeSessionTxn.enabled': ignored('the nodes of a session are looked up when its end is applied'),
  'audit.enable': (value) => (isFalse(value) ? 'done' : { note: "can't be honoured: there is no audit log" }),
  'digest.enabled': ignored('stores are compared by digests of their own'),
  extendedTypesEnabled: becomes('ttl-nodes'),
  enforceQuota: becomes('enforce-quota'),
  'znode.container.checkIntervalMs': becomes('container-check-ms'),
  'znode.container.maxPerMinute': ignored('each node goes by a timer of its own'),
  'znode.container.maxNeverUsedIntervalMs': (value) =>
    value === '0' ? 'done' : { note: "can't be honoured: a container that never had a child stays" },
}

/** Keys with a rule of their own, for the documents. */
export const ZOO_CFG_KEYS: readonly string[] = Object.keys(RULES)

/** Prefixes of keys, most telling first. */
const PATTERNS: readonly (readonly [pattern: RegExp, rule: Rule])[] = [
  [/^(server|group|weight)\.\d+$/, refused(ONE_SERVER)],
  [/^(quorum|multiAddress|ssl\.quorum|learner)\./, refused(ONE_SERVER)],
  [/^autopurge\./, ignored(NO_SNAPSHOTS)],
  [/^snapshot\./, ignored(NO_SNAPSHOTS)],
  [/^(commitProcessor|nio|netty|watchManager|follower|leader|observer)[.\w]*$/, ignored(NO_PIPELINE)],
  [/^jvm\.pause\./, ignored('there is no Java; see nodejs_eventloop_lag_seconds')],
  [/^admin\./, refused('not offered by this version')],
  [/^metricsProvider\./, ignored('metrics have no other settings')],
  ...ACCESS_PATTERNS,
]

function ruleOf(key: string): Rule {
  const exact = Object.hasOwn(RULES, key) ? RULES[key] : undefined
  if (exact !== undefined) return exact
  const found = PATTERNS.find(([pattern]) => pattern.test(key))
  return found === undefined ? () => ({ note: 'no such key is known here' }) : found[1]
}

// Whatever else is in the list has no effect in ZooKeeper either; srvr is always answered.
function wordsOf(value: string): string {
  const words = value.split(',').map((word) => word.trim())
  return words.filter((word) => /^([a-z]{4}|\*)$/.test(word)).join(',') || 'srvr'
}

function isAdminOff(all: ReadonlyMap<string, string>): boolean {
  return isFalse(all.get('admin.enableServer') ?? '')
}

// ── Java's properties ───────────────────────────────────────────────────────────────────────────────────────────────────

/** Keys and trimmed values in order; of a key that comes twice the last value. */
export function parseProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>()
  for (const line of logicalLines(text)) {
    const [, key = '', value = ''] = /^((?:\\.|[^\\=:\s])*)\s*[=:]?\s*(.*)$/s.exec(line) ?? []
    if (key !== '') properties.set(unescaped(key), unescaped(value).trim())
  }
  return properties
}

/** Lines without comments and blank ones; a backslash at the end takes the next one in. */
function* logicalLines(text: string): Iterable<string> {
  let begun: string | undefined
  for (const raw of text.split(/\r\n|\r|\n/)) {
    const line = raw.trimStart()
    if (begun === undefined && (line === '' || line.startsWith('#') || line.startsWith('!'))) continue
    const whole = (begun ?? '') + line
    begun = undefined
    // An even number of backslashes at the end is backslashes.
    if (((/\\+$/.exec(whole)?.[0].length ?? 0) & 1) === 1) begun = whole.slice(0, -1)
    else yield whole
  }
  if (begun !== undefined) yield begun
}

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' }

function unescaped(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/gs, (_, code: string | undefined, letter: string | undefined) =>
    code !== undefined
      ? String.fromCharCode(Number.parseInt(code, 16))
      : (ESCAPES[letter as string] ?? (letter as string)),
  )
}
