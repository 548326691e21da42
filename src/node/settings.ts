// Every setting of `delos serve`: one list feeds the flags, the YAML file, --print-config and docs/configuration.md.

import { inspect } from 'node:util'
import { z } from 'zod'
import { DelosError } from '../base/delos-error.ts'
import { DEFAULT_CLIENT_LIMITS, DEFAULT_FOUR_LETTER_WORDS } from '../zookeeper/server-options.ts'
import { ACCESS_SETTINGS } from './access-settings.ts'
import { BACKUP_SETTINGS } from './backup-settings.ts'
import { NODE_SETTINGS } from './node-settings.ts'
import {
  count,
  host,
  hours,
  milliseconds,
  oneOf,
  optional,
  path,
  port,
  type Setting,
  splitAtCommas,
  whole,
  words,
  yesOrNo,
} from './setting-kinds.ts'

/** Databases that a server can run. */
export const DATABASES = ['zelos', 'table'] as const
export type DatabaseName = (typeof DATABASES)[number]

const databases = {
  schema: z.preprocess(
    splitAtCommas,
    z
      .array(z.enum(DATABASES))
      .min(1)
      .refine((all) => new Set(all).size === all.length),
  ),
  allowed: `names separated by commas, each once, out of: ${DATABASES.join(', ')}`,
}

/** In the order in which they are documented. */
export const SETTINGS = {
  dataDir: {
    name: 'data-dir',
    ...path,
    fallback: './data',
    unit: 'path',
    help: 'where everything is stored; one running process at a time',
  },
  databases: {
    name: 'databases',
    ...databases,
    fallback: ['zelos'],
    unit: 'names',
    help: 'databases to serve, separated by commas',
  },
  host: {
    name: 'host',
    ...host,
    fallback: '127.0.0.1',
    unit: 'address',
    help: 'address to listen on',
  },
  zookeeperPort: {
    name: 'zookeeper-port',
    ...port,
    fallback: 2181,
    unit: 'port',
    help: 'for ZooKeeper clients; 0 = any free one, off = none',
  },
  metricsPort: {
    name: 'metrics-port',
    ...port,
    fallback: 7000,
    unit: 'port',
    help: 'for Prometheus, path /metrics; 0 = any free one, off = none',
  },
  apiPort: {
    name: 'api-port',
    ...port,
    fallback: 7800,
    unit: 'port',
    help: 'for the HTTP API and the command line; 0 = any free one, off = none',
  },
  adminPort: {
    name: 'admin-port',
    ...port,
    fallback: 8080,
    unit: 'port',
    help: "for ZooKeeper's AdminServer, path /commands; if it is taken there is none, and a warning; 0 = any free one, off = none",
  },
  fourLetterWords: {
    name: 'four-letter-words',
    ...words,
    fallback: [...DEFAULT_FOUR_LETTER_WORDS],
    unit: 'words',
    help: 'four-letter words that are answered, separated by commas, * for all; srvr always is',
  },
  tickMs: {
    name: 'tick-ms',
    ...milliseconds(10),
    fallback: 2000,
    unit: 'ms',
    help: "ZooKeeper's tickTime: the unit of session timeouts",
  },
  sessionTimeoutMinMs: {
    name: 'session-timeout-min-ms',
    ...optional(milliseconds(1)),
    fallback: undefined,
    unit: 'ms',
    help: 'shortest session timeout granted; 2 ticks if not set',
  },
  sessionTimeoutMaxMs: {
    name: 'session-timeout-max-ms',
    ...optional(milliseconds(1)),
    fallback: undefined,
    unit: 'ms',
    help: 'longest session timeout granted; 20 ticks if not set',
  },
  maxRequestBytes: {
    name: 'max-request-bytes',
    ...whole(1024, 64 << 20),
    fallback: DEFAULT_CLIENT_LIMITS.frameBytesMax,
    unit: 'bytes',
    help: "ZooKeeper's jute.maxbuffer: a longer request closes its connection",
  },
  maxConnections: {
    name: 'max-connections',
    ...count(1),
    fallback: 10_000,
    unit: 'connections',
    help: 'open ZooKeeper connections; one more is closed at once',
  },
  maxConnectionsPerIp: {
    name: 'max-connections-per-ip',
    ...count(0),
    fallback: 0,
    unit: 'connections',
    help: 'the same for one client address; 0 = off',
  },
  ...NODE_SETTINGS,
  ...ACCESS_SETTINGS,
  logRetentionHours: {
    name: 'log-retention-hours',
    ...hours,
    fallback: 24,
    unit: 'hours',
    help: 'how long log entries are kept after they are no longer needed',
  },
  logRetentionBytes: {
    name: 'log-retention-bytes',
    ...count(0),
    fallback: 4 * 1024 ** 3,
    unit: 'bytes',
    help: 'how much of the log is kept at most after it is no longer needed',
  },
  ...BACKUP_SETTINGS,
  drainMs: {
    name: 'drain-ms',
    ...milliseconds(0),
    fallback: 5000,
    unit: 'ms',
    help: 'how long SIGTERM waits for requests that are under way',
  },
  slowMs: {
    name: 'slow-ms',
    ...milliseconds(0),
    fallback: 1000,
    unit: 'ms',
    help: 'a request that takes longer is logged with its time per layer; 0 = off',
  },
  lease: {
    name: 'lease',
    ...yesOrNo,
    fallback: false,
    unit: 'true, false',
    help: 'the engine Lease on top of Zelos: one server answers sync by itself; disable the engine before you take it away again',
  },
  traceSample: {
    name: 'trace-sample',
    ...count(0),
    fallback: 0,
    unit: 'count',
    help: 'one of so many proposals gets a trace id, logged at every layer where it is applied; 0 = none',
  },
  logLevel: {
    name: 'log-level',
    ...oneOf(['debug', 'info', 'warn', 'error', 'silent']),
    fallback: 'info',
    unit: 'debug, info, warn, error, silent',
    help: 'what is logged, on stderr',
  },
  logFormat: {
    name: 'log-format',
    ...oneOf(['json', 'text']),
    fallback: 'text',
    unit: 'json, text',
    help: 'how it is logged',
  },
} as const satisfies Record<string, Setting>

