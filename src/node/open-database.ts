// Composes one database from its parts: metastore, loglets, virtual log, store, Base, engines with Observers between them. Owns
// their start and their end. What the database means is the applicator's.

import { DelosError } from '../base/delos-error.ts'
import { addHistogram, EMPTY_HISTOGRAM, type HistogramSnapshot, LatencyHistogram } from '../base/latency-histogram.ts'
import { stoppedAtEntry } from '../engine/bottom-engine.ts'
import type { Applicator } from '../engine/engine.ts'
import { type EngineFactory, Stack, type StackStatus } from '../engine/stack.ts'
import { BaseEngine } from '../engines/base-engine/base-engine.ts'
import { BATCHING } from '../engines/batching-engine.ts'
import { OBSERVER, type ObserverSnapshot, type TraceOptions } from '../engines/observer-engine.ts'
import { ObserverSet } from '../engines/observer-set.ts'
import type { LogEvent } from '../log/log-options.ts'
import { LOG_START, type LogPos } from '../log/position.ts'
import { VirtualLog } from '../log/virtual-log.ts'
import { FileLogletProvider } from '../loglets/file/file-loglet-provider.ts'
import { FileMetaStore } from '../metastores/file/file-metastore.ts'
import type { Disk } from '../runtime/disk.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Clock, Runtime } from '../runtime/runtime.ts'
import type { DatabasePaths } from '../store/data-directory.ts'
import type { Identity } from '../store/identity.ts'
import type { LocalStore } from '../store/local-store.ts'
import { openRocksStore } from '../store/rocks-store.ts'
import { AlarmWatch } from './alarm-watch.ts'
import { copySource } from './database-copy-source.ts'
import { bindStore, openIdentity } from './database-identity.ts'
import { type Enabling, enableNewEngines, logSwitches } from './enabled-engines.ts'
import { readRestoredFrom } from './restored-from.ts'
import type { DatabaseStatus } from './server-status.ts'

/** How much of the log is kept after it is no longer needed. */
export interface LogRetention {
  readonly retentionHours: number
  readonly retentionBytes: number
}

export const DEFAULT_RETENTION: LogRetention = { retentionHours: 24, retentionBytes: 4 * 1024 ** 3 }

export interface DatabaseOptions {
  /** Its id: names its directory, its metrics label and its key range. */
  readonly name: string
  readonly paths: DatabasePaths
  readonly serverId: string
  readonly runtime: Runtime
  readonly retention: LogRetention
  readonly logger: Logger
  readonly engines: readonly EngineFactory[]
  /** An Observer at every joint. */
  readonly observed: boolean
  /** One of so many proposals gets a trace id, which is logged at every joint; 0 = none. */
  readonly traceSample: number
  readonly applicator: Applicator<unknown>
  /** Where its log begins if there is none yet: a restored one goes on where its content ends. Default: at 0. */
  readonly logStart?: LogPos
  /** Called when its parts are open and it begins to play its log, so that its status can be shown meanwhile. */
  readonly opened: (database: Database) => void
}

/** The recipe of every embedded log. */
const FILE_LOGLET = { kind: 'file', params: {} } as const

/** Sums over the loglets that are open now. */
interface LogletTotals {
  appends: number
  syncs: number
  bytes: number
  syncMs: number
  syncTimes: HistogramSnapshot
  refusedForSpace: number
}

/** Events after which appends go to another loglet. */
const RECONFIGURATIONS: ReadonlySet<LogEvent> = new Set(['extended', 'roll-forward', 'forced end'])

/** How long the start took, and of what. */
export interface StartTimes {
  /** Until its parts were open. */
  readonly openMs: number
  /** Until the log was played to its tail. */
  readonly replayMs: number
  readonly replayedEntries: number
}

/** One running database. */
export class Database<R = unknown> {
  readonly name: string
  readonly stack: Stack<R>
  readonly store: LocalStore
  readonly log: VirtualLog
  /** How often the log moved to a new loglet; how long that took is not known. */
  readonly reconfigurations: Pick<LatencyHistogram, 'snapshot'>
  private readonly loglets: FileLogletProvider
  private readonly observers: ObserverSet
  private readonly identity: Identity
  private readonly engineNames: readonly string[]
  private readonly logger: Logger
  private readonly serverId: string
  private enabling: Enabling | undefined
  private readonly alarmWatch: AlarmWatch
  private readonly closers: readonly Closer[]
  private readonly clock: Clock
  private started: StartTimes | undefined
  private closing: Promise<void> | undefined

