// Reads a whole backup as a restore would, and says what is damaged or missing. One blob is in memory at a time.

import { DelosError } from '../../base/delos-error.ts'
import { decodeSegment } from '../../engines/log-backup/backup-codec.ts'
import type { LogPos } from '../../log/position.ts'
import { rowDigest, wallMsOf } from '../database-copy-source.ts'
import type { OpenBlobs } from '../open-blob-store.ts'
import {
  type BackupHistory,
  isDamage,
  type ListedSegment,
  listHistory,
  logRanges,
  type RestorableRange,
  readManifest,
  readPart,
  restorableRanges,
} from './backup-catalog.ts'

export interface VerifiedHistory {
  readonly historyId: string
  readonly segments: number
  readonly entries: number
  readonly snapshots: number
  readonly rows: number
  readonly bytes: number
  readonly restorable: readonly RestorableRange[]
  /** One sentence each. Nothing of them is in `restorable`'s making: a restore that needs them fails. */
  readonly problems: readonly string[]
}

/** `progress`: so many of its blobs are read. */
export async function verifyHistory(
  blobs: OpenBlobs,
  history: BackupHistory,
  progress: (done: number, of: number) => void = () => undefined,
): Promise<VerifiedHistory> {
  const problems: string[] = []
  /** What was listed and was not there when it was read. */
  const absent: { readonly blob: ListedSegment | LogPos; readonly problem: string }[] = []
  const total = history.segments.length + history.snapshots.length
  let done = 0
  const checked = async (blob: ListedSegment | LogPos, work: () => Promise<void>): Promise<void> => {
    progress(done++, total)
    try {
      await work()
    } catch (error) {
      if (!isDamage(error)) throw error
      if (error.code === 'NOT_FOUND') absent.push({ blob, problem: error.message })
      else problems.push(error.message)
    }
  }
  let entries = 0
  for (const listed of history.segments) {
    await checked(listed, async () => {
      const { name } = listed
      const segment = decodeSegment(await blobs.envelope.unwrap(name, await blobs.store.get(name)), name)
      if (segment.from !== listed.from || segment.to !== listed.to || segment.historyId !== history.about.historyId) {
        const { from, historyId, to } = segment
        throw new DelosError('CORRUPT', `${name} holds positions ${from} to ${to} of history ${historyId}`)
      }
      for (const entry of segment.entries) wallMsOf(entry)
      entries += segment.entries.length
    })
  }
  let rows = 0
  for (const cursor of history.snapshots) {
    await checked(cursor, async () => {
      rows += await verifySnapshot(blobs, history, cursor)
    })
  }
  progress(total, total)
  // A server may let go of what is old meanwhile: that is no damage, and can't be restored any more.
  const now = absent.length === 0 ? history : await listHistory(blobs, history.about)
  const isListed = (blob: ListedSegment | LogPos): boolean =>
    typeof blob === 'number' ? now.snapshots.includes(blob) : now.segments.some(({ name }) => name === blob.name)
  for (const { blob, problem } of absent) if (isListed(blob)) problems.push(problem)
  for (const [before, next] of pairs(logRanges(now.segments))) {
    problems.push(`positions ${before.to} to ${next.from - 1} are missing`)
  }
  const { about, bytes, segments, snapshots } = now
  const counts = { segments: segments.length, entries, snapshots: snapshots.length, rows, bytes }
  return { historyId: about.historyId, ...counts, restorable: restorableRanges(now), problems }
}

async function verifySnapshot(blobs: OpenBlobs, history: BackupHistory, cursor: LogPos): Promise<number> {
  const { about, names } = history
  const manifest = await readManifest(blobs, names, cursor)
  const digest = rowDigest(about.databaseId)
  let rows = 0
  for (let number = 0; number < manifest.parts; number++) {
    const part = await readPart(blobs, names, manifest, number)
    rows += part.rows.length
    for (const [key, value] of part.rows) digest.add(key, value)
  }
  const found = digest.read()
  const differs = [...manifest.digests].find(([range, expected]) => found.get(range) !== expected)
  if (differs === undefined && rows === manifest.rows) return rows
  throw new DelosError('CORRUPT', `the snapshot at ${cursor} differs from its manifest`)
}

function* pairs<T>(all: readonly T[]): Iterable<readonly [T, T]> {
  for (let at = 1; at < all.length; at++) yield [all[at - 1] as T, all[at] as T]
}
