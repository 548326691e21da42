// Where a page ended, as an opaque text: table and its schema version, index, direction, the last key and the position of the page. It
// names nothing that passes: it is good for as long as the index is there, over restarts and schema changes (the version says what has
// happened where it is gone); but not of a history that a restore has left, where the same numbers may have meant other tables.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import type { Key } from '../../base/key.ts'

const VERSION = 3
/** The same without a schema version. */
const VERSION_2 = 2

export interface PageToken {
  readonly table: number
  /** Schema version of the table when the page was read; undefined: an older token, which does not say. */
  readonly schema: number | undefined
  /** 0: the rows themselves. */
  readonly index: number
  readonly reverse: boolean
  /** Of the page that ended. */
  readonly position: number
  /** The last key that was looked at, without the prefix of its table or index. */
  readonly last: Key
}

export function encodePageToken({ index, last, position, reverse, schema, table }: PageToken): string {
  const writer = new ByteWriter(64)
  writer.u8(schema === undefined ? VERSION_2 : VERSION)
  writer.varint(table)
  if (schema !== undefined) writer.varint(schema)
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
    const version = reader.u8()
    if (version === VERSION || version === VERSION_2) {
      const table = reader.varint()
      const schema = version === VERSION ? reader.varint() : undefined
      const [index, reverse, position] = [reader.varint(), reader.u8() === 1, reader.varint()]
      return { table, schema, index, reverse, position, last: reader.key() }
    }
  } catch {
    // What is wrong with it nobody could mend.
  }
  throw new DelosError('INVALID_ARGUMENT', 'page: not a page token of this version; begin the scan anew')
}
