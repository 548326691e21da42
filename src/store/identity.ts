// Which cluster, database and history some stored state belongs to. Drawn at an explicit init, stored in a file beside the
// database's data, and compared wherever two parts meet, so that nothing is ever mixed with what it only resembles.

import { DelosError } from '../base/delos-error.ts'
import type { Disk } from '../runtime/disk.ts'
import { readSmallFile, writeFileDurably } from '../runtime/durable-file.ts'
import type { Random } from '../runtime/runtime.ts'
import type { DatabasePaths } from './data-directory.ts'

/** Three times 128 random bits as 32 lower-case hex digits. */
export interface Identity {
  readonly clusterId: string
  readonly databaseId: string
  /** New with every restore: positions of two histories mean different things. */
  readonly historyId: string
}

const FILE_NAME = 'identity'
const ID = /^[0-9a-f]{32}$/
const FIELDS = ['cluster', 'database', 'history'] as const
const FILE_FORMAT = 1

/** A new identity; with `clusterId`, of one more database of that cluster. */
export function drawIdentity(random: Random, clusterId = drawId(random)): Identity {
  return { clusterId, databaseId: drawId(random), historyId: drawId(random) }
}

/** 128 random bits as 32 hex digits. */
export function drawId(random: Random): string {
  return Buffer.from(random.bytes(16)).toString('hex')
}

/** Readable text: a line with the format, one line per id. */
export function encodeIdentity({ clusterId, databaseId, historyId }: Identity): Buffer {
  const lines = [`identity ${FILE_FORMAT}`, `cluster ${clusterId}`, `database ${databaseId}`, `history ${historyId}`]
  return Buffer.from(`${lines.join('\n')}\n`, 'latin1')
}

/** Reads what `encodeIdentity` wrote; `where` names it in the errors FORMAT (newer) and CORRUPT. */
export function decodeIdentity(bytes: Uint8Array, where: string): Identity {
  const [head = '', ...lines] = Buffer.from(bytes).toString('latin1').split('\n')
  const version = /^identity (\d+)$/.exec(head)?.[1]
  if (version === undefined) throw new DelosError('CORRUPT', `${where} is no identity`)
  if (Number(version) > FILE_FORMAT) {
    throw new DelosError('FORMAT', `${where} has format ${version}, this version reads up to ${FILE_FORMAT}`)
  }
  const ids = FIELDS.map((field, i) => {
    const [name, id = ''] = (lines[i] ?? '').split(' ')
    if (name !== field || !ID.test(id)) throw new DelosError('CORRUPT', `${where} has no readable ${field} id`)
    return id
  })
  return { clusterId: ids[0] as string, databaseId: ids[1] as string, historyId: ids[2] as string }
}

/** The identity stored in a database's directory; undefined if it was never initialised. */
export async function readIdentity(disk: Disk, directory: string): Promise<Identity | undefined> {
  const path = `${directory}/${FILE_NAME}`
  const bytes = await readSmallFile(disk, path)
  return bytes === undefined ? undefined : decodeIdentity(bytes, path)
}

/** Init: stores the identity, durable when it resolves. Rejects with CONFLICT if there is one, with the message naming it. */
export async function writeIdentity(disk: Disk, directory: string, identity: Identity): Promise<void> {
  const path = `${directory}/${FILE_NAME}`
  if (await disk.exists(path)) throw new DelosError('CONFLICT', `${path} exists: the database was initialised before`)
  await writeFileDurably(disk, path, encodeIdentity(identity))
}

/**
 * The identity of the database in `paths`, drawn and stored now if there is nothing of it yet. This is init: it must come
 * before anything else of the database is made. Rejects with CORRUPT if there are parts but no identity.
 */
export async function openIdentity(
  paths: DatabasePaths,
  { disk, random }: { readonly disk: Disk; readonly random: Random },
): Promise<Identity> {
  const stored = await readIdentity(disk, paths.directory)
  if (stored !== undefined) return stored
  for (const part of [paths.meta, paths.log, paths.store]) {
    if (await disk.exists(part)) throw new DelosError('CORRUPT', `${paths.directory} holds ${part} and no identity`)
  }
  const identity = drawIdentity(random)
  await writeIdentity(disk, paths.directory, identity)
  return identity
}

/** Throws MISMATCH unless both are the same; `where` says where `found` comes from. */
export function checkIdentity(expected: Identity, found: Identity, where: string): void {
  for (const field of FIELDS) {
    const [wanted, there] = [expected[`${field}Id`], found[`${field}Id`]]
    if (wanted === there) continue
    throw new DelosError('MISMATCH', `${where} belongs to ${field} ${there}, not to ${field} ${wanted}`)
  }
}
