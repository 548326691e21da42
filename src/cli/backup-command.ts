// `delos backup`: what is backed up and can be restored, asked of a running server or of the backup itself, and its verification.

import type { Command } from 'commander'
import type { BackupHistory } from '../node/restore/backup-catalog.ts'
import type { VerifiedHistory } from '../node/restore/verify-backup.ts'
import type { EnginesAnswer } from '../node/stack-routes.ts'
import { type ApiFlags, apiGet, databaseOf } from './api-client.ts'
import { type BackupFlags, ProgressBar, placeOf, withBackupFlags } from './backup-flags.ts'
import { CommandFailure } from './command-failure.ts'
import { EXIT } from './exit-codes.ts'
import { textTable } from './text-table.ts'

const LOG_BACKUP = 'log-backup'

type StatusFlags = Omit<BackupFlags, 'from' | 'database'> & ApiFlags & { readonly from?: string }

export function addBackupCommand(root: Command): void {
  const backup = root.command('backup').description('what is backed up, and whether it is sound')
  const status = backup
    .command('status')
    .description('how far a running server has backed up; with --from: what can be restored from there')
  withBackupFlags(status, false)
    .option('--api <address>', 'HOST:PORT of the HTTP API', '127.0.0.1:7800')
    .option('--database <name>', 'one of its databases (default: the only one; with --from: zelos)')
    .option('--json', 'as one line of JSON')
    .action(showStatus)
  const verify = backup.command('verify').description('read a whole backup as a restore would; 4 if it is damaged')
  withBackupFlags(verify)
    .option('--database <name>', 'whose backup', 'zelos')
    .option('--json', 'as lines of JSON')
    .action(verifyBackup)
}

async function showStatus(flags: StatusFlags): Promise<void> {
  const { from } = flags
  if (from === undefined) return await showServer(flags)
  const database = flags.database ?? 'zelos'
  await withHistories({ ...flags, from, database }, async (histories, catalog) => {
    const rows = histories.map((history) => {
      const { about, bytes, segments, snapshots } = history
      const restorable = catalog.restorableRanges(history)
      return { ...about, segments: segments.length, snapshots: snapshots.length, bytes, restorable }
    })
    if (flags.json) {
      process.stdout.write(`${JSON.stringify({ database, histories: rows })}\n`)
      return
    }
    const cells = rows.map((row) => [
      row.historyId,
      new Date(row.beganMs).toISOString(),
      row.restored === undefined ? '' : `${row.restored.historyId.slice(0, 8)} at ${row.restored.position}`,
      String(row.segments),
      String(row.snapshots),
      String(row.bytes),
      rangesText(row.restorable),
    ])
    const head = ['history', 'began', 'restored from', ' segments', ' snapshots', ' bytes', 'restorable positions']
    process.stdout.write(`${textTable(head, cells)}\n`)
  })
}

async function showServer(flags: StatusFlags): Promise<void> {
  const database = await databaseOf(flags)
  const path = `/v1/databases/${encodeURIComponent(database)}/engines`
  const { engines } = (await apiGet(flags.api, path)) as EnginesAnswer
  const engine = engines.find(({ name }) => name === LOG_BACKUP)
  if (engine === undefined)
    throw new CommandFailure(EXIT.failed, `database ${database} has no ${LOG_BACKUP} in its stack`)
  const { details, enabled } = engine
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ database, enabled, ...details })}\n`)
    return
  }
  if (details.begun !== true) {
    process.stdout.write(
      `${database}: backups have not begun${details.uploads ? '' : ' (serve --backup-to says where to)'}\n`,
    )
    return
  }
  const { behind, end, first, gaps, newestSnapshot, snapshots, trouble = '' } = details
  const lines = [
    `${database}: ${enabled ? 'backed up' : 'DISABLED'} ${details.location === '' ? '' : `to ${details.location}`}`,
    `  history    ${details.historyId}`,
    `  log        positions ${first} to ${Number(end) - 1}, ${behind} behind`,
    `  snapshots  ${snapshots}, the newest at ${newestSnapshot}`,
    ...(trouble === '' ? [] : [`  FAILS      ${trouble}`]),
    ...(Number(gaps) > 0 ? [`  GAPS       ${gaps}: see delos status`] : []),
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}

async function verifyBackup(flags: BackupFlags): Promise<void> {
  const { verifyHistory } = await import('../node/restore/verify-backup.ts')
  await withHistories(flags, async (histories, _catalog, blobs) => {
    let damaged = false
    for (const history of histories) {
      const bar = new ProgressBar(flags.json === true)
      const found = await verifyHistory(blobs, history, (done, of) => bar.show('verify', done, of))
      bar.end()
      damaged ||= found.problems.length > 0
      process.stdout.write(flags.json ? `${JSON.stringify(found)}\n` : verifiedText(found))
    }
    if (damaged) process.exitCode = EXIT.data
  })
}

type Catalog = typeof import('../node/restore/backup-catalog.ts')
type Blobs = Parameters<Catalog['listHistories']>[0]

async function withHistories(
  flags: BackupFlags,
  body: (histories: readonly BackupHistory[], catalog: Catalog, blobs: Blobs) => Promise<void>,
): Promise<void> {
  const [catalog, { openBlobsHere }] = await Promise.all([
    import('../node/restore/backup-catalog.ts'),
    import('../node/open-blob-store.ts'),
  ])
  const blobs = await openBlobsHere(placeOf(flags))
  try {
    const { database, history } = flags
    const all = await catalog.listHistories(blobs, database)
    const wanted = history === undefined ? all : all.filter(({ about }) => about.historyId.startsWith(history))
    if (wanted.length > 0) return await body(wanted, catalog, blobs)
    const what = all.length === 0 ? `a database ${database}` : `the history ${history} of ${database}`
    throw new CommandFailure(EXIT.data, `${blobs.store.location} holds no backup of ${what}`)
  } finally {
    await blobs.store.close()
  }
}

function rangesText(ranges: readonly { readonly first: number; readonly last: number }[]): string {
  return ranges.length === 0 ? 'none' : ranges.map(({ first, last }) => `${first} to ${last}`).join(', ')
}

function verifiedText(found: VerifiedHistory): string {
  const { entries, historyId, problems, restorable, rows, segments, snapshots } = found
  const lines = [
    `${historyId}: ${problems.length === 0 ? 'sound' : 'DAMAGED'}`,
    `  ${segments} segments with ${entries} entries, ${snapshots} snapshots with ${rows} rows`,
    `  restorable positions: ${rangesText(restorable)}`,
    ...problems.map((problem) => `  PROBLEM  ${problem}`),
  ]
  return `${lines.join('\n')}\n`
}
