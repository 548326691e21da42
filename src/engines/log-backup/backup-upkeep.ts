// What a backup needs besides uploads: the blob that says whose it is, and letting go of what nobody can want any more.

import { DelosError } from '../../base/delos-error.ts'
import type { BlobPage, BlobStore } from '../../blobs/blob-store.ts'
import type { CopySource } from '../../engine/copy-source.ts'
import type { LogPos } from '../../log/position.ts'
import { decodeAbout, encodeAbout } from './backup-codec.ts'
import { aboutPrefix, type BackupNames, segmentOf, snapshotOf } from './backup-names.ts'
import type { BackupState } from './backup-state.ts'
import type { BackupTarget, LogBackupOptions } from './log-backup-options.ts'

/** Writes whose backup it is. MISMATCH if another database keeps its backups under the same name. */
export async function declareBackup(
  { database, identity, restored }: CopySource,
  { envelope, store }: BackupTarget,
  names: BackupNames,
  beganMs: number,
  signal: AbortSignal,
): Promise<void> {
  for await (const name of namesWith(store, aboutPrefix(database), signal)) {
    if (name === names.about) continue
    const other = decodeAbout(await envelope.unwrap(name, await store.get(name, { signal })), name)
    if (other.databaseId === identity.databaseId) continue
    const message = `${store.location} holds backups of another database ${database} (${other.databaseId}): give each its own place`
    throw new DelosError('MISMATCH', message)
  }
  const about = encodeAbout({ ...identity, database, beganMs, restored })
  await store.put(names.about, await envelope.wrap(names.about, about), { signal })
}

/**
 * The snapshot below which nothing has to be kept; undefined if nothing can go. Which snapshots are old is told by clocks of servers,
 * and a wrong one must not cost a backup: now is no later than the middle one of the three newest snapshots' times, and a snapshot
 * is no older than the middle one of its time and the next two's. So one wrong time, or a server that asks with a wrong clock, only
 * keeps more. Apply has the last word: nothing goes but what is below a snapshot that stays (backup-state.ts).
 */
export function dueForgetting(state: BackupState, options: LogBackupOptions, wallMs: number): LogPos | undefined {
  if (options.keepMs === 0) return undefined
  const { first, snapshots } = state
  const times = snapshots.map((snapshot) => snapshot.wallMs)
  const removable = times.length - options.snapshotsMin + 1
  const nowMs = Math.min(wallMs, middleOf(times.slice(-3), -Infinity))
  // The newest one that every point to be kept comes after.
  const base = snapshots.findLast(
    (_, at) => at < removable && middleOf(times.slice(at, at + 3), Infinity) <= nowMs - options.keepMs,
  )
  return base !== undefined && base.cursor > first ? base.cursor : undefined
}

/** Of three; `absent` in place of those that are not there. */
function middleOf(times: readonly number[], absent: number): number {
  return [...times, absent, absent].slice(0, 3).sort((a, b) => a - b)[1] as number
}

/**
 * Deletes what is below `first`: first what makes snapshots complete, then what they consist of. So wherever it is cut off, every
 * snapshot that looks complete is; the rest goes the next time.
 */
export async function sweepForgotten(
  store: BlobStore,
  names: BackupNames,
  first: LogPos,
  signal: AbortSignal,
): Promise<void> {
  const sweepSnapshots = async (isDue: (complete: boolean) => boolean): Promise<void> => {
    for await (const name of namesWith(store, names.snapshots, signal)) {
      const snapshot = snapshotOf(name)
      if (snapshot !== undefined && snapshot.cursor >= first) break
      if (snapshot !== undefined && isDue(snapshot.complete)) await store.delete(name, { signal })
    }
  }
  await sweepSnapshots((complete) => complete)
  for await (const name of namesWith(store, names.log, signal)) {
    const segment = segmentOf(name)
    if (segment !== undefined && segment.from >= first) break
    if (segment !== undefined && segment.to <= first) await store.delete(name, { signal })
  }
  await sweepSnapshots(() => true)
}

/** As allBlobs: an engine takes only types of the blob stores. */
async function* namesWith(store: BlobStore, prefix: string, signal: AbortSignal): AsyncIterable<string> {
  let after: string | undefined
  for (let more = true; more; ) {
    const page: BlobPage = await store.list(prefix, { after, signal })
    for (const { name } of page.blobs) yield name
    after = page.blobs.at(-1)?.name
    more = page.more
  }
}
