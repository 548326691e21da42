// Puts the whole replicated content, as of one position, in the blob store, part by part and a manifest last. One part is in memory
// at a time. Not here: who may, and when (backup-worker.ts).

import { DelosError } from '../../base/delos-error.ts'
import type { CopySource } from '../../engine/copy-source.ts'
import type { EngineLevels } from '../../engine/membership.ts'
import type { LogPos } from '../../log/position.ts'
import type { Timers } from '../../runtime/runtime.ts'
import type { Row, StoreView } from '../../store/local-store.ts'
import { encodeManifest, encodePart, type SnapshotManifest } from './backup-codec.ts'
import type { BackupNames } from './backup-names.ts'
import type { BackupTarget, LogBackupOptions } from './log-backup-options.ts'

/** Rows read in one section of the event loop: about a millisecond. */
const ROWS_AT_ONCE = 256

export interface SnapshotParts {
  readonly source: CopySource
  readonly target: BackupTarget
  readonly names: BackupNames
  readonly options: LogBackupOptions
  readonly timers: Timers
  readonly signal: AbortSignal
  readonly levels: EngineLevels
  readonly serverId: string
  wallMs(): number
  /** False as soon as this is no longer the server that is to make it: it ends with CONFLICT then. */
  isWanted(): boolean
}

/** Resolves with the manifest when all of it is durable there. */
export async function putSnapshot(parts: SnapshotParts): Promise<SnapshotManifest> {
  const { options, source } = parts
  const { cursor, view } = await source.openView(options.snapshotDeadlineMs)
  // As of now: nothing that was proposed later is in the view.
  const wallMs = parts.wallMs()
  try {
    return await copyView(parts, view, cursor, wallMs)
  } finally {
    view.close()
  }
}

async function copyView(
  parts: SnapshotParts,
  view: StoreView,
  cursor: LogPos,
  wallMs: number,
): Promise<SnapshotManifest> {
  const { levels, names, options, serverId, signal, source, target, timers } = parts
  const { historyId } = source.identity
  const digest = source.newDigest()
  const put = async (name: string, bytes: Uint8Array): Promise<void> => {
    // What comes late could appear beside what was forgotten and swept meanwhile.
    if (!parts.isWanted()) throw new DelosError('CONFLICT', `the snapshot at ${cursor} is no longer wanted`)
    await target.store.put(name, await target.envelope.wrap(name, bytes), { signal })
  }
  let total = { parts: 0, rows: 0, bytes: 0 }
  let rows: Row[] = []
  let rowBytes = 0
  const putPart = async (): Promise<void> => {
    const number = total.parts
    const bytes = encodePart({ historyId, cursor, number, rows })
    total = { parts: number + 1, rows: total.rows + rows.length, bytes: total.bytes + rowBytes }
    rows = []
    rowBytes = 0
    await put(names.part({ cursor, partBytes: options.partBytes }, number), bytes)
  }
  let read = 0
  for (const row of view.scan({ from: '' })) {
    const [key, value] = row
    digest.add(key, value)
    rows.push(row)
    rowBytes += key.length + value.length
    if (rowBytes >= options.partBytes) await putPart()
    if (++read % ROWS_AT_ONCE === 0) await new Promise<void>((resolve) => timers.soon(resolve))
    if (signal.aborted) throw new DelosError('CLOSED', 'the snapshot was ended')
  }
  if (rows.length > 0 || total.parts === 0) await putPart()
  const digests = digest.read()
  const { partBytes } = options
  const manifest: SnapshotManifest = { historyId, cursor, wallMs, ...total, partBytes, levels, digests, serverId }
  await put(names.manifest(cursor), encodeManifest(manifest))
  return manifest
}
