// `delos status`: what a running server says of itself, over its HTTP API.

import type { Command } from 'commander'
import type { ServerStatus } from '../node/server-status.ts'
import { apiGet } from './api-client.ts'
import { EXIT } from './exit-codes.ts'

export function addStatusCommand(root: Command): void {
  root
    .command('status')
    .description('show the status of a running server')
    .option('--api <address>', 'HOST:PORT of its HTTP API', '127.0.0.1:7800')
    .option('--json', 'as one line of JSON')
    .action(async (options: { api: string; json?: boolean }) => {
      const status = (await apiGet(options.api, '/v1/status')) as ServerStatus
      process.stdout.write(options.json ? `${JSON.stringify(status)}\n` : describe(status))
      if (!status.ready) process.exitCode = EXIT.failed
    })
}

function describe(status: ServerStatus): string {
  const lines = [
    `delos ${status.version}, ${status.ready ? 'ready' : 'not ready'}, up ${Math.round(status.uptimeMs / 1000)} s`,
    ...Object.entries(status.addresses).map(([name, address]) => `  ${name.padEnd(10)} ${address}`),
  ]
  for (const [name, database] of Object.entries(status.databases)) {
    lines.push(
      `${name}: ${database.state}`,
      `  applied    ${database.appliedPos} of ${database.tail}, durable ${database.durablePos}`,
      `  oldest     position ${database.oldestPos}${database.oldestAt === undefined ? '' : `, since ${database.oldestAt}`}`,
      `  history    ${database.historyId}`,
    )
    if (database.diskFull) lines.push('  disk full  writes are refused, reads go on')
    for (const alarm of database.alarms) lines.push(`  ALARM      ${alarm}`)
    if (database.failure !== undefined) lines.push(`  stopped    ${database.failure}`)
  }
  return `${lines.join('\n')}\n`
}
