// One of several servers that back up the log which they share: Base, LogBackup and ViewTracking below a small database of keys.

import { DelosError } from '../../../base/delos-error.ts'
import { CompressedEnvelope } from '../../../blobs/envelope.ts'
import type { Applicator } from '../../../engine/engine.ts'
import type { Entry } from '../../../engine/entry.ts'
import { type EngineFactory, Stack } from '../../../engine/stack.ts'
import { BaseEngine } from '../../../engines/base-engine/base-engine.ts'
import { loadCursor } from '../../../engines/base-engine/cursor.ts'
import { LOG_BACKUP, type LogBackupEngine } from '../../../engines/log-backup/log-backup-engine.ts'
import type { LogBackupOptions } from '../../../engines/log-backup/log-backup-options.ts'
import { viewTrackingEngine } from '../../../engines/view-tracking/view-tracking-engine.ts'
import type { LogPos } from '../../../log/position.ts'
import type { SharedLog } from '../../../log/shared-log.ts'
import type { VirtualLog } from '../../../log/virtual-log.ts'
import { copySource } from '../../../node/database-copy-source.ts'
import type { Identity } from '../../../store/identity.ts'
import type { ReadWriteTx } from '../../../store/local-store.ts'
import type { MemoryStore } from '../../../store/memory-store.ts'
import { plantedBackup } from '../../planted-backup.ts'
import type { SimServer } from '../../sim-server.ts'
import type { Simulation } from '../../simulation.ts'
import type { HostileService } from '../engines/hostile-service.ts'
import { StackMachine } from '../stack-machine.ts'
import { type HostileBlobs, SYNCHRONOUS } from './hostile-blobs.ts'

export const KEYS = 'keys'
const VIEW = { heartbeatMs: 400, silentMs: 1_000_000 }

/** Puts `key value`. */
export class KeyDatabase implements Applicator<number> {
  apply(tx: ReadWriteTx, { payload }: Entry, pos: LogPos): number {
    const [key = '', value = ''] = Buffer.from(payload ?? [])
      .toString('latin1')
      .split(' ')
    tx.put(`${KEYS}\x00${key}`, Buffer.from(`${value} ${pos}`))
    return pos
  }

  postApply(): void {
    // Nobody listens.
  }
}

export interface BackupServerOptions {
  readonly world: Simulation
  readonly name: string
  readonly names: readonly string[]
  readonly identity: Identity
  readonly service: HostileService
  readonly blobs: HostileBlobs
  readonly backup: Partial<LogBackupOptions>
  /** This server is about to trim the log. */
  trims(server: BackupServer, to: LogPos): void
}

export interface BackupLife {
  readonly stack: Stack<number>
  readonly store: MemoryStore
  readonly engine: LogBackupEngine
}

export class BackupServer {
  readonly name: string
  readonly machine: SimServer
  life: BackupLife | undefined
  private readonly options: BackupServerOptions
  private readonly under: StackMachine

  constructor(options: BackupServerOptions) {
    const { name, service, world } = options
    this.options = options
    this.name = name
    this.under = new StackMachine(world, service, name)
    this.machine = this.under.machine
  }

  /** A new process; resolves when it serves. Never settles if that process ends before. */
  async start(): Promise<BackupLife> {
    const { backup, blobs, identity, name, names, world } = this.options
    const runtime = this.machine.boot()
    const { clock, life, random, timers } = runtime
    const store = this.under.openStore(runtime, timers, { layerKeysMax: 100 })
    life.onEnd(() => {
      this.life = undefined
    })
    const log = await this.under.openLog(runtime, timers, { retention: { hours: 0, bytes: 0 }, trimIntervalMs: 200 })
    const envelope = new CompressedEnvelope({ random, compression: SYNCHRONOUS })
    const target = { store: blobs.client(life), envelope }
    const engines: EngineFactory[] = [plantedBackup({ ...backup, target }, world.planted), viewTrackingEngine(VIEW)]
    const stack = new Stack<number>({
      serverId: name,
      bottom: new BaseEngine({
        serverId: name,
        log: this.watched(log),
        store,
        clock,
        timers,
        limits: { proposalDeadlineMs: 3_000, indeterminateMs: 300, flushMs: 50, readBytesMax: 2_000, retryMs: 5 },
      }),
      engines,
      clock,
      timers,
      random,
      database: KEYS,
      source: copySource({ database: KEYS, identity, restored: undefined, log, store }),
      membership: (levels) => ({
        missing: (_tx, engine, level) => ((levels.get(engine) ?? -1) >= level ? [] : names),
        members: () => names,
      }),
      checked: true,
    })
    stack.attach(new KeyDatabase(), { keepsLog: true })
    await stack.start()
    await stack.whenServing()
    this.life = { stack, store, engine: stack.layer(LOG_BACKUP) as LogBackupEngine }
    return this.life
  }

  /** What this server has applied, if it runs. */
  get cursor(): LogPos | undefined {
    return this.life === undefined ? undefined : loadCursor(this.life.store.read())
  }

  private watched(log: VirtualLog): SharedLog {
    const trims = (to: LogPos): void => this.options.trims(this, to)
    return {
      maxEntryBytes: log.maxEntryBytes,
      append: (bytes) => log.append(bytes),
      checkTail: () => log.checkTail(),
      readNext: (from, to, maxBytes) => log.readNext(from, to, maxBytes),
      prefixTrim: async (to) => {
        trims(to)
        await log.prefixTrim(to)
      },
      onTailMoved: (listener) => log.onTailMoved(listener),
      get knownTail() {
        return log.knownTail
      },
      oldest: () => log.oldest(),
      close: () => log.close(),
    }
  }
}

/** Of calls that a process makes in weather: what may be answered. */
export function isWeather(error: unknown): boolean {
  return error instanceof DelosError && error.code !== 'CORRUPT' && error.code !== 'TRIMMED'
}
