// `delos zk history PATH`: who changed a node of Zelos, when and from where, as far back as backup and log tell.

import type { Command } from 'commander'
import type { LogAnswer } from '../node/log-routes.ts'
import type { NodeChange } from '../node/restore/recording-zelos.ts'
import { adminToken, apiGet, type TokenFlags, withTokenFlags } from './api-client.ts'
import { type BackupFlags, placeOf, withBackupFlags } from './backup-flags.ts'
import { CommandFailure } from './command-failure.ts'
import { EXIT } from './exit-codes.ts'
import { textTable } from './text-table.ts'

type HistoryFlags = Omit<BackupFlags, 'from' | 'database'> &
  TokenFlags & { readonly from?: string; readonly api?: string }

export function addZkCommand(root: Command): void {
  const zk = root.command('zk').description('what a database of ZooKeeper nodes remembers')
  const history = zk
    .command('history')
    .description('who changed a node, when and from where; from a backup, the log of a running server, or both')
    .argument('<path>', 'as /a/b')
  withTokenFlags(withBackupFlags(history, false))
    .option('--api <address>', 'HOST:PORT of the HTTP API (default: 127.0.0.1:7800 without --from)')
    .option('--json', 'a line of JSON per change')
    .action(showHistory)
}

async function showHistory(path: string, flags: HistoryFlags): Promise<void> {
  const { from } = flags
  if (!path.startsWith('/') || (path !== '/' && path.endsWith('/'))) {
    throw new CommandFailure(EXIT.usage, `${path} is no path of a node: /a/b is expected`)
  }
  const api = flags.api ?? (from === undefined ? '127.0.0.1:7800' : undefined)
  const token = api === undefined ? undefined : await adminToken(flags)
  const live = async (position: number): Promise<LogAnswer> =>
    (await apiGet(api as string, `/v1/databases/zelos/log?from=${position}`, token)) as LogAnswer
  const { nodeHistory } = await import('../node/restore/change-log.ts')
  const changes: NodeChange[] = []
  const told = await nodeHistory({
    path,
    from: from === undefined ? undefined : placeOf({ ...flags, from, database: 'zelos' }),
    historyId: flags.history,
    live: api === undefined ? undefined : live,
    changed: (change) => {
      if (flags.json) process.stdout.write(`${JSON.stringify(change)}\n`)
      else changes.push(change)
    },
  })
  if (flags.json) return
  const rows = changes.map((change) => [
    String(change.position),
    change.at,
    change.what,
    change.request,
    change.session,
    change.address,
    change.identities.join(' '),
    `${change.oldVersion ?? '-'} to ${change.newVersion ?? '-'}`,
  ])
  const head = [' position', 'at', 'what', 'request', 'session', 'from', 'as', 'version']
  process.stdout.write(`${textTable(head, rows)}\n(positions ${told.first} to ${told.last})\n`)
}