  private constructor(options: DatabaseOptions, parts: Parts<R>, closers: readonly Closer[]) {
    this.name = options.name
    this.logger = options.logger
    this.serverId = options.serverId
    this.closers = closers
    this.stack = parts.stack
    this.store = parts.store
    this.log = parts.log
    this.loglets = parts.loglets
    this.observers = parts.observers
    this.reconfigurations = parts.reconfigurations
    this.identity = parts.identity
    this.engineNames = options.engines.map((engine) => engine.name)
    const { logger, name, runtime } = options
    this.clock = runtime.clock
    this.alarmWatch = new AlarmWatch(name, () => this.stack.status().alarms, runtime.timers, logger)
  }

  /**
   * Opens or creates it and plays its log to the tail. Rejects with what is wrong on disk; nothing stays open then. If an entry
   * stops it, it is there all the same, stopped: its status says where and why.
   */
  static async open<R>(options: DatabaseOptions): Promise<Database<R>> {
    const closers: Closer[] = []
    try {
      const { clock } = options.runtime
      const startMs = clock.monotonicMs()
      const database = new Database<R>(options, await openParts<R>(options, closers), closers)
      options.opened(database as Database)
      await database.start(clock.monotonicMs() - startMs)
      return database
    } catch (error) {
      await closeAll(closers).catch(() => undefined) // Why it could not open says more.
      throw error
    }
  }

  private async start(openMs: number): Promise<void> {
    const { clock, stack } = this
    const startMs = clock.monotonicMs()
    await stack.start()
    if (!(await this.caughtUp())) return
    const replayMs = clock.monotonicMs() - startMs
    this.started = { openMs, replayMs, replayedEntries: stack.status().appliedEntries }
    const { logger, name: database, serverId } = this
    this.enabling = await enableNewEngines({ database, serverId, stack: stack as Stack<unknown>, logger })
    this.alarmWatch.start()
    const { appliedEntries, cursor } = stack.status()
    logger.info({ database, appliedEntries, position: cursor }, 'the database serves')
  }

  /** False if an entry stopped it. Rejects if its log or its store is damaged, or the disk failed. */
  private async caughtUp(): Promise<boolean> {
    try {
      await this.stack.whenServing()
      return true
    } catch (error) {
      const { failure } = this.stack.status()
      if (failure === undefined) throw error
      if (failure.code === 'STOPPED' || stoppedAtEntry(failure)) return false
      const message = `database ${this.name}, position ${failure.position}: ${failure.message}`
      throw new DelosError(failure.code, message, { cause: error })
    }
  }

  stackStatus(): StackStatus {
    return this.stack.status()
  }

  /** Undefined until it serves. */
  startTimes(): StartTimes | undefined {
    return this.started
  }

  joints(): readonly ObserverSnapshot[] {
    return this.observers.snapshot()
  }

  logletStats(): LogletTotals {
    const totals: LogletTotals = {
      appends: 0,
      syncs: 0,
      bytes: 0,
      syncMs: 0,
      syncTimes: EMPTY_HISTOGRAM,
      refusedForSpace: 0,
    }
    for (const { stats } of this.loglets.loglets()) {
      totals.appends += stats.appends
      totals.syncs += stats.syncs
      totals.bytes += stats.bytes
      totals.syncMs += stats.syncMsTotal
      totals.syncTimes = addHistogram(totals.syncTimes, stats.syncTimes.snapshot())
      totals.refusedForSpace += stats.refusedForSpace
    }
    return totals
  }

  status(): DatabaseStatus {
    const { state, cursor, durableCursor, knownTail, failure, alarms } = this.stack.status()
    const oldest = this.log.oldest()
    return {
      state: state === 'starting' ? 'catching up' : state,
      appliedPos: cursor,
      durablePos: durableCursor,
      tail: knownTail,
      oldestPos: oldest.pos,
      diskFull: this.loglets.loglets().some((loglet) => loglet.diskFull),
      ...(oldest.wallMs !== undefined && { oldestAt: new Date(oldest.wallMs).toISOString() }),
      databaseId: this.identity.databaseId,
      historyId: this.identity.historyId,
      ...(failure !== undefined && {
        failure: `${failure.code} at position ${failure.position}: ${failure.message}${failure.entryHex === undefined ? '' : `, entry ${failure.entryHex}`}`,
      }),
      stack: ['base', ...this.engineNames],
      alarms,
    }
  }

