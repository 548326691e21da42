// The composition root: one process's server, with its data directory, its databases, its listeners. No signal handlers, no
// process.exit, nothing on stdout: a program that embeds it stays in charge.

import { DelosError } from '../base/delos-error.ts'
import type { Applicator } from '../engine/engine.ts'
import type { EngineFactory, Stack } from '../engine/stack.ts'
import { type Logger, SILENT_LOGGER } from '../runtime/logger.ts'
import type { Listener } from '../runtime/network.ts'
import { nodeRuntime } from '../runtime/node-runtime.ts'
import type { TlsRefusal } from '../runtime/node-tls-network.ts'
import type { Runtime } from '../runtime/runtime.ts'
import type { DataDirectory } from '../store/data-directory.ts'
import type { Tables } from '../table/tables.ts'
import type { UpdateResult } from '../zelos/requests.ts'
import { ZelosApplicator } from '../zelos/zelos-applicator.ts'
import { ZelosDatabase } from '../zelos/zelos-database.ts'
import { DEFAULT_ACCESS } from '../zookeeper/access-options.ts'
import { DEFAULT_CLIENT_LIMITS, type ProcessFacts } from '../zookeeper/server-options.ts'
import { ThrottledLog } from '../zookeeper/throttled-log.ts'
import { ZooKeeperServer } from '../zookeeper/zookeeper-server.ts'
import { aclSchemesOf } from './acl-schemes-of.ts'
import { type AdminToken, openAdminToken } from './admin-token.ts'
import { ServerBackups } from './backup-options.ts'
import { ClientTls, type ClientTlsOptions } from './client-tls.ts'
import { connectionRoom } from './connection-room.ts'
import { toldIfDiskFull } from './full-disk.ts'
import type { HttpListener, Routes } from './http-listener.ts'
import { leasedLog } from './leased-log.ts'
import { formatAddress, listenByPolicy } from './listen-policy.ts'
import { clientAddressOf, memberAnnouncementOf } from './member-announcement-of.ts'
import { openServingDirectory } from './open-data-directory.ts'
import { Database, DEFAULT_RETENTION } from './open-database.ts'
import { checkOptions, databasesOf, type HttpOptions, type ServerOptions } from './open-options.ts'
import { processFacts } from './process-facts.ts'
import { ServedTables } from './served-tables.ts'
import type { Server, ServerAddresses, ServerParts } from './server.ts'
import type { ServerStatus } from './server-status.ts'
import { DEFAULT_STACK, zelosStack } from './stacks.ts'
import { DatabaseFacts } from './storage-facts.ts'
import { productVersion } from './version.ts'

export type { Server, ServerAddresses, ServerParts } from './server.ts'

/** In the order in which they are shown. */
const LISTENERS = [
  'zookeeper',
  'linearizable',
  'secure',
  'metrics',
  'api',
  'admin',
] as const satisfies (keyof ServerAddresses)[]

/**
 * Opens a server. Rejects with IN_USE (directory or port), FORMAT, CORRUPT, MISMATCH (data), INVALID_ARGUMENT (options),
 * UNSUPPORTED (platform), DISK_FULL; nothing stays open then. A database that stops at an entry does not fail it: see `failed`.
 */
export async function openServer(options: ServerOptions, parts: ServerParts = {}): Promise<Server> {
  const server = new RunningServer(options, checkOptions(options), nodeRuntime(), parts)
  try {
    await server.open()
  } catch (error) {
    await server.close().catch(() => undefined) // Why it could not open says more.
    throw toldIfDiskFull(error, options.dataDir)
  }
  return server
}

class RunningServer implements Server {
  readonly failed: Promise<DelosError>
  private readonly options: ServerOptions
  private readonly parts: ServerParts
  private readonly dataDir: string
  private readonly runtime: Runtime
  private readonly logger: Logger
  private readonly host: string
  private readonly databases = new Map<string, Database>()
  private readonly startedMs: number
  private bound: ServerAddresses = {}
  private directory: DataDirectory | undefined
  private zelos: ZelosDatabase | undefined
  private served: ServedTables | undefined
  private zookeeper: ZooKeeperServer | undefined
  private tls: ClientTls | undefined
  private backups: ServerBackups | undefined
  private readonly http: HttpListener[] = []
  private opened = false
  private closing: Promise<void> | undefined
  private fail: (error: DelosError) => void = () => undefined

