// Tokens of transactions that were applied: a retry with the same token finds it and changes nothing. The newest are kept.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { keyOfBytes, keyText, keyToBytes } from '../../base/key.ts'
import type { ReadWriteTx } from '../../store/local-store.ts'
import { tokenKey, tokenOrderKey } from '../codec/table-keys.ts'
import { REPLICATED_LIMITS } from '../table-limits.ts'
import type { TableCounters } from './table-counters.ts'

/** The position of the transaction with this token; undefined if there was none that is remembered. */
export function positionOfToken(tx: ReadWriteTx, token: string): number | undefined {
  const bytes = tx.get(tokenKey(keyText(token)))
  return bytes === undefined ? undefined : new ByteReader(bytes).varint()
}

/** The transaction at `counters.position` has this token, which is new. */
export function rememberToken(tx: ReadWriteTx, counters: TableCounters, token: string): void {
  const key = keyText(token)
  const writer = new ByteWriter(8)
  writer.varint(counters.position)
  tx.put(tokenKey(key), writer.toBytes())
  tx.put(tokenOrderKey(counters.tokens), keyToBytes(key))
  counters.tokens++
  while (counters.tokens - counters.tokensForgotten > REPLICATED_LIMITS.tokensKept) {
    const oldest = tokenOrderKey(counters.tokensForgotten)
    const forgotten = tx.get(oldest)
    if (forgotten !== undefined) tx.delete(tokenKey(keyOfBytes(forgotten)))
    tx.delete(oldest)
    counters.tokensForgotten++
  }
}
