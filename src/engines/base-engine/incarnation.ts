// Counts the starts of a server in the local range of its store, so that no two proposals of its lives share a name.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import type { LocalStore } from '../../store/local-store.ts'
import { subStorePrefix } from '../../store/sub-store.ts'
import { BASE } from './proposal-stamp.ts'

const KEY = `${subStorePrefix(BASE)}incarnation`

/** One more than ever before, and than `above`; durable before it resolves: nothing may be proposed earlier. */
export async function nextIncarnation(store: LocalStore, above = 0): Promise<number> {
  const stored = store.local.get(KEY)
  const last = stored === undefined ? 0 : new ByteReader(stored).u64()
  const incarnation = Math.max(last, above) + 1
  const writer = new ByteWriter(8)
  writer.u64(incarnation)
  await store.local.put(KEY, writer.toBytes())
  return incarnation
}
