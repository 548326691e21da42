// `delos restore`: makes a data directory out of a backup, as of any entry or time. Needs no server.

import { type Command, InvalidArgumentError } from 'commander'
import type { RestoreResult } from '../node/restore/restore.ts'
import type { RestorePoint } from '../node/restore/restore-point.ts'
import { DATABASES, type DatabaseName } from '../node/settings.ts'
import { type BackupFlags, ProgressBar, placeOf, withBackupFlags } from './backup-flags.ts'
import { CommandFailure } from './command-failure.ts'
import { EXIT } from './exit-codes.ts'

interface RestoreFlags extends BackupFlags {
  readonly dataDir: string
  readonly toPosition?: number
  readonly toTime?: number
}

export function addRestoreCommand(root: Command): void {
  const command = root
    .command('restore')
    .description('restore a database from its backup into an empty data directory; run it again if it was cut off')
  withBackupFlags(command)
    .requiredOption('--data-dir <path>', 'the directory to make; empty, or a restore that has not ended')
    .option('--database <name>', `one of: ${DATABASES.join(', ')}`, 'zelos')
    .option('--to-position <n>', 'up to and with the entry at this position of the log', position)
    .option('--to-time <time>', 'up to the last entry before this time, as 2026-01-31T12:00:00Z', time)
    .option('--json', 'progress and result as lines of JSON')
    .action(restoreCommand)
}

function position(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('a whole number from 0 is expected')
}

function time(text: string): number {
  const wallMs = Date.parse(text)
  if (/^\d{4}-\d{2}-\d{2}/.test(text) && !Number.isNaN(wallMs)) return wallMs
  throw new InvalidArgumentError('a time as 2026-01-31T12:00:00Z is expected')
}

async function restoreCommand(flags: RestoreFlags): Promise<void> {
  if (flags.toPosition !== undefined && flags.toTime !== undefined) {
    throw new CommandFailure(EXIT.usage, '--to-position and --to-time: only one of them')
  }
  if (!(DATABASES as readonly string[]).includes(flags.database)) {
    throw new CommandFailure(EXIT.usage, `--database ${flags.database}: one of ${DATABASES.join(', ')} is expected`)
  }
  const [{ restore }, { RESTORABLE }, { createLogger }] = await Promise.all([
    import('../node/restore/restore.ts'),
    import('../node/restore/restorable-database.ts'),
    import('../node/create-logger.ts'),
  ])
  const bar = new ProgressBar(flags.json === true)
  try {
    const result = await restore({
      from: placeOf(flags),
      database: flags.database,
      definition: RESTORABLE[flags.database as DatabaseName],
      to: pointOf(flags),
      historyId: flags.history,
      dataDir: flags.dataDir,
      logger: createLogger('warn', 'text'),
      progress: ({ done, of, phase }) => bar.show(phase, done, of),
    })
    bar.end()
    process.stdout.write(flags.json ? `${JSON.stringify(result)}\n` : text(result, flags.dataDir))
  } finally {
    bar.end()
  }
}

function pointOf({ toPosition, toTime }: RestoreFlags): RestorePoint {
  if (toPosition !== undefined) return { kind: 'position', position: toPosition as never }
  return toTime === undefined ? { kind: 'newest' } : { kind: 'time', wallMs: toTime }
}

function text({ cursor, database, historyId, newHistoryId, position: last }: RestoreResult, dataDir: string): string {
  return [
    `${database} is restored in ${dataDir}, up to position ${last} (snapshot at ${cursor} and ${last + 1 - cursor} positions of the log)`,
    `  from history   ${historyId}`,
    `  new history    ${newHistoryId}`,
    ...(database === 'zelos' ? ['  all sessions are closed; clients that still run get new ones'] : []),
    '',
  ].join('\n')
}
