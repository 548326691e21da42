// The composition root: one process's server, with its data directory, its databases, its listeners. No signal handlers, no
// process.exit, nothing on stdout: a program that embeds it stays in charge.

import { DelosError } from '../base/delos-error.ts'
import type { Applicator } from '../engine/engine.ts'
import type { EngineFactory, Stack } from '../engine/stack.ts'
import { type Logger, SILENT_LOGGER } from '../runtime/logger.ts'
import { nodeRuntime } from '../runtime/node-runtime.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { DataDirectory } from '../store/data-directory.ts'
import type { UpdateResult } from '../zelos/requests.ts'
import { ZelosApplicator } from '../zelos/zelos-applicator.ts'
import { ZelosDatabase } from '../zelos/zelos-database.ts'
import type { ClientLimits } from '../zookeeper/server-options.ts'
import { ZooKeeperServer } from '../zookeeper/zookeeper-server.ts'
import { apiRoutes } from './http-api.ts'
import { formatAddress, type HttpListener, listenHttp, type Routes } from './http-listener.ts'
import { listenByPolicy } from './listen-policy.ts'
import { metricsRoutes } from './metrics.ts'
import { Database, type LogRetention } from './open-database.ts'
import { processFacts } from './process-facts.ts'
import type { ServerStatus } from './server-status.ts'
import { DEFAULT_STACK, ZELOS_STACK } from './stacks.ts'
import { productVersion } from './version.ts'

/** A database of your own: an applicator and a name. */
export interface DatabaseDefinition {
  /** Lower-case letters, digits and dashes; its directory and key range. */
  readonly name: string
  readonly applicator: Applicator<never> | Applicator<unknown>
  /** Engines above Base, bottom to top. Default: Batching. */
  readonly engines?: readonly EngineFactory[]
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
  readonly limits?: Partial<ClientLimits>
}

export interface HttpOptions {
  readonly port: number | 'off'
  /** If the port is taken, take another with a warning instead of failing. Default false. */
  readonly fallback?: boolean
}

export interface ServerOptions {
  /** Created if it does not exist. One running server at a time. */
  readonly dataDir: string
  /** Names of built-in databases, and databases of your own. Default: zelos. */
  readonly databases?: readonly ('zelos' | DatabaseDefinition)[]
  /** Address of all listeners. Default 127.0.0.1. */
  readonly host?: string
  readonly zookeeper?: ZooKeeperOptions
  /** Prometheus, `/metrics`. Default off. */
  readonly metrics?: HttpOptions
  /** HTTP API. Default off. */
  readonly api?: HttpOptions
  readonly log?: Partial<LogRetention>
  /** How long close waits for requests under way, ms. Default 5000. */
  readonly drainMs?: number
  /** Default: silent. pino fits. */
  readonly logger?: Logger
}

/** Bound addresses, `host:port`; a listener that is off is absent. */
export interface ServerAddresses {
  readonly zookeeper?: string
  readonly metrics?: string
  readonly api?: string
}

export interface Server {
  readonly addresses: ServerAddresses
  status(): ServerStatus
  /** Resolves, once, when a database stopped at an entry or at a disk error. Its status says where. Never rejects. */
  readonly failed: Promise<DelosError>
  /** The stack of a database of your own: propose, sync, read. NOT_FOUND if the server does not run it. */
  database<R>(name: string): Stack<R>
  /** Stops listening, answers what is under way (up to drainMs), makes everything durable, ends. Idempotent. */
  close(): Promise<void>
}

const DEFAULT_RETENTION: LogRetention = { retentionHours: 24, retentionBytes: 4 * 1024 ** 3 }

/**
 * Opens a server. Rejects with IN_USE (directory or port), FORMAT, CORRUPT, MISMATCH (data), INVALID_ARGUMENT (options),
 * UNSUPPORTED (platform); nothing stays open then.
 */
export async function openServer(options: ServerOptions): Promise<Server> {
  const server = new RunningServer(options, nodeRuntime())
  try {
    await server.open()
  } catch (error) {
    await server.close()
    throw error
  }
  return server
}

class RunningServer implements Server {
  readonly failed: Promise<DelosError>
  private readonly options: ServerOptions
  private readonly runtime: Runtime
  private readonly logger: Logger
  private readonly host: string
  private readonly databases = new Map<string, Database>()
  private readonly startedMs: number
  private bound: ServerAddresses = {}
  private directory: DataDirectory | undefined
  private zelos: ZelosDatabase | undefined
  private zookeeper: ZooKeeperServer | undefined
  private readonly http: HttpListener[] = []
  private ready = false
  private closing: Promise<void> | undefined
  private fail: (error: DelosError) => void = () => undefined

  constructor(options: ServerOptions, runtime: Runtime) {
    this.options = options
    this.runtime = runtime
    this.logger = options.logger ?? SILENT_LOGGER
    this.host = options.host ?? '127.0.0.1'
    this.startedMs = runtime.clock.monotonicMs()
    this.failed = new Promise((resolve) => {
      this.fail = resolve
    })
  }

