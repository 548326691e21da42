// The writes of one transaction, in the order in which they were made. Most are never looked at before the commit, so they are
// only noted; the ordered table that point reads and scans need is made when somebody reads, of what was written until then.

import type { Key } from '../base/key.ts'
import { WriteTable, type Written } from './write-table.ts'

/** A list that can be cut back, for savepoints. A key may be in it many times: the last one counts. */
export class TransactionWrites {
  private readonly keys: Key[] = []
  private readonly values: Written[] = []
  private readonly table = new WriteTable()
  /** For each write that the table has: what it replaced there. */
  private readonly replaced: (Written | undefined)[] = []

  get length(): number {
    return this.keys.length
  }

  add(key: Key, value: Written): void {
    this.keys.push(key)
    this.values.push(value)
  }

  /** The value, null if deleted, undefined if nothing was written there. */
  get(key: Key): Written | undefined {
    return this.keys.length === 0 ? undefined : this.asTable().get(key)
  }

  /** All writes up to now; for later ones call it again. It is the same object every time, and not to be written to. */
  asTable(): WriteTable {
    const { keys, replaced, table, values } = this
    for (let i = replaced.length; i < keys.length; i++) {
      const key = keys[i] as Key
      replaced.push(table.get(key))
      table.set(key, values[i])
    }
    return table
  }

  /** Takes back all but the first `length` writes. */
  cutTo(length: number): void {
    const { keys, replaced, table, values } = this
    for (let i = replaced.length - 1; i >= length; i--) table.set(keys[i] as Key, replaced[i])
    if (replaced.length > length) replaced.length = length
    keys.length = length
    values.length = length
  }

  forEach(visit: (key: Key, value: Written) => void): void {
    const { keys, values } = this
    for (let i = 0; i < keys.length; i++) visit(keys[i] as Key, values[i] as Written)
  }

  clear(): void {
    this.table.clear()
    this.replaced.length = 0
    this.keys.length = 0
    this.values.length = 0
  }
}
