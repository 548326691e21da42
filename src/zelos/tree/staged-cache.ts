// Decoded records in memory: a bounded cache of committed values, and in front of it the changes of the open transaction,
// which enter the cache only when that has been committed. Knows nothing of what the values are.

/** Bounds of a cache; it holds at most about this much. */
export interface CacheLimits {
  readonly entriesMax: number
  readonly bytesMax: number
}

/**
 * Two generations: what is used while the old one exists moves to the young one, the rest is dropped with it. A hit costs
 * one or two map lookups and no bookkeeping. Values are immutable.
 */
export class StagedCache<K, V extends object> {
  private readonly sizeOf: (value: V) => number
  private readonly keeps: (value: V) => boolean
  private readonly generationEntriesMax: number
  private readonly generationBytesMax: number
  private young = new Map<K, V>()
  private old = new Map<K, V>()
  private youngBytes = 0
  private oldBytes = 0
  /** null = deleted in the open transaction. */
  private readonly staged = new Map<K, V | null>()
  private readonly undo: (readonly [K, V | null | undefined])[] = []
  private attempts = 0

  /**
   * `sizeOf` counts the bytes that a value keeps alive, roughly. What `keeps` refuses does not enter the cache when it is
   * committed, only when it is read.
   */
  constructor(limits: CacheLimits, sizeOf: (value: V) => number, keeps: (value: V) => boolean = () => true) {
    this.sizeOf = sizeOf
    this.keeps = keeps
    this.generationEntriesMax = Math.max(1, limits.entriesMax >> 1)
    this.generationBytesMax = Math.max(1, limits.bytesMax / 2)
  }

  /** The value as the open transaction sees it; null = there is none; undefined = not known here, ask the store. */
  get(key: K): V | null | undefined {
    if (this.staged.size > 0) {
      const staged = this.staged.get(key)
      if (staged !== undefined) return staged
    }
    return this.committed(key)
  }

  /** The committed value, if it is known here. */
  committed(key: K): V | undefined {
    const value = this.young.get(key)
    return value ?? (this.old.size > 0 ? this.promote(key) : undefined)
  }

  /** Adds a committed value that was read from the store. */
  admit(key: K, value: V): void {
    this.set(key, value)
  }

  /** A change of the open transaction. */
  stage(key: K, value: V | null): void {
    if (this.attempts > 0) this.undo.push([key, this.staged.get(key)])
    this.staged.set(key, value)
  }

  /** The open transaction was committed. */
  commit(): void {
    if (this.staged.size === 0) return
    for (const [key, value] of this.staged) {
      if (value !== null && this.keeps(value)) this.set(key, value)
      else this.forget(key)
    }
    this.staged.clear()
  }

  /** The open transaction is gone. What it had touched is read anew: nothing then depends on how it ended. */
  discard(): void {
    for (const key of this.staged.keys()) this.forget(key)
    this.staged.clear()
    this.undo.length = 0
    this.attempts = 0
  }

  /** Starts an attempt; ends with `endAttempt`. They nest. */
  beginAttempt(): number {
    this.attempts++
    return this.undo.length
  }

  /** Ends the attempt that returned `mark`, taking its changes back unless they are kept. */
  endAttempt(mark: number, keep: boolean): void {
    this.attempts--
    if (!keep) this.takeBack(mark)
    if (this.attempts === 0) this.undo.length = 0
  }

  /** Forgets everything that is committed: the store was changed behind the cache. */
  clear(): void {
    this.discard()
    this.young.clear()
    this.old.clear()
    this.youngBytes = 0
    this.oldBytes = 0
  }

  get entries(): number {
    return this.young.size + this.old.size
  }

  get bytes(): number {
    return this.youngBytes + this.oldBytes
  }

  private takeBack(mark: number): void {
    while (this.undo.length > mark) {
      const [key, before] = this.undo.pop() as readonly [K, V | null | undefined]
      if (before === undefined) this.staged.delete(key)
      else this.staged.set(key, before)
    }
  }

  private promote(key: K): V | undefined {
    const value = this.old.get(key)
    if (value === undefined) return undefined
    this.set(key, value)
    return value
  }

  // A value that is also in the old generation stays there, hidden, until that one is dropped.
  private set(key: K, value: V): void {
    const before = this.young.get(key)
    this.youngBytes += this.sizeOf(value) - (before === undefined ? 0 : this.sizeOf(before))
    this.young.set(key, value)
    if (this.young.size > this.generationEntriesMax || this.youngBytes > this.generationBytesMax) this.turn()
  }

  private forget(key: K): void {
    const before = this.young.get(key)
    if (before !== undefined) {
      this.youngBytes -= this.sizeOf(before)
      this.young.delete(key)
    }
    this.forgetOld(key)
  }

  private forgetOld(key: K): void {
    const before = this.old.get(key)
    if (before === undefined) return
    this.oldBytes -= this.sizeOf(before)
    this.old.delete(key)
  }

  private turn(): void {
    this.old = this.young
    this.oldBytes = this.youngBytes
    this.young = new Map()
    this.youngBytes = 0
  }
}
