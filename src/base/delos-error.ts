// The one class of operating failures and its closed list of codes. Expected outcomes are returned, not thrown; bugs are
// assertions. docs/errors.md is generated from ERROR_CODES.

/** Every code, with what it means to an operator or a caller, and whether the same call may succeed later. */
export const ERROR_CODES = {
  INDETERMINATE: {
    retryable: false,
    meaning: 'The operation may or may not have happened, and may still happen later.',
  },
  SEALED: { retryable: true, meaning: 'The loglet is sealed: look at the chain for its successor.' },
  TRIMMED: { retryable: false, meaning: 'The position was trimmed: restore a snapshot, the log below it is gone.' },
  TIMEOUT: { retryable: true, meaning: 'The deadline passed; nothing was changed by the call.' },
  CLOSED: { retryable: false, meaning: 'The component was closed or is closing.' },
  LIMIT_EXCEEDED: {
    retryable: false,
    meaning: 'An input is larger than its limit; the message names limit and value.',
  },
  OVERLOADED: { retryable: true, meaning: 'A bounded queue is full; the message names the limit. Nothing was done.' },
  DISK_FULL: {
    retryable: true,
    meaning: 'Free disk space is below the reserve; writes are refused until there is space.',
  },
  IO_ERROR: { retryable: false, meaning: 'The disk failed; what was acknowledged is safe, the component has stopped.' },
  CORRUPT: {
    retryable: false,
    meaning: 'Stored data is damaged; file and offset are in the message. Nothing was skipped.',
  },
  FORMAT: { retryable: false, meaning: 'Stored data was written by a newer version, or is not ours.' },
  IN_USE: { retryable: false, meaning: 'The data directory is held by a running process.' },
  MISMATCH: { retryable: false, meaning: 'Two parts belong to different clusters, databases or histories.' },
  NOT_FOUND: { retryable: false, meaning: 'What was named does not exist.' },
  CONFLICT: { retryable: true, meaning: 'Somebody else changed it first; nothing was changed by the call.' },
  STOPPED: {
    retryable: false,
    meaning: 'The database stopped at an entry it could not apply; the status names position and reason.',
  },
  NOT_READY: { retryable: true, meaning: 'The server is still catching up with its log.' },
  UNSUPPORTED: { retryable: false, meaning: 'Not available in this version or on this platform.' },
  INVALID_ARGUMENT: { retryable: false, meaning: 'A value is malformed or out of range; the message says which.' },
} as const satisfies Record<string, { retryable: boolean; meaning: string }>

export type ErrorCode = keyof typeof ERROR_CODES

/** An operating failure: something outside this program did not do what was asked. */
export class DelosError extends Error {
  override readonly name = 'DelosError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }

  /** True if the same call may succeed later without anybody repairing anything. */
  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable
  }

  /** Wraps whatever was thrown; a DelosError passes through unchanged. */
  static from(thrown: unknown, code: ErrorCode, context: string): DelosError {
    if (thrown instanceof DelosError) return thrown
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    return new DelosError(code, `${context}: ${reason}`, { cause: thrown })
  }
}
