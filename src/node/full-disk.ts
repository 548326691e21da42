// A start that failed because the disk is full: found in whatever was thrown, and told with what to do. What a running server
// does without space is the log's business.

import { DelosError } from '../base/delos-error.ts'

const ERRNOS: ReadonlySet<unknown> = new Set(['DISK_FULL', 'ENOSPC', 'EDQUOT'])
/** RocksDB has no code for it, only the system's sentence. */
const ROCKS_SENTENCE = /^IO error: .*(No space left on device|Disk quota exceeded)/

/** DISK_FULL, naming the directory and the remedy, if a full disk caused this error; else the error itself. */
export function toldIfDiskFull(error: unknown, dataDir: string): unknown {
  if (!(error instanceof Error) || !isDiskFull(error)) return error
  const message =
    `the disk that holds ${dataDir} is full (${error.message}): free space on it and start again. ` +
    'Nothing that was acknowledged is lost'
  return new DelosError('DISK_FULL', message, { cause: error })
}

function isDiskFull(error: Error): boolean {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (ERRNOS.has((at as { code?: unknown }).code) || ROCKS_SENTENCE.test(at.message)) return true
  }
  return false
}
