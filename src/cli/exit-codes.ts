// Exit codes of the command line, documented in the README.

import { DelosError } from '../base/delos-error.ts'

export const EXIT = {
  done: 0,
  /** Refused or failed. */
  failed: 1,
  /** Bad usage or configuration. */
  usage: 2,
  /** serve: port or data directory in use. Other commands: server not reachable. */
  inUse: 3,
  /** Newer or damaged data. */
  data: 4,
  /** A bug, or something nobody foresaw. */
  internal: 70,
} as const

/** The exit code of `serve` for what ended it. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof DelosError)) return EXIT.internal
  switch (error.code) {
    case 'INVALID_ARGUMENT':
    case 'UNSUPPORTED':
      return EXIT.usage
    case 'IN_USE':
      return EXIT.inUse
    case 'FORMAT':
    case 'CORRUPT':
    case 'MISMATCH':
    case 'TRIMMED':
    case 'NOT_FOUND':
      return EXIT.data
    case 'DISK_FULL':
    case 'IO_ERROR':
    case 'TIMEOUT':
    case 'UNREACHABLE':
    case 'CONFLICT':
      return EXIT.failed
    default:
      return EXIT.internal
  }
}
