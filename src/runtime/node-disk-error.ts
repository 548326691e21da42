// Translates the errors of node:fs into the codes that the Disk contract names.

import { DelosError, type ErrorCode } from '../base/delos-error.ts'

const CODE_OF_ERRNO: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'NOT_FOUND',
  EEXIST: 'CONFLICT',
  ENOSPC: 'DISK_FULL',
  EDQUOT: 'DISK_FULL',
  // Too many open files, of this process or the system: nothing was done, and it passes.
  EMFILE: 'OVERLOADED',
  ENFILE: 'OVERLOADED',
}

/** The system's name of an error (`ENOENT`), if it has one. */
export function errnoOf(thrown: unknown): string | undefined {
  const code = (thrown as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : undefined
}

/** A failure of `operation` on `path` as a DelosError; the system's error is its cause. */
export function diskError(thrown: unknown, operation: string, path: string): DelosError {
  if (thrown instanceof DelosError) return thrown
  const errno = errnoOf(thrown)
  const code = CODE_OF_ERRNO[errno ?? ''] ?? 'IO_ERROR'
  const reason = errno ?? (thrown instanceof Error ? thrown.message : String(thrown))
  return new DelosError(code, `${operation} ${path}: ${reason}`, { cause: thrown })
}
