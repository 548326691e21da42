// `delos doctor`: an operator's look at the rows of a running server's database, and edits of them past the database, through the
// log. Works as well while the database is stopped at an entry. Not here: what an edit may do (node/doctor.ts).

import { hostname, userInfo } from 'node:os'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { escapeBytes } from '../base/escaped-bytes.ts'
import type {
  EditJson,
  EditsAnswer,
  HistoryAnswer,
  RowAnswer,
  RowsAnswer,
  ValueJson,
  VoidAnswer,
} from '../node/doctor-routes.ts'
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
import { CommandFailure } from './command-failure.ts'
import { EXIT } from './exit-codes.ts'

const FORMATS = ['text', 'hex', 'base64'] as const
type Format = (typeof FORMATS)[number]

type DoctorFlags = ApiFlags & TokenFlags & { readonly format: Format }

interface EditFlags extends DoctorFlags {
  readonly why: string
  readonly who?: string
  readonly old?: string
  readonly absent?: boolean
  readonly force?: boolean
  readonly dryRun?: boolean
}

const DONE = 200
const REFUSED = 409

const KEYS = `
Keys are bytes. Printable ASCII stands for itself, a backslash is \\\\, a zero byte \\0, any byte \\xHH (two hexadecimal
digits); other characters stand for their UTF-8 bytes. Every engine and database has the keys that begin with its name and a zero
byte: 'zelos\\0...', 'view-tracking\\0...'. Quote them, or the shell takes the backslashes.

Values are text (UTF-8; shown with the escapes of keys), hex or base64, as --format says.`

export function addDoctorCommand(root: Command): void {
  const doctor = root
    .command('doctor')
    .description('look at and edit the rows of a database, below the database; needs the admin token')
    .addHelpText('after', KEYS)
  const command = (name: string, what: string): Command =>
    withTokenFlags(withApiFlags(doctor.command(name).description(what).addHelpText('after', KEYS))).addOption(
      new Option('--format <format>', 'of values').choices(FORMATS).default('text'),
    )
  command('get', 'show the value of a key').argument('<key>').action(get)
  command('scan', 'show rows in the order of their keys')
    .argument('[prefix]', 'of keys', '')
    .option('--from <key>', 'begin there instead')
    .option('--to <key>', 'end before it; not with a prefix')
    .option('--limit <rows>', 'at most so many', whole, 100)
    .action(scan)
  const edit = (name: string, what: string): Command =>
    command(name, `${what}, on all servers at one position of the log`)
      .argument('<key>')
      .requiredOption('--why <reason>', 'kept in the history')
      .option('--who <name>', 'kept in the history (default: you, at this machine)')
      .option('--old <value>', 'only if it holds this (default: what it holds when you ask)')
      .option('--force', 'also ranges of engines below, and of the history')
      .option('--dry-run', 'show the difference and change nothing')
  edit('put', 'set the value of a key')
    .argument('<value>')
    .option('--absent', 'only if there is no such row')
    .action((key: string, value: string, flags: EditFlags) => change(key, bytesIn(value, flags.format), flags))
  edit('delete', 'remove a row').action((key: string, flags: EditFlags) => change(key, null, flags))
  command('history', 'what was edited: who, when, why, rows before and after; newest first')
    .option('--limit <records>', 'at most so many', whole, 100)
    .action(history)
  command('void', 'apply the entry at which the database stopped as nothing, on all servers')
    .argument('<position>', 'where it stopped, as `delos status` shows', position)
    .requiredOption('--why <reason>', 'kept in the history')
    .option('--who <name>', 'kept in the history (default: you, at this machine)')
    .action(voidPosition)
}

function whole(text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= 1 && value <= 10_000) return value
  throw new InvalidArgumentError('a whole number from 1 to 10000 is expected')
}

function position(text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value
  throw new InvalidArgumentError('a whole number from 0 is expected')
}

async function get(key: string, flags: DoctorFlags): Promise<void> {
  const answer = (await ask(flags, `row?key=${encodeURIComponent(key)}`)) as RowAnswer
  if (flags.json) print(JSON.stringify(answer))
  else if (answer.value !== null) print(shown(answer.value, flags.format))
  if (answer.value === null) throw new CommandFailure(EXIT.failed, `there is no row ${answer.key}`)
}

async function scan(
  prefix: string,
  flags: DoctorFlags & { readonly from?: string; readonly to?: string; readonly limit: number },
): Promise<void> {
  const { from, limit, to } = flags
  const query = new URLSearchParams({ limit: String(limit) })
  if (prefix !== '' || to === undefined) query.set('prefix', prefix)
  if (from !== undefined) query.set('from', from)
  if (to !== undefined) query.set('to', to)
  const answer = (await ask(flags, `rows?${query}`)) as RowsAnswer
  if (flags.json) {
    print(JSON.stringify(answer))
    return
  }
  for (const { key, value } of answer.rows) print(`${key}\t${shown(value, flags.format)}`)
  if (answer.next !== undefined) process.stderr.write(`delos: there is more, from ${answer.next}\n`)
}

