// The bounded in-memory layer of committed writes: what is visible but not yet on disk. The active table takes commits;
// frozen ones are on their way to the disk, one after the other, and still read. It decides nothing about when to push: StoreCore does.

import { assert } from '../base/assert.ts'
import type { Key } from '../base/key.ts'
import type { TransactionWrites } from './transaction-writes.ts'
import { WriteTable, type Written } from './write-table.ts'

/**
 * Limits of the layer, active and frozen together. Past either it is full; at half of the bytes or a quarter of the keys it wants a
 * push: while one is under way, as many keys again come in as in it, and whoever commits should not wait for it.
 */
export interface LayerLimits {
  /** Keys plus values plus `ENTRY_OVERHEAD_BYTES` each. Default 32 MiB. */
  readonly layerBytesMax: number
  /** Default 100 000. Where pushes keep up a table has a quarter of it: a larger one misses the caches (1 µs more a create). */
  readonly layerKeysMax: number
}

export const DEFAULT_LAYER_LIMITS: LayerLimits = { layerBytesMax: 32 * 1024 * 1024, layerKeysMax: 100_000 }

/** What an entry costs beside its key and value: its share of the map and the index. */
const ENTRY_OVERHEAD_BYTES = 64

export class WriteBackLayer {
  private readonly limits: LayerLimits
  private active = new WriteTable()
  private activeBytes = 0
  /** Oldest first: the order of their pushes. */
  private frozen: readonly FrozenTable[] = []
  private frozenBytes = 0
  private frozenKeys = 0
  /** Topmost first: what a scan merges. Replaced, never changed, when tables come or go. */
  tables: readonly WriteTable[] = [this.active]

  constructor(limits: LayerLimits) {
    this.limits = limits
  }

  /** The value, null if deleted, undefined if the layer says nothing and the disk decides. */
  get(key: Key): Written | undefined {
    let value = this.active.get(key)
    for (let i = this.frozen.length - 1; value === undefined && i >= 0; i--) {
      value = (this.frozen[i] as FrozenTable).table.get(key)
    }
    return value
  }

  /** Takes over every write of a transaction; values are kept, not copied. */
  absorb(writes: TransactionWrites): void {
    const { active } = this
    let grown = 0
    writes.forEach((key, value) => {
      grown += active.replace(key, value, ENTRY_OVERHEAD_BYTES)
    })
    this.activeBytes += grown
  }

  get keys(): number {
    return this.active.size + this.frozenKeys
  }

  get bytes(): number {
    return this.activeBytes + this.frozenBytes
  }

  /** True if nothing waits for the next push. */
  get clean(): boolean {
    return this.active.size === 0
  }

  get full(): boolean {
    return this.bytes >= this.limits.layerBytesMax || this.keys >= this.limits.layerKeysMax
  }

  /** Far past the limits: whoever commits ignores `full`. */
  get overrun(): boolean {
    return this.bytes >= 4 * this.limits.layerBytesMax || this.keys >= 4 * this.limits.layerKeysMax
  }

  get wantsPush(): boolean {
    return this.activeBytes >= this.limits.layerBytesMax / 2 || this.active.size >= this.limits.layerKeysMax / 4
  }

  /** The table to push next. */
  get oldestFrozen(): FrozenTable | undefined {
    return this.frozen[0]
  }

  get newestFrozen(): FrozenTable | undefined {
    return this.frozen.at(-1)
  }

  /** Sets the whole active table aside for a push of its own, `upTo` a number of that state, and starts an empty one. */
  freeze(upTo: number): FrozenTable {
    const frozen = { table: this.active, bytes: this.activeBytes, upTo }
    this.active = new WriteTable()
    this.activeBytes = 0
    this.setFrozen([...this.frozen, frozen])
    return frozen
  }

  /** The oldest frozen table is on disk. */
  dropFrozen(): void {
    assert(this.frozen.length > 0, 'a frozen table was pushed')
    this.setFrozen(this.frozen.slice(1))
  }

  private setFrozen(frozen: readonly FrozenTable[]): void {
    this.frozen = frozen
    this.frozenBytes = frozen.reduce((sum, { bytes }) => sum + bytes, 0)
    this.frozenKeys = frozen.reduce((sum, { table }) => sum + table.size, 0)
    this.tables = [this.active, ...frozen.map(({ table }) => table).reverse()]
  }
}

/** A table that no commit changes any more. */
export interface FrozenTable {
  readonly table: WriteTable
  readonly bytes: number
  readonly upTo: number
}
