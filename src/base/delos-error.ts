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
  MISMATCH: {
    retryable: false,
    meaning: 'Two parts belong to different clusters, databases or histories, or are encrypted differently.',
  },
  NOT_FOUND: { retryable: false, meaning: 'What was named does not exist.' },
  CONFLICT: { retryable: true, meaning: 'Somebody else changed it first; nothing was changed by the call.' },
  STOPPED: {
    retryable: false,
    meaning: 'The database stopped at an entry it could not apply; the status names position and reason.',
  },
  LEASE_HELD: {
    retryable: true,
    meaning: 'Another server holds the lease; the message names it. Nothing was changed: ask that server.',
  },
  NOT_READY: { retryable: true, meaning: 'The server is still catching up with its log.' },
  UNREACHABLE: {
    retryable: true,
    meaning: 'A service outside does not answer, or refuses for now; what it was asked may have happened.',
  },
  UNSUPPORTED: { retryable: false, meaning: 'Not available in this version or on this platform.' },
  INVALID_ARGUMENT: { retryable: false, meaning: 'A value is malformed or out of range; the message says which.' },
  UNKNOWN_TABLE: { retryable: false, meaning: 'There is no table of that name: create it, or look at its spelling.' },
  UNKNOWN_COLUMN: {
    retryable: false,
    meaning: 'The table has no such column or index; the message lists those that it has.',
  },
  WRONG_TYPE: { retryable: false, meaning: 'A value does not fit the type of its column; the message names both.' },
  OUT_OF_RANGE: {
    retryable: false,
    meaning: 'A number is beyond what its column holds, or would be after an increment.',
  },
  INVALID_TEXT: {
    retryable: false,
    meaning: 'A text has a lone surrogate, so it has no UTF-8: keep such content in a column of bytes.',
  },
  INDEX_NOT_READY: {
    retryable: true,
    meaning:
      'The index is still being built, or found duplicates: its progress and violations are in the description of the table.',
  },
  SCHEMA_FORBIDDEN: {
    retryable: false,
    meaning: 'The change of a schema would lose or reinterpret data; the message says what to do instead.',
  },
  SCHEMA_CHANGED: {
    retryable: true,
    meaning:
      'The schema of a table was changed under the call; nothing was changed by it. Look at the schema and try again.',
  },
  SNAPSHOT_GONE: {
    retryable: false,
    meaning: 'The position is older than what is kept of the past: read at a newer one.',
  },
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