export type SettingKey = keyof typeof SETTINGS

/** All settings with their values. */
export type Settings = { readonly [K in SettingKey]: z.infer<(typeof SETTINGS)[K]['schema']> }

/** Where a value came from; a later one wins. */
export type Origin = 'default' | 'zoo.cfg' | 'file' | 'environment' | 'flag'

/** Settings and the origin of each. */
export interface ResolvedSettings {
  readonly values: Settings
  readonly origins: Readonly<Record<SettingKey, Origin>>
}

export const SETTING_KEYS = Object.keys(SETTINGS) as SettingKey[]

/** Values by setting name, as they came from a file or from flags; not checked yet. */
export type RawSettings = Readonly<Record<string, unknown>>

/** What else settings may come from. */
export interface OtherSources {
  readonly zooCfg?: RawSettings
  readonly environment?: RawSettings
}

/**
 * Merges defaults, a zoo.cfg, file, environment and flags, and checks every value. Throws INVALID_ARGUMENT with all that is
 * wrong, unknown names of the file included.
 */
export function resolveSettings(file: RawSettings, flags: RawSettings, others: OtherSources = {}): ResolvedSettings {
  const { zooCfg = {}, environment = {} } = others
  const sources: readonly (readonly [Origin, RawSettings])[] = [
    ['flag', flags],
    ['environment', environment],
    ['file', file],
    ['zoo.cfg', zooCfg],
  ]
  const complaints: string[] = []
  const values: Record<string, unknown> = {}
  const origins: Record<string, Origin> = {}
  for (const key of SETTING_KEYS) {
    const setting: Setting = SETTINGS[key]
    const [origin, given] = sources.find(([, source]) => isGiven(source, setting)) ?? (['default', undefined] as const)
    const raw = given === undefined ? setting.fallback : given[setting.name]
    const parsed = setting.schema.safeParse(raw)
    if (parsed.success) values[key] = parsed.data
    else complaints.push(`${nameAt(origin, setting.name)}: ${shown(raw)} must be ${setting.allowed}`)
    origins[key] = origin
  }
  const known = new Set<string>(SETTING_KEYS.map((key) => SETTINGS[key].name))
  for (const name of Object.keys(file)) if (!known.has(name)) complaints.push(`${name}: no such setting`)
  if (complaints.length === 0) complaints.push(...checkTogether(values as unknown as Settings))
  if (complaints.length > 0) throw new DelosError('INVALID_ARGUMENT', complaints.join('\n'))
  return { values: values as unknown as Settings, origins: origins as Record<SettingKey, Origin> }
}

// A line of the file without a value, as --print-config shows what has none, gives nothing.
function isGiven(raw: RawSettings, { name }: Setting): boolean {
  return raw[name] !== undefined && raw[name] !== null
}

/** As the user wrote it. */
function nameAt(origin: Origin, name: string): string {
  if (origin === 'zoo.cfg') return `${name} (of zoo.cfg)`
  if (origin === 'environment') return environmentName(name)
  return origin === 'flag' ? `--${name}` : name
}

/** The environment variable that gives a setting: `DELOS_DATA_DIR` of `data-dir`. */
function environmentName(name: string): string {
  return `DELOS_${name.toUpperCase().replaceAll('-', '_')}`
}

/** What the environment gives; an empty variable gives nothing. */
export function environmentSettings(environment: Readonly<Record<string, string | undefined>>): RawSettings {
  const names = SETTING_KEYS.map((key) => SETTINGS[key].name)
  return Object.fromEntries(names.map((name) => [name, environment[environmentName(name)] || undefined]))
}

const SHOWN_LENGTH_MAX = 60

/** A value as a message quotes it: texts as they were given, everything else as a program writes it. */
function shown(value: unknown): string {
  const text = typeof value === 'string' && value !== '' ? value : inspect(value, { breakLength: Infinity })
  return text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text
}

function checkTogether(values: Settings): string[] {
  const min = values.sessionTimeoutMinMs ?? 2 * values.tickMs
  const max = values.sessionTimeoutMaxMs ?? 20 * values.tickMs
  return min > max ? [`session-timeout-min-ms (${min}) is above session-timeout-max-ms (${max})`] : []
}