async function history(flags: DoctorFlags & { readonly limit: number }): Promise<void> {
  const answer = (await ask(flags, `history?limit=${flags.limit}`)) as HistoryAnswer
  if (flags.json) {
    print(JSON.stringify(answer))
    return
  }
  for (const { at, edits, forced, number, position, repair, voids, who, why } of answer.records) {
    const notes = [forced && 'forced', repair && 'repair', voids && 'voided'].filter((note) => note !== false)
    const kind = notes.length === 0 ? '' : ` (${notes.join(', ')})`
    print(`#${number} position ${position}${kind}, ${at}, ${who}: ${why}`)
    printDifference(edits, flags.format)
  }
}

async function change(key: string, value: ValueJson, flags: EditFlags): Promise<void> {
  const { absent, dryRun, force, format, old } = flags
  if (absent && old !== undefined) throw new CommandFailure(EXIT.usage, '--old and --absent exclude each other')
  const expected = absent ? { old: null } : old === undefined ? {} : { old: bytesIn(old, format) }
  const body = {
    ...signature(flags),
    edits: [{ key, value, ...expected }],
    force: force === true,
    dryRun: dryRun === true,
  }
  const { status, answer } = await tell<EditsAnswer>(flags, 'edits', body)
  if (flags.json) print(JSON.stringify(answer))
  if (status === REFUSED) {
    for (const { expected: wanted, found, key: at } of answer.conflicts ?? []) {
      process.stderr.write(`delos: ${at} holds ${shown(found, format)}, not ${shown(wanted, format)}\n`)
    }
    throw new CommandFailure(EXIT.failed, `refused: ${answer.error}`)
  }
  if (flags.json) return
  printDifference(answer.edits ?? [], format)
  print(whatHappened(answer))
}

function whatHappened({ database, outcome, position, recordedAt, shown }: EditsAnswer): string {
  if (outcome === 'would edit') return `${database}: nothing was changed (dry run)`
  if (outcome === 'edited') {
    const late = shown === false ? ' (the holder of the lease may not have seen it yet)' : ''
    return `${database}: edited at position ${position}${late}`
  }
  return [
    `${database}: recorded at position ${recordedAt}, to be made in front of position ${position}, where the database stopped.`,
    'Start each of its servers again: it makes the edit, then goes on with that entry.',
  ].join('\n')
}

async function voidPosition(at: number, flags: EditFlags): Promise<void> {
  const { answer } = await tell<VoidAnswer>(flags, 'voids', { ...signature(flags), position: at })
  if (flags.json) {
    print(JSON.stringify(answer))
    return
  }
  const { audited, changed, database } = answer
  print(`${database}: position ${at} ${changed ? 'is' : 'was'} void${audited ? '' : ' (no record of it is kept)'}`)
  print('Start each of its servers again: it passes that entry without applying it.')
}

function signature({ who, why }: EditFlags): { readonly who: string; readonly why: string } {
  return { who: who ?? `${userInfo().username}@${hostname()}`, why }
}

async function ask(flags: DoctorFlags, rest: string): Promise<unknown> {
  const token = await adminToken(flags)
  return await apiGet(flags.api, await pathOf(flags, rest), token)
}

async function tell<T>(flags: DoctorFlags, rest: string, body: unknown): Promise<{ status: number; answer: T }> {
  const token = await adminToken(flags)
  const expected = rest === 'edits' ? [DONE, REFUSED] : [DONE]
  const answered = await apiPost(flags.api, await pathOf(flags, rest), token, body, expected)
  return { status: answered.status, answer: answered.body as T }
}

async function pathOf(flags: ApiFlags, rest: string): Promise<string> {
  return `/v1/databases/${encodeURIComponent(await databaseOf(flags))}/doctor/${rest}`
}

function printDifference(edits: readonly EditJson[], format: Format): void {
  for (const { key, old, value } of edits) {
    if (old !== null) print(`- ${key}\t${shown(old, format)}`)
    if (value !== null) print(`+ ${key}\t${shown(value, format)}`)
  }
}

function shown(value: ValueJson, format: Format): string {
  if (value === null) return 'nothing'
  const bytes = Buffer.from(value, 'base64')
  return format === 'text' ? escapeBytes(bytes) : bytes.toString(format)
}

/** As base64. */
function bytesIn(text: string, format: Format): string {
  if (format === 'hex' && !/^(?:[0-9a-fA-F]{2})*$/.test(text))
    throw new CommandFailure(EXIT.usage, `not hexadecimal: ${text}`)
  if (format === 'base64' && Buffer.from(text, 'base64').toString('base64') !== text) {
    throw new CommandFailure(EXIT.usage, `not base64: ${text}`)
  }
  return Buffer.from(text, format === 'text' ? 'utf8' : format).toString('base64')
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
