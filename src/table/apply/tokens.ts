// Tokens of transactions that were applied: a retry with the same token finds it and changes nothing. The newest are kept. A
// filter in memory knows most tokens that were never used, since nearly all are new and a look into the store costs more than
// all the rest of a small transaction.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { type Key, keyOfBytes, keyText, keyToBytes } from '../../base/key.ts'
import type { ReadWriteTx } from '../../store/local-store.ts'
import { tokenKey, tokenOrderKey, tokenRange } from '../codec/table-keys.ts'
import { REPLICATED_LIMITS } from '../table-limits.ts'
import type { TableCounters } from './table-counters.ts'

const writer = new ByteWriter(8)

export class Tokens {
  private readonly kept: number
  private filter: TokenFilter | undefined

  /** `kept`: of a test; else what is part of the build. */
  constructor(kept: number = REPLICATED_LIMITS.tokensKept) {
    this.kept = kept
  }

  /** The position of the transaction with this token; undefined if there was none that is remembered. */
  positionOf(tx: ReadWriteTx, token: string): number | undefined {
    const key = tokenKey(keyText(token))
    if (!this.filterOf(tx).mayHave(key)) return undefined
    const bytes = tx.get(key)
    return bytes === undefined ? undefined : new ByteReader(bytes).varint()
  }

  /** The transaction at `counters.position` has this token, which is new. */
  remember(tx: ReadWriteTx, counters: TableCounters, token: string): void {
    const text = keyText(token)
    const key = tokenKey(text)
    writer.reset()
    writer.varint(counters.position)
    tx.put(key, writer.toBytes())
    this.filterOf(tx).add(key)
    tx.put(tokenOrderKey(counters.tokens), keyToBytes(text))
    counters.tokens++
    while (counters.tokens - counters.tokensForgotten > this.kept) {
      const oldest = tokenOrderKey(counters.tokensForgotten)
      const forgotten = tx.get(oldest)
      if (forgotten !== undefined) tx.delete(tokenKey(keyOfBytes(forgotten)))
      tx.delete(oldest)
      counters.tokensForgotten++
    }
  }

  /** What memory holds of the store is to be read anew. */
  forget(): void {
    this.filter = undefined
  }

  private filterOf(tx: ReadWriteTx): TokenFilter {
    if (this.filter === undefined) {
      this.filter = new TokenFilter(this.kept)
      for (const [key] of tx.scan(tokenRange(), { keysOnly: true })) this.filter.add(key)
    }
    return this.filter
  }
}

/** 1 MiB each: one in eighty unknown tokens looks known when it is full. */
const WORDS = 1 << 18

/** What was added, and sometimes more. The older half is dropped when the younger has as many as are remembered. */
class TokenFilter {
  private readonly kept: number
  private young = new Uint32Array(WORDS)
  private old = new Uint32Array(WORDS)
  private added = 0

  constructor(kept: number) {
    this.kept = kept
  }

  mayHave(key: Key): boolean {
    const [a, b] = placesOf(key)
    return (hasBit(this.young, a) && hasBit(this.young, b)) || (hasBit(this.old, a) && hasBit(this.old, b))
  }

  add(key: Key): void {
    const [a, b] = placesOf(key)
    // Applied again after its transaction was dropped: counted twice, it would push one out that is remembered.
    if (hasBit(this.young, a) && hasBit(this.young, b)) return
    if (this.added >= this.kept) {
      this.old = this.young
      this.young = new Uint32Array(WORDS)
      this.added = 0
    }
    this.added++
    for (const place of [a, b]) {
      this.young[place >>> 5] = (this.young[place >>> 5] as number) | (1 << (place & 31))
    }
  }
}

function hasBit(words: Uint32Array, place: number): boolean {
  return (((words[place >>> 5] as number) >>> (place & 31)) & 1) === 1
}

function placesOf(key: Key): readonly [number, number] {
  let a = 0x811c_9dc5
  let b = 0x9e37_79b9
  for (let i = 0; i < key.length; i++) {
    const unit = key.charCodeAt(i)
    a = Math.imul(a ^ unit, 0x0100_0193)
    b = Math.imul((b << 5) ^ (b >>> 27) ^ unit, 0x85eb_ca6b)
  }
  return [(a ^ (a >>> 15)) & (WORDS * 32 - 1), (b ^ (b >>> 13)) & (WORDS * 32 - 1)]
}
