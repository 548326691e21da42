// The bounded in-memory layer of committed writes: what is visible but not yet on disk. The active table takes commits; a
// frozen one is on its way to the disk and still read. It decides nothing about when to push: StoreCore does.

import { assert } from '../base/assert.ts'
import type { Key } from '../base/key.ts'
import { WriteTable, type Written } from './write-table.ts'

/** Limits of the layer, active and frozen together. Past either it is full; at half of either it wants a push. */
export interface LayerLimits {
  /** Keys plus values plus `ENTRY_OVERHEAD_BYTES` each. Default 32 MiB. */
  readonly layerBytesMax: number
  /** Default 50 000: a larger table misses the caches at every commit (1 µs more a create). */
  readonly layerKeysMax: number
}

export const DEFAULT_LAYER_LIMITS: LayerLimits = { layerBytesMax: 32 * 1024 * 1024, layerKeysMax: 50_000 }

/** What an entry costs beside its key and value: its share of the map and the index. */
const ENTRY_OVERHEAD_BYTES = 64

export class WriteBackLayer {
  private readonly limits: LayerLimits
  private active = new WriteTable()
  private activeBytes = 0
  private frozen: WriteTable | undefined
  private frozenBytes = 0
  /** Topmost first: what a scan merges. Replaced, never changed, when tables come or go. */
  tables: readonly WriteTable[] = [this.active]

  constructor(limits: LayerLimits) {
    this.limits = limits
  }

  /** The value, null if deleted, undefined if the layer says nothing and the disk decides. */
  get(key: Key): Written | undefined {
    const value = this.active.get(key)
    if (value !== undefined || this.frozen === undefined) return value
    return this.frozen.get(key)
  }

  /** Takes over every write of a transaction; values are kept, not copied. */
  absorb(writes: WriteTable): void {
    this.activeBytes += this.active.absorb(writes, ENTRY_OVERHEAD_BYTES)
  }

  get keys(): number {
    return this.active.size + (this.frozen?.size ?? 0)
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
    return this.activeBytes >= this.limits.layerBytesMax / 2 || this.active.size >= this.limits.layerKeysMax / 2
  }

  /** Sets the whole active table aside for a push and starts an empty one. */
  freeze(): { readonly table: WriteTable; readonly bytes: number } {
    assert(this.frozen === undefined, 'one layer is frozen at a time')
    this.frozen = this.active
    this.frozenBytes = this.activeBytes
    this.active = new WriteTable()
    this.activeBytes = 0
    this.tables = [this.active, this.frozen]
    return { table: this.frozen, bytes: this.frozenBytes }
  }

  /** The frozen table is on disk. */
  dropFrozen(): void {
    this.frozen = undefined
    this.frozenBytes = 0
    this.tables = [this.active]
  }
}
