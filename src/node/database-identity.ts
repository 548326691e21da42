// Init and check of a database's identity: drawn when its directory is empty, stored beside the parts and inside the store, and
// compared at every start, so that parts of two databases or histories are never used together.

import { DelosError } from '../base/delos-error.ts'
import type { Disk } from '../runtime/disk.ts'
import { makeDirDurably } from '../runtime/durable-file.ts'
import type { Random } from '../runtime/runtime.ts'
import type { DatabasePaths } from '../store/data-directory.ts'
import {
  checkIdentity,
  decodeIdentity,
  drawIdentity,
  encodeIdentity,
  type Identity,
  readIdentity,
  writeIdentity,
} from '../store/identity.ts'
import type { LocalStore } from '../store/local-store.ts'

const IDENTITY_KEY = 'node/identity'

/**
 * The identity of the database in these paths, drawn if there is none and no data either; makes the directories of its
 * parts. Rejects with CORRUPT if data is there but the identity is not.
 */
export async function openIdentity(paths: DatabasePaths, disk: Disk, random: Random): Promise<Identity> {
  const stored = await readIdentity(disk, paths.directory)
  if (stored === undefined && (await disk.exists(`${paths.store}/CURRENT`))) {
    throw new DelosError('CORRUPT', `${paths.directory} holds data, but its identity file is gone`)
  }
  const identity = stored ?? drawIdentity(random)
  if (stored === undefined) await writeIdentity(disk, paths.directory, identity)
  await makeDirDurably(disk, paths.meta)
  await makeDirDurably(disk, paths.log)
  return identity
}

/** Throws MISMATCH if the store was made for another database or history; marks a new store. */
export async function bindStore(store: LocalStore, identity: Identity, directory: string): Promise<void> {
  const stored = store.local.get(IDENTITY_KEY)
  if (stored === undefined) await store.local.put(IDENTITY_KEY, encodeIdentity(identity))
  else checkIdentity(identity, decodeIdentity(stored, directory), directory)
}
