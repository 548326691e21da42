// How a blob lies in whatever store: its bytes and behind them their checksum, so that an answer that is short, damaged or of
// another blob is told from the right one everywhere alike, and stores can be copied into one another as they are.
//
//   the bytes · the blob's name hashed with them: SHA-256 of (u32 length of the name, name, bytes), 32 bytes

import { createHash } from 'node:crypto'
import { DelosError } from '../base/delos-error.ts'
import { BLOB_BYTES_MAX, type BlobBytes } from './blob-store.ts'

/** Bytes that a checksum adds. */
export const CHECKSUM_BYTES = 32

/** As stored, piece by piece, hashed as they are asked for. LIMIT_EXCEEDED, before the first one, if it is too large for one blob. */
export function* withChecksum(name: string, bytes: BlobBytes): Generator<Uint8Array, void> {
  const pieces = bytes instanceof Uint8Array ? [bytes] : bytes
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
  if (length > BLOB_BYTES_MAX) {
    throw new DelosError('LIMIT_EXCEEDED', `blobBytesMax is ${BLOB_BYTES_MAX}, ${name} has ${length} bytes`)
  }
  const hash = hashOf(name)
  for (const piece of pieces) {
    hash.update(piece)
    yield piece
  }
  yield hash.digest()
}

/** What was put under that name; CORRUPT if this is anything else. `where` names it in the message. */
export function withoutChecksum(name: string, stored: Uint8Array, where: string): Uint8Array {
  const length = stored.length - CHECKSUM_BYTES
  if (length < 0) throw new DelosError('CORRUPT', `${where} has ${stored.length} bytes and so no checksum`)
  const bytes = stored.subarray(0, length)
  if (!hashOf(name).update(bytes).digest().equals(stored.subarray(length))) {
    throw new DelosError('CORRUPT', `${where} (${stored.length} bytes) does not have its checksum`)
  }
  return bytes
}

function hashOf(name: string): ReturnType<typeof createHash> {
  const head = Buffer.alloc(4)
  head.writeUInt32BE(name.length)
  return createHash('sha256').update(head).update(name, 'latin1')
}
