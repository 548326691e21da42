// The file that says that a data directory is being restored into, and from what: nobody may serve from it, and whoever restores
// again goes on where it was left. Written first, removed last.

import { DelosError } from '../../base/delos-error.ts'
import type { LogPos } from '../../log/position.ts'
import type { Disk } from '../../runtime/disk.ts'
import { readSmallFile, writeFileDurably } from '../../runtime/durable-file.ts'
import type { RestorePoint } from './restore-point.ts'

/** What is being restored. */
export interface RestorePlan {
  readonly location: string
  readonly database: string
  /** The history of the backup. */
  readonly historyId: string
  /** Of the snapshot. */
  readonly cursor: LogPos
  /** The last entry that is restored. */
  readonly position: LogPos
  /** What was asked for. */
  readonly to?: RestorePoint
  /** The history that begins with it. */
  readonly newHistoryId: string
}

const FILE_NAME = 'RESTORE'
const FORMAT = 1

export async function readMarker(disk: Disk, dataDir: string): Promise<RestorePlan | undefined> {
  const path = `${dataDir}/${FILE_NAME}`
  const bytes = await readSmallFile(disk, path, 64 * 1024)
  if (bytes === undefined) return undefined
  try {
    const { format, ...plan } = JSON.parse(bytes.toString('utf8')) as RestorePlan & { format: number }
    if (format === FORMAT) return plan
  } catch {
    throw new DelosError('CORRUPT', `${path} can't be read`)
  }
  throw new DelosError('FORMAT', `${path} was written by a newer version`)
}

export async function writeMarker(disk: Disk, dataDir: string, plan: RestorePlan): Promise<void> {
  await writeFileDurably(
    disk,
    `${dataDir}/${FILE_NAME}`,
    Buffer.from(`${JSON.stringify({ format: FORMAT, ...plan })}\n`),
  )
}

export async function removeMarker(disk: Disk, dataDir: string): Promise<void> {
  await disk.remove(`${dataDir}/${FILE_NAME}`)
  await disk.syncDir(dataDir)
}

/** Rejects with FORMAT if a restore into that directory has not ended. */
export async function mustBeRestored(disk: Disk, dataDir: string): Promise<void> {
  const plan = await readMarker(disk, dataDir)
  if (plan === undefined) return
  const message = `${dataDir} holds a restore that has not ended: run delos restore again, or remove the directory`
  throw new DelosError('FORMAT', message)
}
