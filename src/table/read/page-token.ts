// Where a page ended, as an opaque text: table, index, direction, the last key and the position of the page. It names nothing that
// passes: it is good for as long as the index is there, over restarts and schema changes; but not of a history that a restore has
// left, where the same numbers may have meant other tables.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import type { Key } from '../../base/key.ts'

const VERSION = 2

export interface PageToken {
  readonly table: number
  /** 0: the rows themselves. */
  readonly index: number
  readonly reverse: boolean
  /** Of the page that ended. */
  readonly position: number
  /** The last key that was looked at, without the prefix of its table or index. */
  readonly last: Key
}

export function encodePageToken({ index, last, position, reverse, table }: PageToken): string {
  const writer = new ByteWriter(64)
  writer.u8(VERSION)
  writer.varint(table)
  writer.varint(index)
  writer.u8(reverse ? 1 : 0)
  writer.varint(position)
  writer.key(last)
  return writer.peek().toString('base64url')
}

/** Throws INVALID_ARGUMENT. */
export function decodePageToken(text: string): PageToken {
  try {
    const reader = new ByteReader(Buffer.from(text, 'base64url'))
    if (reader.u8() === VERSION) {
      const [table, index, reverse] = [reader.varint(), reader.varint(), reader.u8() === 1]
      return { table, index, reverse, position: reader.varint(), last: reader.key() }
    }
  } catch {
    // What is wrong with it nobody could mend.
  }
  throw new DelosError('INVALID_ARGUMENT', 'page: not a page token of this version; begin the scan anew')
}
