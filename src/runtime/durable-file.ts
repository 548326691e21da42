// Small whole files that appear completely or not at all, also across a crash. Not for anything that grows.

import { DelosError } from '../base/delos-error.ts'
import type { Disk } from './disk.ts'

/** Writes or replaces the file at `path`; its content and its name are durable when this resolves. Uses `<path>.new`. */
export async function writeFileDurably(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.new`
  await writeSynced(disk, temporary, bytes)
  await disk.rename(temporary, path)
  await disk.syncDir(parentOf(path))
}

/**
 * Makes the file at `path` anew, of bytes or of pieces that follow one another and are asked for one by one. Its content is durable
 * when this resolves, its name only after a sync of the directory.
 */
export async function writeSynced(
  disk: Disk,
  path: string,
  bytes: Uint8Array | Iterable<Uint8Array, void>,
): Promise<void> {
  await disk.remove(path)
  const file = await disk.open(path, 'create')
  try {
    let at = 0
    for (const piece of bytes instanceof Uint8Array ? [bytes] : bytes) {
      await file.write(piece, at)
      at += piece.length
    }
    await file.sync()
  } finally {
    await file.close()
  }
}

/** The content of the file at `path`; undefined if there is none. Rejects with CORRUPT if it is longer than `bytesMax`. */
export async function readSmallFile(disk: Disk, path: string, bytesMax = 4096): Promise<Buffer | undefined> {
  if (!(await disk.exists(path))) return undefined
  const file = await disk.open(path, 'read')
  try {
    const size = await file.size()
    if (size > bytesMax) throw new DelosError('CORRUPT', `${path} has ${size} bytes, at most ${bytesMax} are expected`)
    const bytes = Buffer.alloc(size)
    return bytes.subarray(0, await file.read(bytes, 0))
  } finally {
    await file.close()
  }
}

/** Creates a directory and whatever parents it lacks, all durable. */
export async function makeDirDurably(disk: Disk, directory: string): Promise<void> {
  const lacking: string[] = []
  let path = trimmed(directory)
  for (; !(await disk.exists(path)); path = parentOf(path)) lacking.push(path)
  // Whoever made this one may have been killed before it was durable. Levels are made one at a time, so only the last is in doubt.
  if (parentOf(path) !== path) await disk.syncDir(parentOf(path))
  for (const level of lacking.reverse()) {
    await disk.makeDir(level)
    await disk.syncDir(parentOf(level))
  }
}

/** The directory that holds `path`: `/` above the topmost, `.` above a bare name. */
export function parentOf(path: string): string {
  const name = trimmed(path)
  const slash = name.lastIndexOf('/')
  if (slash < 0) return '.'
  return slash === 0 ? '/' : name.slice(0, slash)
}

function trimmed(path: string): string {
  return path.length > 1 ? path.replace(/(?<=.)\/+$/, '') : path
}
