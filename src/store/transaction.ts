// The one open read-write transaction of a store: its own writes over the committed state, savepoints. What commit means
// is the store's business.

import { assert } from '../base/assert.ts'
import type { Key } from '../base/key.ts'
import type { KeyRange, ReadTx, Row, Savepoint, ScanOptions, Transaction } from './local-store.ts'
import { mergedGetMany } from './merged-get.ts'
import type { TransactionWrites } from './transaction-writes.ts'
import type { WriteTable } from './write-table.ts'

/** What a transaction needs of its store. */
export interface TransactionOwner extends ReadTx {
  /** Rows of the committed state under `own` writes. */
  scanOver(own: WriteTable, range: KeyRange, options: ScanOptions | undefined, check: () => void): Iterable<Row>
  commit(writes: TransactionWrites): void
  /** The transaction is over, either way. */
  ended(): void
}

export class StoreTransaction implements Transaction {
  private readonly owner: TransactionOwner
  private readonly writes: TransactionWrites
  private open = true

  /** `writes` is empty and this transaction's own until it has ended. */
  constructor(owner: TransactionOwner, writes: TransactionWrites) {
    this.owner = owner
    this.writes = writes
  }

  get(key: Key): Uint8Array | undefined {
    assert(this.open, 'the transaction has ended')
    const own = this.writes.get(key)
    if (own === undefined) return this.owner.get(key)
    return own === null ? undefined : own
  }

  getMany(keys: readonly Key[]): (Uint8Array | undefined)[] {
    assert(this.open, 'the transaction has ended')
    return mergedGetMany(
      keys,
      (key) => this.writes.get(key),
      (missing) => this.owner.getMany(missing),
    )
  }

  scan(range: KeyRange, options?: ScanOptions): Iterable<Row> {
    assert(this.open, 'the transaction has ended')
    // Before each step: what was written since the last one is then in the table.
    const check = (): void => {
      assert(this.open, 'a scan outlived its transaction')
      this.writes.asTable()
    }
    return this.owner.scanOver(this.writes.asTable(), range, options, check)
  }

  put(key: Key, value: Uint8Array): void {
    assert(this.open, 'the transaction has ended')
    this.writes.add(key, value)
  }

  delete(key: Key): void {
    assert(this.open, 'the transaction has ended')
    this.writes.add(key, null)
  }

  savepoint(): Savepoint {
    assert(this.open, 'the transaction has ended')
    return this.writes.length as Savepoint
  }

  rollbackTo(savepoint: Savepoint): void {
    assert(this.open, 'the transaction has ended')
    assert(savepoint >= 0 && savepoint <= this.writes.length, 'a savepoint of another state')
    this.writes.cutTo(savepoint)
  }

  commit(): void {
    assert(this.open, 'the transaction has ended')
    this.open = false
    try {
      this.owner.commit(this.writes)
    } finally {
      this.owner.ended() // A commit that throws has changed nothing, and is over.
    }
  }

  abort(): void {
    assert(this.open, 'the transaction has ended')
    this.open = false
    this.owner.ended()
  }
}