  get addresses(): ServerAddresses {
    return this.bound
  }

  async open(): Promise<void> {
    this.directory = await DataDirectory.open(this.options.dataDir, this.runtime)
    for (const wanted of this.options.databases ?? ['zelos']) {
      if (wanted === 'zelos') await this.openZelos()
      else
        await this.openDatabase(wanted.name, wanted.applicator as Applicator<unknown>, wanted.engines ?? DEFAULT_STACK)
    }
    this.ready = true
    await this.openZooKeeper()
    await this.openHttp()
  }

  private async openDatabase<R>(
    name: string,
    applicator: Applicator<R>,
    engines: readonly EngineFactory[],
  ): Promise<Database<R>> {
    if (this.databases.has(name)) throw new DelosError('INVALID_ARGUMENT', `database ${name} is given twice`)
    const directory = this.directory as DataDirectory
    const database = await Database.open<R>({
      name,
      paths: await directory.database(name),
      serverId: directory.serverId,
      runtime: this.runtime,
      retention: { ...DEFAULT_RETENTION, ...this.options.log },
      logger: this.logger,
      engines,
      applicator: applicator as Applicator<unknown>,
    })
    this.databases.set(name, database as Database)
    void database.stack.failed.then((report) => {
      this.logger.error({ database: name, ...report }, 'the database stopped')
      this.fail(
        new DelosError(report.code, `database ${name} stopped at position ${report.position}: ${report.message}`),
      )
    })
    return database
  }

  private async openZelos(): Promise<void> {
    const applicator = new ZelosApplicator()
    const database = await this.openDatabase<UpdateResult>('zelos', applicator, ZELOS_STACK)
    this.zelos = new ZelosDatabase({
      runtime: this.runtime,
      applicator,
      log: database.stack,
      store: database.stack,
    })
    this.zelos.startServing()
    void database.stack.failed.then(() => this.stopZelos())
  }

  /** The database stopped: its clients are sent away, status and metrics stay. */
  private async stopZelos(): Promise<void> {
    this.zelos?.stopServing()
    await this.zookeeper?.close(0)
  }

  private async openZooKeeper(): Promise<void> {
    const { port = 2181, tickMs = 2000, slowMs = 0, limits, ...timeouts } = this.options.zookeeper ?? {}
    const { zelos } = this
    if (zelos === undefined || port === 'off') return
    const stack = (this.databases.get('zelos') as Database).stack
    this.zookeeper = new ZooKeeperServer(this.runtime, zelos, {
      host: this.host,
      port,
      tickMs,
      ...timeouts,
      ...(limits !== undefined && { limits }),
      slowMs,
      batchTimes: () => stack.lastTimes,
      logger: this.logger,
      productVersion: productVersion(),
      dataDir: this.options.dataDir,
      process: processFacts(),
    })
    const server = this.zookeeper
    const listener = await listenByPolicy({ what: 'zookeeper', port, fatal: true }, this.logger, () => server.listen())
    this.bound = { ...this.bound, zookeeper: formatAddress(listener.host, listener.port) }
  }

  private async openHttp(): Promise<void> {
    const sources = { databases: this.databases, zelos: () => this.zelos, zookeeper: () => this.zookeeper }
    const metrics = await this.listenHttp('metrics', this.options.metrics, () => metricsRoutes(sources))
    if (metrics !== undefined) this.bound = { ...this.bound, metrics }
    const api = await this.listenHttp('api', this.options.api, () => apiRoutes(() => this.status()))
    if (api !== undefined) this.bound = { ...this.bound, api }
  }

  private async listenHttp(
    what: string,
    http: HttpOptions | undefined,
    routes: () => Routes,
  ): Promise<string | undefined> {
    if (http === undefined || http.port === 'off') return undefined
    const policy = { what, port: http.port, fatal: http.fallback !== true }
    const made = routes()
    const listener = await listenByPolicy(policy, this.logger, (port) => listenHttp(this.host, port, made))
    this.http.push(listener)
    return listener.address
  }

  database<R>(name: string): Stack<R> {
    const database = this.databases.get(name)
    if (database === undefined) throw new DelosError('NOT_FOUND', `this server does not run a database ${name}`)
    return database.stack as Stack<R>
  }

  status(): ServerStatus {
    const databases = Object.fromEntries([...this.databases].map(([name, database]) => [name, database.status()]))
    const serving = Object.values(databases).every(({ state }) => state === 'serving')
    return {
      version: productVersion(),
      ready: this.ready && serving && this.closing === undefined,
      uptimeMs: Math.round(this.runtime.clock.monotonicMs() - this.startedMs),
      serverId: this.directory?.serverId ?? '',
      addresses: { ...this.bound },
      databases,
    }
  }

  close(): Promise<void> {
    this.closing ??= this.closeOnce()
    return this.closing
  }

  private async closeOnce(): Promise<void> {
    await this.zookeeper?.close(this.options.drainMs ?? 5000)
    this.zelos?.close()
    for (const database of this.databases.values()) await database.close()
    for (const listener of this.http) await listener.close()
    await this.directory?.release()
  }
}
