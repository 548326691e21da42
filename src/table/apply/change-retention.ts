// How much of the past the change log keeps: the newest transactions, up to a number of them and of their bytes. Set by an entry of the
// log, so that all servers trim alike. A stored format: under `p` both as varints; without it, what is part of the build.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { RETENTION_RECORD } from '../codec/table-keys.ts'
import type { KeptChanges } from '../messages.ts'
import { REPLICATED_LIMITS } from '../table-limits.ts'

export class Retention implements KeptChanges {
  transactions: number = REPLICATED_LIMITS.changesKept
  bytes: number = REPLICATED_LIMITS.changeBytesKept

  load(reader: ReadTx): void {
    const stored = reader.get(RETENTION_RECORD)
    const numbers = stored === undefined ? undefined : new ByteReader(stored)
    this.transactions = numbers?.varint() ?? REPLICATED_LIMITS.changesKept
    this.bytes = numbers?.varint() ?? REPLICATED_LIMITS.changeBytesKept
  }

  /** In apply. What is too much goes with the transactions that follow, some at a time. */
  set(tx: ReadWriteTx, { bytes, transactions }: KeptChanges): void {
    this.transactions = transactions
    this.bytes = bytes
    const writer = new ByteWriter(16)
    writer.varint(transactions)
    writer.varint(bytes)
    tx.put(RETENTION_RECORD, writer.toBytes())
  }
}
