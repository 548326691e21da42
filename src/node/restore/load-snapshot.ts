// Loads the parts of a snapshot into a store, and knows after a kill how far it had come. In the end the content is what the manifest
// says, by its digests.

import { DelosError } from '../../base/delos-error.ts'
import type { SnapshotManifest, SnapshotPart } from '../../engines/log-backup/backup-codec.ts'
import type { BackupNames } from '../../engines/log-backup/backup-names.ts'
import type { LocalStore } from '../../store/local-store.ts'
import { rowDigest } from '../database-copy-source.ts'
import type { OpenBlobs } from '../open-blob-store.ts'
import { readPart } from './backup-catalog.ts'

/** In the store's local range: parts that are loaded and durable, as text. */
const LOADED_KEY = 'restore/parts'
const ROWS_AT_ONCE = 5_000
const VIEW_MS = 3_600_000

export interface SnapshotLoad {
  readonly blobs: OpenBlobs
  readonly names: BackupNames
  readonly manifest: SnapshotManifest
  readonly databaseId: string
  readonly store: LocalStore
  /** So many of the manifest's parts are loaded. */
  progress(parts: number): void
}

/** Resolves when all of it is durable and right. CORRUPT if the content is not the manifest's. */
export async function loadSnapshot(load: SnapshotLoad): Promise<void> {
  const { manifest, store } = load
  const done = Number(Buffer.from(store.local.get(LOADED_KEY) ?? '0').toString('latin1'))
  if (done > manifest.parts) return // Checked, and entries have been played since.
  let coming = fetchPart(load, done)
  for (let number = done; number < manifest.parts; number++) {
    load.progress(number)
    const part = await coming
    if (number + 1 < manifest.parts) {
      coming = fetchPart(load, number + 1)
      coming.catch(() => undefined) // Its own turn comes.
    }
    await putRows(store, part)
    await mark(store, number + 1)
  }
  load.progress(manifest.parts)
  await checkContent(load)
  await mark(store, manifest.parts + 1)
}

type Rows = SnapshotPart['rows']

async function fetchPart({ blobs, manifest, names }: SnapshotLoad, number: number): Promise<Rows> {
  if (number >= manifest.parts) return []
  return (await readPart(blobs, names, manifest, number)).rows
}

async function putRows(store: LocalStore, rows: Rows): Promise<void> {
  for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
    if (store.full) await store.whenWritable()
    const tx = store.begin()
    for (const [key, value] of rows.slice(at, at + ROWS_AT_ONCE)) tx.put(key, value)
    tx.commit()
  }
}

/** Rows first: what is marked as loaded is there after any crash. */
async function mark(store: LocalStore, parts: number): Promise<void> {
  await store.flush()
  await store.local.put(LOADED_KEY, Buffer.from(String(parts)))
}

async function checkContent({ databaseId, manifest, store }: SnapshotLoad): Promise<void> {
  const view = await store.openView({ deadlineMs: VIEW_MS })
  const digest = rowDigest(databaseId)
  let rows = 0
  try {
    for (const [key, value] of view.scan({ from: '' })) {
      digest.add(key, value)
      rows++
    }
  } finally {
    view.close()
  }
  const found = digest.read()
  for (const [range, expected] of manifest.digests) {
    if (found.get(range) === expected) continue
    throw new DelosError('CORRUPT', `the snapshot at ${manifest.cursor} differs in range ${range} from its manifest`)
  }
  if (rows !== manifest.rows || found.size !== manifest.digests.size) {
    throw new DelosError('CORRUPT', `the snapshot at ${manifest.cursor} has ${rows} rows, not ${manifest.rows}`)
  }
}
