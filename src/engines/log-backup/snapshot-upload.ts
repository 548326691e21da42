// Puts the whole replicated content, as of one position, in the blob store, part by part and a manifest last. One part is in memory
// at a time, compressed as it is read. Not here: who may, and when (backup-worker.ts).

import { DelosError } from '../../base/delos-error.ts'
import type { PackedPart } from '../../blobs/envelope.ts'
import type { CopySource } from '../../engine/copy-source.ts'
import type { EngineLevels } from '../../engine/membership.ts'
import type { LogPos } from '../../log/position.ts'
import type { Timers } from '../../runtime/runtime.ts'
import type { StoreView } from '../../store/local-store.ts'
import { encodeManifest, PartBuilder, type SnapshotManifest } from './backup-codec.ts'
import type { BackupNames } from './backup-names.ts'
import type { BackupTarget, LogBackupOptions } from './log-backup-options.ts'

/** Rows read in one section of the event loop: about a millisecond. */
const ROWS_AT_ONCE = 256
/** So much is compressed at a time. */
const PIECE_BYTES = 768 * 1024
/** Room for the row that makes a piece complete, which is rarely larger. */
const ROW_BYTES = 64 * 1024

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
  const put = async (name: string, packed: readonly PackedPart[]): Promise<void> => {
    // What comes late could appear beside what was forgotten and swept meanwhile.
    if (!parts.isWanted()) throw new DelosError('CONFLICT', `the snapshot at ${cursor} is no longer wanted`)
    await target.store.put(name, target.envelope.seal(name, packed), { signal })
  }
  const total = { parts: 0, rows: 0, bytes: 0 }
  const room = Math.min(PIECE_BYTES, options.partBytes) + ROW_BYTES
  let part = new PartBuilder(room)
  let packed: PackedPart[] = []
  const pack = async (): Promise<void> => {
    packed.push(await target.envelope.pack(part.piece()))
  }
  const putPart = async (): Promise<void> => {
    if (part.waitingBytes > 0) await pack()
    const number = total.parts++
    total.rows += part.rows
    total.bytes += part.bytes
    const head = await target.envelope.pack(part.head({ historyId, cursor, number }))
    await put(names.part({ cursor, partBytes: options.partBytes }, number), [head, ...packed])
    part = new PartBuilder(room)
    packed = []
  }
  let read = 0
  for (const row of view.scan({ from: '' })) {
    digest.add(row[0], row[1])
    part.add(row)
    if (part.waitingBytes >= PIECE_BYTES) await pack()
    if (part.bytes >= options.partBytes) await putPart()
    if (++read % ROWS_AT_ONCE === 0) await new Promise<void>((resolve) => timers.soon(resolve))
    if (signal.aborted) throw new DelosError('CLOSED', 'the snapshot was ended')
  }
  if (part.rows > 0 || total.parts === 0) await putPart()
  const digests = digest.read()
  const { partBytes } = options
  const manifest: SnapshotManifest = { historyId, cursor, wallMs, ...total, partBytes, levels, digests, serverId }
  await put(names.manifest(cursor), [await target.envelope.pack(encodeManifest(manifest))])
  return manifest
}
