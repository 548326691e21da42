// The file beside a restored database that says from which history it was, and up to which entry. Backups of the new history tell it.

import { DelosError } from '../base/delos-error.ts'
import type { LogPos } from '../log/position.ts'
import type { Disk } from '../runtime/disk.ts'
import { readSmallFile, writeFileDurably } from '../runtime/durable-file.ts'

export interface RestoredFrom {
  readonly historyId: string
  readonly position: LogPos
}

const FILE_NAME = 'restored-from'

export async function writeRestoredFrom(
  disk: Disk,
  directory: string,
  { historyId, position }: RestoredFrom,
): Promise<void> {
  const lines = ['restored-from 1', `history ${historyId}`, `position ${position}`]
  await writeFileDurably(disk, `${directory}/${FILE_NAME}`, Buffer.from(`${lines.join('\n')}\n`))
}

/** Undefined for a database that was never restored. */
export async function readRestoredFrom(disk: Disk, directory: string): Promise<RestoredFrom | undefined> {
  const path = `${directory}/${FILE_NAME}`
  const bytes = await readSmallFile(disk, path)
  if (bytes === undefined) return undefined
  const match = /^restored-from 1\nhistory ([0-9a-f]{32})\nposition (\d{1,15})\n$/.exec(bytes.toString('latin1'))
  if (match === null) throw new DelosError('CORRUPT', `${path} can't be read`)
  return { historyId: match[1] as string, position: Number(match[2]) as LogPos }
}
