// Decoded records in memory: a bounded cache of committed values, and beside each the change of the open transaction, which takes
// its place only when that has been committed. Knows nothing of what the values are.

/** Bounds of a cache; it holds at most about this much. */
export interface CacheLimits {
  readonly entriesMax: number
  readonly bytesMax: number
}

/** What is known under one key: a committed value, and what the open transaction made of it. */
export abstract class CacheSlot<K, V extends object> {
  readonly key: K
  /** In the open transaction: null = deleted, undefined = as committed. The cache's own, as are the next two. */
  staged: V | null | undefined = undefined
  /** Of the committed value, as they were counted. */
  bytes = 0
  /** The generation that it was last used in. */
  generation = NEVER

  constructor(key: K) {
    this.key = key
  }

  /** Undefined: ask the store. */
  abstract readonly committed: V | undefined
  abstract learn(committed: V): void
  abstract unlearn(): void
}

const NEVER = -2

/** A slot that holds on to the value that it was given. */
export class ValueSlot<K, V extends object> extends CacheSlot<K, V> {
  committed: V | undefined = undefined

  learn(committed: V): void {
    this.committed = committed
  }

  unlearn(): void {
    this.committed = undefined
  }
}

/** What a cache must know of its values. */
export interface CacheRules<K, V extends object, S extends CacheSlot<K, V>> {
  newSlot(key: K): S
  /** The bytes that a value keeps alive, roughly. */
  sizeOf(value: V): number
  /** What it refuses does not enter the cache when it is committed, only when it is read. Default: all is kept. */
  keeps?(value: V): boolean
}

/**
 * Two generations: what is used while the old one exists moves to the young one, the rest is dropped with it. A hit costs
 * one map lookup or two, a change and its commit none beyond that. Values that are handed in are immutable.
 */
export class StagedCache<K, V extends object, S extends CacheSlot<K, V> = ValueSlot<K, V>> {
  private readonly rules: CacheRules<K, V, S>
  private readonly generationEntriesMax: number
  private readonly generationBytesMax: number
  private generation = 0
  private young = new Map<K, S>()
  /** Slots that were used since are here too, and belong to the young generation. */
  private old = new Map<K, S>()
  private youngBytes = 0
  private oldBytes = 0
  /** The slot that was asked for last, while it is in the young generation. */
  private last: S | undefined
  /** What is staged in the open transaction: slots, some more than once, and what has no slot. A key is never in both. */
  private readonly touched: S[] = []
  private readonly unslotted = new Map<K, V | null>()
  private readonly undo: (readonly [K, V | null | undefined])[] = []
  private attempts = 0

  constructor(limits: CacheLimits, rules: CacheRules<K, V, S>) {
    this.rules = rules
    this.generationEntriesMax = Math.max(1, limits.entriesMax >> 1)
    this.generationBytesMax = Math.max(1, limits.bytesMax / 2)
  }

  /** The value as the open transaction sees it; null = there is none; undefined = not known here, ask the store. */
  get(key: K): V | null | undefined {
    const slot = this.slot(key)
    if (slot === undefined) return this.unslotted.size > 0 ? this.unslotted.get(key) : undefined
    return slot.staged === undefined ? slot.committed : slot.staged
  }

  /** The committed value, if it is known here. */
  committed(key: K): V | undefined {
    return this.slot(key)?.committed
  }

  /** What is known of a committed value. */
  slot(key: K): S | undefined {
    const { last } = this
    // Who changes a value has just asked for it.
    if (last !== undefined && last.key === key && last.generation === this.generation) return last
    const slot = this.young.get(key) ?? (this.old.size > 0 ? this.promote(key) : undefined)
    this.last = slot
    return slot
  }

  /** Adds a committed value that was read from the store. */
  admit(key: K, value: V): void {
    const slot = this.slot(key) ?? this.rules.newSlot(key)
    this.keep(slot, value)
    const staged = this.unslotted.get(key)
    if (staged === undefined) return
    this.unslotted.delete(key)
    this.setStaged(key, slot, staged)
  }

  /** A change of the open transaction. */
  stage(key: K, value: V | null): void {
    this.stageIn(this.slot(key), key, value)
  }

  /** The same, for who has just asked for the slot of `key`. */
  stageIn(slot: S | undefined, key: K, value: V | null): void {
    if (this.attempts > 0) this.undo.push([key, slot === undefined ? this.unslotted.get(key) : slot.staged])
    this.setStaged(key, slot, value)
  }

  /** The open transaction was committed. */
  commit(): void {
    const { touched, unslotted } = this
    for (let i = 0; i < touched.length; i++) {
      const slot = touched[i] as S
      const value = slot.staged
      if (value === undefined) continue // Taken back, or here twice.
      slot.staged = undefined
      if (value !== null && this.keeps(value)) this.keep(slot, value)
      else this.forget(slot)
    }
    touched.length = 0
    if (unslotted.size === 0) return
    for (const [key, value] of unslotted) {
      if (value !== null && this.keeps(value)) this.keep(this.rules.newSlot(key), value)
    }
    unslotted.clear()
  }

  /** The open transaction is gone. What it had touched is read anew: nothing then depends on how it ended. */
  discard(): void {
    for (const slot of this.touched) {
      slot.staged = undefined
      this.forget(slot)
    }
    this.touched.length = 0
    this.unslotted.clear()
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
    this.last = undefined
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

  private keeps(value: V): boolean {
    return this.rules.keeps?.(value) !== false
  }

  private takeBack(mark: number): void {
    while (this.undo.length > mark) {
      const [key, before] = this.undo.pop() as readonly [K, V | null | undefined]
      this.setStaged(key, this.slot(key), before)
    }
  }

  /** Undefined: as committed. */
  private setStaged(key: K, slot: S | undefined, value: V | null | undefined): void {
    if (slot !== undefined) {
      if (slot.staged === undefined) this.touched.push(slot)
      slot.staged = value
    } else if (value === undefined) this.unslotted.delete(key)
    else this.unslotted.set(key, value)
  }

  private promote(key: K): S | undefined {
    const slot = this.old.get(key)
    if (slot !== undefined) this.place(slot, slot.bytes)
    return slot
  }

  private keep(slot: S, value: V): void {
    slot.learn(value)
    this.place(slot, this.rules.sizeOf(value))
  }

  // Into the young generation, if it is not there.
  private place(slot: S, bytes: number): void {
    this.youngBytes += bytes
    if (slot.generation === this.generation) this.youngBytes -= slot.bytes
    else {
      if (slot.generation === this.generation - 1) this.oldBytes -= slot.bytes
      slot.generation = this.generation
      this.young.set(slot.key, slot)
    }
    slot.bytes = bytes
    if (this.young.size > this.generationEntriesMax || this.youngBytes > this.generationBytesMax) this.turn()
  }

  private forget(slot: S): void {
    const { generation, key } = slot
    if (generation === this.generation) this.youngBytes -= slot.bytes
    else if (generation === this.generation - 1) this.oldBytes -= slot.bytes
    else return
    slot.generation = NEVER
    slot.unlearn()
    this.young.delete(key)
    this.old.delete(key)
  }

  private turn(): void {
    this.dropOld()
    this.old = this.young
    this.oldBytes = this.youngBytes
    this.young = new Map()
    this.youngBytes = 0
    this.generation++
  }

  // What is staged in slots that go must still be found.
  private dropOld(): void {
    for (const slot of this.touched) {
      const { key, staged } = slot
      if (staged === undefined || slot.generation === this.generation) continue
      slot.staged = undefined
      this.unslotted.set(key, staged)
    }
  }
}