  constructor(options: ServerOptions, dataDir: string, runtime: Runtime, parts: ServerParts) {
    this.options = options
    this.parts = parts
    this.dataDir = dataDir
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
    this.directory = await openServingDirectory(this.dataDir, this.runtime)
    const token = await openAdminToken(this.dataDir, this.runtime)
    this.backups = await ServerBackups.open(this.options.backup, this.runtime, this.dataDir)
    // Before the databases: a long catching up can be watched, and is not taken for a process that hangs.
    await this.openHttp(token)
    for (const wanted of databasesOf(this.options)) {
      if (wanted === 'zelos') await this.openZelos()
      else if (wanted === 'table') this.served = await this.openTables()
      else await this.openDatabase(wanted.name, wanted.applicator, wanted.engines ?? DEFAULT_STACK, wanted.opened)
    }
    await this.openZooKeeper()
    this.opened = true
  }

  // ── databases ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async openDatabase<R>(
    name: string,
    applicator: Applicator<R>,
    engines: readonly EngineFactory[],
    opened?: (stack: Stack<unknown>) => void,
  ): Promise<Database<R>> {
    const directory = this.directory as DataDirectory
    const database = await Database.open<R>({
      name,
      paths: await directory.database(name),
      serverId: directory.serverId,
      runtime: this.runtime,
      retention: { ...DEFAULT_RETENTION, ...this.options.log },
      logger: this.logger,
      engines: (this.backups as ServerBackups).stack(engines),
      observed: this.parts.observed ?? true,
      traceSample: this.options.traceSample ?? 0,
      applicator: applicator as Applicator<unknown>,
      opened: (opening) => {
        this.databases.set(name, opening)
        opened?.(opening.stack)
      },
    })
    void database.stack.failed.then((report) => {
      this.logger.error({ database: name, ...report }, 'the database stopped')
      const message = `database ${name} stopped at position ${report.position}: ${report.message}`
      this.fail(new DelosError(report.code, message))
    })
    return database
  }

  private openTables(): Promise<ServedTables> {
    const { options, runtime } = this
    return ServedTables.open(runtime, options.table, (...parts) => this.openDatabase(...parts))
  }

  private async openZelos(): Promise<void> {
    const applicator = new ZelosApplicator()
    const { advertiseHost, limits = {} } = this.options.zookeeper ?? {}
    const address = (): string => clientAddressOf(this.bound.zookeeper ?? this.bound.secure, advertiseHost)
    const engines = this.parts.zelosStack ?? zelosStack(this.options.lease ?? false, address)
    const { stack } = await this.openDatabase<UpdateResult>('zelos', applicator, engines, ({ timerService }) => {
      if (timerService !== undefined) applicator.useTimers(timerService)
    })
    const { membership, timerService } = stack
    const { serverId } = this.directory as DataDirectory
    const members = () => membership.members(stack.read())
    const { runtime } = this
    const parts = {
      runtime,
      applicator,
      log: leasedLog(stack),
      store: stack,
      limits,
      timerService,
      memberCount: () => members().length,
    }
    const quotas = new ThrottledLog(this.logger, () => runtime.clock.monotonicMs())
    this.zelos = new ZelosDatabase({
      ...parts,
      member: () => memberAnnouncementOf(serverId, this.bound.zookeeper, advertiseHost, members()),
      aclSchemes: aclSchemesOf(this.options.zookeeper),
      enforceQuotas: this.options.zookeeper?.enforceQuotas ?? false,
      onQuotaExceeded: (notice) => quotas.warn(() => notice, 'a quota is exceeded'),
    })
    if (stack.status().state === 'serving') this.zelos.startServing()
    void stack.failed.then(() => this.stopZelos())
  }

  /** The database stopped: its clients are sent away, status and metrics stay. */
  private async stopZelos(): Promise<void> {
    this.zelos?.stopServing()
    this.bind('zookeeper', undefined)
    this.bind('linearizable', undefined)
    this.bind('secure', undefined)
    await this.zookeeper?.close(0)
  }

  private async openZooKeeper(): Promise<void> {
    const {
      port = 2181,
      tickMs = 2000,
      slowMs = 0,
      limits = {},
      access,
      tls,
      ...timeouts
    } = this.options.zookeeper ?? {}
    const database = this.databases.get('zelos')
    const stack = database?.stack
    if (this.zelos === undefined || database === undefined || stack?.status().state !== 'serving') return
    if (port === 'off' && (tls === undefined || tls.port === 'off')) return
    const facts = processFacts()
    this.tls = tls && (await this.openTls(tls))
    const network = tls?.portUnification ? (this.tls as ClientTls).unified : this.runtime.network
    const options = {
      host: this.host,
      port: port === 'off' ? 0 : port,
      tickMs,
      ...timeouts,
      limits: { ...limits, connectionsMax: this.connectionsMax(limits.connectionsMax, facts.fileDescriptors()) },
      slowMs,
      batchTimes: () => stack.lastTimes,
      logger: this.logger,
      productVersion: productVersion(),
      dataDir: this.dataDir,
      process: facts,
      storage: await this.storageFacts(database),
    }
    const server = new ZooKeeperServer({ ...this.runtime, network }, this.zelos, options, {
      ...DEFAULT_ACCESS,
      ...access,
    })
    this.zookeeper = server
    if (port !== 'off') await this.listenZooKeeper('zookeeper', port, () => server.listen())
    const at = this.options.zookeeper?.linearizablePort ?? 'off'
    if (at !== 'off') await this.listenZooKeeper('linearizable', at, () => server.listenLinearizably(at))
    await this.listenSecure(server)
    // It may have stopped meanwhile, when there was no server yet to close.
    if (stack.status().state !== 'serving') await this.stopZelos()
  }

  private async listenZooKeeper(
    what: 'zookeeper' | 'linearizable' | 'secure',
    port: number,
    listen: () => Promise<Listener>,
  ): Promise<void> {
    const { host, port: bound } = await listenByPolicy({ what, port, fatal: true }, this.logger, listen)
    this.bind(what, formatAddress(host, bound))
  }

  private async listenSecure(server: ZooKeeperServer): Promise<void> {
    const { tls } = this
    if (tls === undefined || tls.options.port === 'off') return
    const { port } = tls.options
    await this.listenZooKeeper('secure', port, () => server.listenAt(tls.secure, port))
  }

  private openTls(options: ClientTlsOptions): Promise<ClientTls> {
    const { logger, runtime } = this
    const refused = (refusal: TlsRefusal): void => this.zookeeper?.connectionRefused(refusal)
    return ClientTls.open(options, { timers: runtime.timers, logger, refused })
  }

  private async storageFacts(database: Database): Promise<() => DatabaseFacts> {
    const paths = await (this.directory as DataDirectory).database('zelos')
    const stopped = (): number =>
      [...this.databases.values()].filter((one) => one.status().failure !== undefined).length
    const facts = new DatabaseFacts(database, paths, () => this.runtime.clock.monotonicMs(), stopped)
    return () => facts
  }

  private connectionsMax(
    wanted = DEFAULT_CLIENT_LIMITS.connectionsMax,
    files: ReturnType<ProcessFacts['fileDescriptors']>,
  ): number {
    const connectionsMax = connectionRoom(wanted, files)
    if (connectionsMax < wanted) {
      this.logger.warn(
        { connectionsMax, openFilesMax: files?.max },
        'fewer connections than wanted: open files are limited',
      )
    }
    return connectionsMax
  }

  get tables(): Tables {
    if (this.served !== undefined) return this.served.tables
    throw new DelosError('NOT_FOUND', 'this server does not run the database table')
  }

  database<R>(name: string): Stack<R> {
    const database = this.databases.get(name)
    if (database === undefined) throw new DelosError('NOT_FOUND', `this server does not run a database ${name}`)
    return database.stack as Stack<R>
  }

  // ── HTTP ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

  // What serves HTTP is loaded by whoever asks for it: half of the time that a start takes.
  private async openHttp(token: AdminToken): Promise<void> {
    const { admin, api, metrics } = this.options
    await this.listenHttp('metrics', metrics, async () => {
      const { metricsRoutes } = await import('./metrics.ts')
      const [zelos, zookeeper, tables] = [() => this.zelos, () => this.zookeeper, () => this.served?.stats()]
      return metricsRoutes({ databases: this.databases, zelos, zookeeper, tables })
    })
    await this.listenHttp('api', api, async () => {
      const { apiRoutes } = await import('./http-api.ts')
      return apiRoutes(() => this.status(), { databases: this.databases, token, clock: this.runtime.clock })
    })
    await this.listenAdmin(admin)
  }

  /** As with ZooKeeper, a server without it is a server all the same. */
  private async listenAdmin(http: HttpOptions | undefined): Promise<void> {
    const makeRoutes = async (): Promise<Routes> => {
      const { adminRoutes } = await import('./admin-server.ts')
      return adminRoutes({
        server: () => (this.bound.zookeeper === undefined ? undefined : this.zookeeper),
        warn: (fields, message) => this.logger.warn(fields, message),
        connected: () => this.zookeeper?.stats.adminConnected(),
      })
    }
    try {
      await this.listenHttp('admin', http && { ...http, fallback: false }, makeRoutes)
    } catch (error) {
      const { code, message } = DelosError.from(error, 'INVALID_ARGUMENT', 'AdminServer')
      if (code !== 'IN_USE') throw error
      this.logger.warn({ port: http?.port }, `${message}: there is no AdminServer`)
    }
  }

  private async listenHttp(
    what: 'metrics' | 'api' | 'admin',
    http: HttpOptions | undefined,
    makeRoutes: () => Promise<Routes>,
  ): Promise<void> {
    if (http === undefined || http.port === 'off') return
    const { listenHttp } = await import('./http-listener.ts')
    const routes = await makeRoutes()
    const policy = { what, port: http.port, fatal: http.fallback !== true }
    const listener = await listenByPolicy(policy, this.logger, (port) => listenHttp(this.host, port, routes))
    this.http.push(listener)
    this.bind(what, listener.address)
  }

  private bind(name: keyof ServerAddresses, address: string | undefined): void {
    const all = { ...this.bound, [name]: address }
    this.bound = Object.fromEntries(LISTENERS.flatMap((one) => (all[one] === undefined ? [] : [[one, all[one]]])))
  }

  status(): ServerStatus {
    const databases = Object.fromEntries([...this.databases].map(([name, database]) => [name, database.status()]))
    const serving = Object.values(databases).every(({ state }) => state === 'serving')
    return {
      version: productVersion(),
      ready: this.opened && serving && this.closing === undefined,
      uptimeMs: Math.round(this.runtime.clock.monotonicMs() - this.startedMs),
      serverId: this.directory?.serverId ?? '',
      addresses: { ...this.bound },
      databases,
    }
  }

  // ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  close(): Promise<void> {
    this.closing ??= this.closeOnce()
    return this.closing
  }

  private async closeOnce(): Promise<void> {
    const errors: unknown[] = []
    const steps: (() => Promise<void> | undefined)[] = [
      () => this.zookeeper?.close(this.options.drainMs ?? 5000),
      ...[...this.databases.values()].map((database) => () => database.close()),
      ...this.http.map((listener) => () => listener.close()),
      () => this.backups?.close(),
      () => this.directory?.release(),
    ]
    this.tls?.close()
    this.served?.stop()
    this.zelos?.stopServing()
    for (const step of steps) {
      try {
        await step()
      } catch (error) {
        this.logger.error({ error: String(error) }, 'closing met an error')
        errors.push(error)
      }
    }
    this.zelos?.close()
    if (errors.length > 0) throw errors[0]
  }
}
