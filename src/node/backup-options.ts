// What a program tells `openServer` of backups, and the stack that follows from it.

import { DelosError } from '../base/delos-error.ts'
import type { EngineFactory } from '../engine/stack.ts'
import { LOG_BACKUP, logBackupEngine } from '../engines/log-backup/log-backup-engine.ts'
import type { BackupTarget, LogBackupOptions } from '../engines/log-backup/log-backup-options.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { type BackupPlace, type OpenBlobs, openBlobs } from './open-blob-store.ts'
import type { Settings } from './settings.ts'

/** Where backups go, how often, how long they are kept. */
export interface BackupOptions extends BackupPlace, Partial<Omit<LogBackupOptions, 'target'>> {}

const HOUR_MS = 3_600_000

/** Undefined if there are to be none. INVALID_ARGUMENT if there is a key, and nowhere to use it. */
export function backupOptions(values: Settings): BackupOptions | undefined {
  const { backupKeyFile, backupTo } = values
  if (backupTo === undefined) {
    if (backupKeyFile === undefined) return undefined
    throw new DelosError('INVALID_ARGUMENT', 'backup-key-file is set and backup-to is not: nothing would be backed up')
  }
  return {
    location: backupTo,
    endpoint: values.backupEndpoint,
    region: values.backupRegion,
    keyFile: backupKeyFile,
    acceptClear: values.backupAcceptClear,
    tickMs: Math.min(1_000, values.backupIntervalMs),
    intervalMs: values.backupIntervalMs,
    closeMs: values.backupCloseMs,
    segmentBytes: values.backupSegmentBytes,
    snapshotBytes: values.backupSnapshotBytes,
    snapshotMs: values.backupSnapshotHours * HOUR_MS,
    keepMs: values.backupKeepHours * HOUR_MS,
    holdMs: values.backupHoldHours * HOUR_MS,
    freeBytesMin: values.backupFreeBytes,
  }
}

/** The blob stores of one server: each database has the same place, under its own name. */
export class ServerBackups {
  private readonly options: BackupOptions | undefined
  private readonly blobs: OpenBlobs | undefined
  private readonly runtime: Runtime
  private readonly dataDir: string

  private constructor(
    options: BackupOptions | undefined,
    blobs: OpenBlobs | undefined,
    runtime: Runtime,
    dataDir: string,
  ) {
    this.options = options
    this.blobs = blobs
    this.runtime = runtime
    this.dataDir = dataDir
  }

  static async open(options: BackupOptions | undefined, runtime: Runtime, dataDir: string): Promise<ServerBackups> {
    const blobs = options === undefined ? undefined : await openBlobs(options, runtime)
    return new ServerBackups(options, blobs, runtime, dataDir)
  }

  /** The same stack, with LogBackup told where backups go. */
  stack(engines: readonly EngineFactory[]): readonly EngineFactory[] {
    const { blobs, options, runtime } = this
    if (blobs === undefined || options === undefined) return engines
    const { acceptClear, credentials, endpoint, keyFile, location, region, ...given } = options
    const target: BackupTarget = { ...blobs, freeBytes: () => runtime.disk.freeBytes(this.dataDir) }
    return engines.map((engine) => (engine.name === LOG_BACKUP ? logBackupEngine({ ...given, target }) : engine))
  }

  async close(): Promise<void> {
    await this.blobs?.store.close()
  }
}
