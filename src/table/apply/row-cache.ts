// Stored rows in memory: a bounded cache of committed ones, and in front of it those of the open transaction, which enter the
// cache when that has been committed. Two generations: what is used while the old one exists moves to the young one.

import type { Key } from '../../base/key.ts'
import type { StoredRow } from '../codec/stored-row.ts'

export interface RowCacheLimits {
  readonly rowsMax: number
  readonly bytesMax: number
}

/** The state of the open transaction before an operation, to go back to. */
export type CacheMark = number & { readonly cacheMark: unique symbol }

export class RowCache {
  private readonly generationRowsMax: number
  private readonly generationBytesMax: number
  private young = new Map<Key, StoredRow>()
  private old = new Map<Key, StoredRow>()
  private youngBytes = 0
  private oldBytes = 0
  /** null: deleted in the open transaction. */
  private readonly staged = new Map<Key, StoredRow | null>()
  private readonly undo: (readonly [Key, StoredRow | null | undefined])[] = []
  private undoing = false

  constructor({ bytesMax, rowsMax }: RowCacheLimits) {
    this.generationRowsMax = Math.max(1, rowsMax >> 1)
    this.generationBytesMax = Math.max(1, bytesMax / 2)
  }

  /** As the open transaction sees it; null: there is none; undefined: ask the store. */
  get(key: Key): StoredRow | null | undefined {
    if (this.staged.size > 0) {
      const staged = this.staged.get(key)
      if (staged !== undefined) return staged
    }
    return this.committed(key)
  }

  /** The committed row, if it is here. */
  committed(key: Key): StoredRow | undefined {
    const row = this.young.get(key)
    if (row !== undefined || this.old.size === 0) return row
    const old = this.old.get(key)
    if (old !== undefined) this.set(key, old)
    return old
  }

  /** A committed row that was read from the store. */
  admit(key: Key, row: StoredRow): void {
    this.set(key, row)
  }

  /** A change of the open transaction. */
  stage(key: Key, row: StoredRow | null): void {
    if (this.undoing) this.undo.push([key, this.staged.get(key)])
    this.staged.set(key, row)
  }

  /** From here on changes can be taken back. */
  mark(): CacheMark {
    this.undoing = true
    return this.undo.length as CacheMark
  }

  /** Takes back what was staged since the mark. */
  rollbackTo(mark: CacheMark): void {
    while (this.undo.length > mark) {
      const [key, before] = this.undo.pop() as readonly [Key, StoredRow | null | undefined]
      if (before === undefined) this.staged.delete(key)
      else this.staged.set(key, before)
    }
  }

  /** Nothing is taken back any more. */
  release(): void {
    this.undoing = false
    this.undo.length = 0
  }

  /** The open transaction was committed. */
  commit(): void {
    for (const [key, row] of this.staged) {
      if (row === null) this.forget(key)
      else this.set(key, row)
    }
    this.staged.clear()
  }

  /** Forgets everything: the store, or how its rows are read, has changed. */
  clear(): void {
    this.staged.clear()
    this.release()
    this.young.clear()
    this.old.clear()
    this.youngBytes = 0
    this.oldBytes = 0
  }

  get rows(): number {
    return this.young.size + this.old.size
  }

  get bytes(): number {
    return this.youngBytes + this.oldBytes
  }

  private set(key: Key, row: StoredRow): void {
    const before = this.young.get(key)
    this.youngBytes += row.sizeBytes - (before === undefined ? 0 : before.sizeBytes)
    this.young.set(key, row)
    if (this.young.size <= this.generationRowsMax && this.youngBytes <= this.generationBytesMax) return
    this.old = this.young
    this.oldBytes = this.youngBytes
    this.young = new Map()
    this.youngBytes = 0
  }

  private forget(key: Key): void {
    const young = this.young.get(key)
    if (young !== undefined) {
      this.youngBytes -= young.sizeBytes
      this.young.delete(key)
    }
    const old = this.old.get(key)
    if (old === undefined) return
    this.oldBytes -= old.sizeBytes
    this.old.delete(key)
  }
}
