// The one error that reading a ZooKeeper record can throw. Who catches it answers MARSHALLINGERROR (-5) for a request whose
// header was read, and closes the connection where there was no header or no handshake yet.

/**
 * What was wrong with the bytes:
 * - `truncated`: a field, or the items that a vector's count announces, do not fit into what is left of the frame
 * - `unreasonable-length`: a length below -1, or above the reader's limit
 * - `null-value`: null where ZooKeeper dereferences the value (a path)
 * - `bad-multi`: an operation in a multi that may not be there
 */
export type MarshallingReason = 'truncated' | 'unreasonable-length' | 'null-value' | 'bad-multi'

/** Thrown for damaged input, never for a bug of ours. Instances are shared, so the stack does not tell where it was thrown. */
export class MarshallingError extends Error {
  override readonly name = 'MarshallingError'
  readonly reason: MarshallingReason

  constructor(reason: MarshallingReason) {
    super(`malformed ZooKeeper record: ${reason}`)
    this.reason = reason
  }
}

// Damaged frames come as fast as a client can send them: throwing a shared instance saves capturing a stack for each.
export const TRUNCATED = new MarshallingError('truncated')
export const UNREASONABLE_LENGTH = new MarshallingError('unreasonable-length')
export const NULL_VALUE = new MarshallingError('null-value')
export const BAD_MULTI = new MarshallingError('bad-multi')
