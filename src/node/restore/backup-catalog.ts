// What there is in a blob store to restore from: the histories of one database, their snapshots and the ranges of the log, learnt from
// names alone, and which points of the past follow. Not here: reading them (replay-log.ts, restore.ts).

import { DelosError } from '../../base/delos-error.ts'
import { allBlobs } from '../../blobs/blob-store.ts'
import {
  type BackupAbout,
  decodeAbout,
  decodeManifest,
  decodePart,
  type SnapshotManifest,
  type SnapshotPart,
} from '../../engines/log-backup/backup-codec.ts'
import {
  aboutPrefix,
  BackupNames,
  type SegmentRange,
  segmentOf,
  snapshotOf,
} from '../../engines/log-backup/backup-names.ts'
import type { LogPos } from '../../log/position.ts'
import type { OpenBlobs } from '../open-blob-store.ts'

/** A segment as listed. */
export interface ListedSegment extends SegmentRange {
  readonly name: string
  readonly bytes: number
}

/** Everything from `first` to `last`, both included, can be restored, from a snapshot of this cursor on. */
export interface RestorableRange {
  readonly first: LogPos
  readonly last: LogPos
}

/** One history of a database. */
export interface BackupHistory {
  readonly about: BackupAbout
  readonly names: BackupNames
  /** By their beginning. */
  readonly segments: readonly ListedSegment[]
  /** Cursors of complete snapshots, ascending. */
  readonly snapshots: readonly LogPos[]
  readonly bytes: number
}

/** All histories of that database, the oldest first. */
export async function listHistories(blobs: OpenBlobs, database: string): Promise<BackupHistory[]> {
  const histories: BackupHistory[] = []
  for await (const { name } of allBlobs(blobs.store, aboutPrefix(database))) {
    const about = decodeAbout(await blobs.envelope.unwrap(name, await blobs.store.get(name)), name)
    histories.push(await listHistory(blobs, about))
  }
  return histories.sort((a, b) => a.about.beganMs - b.about.beganMs)
}

/** The one that is asked for, by its first digits, or the newest. NOT_FOUND if there is none, INVALID_ARGUMENT if there are several. */
export async function chooseHistory(
  blobs: OpenBlobs,
  database: string,
  historyId: string | undefined,
): Promise<BackupHistory> {
  const histories = await listHistories(blobs, database)
  const named = histories.filter(({ about }) => historyId === undefined || about.historyId.startsWith(historyId))
  if (historyId !== undefined && named.length > 1) {
    throw new DelosError(
      'INVALID_ARGUMENT',
      `${named.length} histories begin with '${historyId}': more digits are needed`,
    )
  }
  const found = named.at(-1)
  if (found !== undefined) return found
  const what = historyId === undefined ? `a database ${database}` : `the history ${historyId} of ${database}`
  throw new DelosError('NOT_FOUND', `${blobs.store.location} holds no backup of ${what}`)
}

/** Of one, what there is now. */
export async function listHistory({ store }: OpenBlobs, about: BackupAbout): Promise<BackupHistory> {
  const names = new BackupNames(about.database, about.historyId)
  const segments: ListedSegment[] = []
  const snapshots: LogPos[] = []
  let total = 0
  for await (const { bytes, name } of allBlobs(store, names.log)) {
    const range = segmentOf(name)
    total += bytes
    if (range !== undefined) segments.push({ ...range, name, bytes })
  }
  for await (const { bytes, name } of allBlobs(store, names.snapshots)) {
    const part = snapshotOf(name)
    total += bytes
    if (part?.complete === true) snapshots.push(part.cursor)
  }
  segments.sort((a, b) => a.from - b.from || a.to - b.to)
  return { about, names, segments, snapshots: snapshots.sort((a, b) => a - b), bytes: total }
}

/** The log without holes, ascending: ranges that touch are one. */
export function logRanges(segments: readonly SegmentRange[]): SegmentRange[] {
  const ranges: SegmentRange[] = []
  for (const { from, to } of [...segments].sort((a, b) => a.from - b.from)) {
    const last = ranges.at(-1)
    if (last === undefined || from > last.to) ranges.push({ from, to })
    else if (to > last.to) ranges[ranges.length - 1] = { from: last.from, to }
  }
  return ranges
}

/** What can be restored, ascending; positions are those of the last entry that is in it. */
export function restorableRanges({ segments, snapshots }: BackupHistory): RestorableRange[] {
  const logs = logRanges(segments)
  const ranges: RestorableRange[] = []
  for (const cursor of snapshots) {
    const last = ranges.at(-1)
    if (last !== undefined && cursor - 1 <= last.last) continue
    const log = logs.find(({ from, to }) => from <= cursor && cursor < to)
    ranges.push({ first: (cursor - 1) as LogPos, last: ((log?.to ?? cursor) - 1) as LogPos })
  }
  return ranges
}

/** The newest snapshot from which `position` can be reached. NOT_FOUND says what can be restored. */
export function snapshotFor(history: BackupHistory, position: LogPos): LogPos {
  const cursor = history.snapshots.findLast((one) => isReachable(history, one, position))
  if (cursor !== undefined) return cursor
  throw new DelosError('NOT_FOUND', `position ${position} can't be restored: ${describeRestorable(history)}`)
}

/** Is there such a snapshot, and all that lies between it and that position? */
export function isReachable({ segments, snapshots }: BackupHistory, cursor: LogPos, position: LogPos): boolean {
  if (!snapshots.includes(cursor) || cursor > position + 1) return false
  return cursor > position || logRanges(segments).some(({ from, to }) => from <= cursor && position < to)
}

/** For messages. */
export function describeRestorable(history: BackupHistory): string {
  const ranges = restorableRanges(history).map(({ first, last }) => `${first} to ${last}`)
  return ranges.length === 0 ? 'there is no complete snapshot yet' : `there are positions ${ranges.join(', ')}`
}

export async function readManifest(blobs: OpenBlobs, names: BackupNames, cursor: LogPos): Promise<SnapshotManifest> {
  const name = names.manifest(cursor)
  const manifest = decodeManifest(await blobs.envelope.unwrap(name, await blobs.store.get(name)), name)
  if (manifest.cursor !== cursor) throw new DelosError('CORRUPT', `${name} is of a snapshot at ${manifest.cursor}`)
  return manifest
}

/** CORRUPT if it is another one than it should be. */
export async function readPart(
  { envelope, store }: OpenBlobs,
  names: BackupNames,
  manifest: SnapshotManifest,
  number: number,
): Promise<SnapshotPart> {
  const name = names.part(manifest, number)
  const part = decodePart(await envelope.unwrap(name, await store.get(name)), name)
  if (part.cursor === manifest.cursor && part.number === number && part.historyId === manifest.historyId) return part
  throw new DelosError('CORRUPT', `${name} is part ${part.number} of a snapshot at ${part.cursor}`)
}

/** Of the backup, where a service that is away, or the wrong key, says nothing about it. */
export function isDamage(error: unknown): error is DelosError {
  return error instanceof DelosError && DAMAGE.has(error.code)
}

const DAMAGE: ReadonlySet<string> = new Set(['CORRUPT', 'FORMAT', 'NOT_FOUND'])
