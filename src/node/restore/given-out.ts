// The highest zxid, or position of tables, that a restored database may have given out already: in the part of its history that is
// lost, or in histories that were restored from the same backup earlier. A new history goes on above it, so that none is ever given out
// twice.
//
// Each history is asked itself. Its newest snapshot holds the number as of that position; what came behind that took one for each byte
// of the log at most. So what a restore uses up does not grow with the backup: it is UNSEEN, and what the newest segments come to.

import type { Key } from '../../base/key.ts'
import { decodeSegment, type SnapshotManifest } from '../../engines/log-backup/backup-codec.ts'
import type { LogPos } from '../../log/position.ts'
import type { OpenBlobs } from '../open-blob-store.ts'
import { type BackupHistory, isDamage, type ListedSegment, readManifest, readPart } from './backup-catalog.ts'

/** What a history may have given out that is not in its backup, and more: a month and a half at sixty thousand a second. */
const UNSEEN = 2 ** 38
/** Of what is damaged: a chunk of the envelope has 14 bytes at least, and 2^20 inside. */
const PACKED_MAX = 2 ** 17

/** Where a database keeps its number. */
export interface GivenNumber {
  readonly key: Key
  /** By its row; undefined: there is none yet. */
  read(row: Uint8Array | undefined): number
}

/** The number of a history as of a position. */
export interface KnownNumber {
  readonly historyId: string
  readonly at: LogPos
  readonly number: number
}

/**
 * `histories`: all that the backup has of that database; one that was restored from it and is backed up elsewhere, or nowhere, is not
 * known. `restored`: what has just been restored, if that is at hand. What can't be read counts as much as it could have been.
 */
export async function givenOutUpTo(
  blobs: OpenBlobs,
  histories: readonly BackupHistory[],
  given: GivenNumber,
  restored: KnownNumber | undefined,
): Promise<number> {
  let highest = restored?.number ?? 0
  const begun: BackupHistory[] = []
  for (const history of histories) {
    const known = await newestKnown(blobs, history, given, restored)
    if (known === undefined) begun.push(history)
    else highest = Math.max(highest, known.number + (await bytesBehind(blobs, history, known.at)))
  }
  // Those without a snapshot have just begun, above what there was then.
  for (const history of begun) highest += UNSEEN + (await bytesBehind(blobs, history, 0 as LogPos))
  return highest + UNSEEN
}

async function newestKnown(
  blobs: OpenBlobs,
  { about: { historyId }, names, snapshots }: BackupHistory,
  { key, read }: GivenNumber,
  restored: KnownNumber | undefined,
): Promise<KnownNumber | undefined> {
  const own = restored?.historyId === historyId ? restored : undefined
  for (const cursor of snapshots.toReversed()) {
    if (own !== undefined && own.at >= cursor) return own
    const number = await unlessDamaged(async () => {
      const manifest = await readManifest(blobs, names, cursor)
      return read(await rowOf(key, manifest, async (part) => (await readPart(blobs, names, manifest, part)).rows))
    })
    if (number !== undefined) return { historyId, at: cursor, number }
  }
  return own
}

type Rows = readonly (readonly [Key, Uint8Array])[]

/** Parts are in the order of their keys: a few of them are looked at. */
async function rowOf(
  key: Key,
  { parts }: SnapshotManifest,
  rowsOf: (part: number) => Promise<Rows>,
): Promise<Uint8Array | undefined> {
  let [low, high] = [0, parts]
  while (low < high) {
    const middle = (low + high) >> 1
    const rows = await rowsOf(middle)
    const [first, last] = [rows[0], rows.at(-1)]
    if (first === undefined || last === undefined) return undefined
    if (key < first[0]) high = middle
    else if (key > last[0]) low = middle + 1
    else return rows.find(([found]) => found === key)?.[1]
  }
  return undefined
}

/** Every number was taken by an update in the log, and no update is shorter than a byte. */
async function bytesBehind(blobs: OpenBlobs, { segments }: BackupHistory, at: LogPos): Promise<number> {
  let sum = 0
  for (const segment of segments) {
    if (segment.to > at) sum += (await unlessDamaged(() => bytesOf(blobs, segment))) ?? segment.bytes * PACKED_MAX
  }
  return sum
}

async function bytesOf({ envelope, store }: OpenBlobs, { name }: ListedSegment): Promise<number> {
  const inside = await envelope.unwrap(name, await store.get(name))
  decodeSegment(inside, name)
  return inside.length
}

/** A restore does not depend on what else the backup holds. */
async function unlessDamaged<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (isDamage(error)) return undefined
    throw error
  }
}
