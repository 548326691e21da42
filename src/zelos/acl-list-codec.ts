// Access lists as bytes, in updates and in the store.

import type { ByteReader } from '../base/byte-reader.ts'
import type { ByteWriter } from '../base/byte-writer.ts'
import type { Acl } from './znode.ts'

/** varint count, (i32 perms, string scheme, string id)*. */
export function writeAclList(writer: ByteWriter, acl: readonly Acl[]): void {
  writer.varint(acl.length)
  for (const entry of acl) {
    writer.i32(entry.perms)
    writer.string(entry.scheme)
    writer.string(entry.id)
  }
}

export function readAclList(reader: ByteReader): Acl[] {
  const acl: Acl[] = []
  for (let left = reader.varint(); left > 0; left--) {
    acl.push({ perms: reader.i32(), scheme: reader.string(), id: reader.string() })
  }
  return acl
}
