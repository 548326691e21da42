// Which entry is the last one that is restored: as named, the newest there is, or the last before a time.

import { DelosError } from '../../base/delos-error.ts'
import { decodeSegment } from '../../engines/log-backup/backup-codec.ts'
import type { LogPos } from '../../log/position.ts'
import { wallMsOf } from '../database-copy-source.ts'
import type { OpenBlobs } from '../open-blob-store.ts'
import { type BackupHistory, describeRestorable, logRanges, readManifest, restorableRanges } from './backup-catalog.ts'

export type RestorePoint =
  | { readonly kind: 'newest' }
  /** Up to and with the entry at this position. */
  | { readonly kind: 'position'; readonly position: LogPos }
  /** Up to the last entry before the first one that was proposed later, by the clock of who proposed it. */
  | { readonly kind: 'time'; readonly wallMs: number }

/** NOT_FOUND, with what there is, if there is nothing so early, or the time lies where the log was given up. */
export async function positionOf(point: RestorePoint, history: BackupHistory, blobs: OpenBlobs): Promise<LogPos> {
  if (point.kind === 'position') return point.position
  if (point.kind === 'time') return await lastBefore(point.wallMs, history, blobs)
  const newest = restorableRanges(history).at(-1)
  if (newest !== undefined) return newest.last
  throw new DelosError('NOT_FOUND', `nothing can be restored: ${describeRestorable(history)}`)
}

async function lastBefore(wallMs: number, history: BackupHistory, blobs: OpenBlobs): Promise<LogPos> {
  const cursor = await newestSnapshotBefore(wallMs, history, blobs)
  const end = logRanges(history.segments).find(({ from, to }) => from <= cursor && cursor < to)?.to ?? cursor
  let at = cursor
  for (const listed of history.segments) {
    if (listed.to <= at || listed.from > at || at >= end) continue
    const { name } = listed
    const segment = decodeSegment(await blobs.envelope.unwrap(name, await blobs.store.get(name)), name)
    const later = segment.entries.find((entry) => entry.pos >= at && wallMsOf(entry) > wallMs)
    if (later !== undefined) return (later.pos - 1) as LogPos
    at = segment.to
  }
  const behind = [...history.segments.map(({ from }) => from), ...history.snapshots].filter((pos) => pos > at)
  if (behind.length === 0) return (at - 1) as LogPos
  const missing = `positions ${at} to ${Math.min(...behind) - 1} are missing, and the time may lie among them`
  throw new DelosError('NOT_FOUND', `${iso(wallMs)} can't be restored: ${missing}; position ${at - 1} can`)
}

async function newestSnapshotBefore(wallMs: number, history: BackupHistory, blobs: OpenBlobs): Promise<LogPos> {
  let earliestMs = wallMs
  for (const cursor of history.snapshots.toReversed()) {
    const manifest = await readManifest(blobs, history.names, cursor)
    if (manifest.wallMs <= wallMs) return cursor
    earliestMs = manifest.wallMs
  }
  const since =
    history.snapshots.length === 0 ? describeRestorable(history) : `there is nothing before ${iso(earliestMs)}`
  throw new DelosError('NOT_FOUND', `${iso(wallMs)} can't be restored: ${since}`)
}

function iso(wallMs: number): string {
  return new Date(wallMs).toISOString()
}
