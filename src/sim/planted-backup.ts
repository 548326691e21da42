// The planted bugs of LogBackup: completions before the upload is durable, trimming past what is backed up, and completions of claims
// that are held by somebody else by now.

import type { EngineFactory } from '../engine/stack.ts'
import { BackupState } from '../engines/log-backup/backup-state.ts'
import { BackupWorker, type WorkerParts } from '../engines/log-backup/backup-worker.ts'
import { LogBackupEngine, logBackupEngine } from '../engines/log-backup/log-backup-engine.ts'
import { LOG_BACKUP_OPTIONS, type LogBackupOptions } from '../engines/log-backup/log-backup-options.ts'
import type { LogPos } from '../log/position.ts'
import type { PlantedBug } from './planted-bugs.ts'

/** In place of `logBackupEngine`. */
export function plantedBackup(options: Partial<LogBackupOptions>, planted: PlantedBug | undefined): EngineFactory {
  const all = { ...LOG_BACKUP_OPTIONS, ...options }
  const factory = logBackupEngine(options)
  switch (planted) {
    case 'backup-not-durable':
      return { ...factory, create: (context) => new NotDurable(context, all) }
    case 'backup-trimmed-ahead':
      return { ...factory, create: (context) => new TrimmedAhead(context, all) }
    case 'backup-stale-claim':
      return { ...factory, create: (context) => new StaleClaims(context, all) }
    default:
      return factory
  }
}

class Hasty extends BackupWorker {
  protected override async settled(...args: Parameters<BackupWorker['settled']>): Promise<number> {
    super.settled(...args).catch(() => undefined)
    return 1
  }
}

class NotDurable extends LogBackupEngine {
  protected override makeWorker(parts: WorkerParts): BackupWorker {
    return new Hasty(parts)
  }
}

class TrimmedAhead extends LogBackupEngine {
  protected override get backedUp(): LogPos {
    return this.state.claimedTo
  }
}

class AnyClaim extends BackupState {
  protected override isCurrent(): boolean {
    return true
  }
}

class StaleClaims extends LogBackupEngine {
  protected override makeState(): BackupState {
    return new AnyClaim(this.prefix)
  }
}
