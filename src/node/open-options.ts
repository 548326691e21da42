// What a program tells `openServer`, and the check of it.

import { isAbsolute, resolve } from 'node:path'
import { DelosError } from '../base/delos-error.ts'
import type { Applicator } from '../engine/engine.ts'
import type { EngineFactory, Stack } from '../engine/stack.ts'
import type { Logger } from '../runtime/logger.ts'
import { DEFAULT_ZELOS_LIMITS, type ZelosLimits } from '../zelos/limits.ts'
import type { AccessOptions } from '../zookeeper/access-options.ts'
import { type ClientLimits, DEFAULT_CLIENT_LIMITS, type NodeRules } from '../zookeeper/server-options.ts'
import type { BackupOptions } from './backup-options.ts'
import type { ClientTlsOptions } from './client-tls.ts'
import type { LogRetention } from './open-database.ts'
import type { TableOptions } from './served-tables.ts'

/** A database of your own: an applicator and a name. */
export interface DatabaseDefinition {
  /** Lower-case letters, digits and dashes; its directory and key range. */
  readonly name: string
  readonly applicator: Applicator<never> | Applicator<unknown>
  /** Engines above Base, bottom to top. Default: ViewTracking, Batching, Time. */
  readonly engines?: readonly EngineFactory[]
  /** Called before anything is applied, for what the applicator needs of the stack: its timers, who the members are. */
  readonly opened?: (stack: Stack<unknown>) => void
}

export interface ZooKeeperOptions {
  /** Default 2181; 0 picks a free one, `off` opens none. */
  readonly port?: number | 'off'
  /** ZooKeeper's tickTime, ms. Default 2000. */
  readonly tickMs?: number
  /** Default 2 and 20 ticks. */
  readonly sessionTimeoutMinMs?: number
  readonly sessionTimeoutMaxMs?: number
  /** A slower request is logged with its time per layer; 0 = off (default). */
  readonly slowMs?: number
  /** Four-letter words that are answered, `*` for all; srvr always is. Default: those that monitoring reads. */
  readonly fourLetterWords?: readonly string[]
  /** The file that it is configured by, as its AdminServer shows it. */
  readonly initialConfiguration?: string
  /** Of the connections, and of the database behind them. */
  readonly limits?: Partial<ClientLimits & ZelosLimits>
  /** TTL nodes, containers. */
  readonly nodes?: Partial<NodeRules>
  /** The host by which clients reach this server, for /zookeeper/config. Default: where it listens, if that is reachable. */
  readonly advertiseHost?: string
  /** A second port, whose connections read linearizably; 0 picks a free one. Default `off`. */
  readonly linearizablePort?: number | 'off'
  /** Connections of all ports read linearizably. Default false. */
  readonly linearizableReads?: boolean
  /** Hard limits of ZooKeeper's quotas refuse updates. Default: they only warn. */
  readonly enforceQuotas?: boolean
  /** Authentication, throttles, read-only sessions. Default: as ZooKeeper without configuration. */
  readonly access?: Partial<AccessOptions>
  /** Default: no TLS. */
  readonly tls?: ClientTlsOptions
}

export interface HttpOptions {
  readonly port: number | 'off'
  /** If the port is taken, take another with a warning instead of failing. Default false. */
  readonly fallback?: boolean
}

export interface ServerOptions {
  /** Created if it does not exist. One running server at a time. */
  readonly dataDir: string
  /** Names of built-in databases, and databases of your own. Default: those whose options are given, else zelos. */
  readonly databases?: readonly ('zelos' | 'table' | DatabaseDefinition)[]
  /** Address of all listeners. Default 127.0.0.1. */
  readonly host?: string
  readonly zookeeper?: ZooKeeperOptions
  readonly table?: TableOptions
  /** Prometheus, `/metrics`. Default off. */
  readonly metrics?: HttpOptions
  /** HTTP API. Default off. */
  readonly api?: HttpOptions
  /** ZooKeeper's AdminServer, `/commands`. Default off. A taken port is a warning, and then there is none. */
  readonly admin?: HttpOptions
  readonly log?: Partial<LogRetention>
  /** Default: none. Databases of your own need LogBackup in their stack. */
  readonly backup?: BackupOptions
  /** Zelos has Lease on top, and this server takes it: see README. Default false. */
  readonly lease?: boolean
  /** One of so many proposals gets a trace id, logged wherever it is applied, at every layer; 0 = none (default). */
  readonly traceSample?: number
  /** How long close waits for requests under way, ms. Default 5000. */
  readonly drainMs?: number
  /** Default: silent. pino fits. */
  readonly logger?: Logger
}

