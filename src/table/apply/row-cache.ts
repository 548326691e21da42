// Stored rows in memory: a bounded cache of committed ones, and in the same places those of the open transaction, which take
// over when that has been committed. Two generations: what is used while the old one exists moves to the young one.

import type { Key } from '../../base/key.ts'
import type { StoredRow } from '../codec/stored-row.ts'

export interface RowCacheLimits {
  readonly rowsMax: number
  readonly bytesMax: number
}

/** The state of the open transaction before an operation, to go back to. */
export type CacheMark = number & { readonly cacheMark: unique symbol }

/** The row under one key: one look finds both what is committed and what the open transaction made of it. */
interface Place {
  readonly key: Key
  /** Undefined: ask the store. */
  committed: StoredRow | undefined
  /** Undefined: the open transaction has not changed it. null: deleted there. */
  staged: StoredRow | null | undefined
}

export class RowCache {
  private readonly generationRowsMax: number
  private readonly generationBytesMax: number
  private young = new Map<Key, Place>()
  private old = new Map<Key, Place>()
  private youngBytes = 0
  private oldBytes = 0
  /** Places that the open transaction has changed; after a rollback some of them unchanged, or twice. */
  private readonly changed: Place[] = []
  private readonly undo: (readonly [Place, StoredRow | null | undefined])[] = []
  private undoing = false

  constructor({ bytesMax, rowsMax }: RowCacheLimits) {
    this.generationRowsMax = Math.max(1, rowsMax >> 1)
    this.generationBytesMax = Math.max(1, bytesMax / 2)
  }

  /** As the open transaction sees it; null: there is none; undefined: ask the store. */
  get(key: Key): StoredRow | null | undefined {
    const place = this.place(key)
    if (place === undefined) return undefined
    return place.staged === undefined ? place.committed : place.staged
  }

  /** The committed row, if it is here. */
  committed(key: Key): StoredRow | undefined {
    return this.place(key)?.committed
  }

  /** A committed row that was read from the store. */
  admit(key: Key, row: StoredRow): void {
    const place = this.place(key) ?? this.newPlace(key)
    this.commitAt(place, row)
    this.ageIfFull()
  }

  /** A change of the open transaction. */
  stage(key: Key, row: StoredRow | null): void {
    const place = this.place(key) ?? this.newPlace(key)
    if (this.undoing) this.undo.push([place, place.staged])
    if (place.staged === undefined) this.changed.push(place)
    place.staged = row
  }

  /** From here on changes can be taken back. */
  mark(): CacheMark {
    this.undoing = true
    return this.undo.length as CacheMark
  }

  /** Takes back what was staged since the mark. */
  rollbackTo(mark: CacheMark): void {
    while (this.undo.length > mark) {
      const [place, before] = this.undo.pop() as readonly [Place, StoredRow | null | undefined]
      place.staged = before
    }
  }

  /** Nothing is taken back any more. */
  release(): void {
    this.undoing = false
    this.undo.length = 0
  }

  /** The open transaction was committed. */
  commit(): void {
    const { changed } = this
    for (let i = 0; i < changed.length; i++) {
      const place = changed[i] as Place
      const { staged } = place
      if (staged !== undefined) {
        place.staged = undefined
        this.commitAt(place, staged ?? undefined)
      }
      // Deleted, or never there: the store knows.
      if (place.committed === undefined) this.forget(place.key)
    }
    changed.length = 0
    this.ageIfFull()
  }

  /** Forgets everything: the store, or how its rows are read, has changed. */
  clear(): void {
    this.changed.length = 0
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

  /** Whoever is looked for is young again. */
  private place(key: Key): Place | undefined {
    const place = this.young.get(key)
    if (place !== undefined || this.old.size === 0) return place
    const old = this.old.get(key)
    if (old === undefined) return undefined
    this.old.delete(key)
    this.oldBytes -= sizeOf(old)
    this.young.set(key, old)
    this.youngBytes += sizeOf(old)
    return old
  }

  private newPlace(key: Key): Place {
    const place: Place = { key, committed: undefined, staged: undefined }
    this.young.set(key, place)
    return place
  }

  private commitAt(place: Place, row: StoredRow | undefined): void {
    this.youngBytes -= sizeOf(place)
    place.committed = row
    this.youngBytes += sizeOf(place)
  }

  private forget(key: Key): void {
    this.young.delete(key)
  }

  /** Never amid a transaction: what it has changed must be found until it is committed. */
  private ageIfFull(): void {
    if (this.young.size <= this.generationRowsMax && this.youngBytes <= this.generationBytesMax) return
    if (this.changed.length > 0) return
    this.old = this.young
    this.oldBytes = this.youngBytes
    this.young = new Map()
    this.youngBytes = 0
  }
}

function sizeOf({ committed }: Place): number {
  return committed === undefined ? 0 : committed.sizeBytes
}
