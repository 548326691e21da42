// Requests of the command line to a running server's HTTP API, and the admin token that some of them need. Of a data directory it
// reads that file and nothing else.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { ADMIN_TOKEN_FILE, tokenIn } from '../node/admin-token.ts'
import type { ServerStatus } from '../node/server-status.ts'
import { SETTINGS } from '../node/settings.ts'
import { CommandFailure } from './command-failure.ts'
import { EXIT } from './exit-codes.ts'

const GET_MS = 5_000
/** A change waits for the log. */
const POST_MS = 30_000

/** Which server, and which of its databases. */
export interface ApiFlags {
  readonly api: string
  readonly database?: string
  readonly json?: boolean
}

/** Where the token is. */
export interface TokenFlags {
  readonly dataDir?: string
  readonly tokenFile?: string
}

export function withApiFlags(command: Command): Command {
  return command
    .option('--api <address>', 'HOST:PORT of its HTTP API', '127.0.0.1:7800')
    .option('--database <name>', 'one of its databases (default: the only one)')
    .option('--json', 'as one line of JSON')
}

export function withTokenFlags(command: Command): Command {
  return command
    .option('--data-dir <path>', `data directory of the server, for its ${ADMIN_TOKEN_FILE}`)
    .option('--token-file <file>', 'a copy of that file (default: $DELOS_ADMIN_TOKEN, then --data-dir)')
}

/** An answer with its status; the caller knows which it expects. */
export interface Answer {
  readonly status: number
  readonly body: unknown
}

/** `token`: for what is not for everybody to read. */
export async function apiGet(api: string, path: string, token?: string): Promise<unknown> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const { status, body } = await call(api, path, { headers, signal: AbortSignal.timeout(GET_MS) })
  if (status === 200) return body
  throw refusal(api, status, body)
}

/** Statuses in `expected` are answers; any other is a CommandFailure. */
export async function apiPost(
  api: string,
  path: string,
  token: string,
  body: unknown,
  expected: readonly number[],
): Promise<Answer> {
  const answer = await call(api, path, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(POST_MS),
  })
  if (expected.includes(answer.status)) return answer
  throw refusal(api, answer.status, answer.body)
}

async function call(api: string, path: string, init: RequestInit): Promise<Answer> {
  let response: Response
  try {
    response = await fetch(`http://${api}${path}`, init)
  } catch (error) {
    const cause = ((error as Error).cause ?? error) as Error
    throw new CommandFailure(
      EXIT.inUse,
      `no server reachable at ${api} (${cause.message}); --api names another address`,
    )
  }
  const text = await response.text().catch((error: unknown) => {
    throw new CommandFailure(EXIT.failed, `the answer of ${api} broke off (${String(error)})`)
  })
  try {
    return { status: response.status, body: JSON.parse(text) }
  } catch {
    throw new CommandFailure(EXIT.failed, `${api} answered ${response.status} without JSON: is it a Delos server?`)
  }
}

function refusal(api: string, status: number, body: unknown): CommandFailure {
  const error = (body as { error?: unknown } | null)?.error
  const reason = typeof error === 'string' ? error : `${api} answered ${status}`
  return new CommandFailure(status === 400 ? EXIT.usage : EXIT.failed, reason)
}

/** The databases that the flags mean: the one named, or all. */
export async function databasesOf({ api, database }: ApiFlags): Promise<readonly string[]> {
  if (database !== undefined) return [database]
  return Object.keys(((await apiGet(api, '/v1/status')) as ServerStatus).databases)
}

/** The database that the flags mean: the one named, or the only one. */
export async function databaseOf(flags: ApiFlags): Promise<string> {
  const [name, ...others] = await databasesOf(flags)
  if (name === undefined) throw new CommandFailure(EXIT.failed, `${flags.api} serves no database yet`)
  if (others.length === 0) return name
  throw new CommandFailure(EXIT.usage, `--database must name one of ${[name, ...others].join(', ')}`)
}

/** The first that is given: --token-file, --data-dir, the environment; else the token in the default data directory. */
export async function adminToken({ tokenFile, dataDir }: TokenFlags): Promise<string> {
  const given = tokenFile ?? (dataDir === undefined ? undefined : join(dataDir, ADMIN_TOKEN_FILE))
  const fromEnvironment = process.env.DELOS_ADMIN_TOKEN?.trim()
  if (given === undefined && fromEnvironment !== undefined && fromEnvironment !== '') return fromEnvironment
  const file = given ?? join(SETTINGS.dataDir.fallback, ADMIN_TOKEN_FILE)
  try {
    return tokenIn(await readFile(file), file)
  } catch (error) {
    const where = '--data-dir, --token-file or DELOS_ADMIN_TOKEN says where the token is'
    throw new CommandFailure(EXIT.usage, `no admin token (${(error as Error).message}); ${where}`)
  }
}
