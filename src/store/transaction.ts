// The one open read-write transaction of a store: its own writes over the committed state, savepoints by an undo log. What
// commit means is the store's business.

import { assert } from '../base/assert.ts'
import type { Key } from '../base/key.ts'
import type { KeyRange, ReadTx, Row, Savepoint, ScanOptions, Transaction } from './local-store.ts'
import { mergedGetMany } from './merged-get.ts'
import type { WriteTable, Written } from './write-table.ts'

/** What a transaction needs of its store. */
export interface TransactionOwner extends ReadTx {
  /** Rows of the committed state under `own` writes. */
  scanOver(own: WriteTable, range: KeyRange, options: ScanOptions | undefined, check: () => void): Iterable<Row>
  commit(writes: WriteTable): void
  /** The transaction is over, either way. */
  ended(): void
}

export class StoreTransaction implements Transaction {
  private readonly owner: TransactionOwner
  private readonly writes: WriteTable
  private readonly undoKeys: Key[] = []
  private readonly undoValues: (Written | undefined)[] = []
  private undoing = false
  private open = true

  /** `writes` is empty and this transaction's own until it has ended. */
  constructor(owner: TransactionOwner, writes: WriteTable) {
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
    return this.owner.scanOver(this.writes, range, options, () => assert(this.open, 'a scan outlived its transaction'))
  }

  put(key: Key, value: Uint8Array): void {
    this.write(key, value)
  }

  delete(key: Key): void {
    this.write(key, null)
  }

  savepoint(): Savepoint {
    assert(this.open, 'the transaction has ended')
    this.undoing = true
    return this.undoKeys.length as Savepoint
  }

  rollbackTo(savepoint: Savepoint): void {
    assert(this.open, 'the transaction has ended')
    assert(this.undoing && savepoint >= 0 && savepoint <= this.undoKeys.length, 'a savepoint of another state')
    for (let i = this.undoKeys.length - 1; i >= savepoint; i--) {
      this.writes.set(this.undoKeys[i] as Key, this.undoValues[i])
    }
    this.undoKeys.length = savepoint
    this.undoValues.length = savepoint
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

  private write(key: Key, value: Written): void {
    assert(this.open, 'the transaction has ended')
    if (this.undoing) {
      this.undoKeys.push(key)
      this.undoValues.push(this.writes.get(key))
    }
    this.writes.set(key, value)
  }
}