  /** Makes everything durable and closes. Idempotent. Rejects with the first error, after everything was closed. */
  close(): Promise<void> {
    this.alarmWatch.stop()
    this.closing ??= closeAll(this.closers).finally(() => this.enabling?.background)
    return this.closing
  }
}

type Closer = () => Promise<void>

/** The last one opened first. */
async function closeAll(closers: readonly Closer[]): Promise<void> {
  const errors: unknown[] = []
  for (const close of closers.toReversed()) {
    try {
      await close()
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length > 0) throw errors[0]
}

interface Parts<R> {
  readonly stack: Stack<R>
  readonly store: LocalStore
  readonly log: VirtualLog
  readonly loglets: FileLogletProvider
  readonly observers: ObserverSet
  readonly identity: Identity
  readonly reconfigurations: LatencyHistogram
}

async function openParts<R>(options: DatabaseOptions, closers: Closer[]): Promise<Parts<R>> {
  const { runtime, paths, serverId } = options
  const { clock, timers, random, disk } = runtime
  const identity = await openIdentity(paths, disk, random)
  const restored = await readRestoredFrom(disk, paths.directory)
  const metastore = await FileMetaStore.open(paths.meta, disk)
  closers.push(() => metastore.close())
  if (options.logStart === undefined) await mustNameLog(metastore, paths, disk)
  const loglets = new FileLogletProvider(paths.log, disk, clock)
  const reconfigurations = new LatencyHistogram()
  const log = await VirtualLog.open({
    metastore,
    providers: [loglets],
    initial: FILE_LOGLET,
    initialStart: options.logStart ?? LOG_START,
    clock,
    timers,
    random,
    retention: { hours: options.retention.retentionHours, bytes: options.retention.retentionBytes },
    onEvent: (event) => {
      if (RECONFIGURATIONS.has(event)) reconfigurations.record(0)
      options.logger.info({ database: options.name, event }, 'log event')
    },
    onBackgroundError: (error) =>
      options.logger.warn({ database: options.name, error: String(error) }, 'trimming the log failed'),
  })
  closers.push(() => log.close())
  await log.sweepOrphans()
  // Servers of one database compare digests, and nobody else's.
  const digestKey = Buffer.from(identity.databaseId, 'hex')
  const store = await openRocksStore({ directory: paths.store, runtime, digestKey })
  closers.push(() => store.close())
  await bindStore(store, identity, paths.store)
  const batches = options.engines.some(({ name }) => name === BATCHING)
  const observers = new ObserverSet({ clock, gatheredBy: batches ? BATCHING : undefined, trace: tracing(options) })
  const stack = new Stack<R>({
    serverId,
    bottom: new BaseEngine({ serverId, log, store, clock, timers }),
    engines: options.engines,
    clock,
    timers,
    random,
    database: options.name,
    wrapJoint: options.observed ? observers.wrapJoint : undefined,
    jointNames: [OBSERVER],
    source: copySource({ database: options.name, identity, restored, log, store }),
    switchApplied: logSwitches(options.name, options.logger),
  })
  closers.push(() => stack.stop())
  stack.attach(options.applicator as Applicator<R>)
  return { stack, store, log, loglets, observers, identity, reconfigurations }
}

function tracing({ logger, name, runtime, traceSample }: DatabaseOptions): TraceOptions | undefined {
  if (traceSample === 0) return undefined
  return {
    random: runtime.random,
    every: traceSample,
    seen: (trace, { above, below }, position) =>
      logger.info({ database: name, trace, position, below, above }, 'a traced entry is applied'),
  }
}

/** A new log beside an old store would also sweep away what the lost register named: it is made once, before the store. */
async function mustNameLog(metastore: FileMetaStore, paths: DatabasePaths, disk: Disk): Promise<void> {
  if ((await metastore.read()).value !== undefined || !(await disk.exists(`${paths.store}/CURRENT`))) return
  throw new DelosError(
    'CORRUPT',
    `${paths.directory} holds data, but the register in ${paths.meta}, which names its log, is gone`,
  )
}