/** The databases that a server runs. */
export function databasesOf({ databases, table, zookeeper }: ServerOptions): NonNullable<ServerOptions['databases']> {
  if (databases !== undefined) return databases
  if (table === undefined) return ['zelos']
  return zookeeper === undefined ? ['table'] : ['zelos', 'table']
}

type Range = readonly [min: number, max: number]

const DURATION: Range = [0, 2 ** 31 - 1]
const COUNT: Range = [0, Number.MAX_SAFE_INTEGER]

/** The data directory, absolute: the program may change its working directory later. Throws INVALID_ARGUMENT with all that is wrong. */
export function checkOptions(options: ServerOptions): string {
  const { dataDir, databases, drainMs, log, metrics, api, admin, traceSample, zookeeper = {} } = options
  const complaints = [
    ...outOfRange('drainMs', drainMs, DURATION),
    ...outOfRange('traceSample', traceSample, COUNT),
    ...outOfRange('log.retentionHours', log?.retentionHours, COUNT, false),
    ...outOfRange('log.retentionBytes', log?.retentionBytes, COUNT),
    ...badPort('zookeeper.port', zookeeper.port),
    ...badPort('zookeeper.linearizablePort', zookeeper.linearizablePort),
    ...badPort('zookeeper.tls.port', zookeeper.tls?.port),
    ...badPort('metrics.port', metrics?.port),
    ...badPort('api.port', api?.port),
    ...badPort('admin.port', admin?.port),
    ...badTimes(zookeeper),
    ...badLimits(zookeeper.limits),
  ]
  if (typeof dataDir !== 'string' || dataDir === '') complaints.push('dataDir: a path is expected')
  if (databases?.length === 0) complaints.push('databases: at least one is needed')
  const names = databases?.map((one) => (typeof one === 'string' ? one : one.name)) ?? []
  const twice = names.find((name, at) => names.indexOf(name) < at)
  if (twice !== undefined) complaints.push(`databases: ${twice} is given twice`)
  if (complaints.length > 0) throw new DelosError('INVALID_ARGUMENT', complaints.join('\n'))
  return isAbsolute(dataDir) ? dataDir : resolve(dataDir)
}

function badTimes({ tickMs = 2000, slowMs, sessionTimeoutMinMs, sessionTimeoutMaxMs }: ZooKeeperOptions): string[] {
  const complaints = [
    ...outOfRange('zookeeper.tickMs', tickMs, [1, DURATION[1]]),
    ...outOfRange('zookeeper.slowMs', slowMs, DURATION),
    ...outOfRange('zookeeper.sessionTimeoutMinMs', sessionTimeoutMinMs, [1, DURATION[1]]),
    ...outOfRange('zookeeper.sessionTimeoutMaxMs', sessionTimeoutMaxMs, [1, DURATION[1]]),
  ]
  const [min, max] = [sessionTimeoutMinMs ?? 2 * tickMs, sessionTimeoutMaxMs ?? 20 * tickMs]
  if (min > max) complaints.push(`zookeeper.sessionTimeoutMinMs: ${min} is above the largest timeout, ${max}`)
  return complaints
}

function badLimits(limits: ZooKeeperOptions['limits'] = {}): string[] {
  const known = { ...DEFAULT_CLIENT_LIMITS, ...DEFAULT_ZELOS_LIMITS }
  return Object.entries(limits).flatMap(([name, value]) => {
    if (!(name in known)) return [`zookeeper.limits.${name}: no such limit`]
    return outOfRange(`zookeeper.limits.${name}`, value, [name === 'connectionsPerIpMax' ? 0 : 1, COUNT[1]])
  })
}

function badPort(name: string, port: number | 'off' | undefined): string[] {
  return port === 'off' ? [] : outOfRange(name, port, [0, 65_535])
}

function outOfRange(name: string, value: number | undefined, [min, max]: Range, whole = true): string[] {
  if (value === undefined) return []
  const fits = typeof value === 'number' && value >= min && value <= max && (!whole || Number.isInteger(value))
  return fits ? [] : [`${name}: ${String(value)} is not a ${whole ? 'whole ' : ''}number from ${min} to ${max}`]
}
