// `delos engine`: which engines a database's stack has, and their replicated switches, turned through the log while it runs.

import { type Command, InvalidArgumentError } from 'commander'
import type { EnginesAnswer, SwitchAnswer } from '../node/stack-routes.ts'
import {
  type ApiFlags,
  adminToken,
  apiGet,
  apiPost,
  databaseOf,
  type TokenFlags,
  withApiFlags,
  withTokenFlags,
} from './api-client.ts'
import { EXIT } from './exit-codes.ts'
import { textTable } from './text-table.ts'

const SWITCHED = 200
const REFUSED = 409

export function addEngineCommand(root: Command): void {
  const engine = root.command('engine').description('list and switch the engines of a running server')
  withApiFlags(engine.command('list').description('flag and level of each engine, top to bottom')).action(list)
  const change = (name: string, what: string): Command =>
    withTokenFlags(withApiFlags(engine.command(name).description(what).argument('<engine>')))
  change('enable', 'switch an engine on, on all servers at one position of the log').action((name, flags) =>
    turn(name, { enabled: true }, flags),
  )
  change('disable', 'switch an engine off, on all servers at one position of the log').action((name, flags) =>
    turn(name, { enabled: false }, flags),
  )
  change('level', 'raise the level of an engine, which is never lowered')
    .argument('<level>', 'a whole number from 1', level)
    .action((name, wanted, flags) => turn(name, { level: wanted }, flags))
}

function level(text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= 1 && value < 2 ** 31) return value
  throw new InvalidArgumentError('a whole number from 1 is expected')
}

function enginesPath(database: string): string {
  return `/v1/databases/${encodeURIComponent(database)}/engines`
}

async function list(flags: ApiFlags): Promise<void> {
  const database = await databaseOf(flags)
  const answer = (await apiGet(flags.api, enginesPath(database))) as EnginesAnswer
  if (flags.json) {
    process.stdout.write(`${JSON.stringify(answer)}\n`)
    return
  }
  const rows = answer.engines.map((one) => [one.name, one.enabled ? 'on' : 'off', `${one.level}/${one.levelMax}`])
  process.stdout.write(`${textTable(['engine', 'flag', ' level'], rows.toReversed())}\n`)
}

async function turn(
  engine: string,
  change: { readonly enabled: boolean } | { readonly level: number },
  flags: ApiFlags & TokenFlags,
): Promise<void> {
  const token = await adminToken(flags)
  const database = await databaseOf(flags)
  const path = `${enginesPath(database)}/${encodeURIComponent(engine)}`
  const { status, body } = await apiPost(flags.api, path, token, change, [SWITCHED, REFUSED])
  const answer = body as SwitchAnswer
  if (flags.json) process.stdout.write(`${JSON.stringify(answer)}\n`)
  if (status === REFUSED) {
    if (!flags.json) process.stderr.write(`delos: refused: ${answer.error}\n`)
    process.exitCode = EXIT.failed
    return
  }
  if (!flags.json) {
    process.stdout.write(`${database}: ${engine} is ${answer.enabled ? 'on' : 'off'}, level ${answer.level}\n`)
  }
}
