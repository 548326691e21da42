// The transaction that is being applied, as all parts of Zelos see it: counters, the caches' staged changes, attempts. It
// finds out itself when a transaction was dropped, so that nothing uncommitted survives in memory.

import { assert } from '../../base/assert.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import type { Zxid } from '../znode.ts'
import { COUNTERS_KEY } from './key-space.ts'
import { type CacheLimits, StagedCache, ValueSlot } from './staged-cache.ts'
import { type Counters, decodeCounters, encodeCounters, noCounters } from './tree-counters.ts'

interface AnyCache {
  commit(): void
  clear(): void
  beginAttempt(): number
  endAttempt(mark: number, keep: boolean): void
}

export class ApplyState {
  private readonly caches: AnyCache[] = []
  private readonly forgetters: (() => void)[] = []
  private readonly beginners: (() => void)[] = []
  private current: Counters | undefined
  private open: ReadWriteTx | undefined
  private lastPos = -1
  private lastIndex = -1
  private zxid: Zxid | undefined
  private dirty = false
  private attempts = 0
  /** The counters' record in the open transaction: written anew by each entry, put once. */
  private record: Buffer | undefined

  /** A cache of values that follows the transaction. */
  cache<K, V extends object>(limits: CacheLimits, sizeOf: (value: V) => number): StagedCache<K, V> {
    return this.follow(new StagedCache<K, V>(limits, { newSlot: (key) => new ValueSlot(key), sizeOf }))
  }

  /** Makes this cache follow the transaction. */
  follow<C extends AnyCache>(cache: C): C {
    this.caches.push(cache)
    return cache
  }

  /** The open transaction; only inside apply. */
  get tx(): ReadWriteTx {
    const { open } = this
    assert(open !== undefined, 'outside of apply')
    return open
  }

  /** As the open transaction sees them. `load` or `begin` came first. */
  get counters(): Counters {
    const { current } = this
    assert(current !== undefined, 'counters before load')
    return current
  }

  /** Of the last committed update; undefined until the counters were loaded. */
  get committedZxid(): Zxid | undefined {
    return this.zxid
  }

  /** True while what is done may be taken back without an end of the transaction. */
  get attempting(): boolean {
    return this.attempts > 0
  }

  /** Calls back when memory must forget what it derived from uncommitted changes, or from the store at all. */
  onForget(forget: () => void): void {
    this.forgetters.push(forget)
  }

  /** Calls back when a transaction begins: nothing of the one before it is needed any more. */
  onBegin(begun: () => void): void {
    this.beginners.push(begun)
  }

  /** Reads the counters once. */
  load(reader: ReadTx): Counters {
    if (this.current === undefined) {
      this.current = readCounters(reader)
      this.zxid ??= this.current.zxid
    }
    return this.current
  }

  /**
   * Starts the apply of one entry. Positions ascend: if this one does not, the transaction before it was dropped and its
   * entries come again. True if that happened.
   */
  begin(tx: ReadWriteTx, pos: number, index: number): boolean {
    const again = pos < this.lastPos || (pos === this.lastPos && index <= this.lastIndex)
    const dropped = again && this.dirty
    if (dropped) this.drop()
    if (!this.dirty) for (const begun of this.beginners) begun()
    this.load(tx)
    this.open = tx
    this.lastPos = pos
    this.lastIndex = index
    this.dirty = true
    return dropped
  }

  /** Ends the apply of one entry: the counters go into the transaction. */
  end(): void {
    const { record } = this
    this.record = encodeCounters(this.counters, record)
    if (record === undefined) this.tx.put(COUNTERS_KEY, this.record)
    this.open = undefined
  }

  /** The transaction was committed. */
  commit(): void {
    for (const cache of this.caches) cache.commit()
    this.zxid = this.counters.zxid
    this.record = undefined
    this.dirty = false
  }

  /** Forgets all that memory holds of the store: somebody else has changed it. */
  forget(): void {
    for (const cache of this.caches) cache.clear()
    this.zxid = undefined
    this.startAnew()
  }

  /** Runs `step`; unless it returns true, everything that it changed is taken back. */
  attempt(step: () => boolean): boolean {
    const { tx } = this
    const savepoint = tx.savepoint()
    const counters = { ...this.counters }
    const marks = this.caches.map((cache) => cache.beginAttempt())
    this.attempts++
    const kept = step()
    this.attempts--
    if (!kept) {
      tx.rollbackTo(savepoint)
      this.current = counters
    }
    this.caches.forEach((cache, i) => {
      cache.endAttempt(marks[i] as number, kept)
    })
    return kept
  }

  private drop(): void {
    for (const cache of this.caches) cache.clear()
    this.startAnew()
  }

  private startAnew(): void {
    for (const forget of this.forgetters) forget()
    this.current = undefined
    this.record = undefined
    this.dirty = false
    this.attempts = 0
  }
}

function readCounters(reader: ReadTx): Counters {
  const bytes = reader.get(COUNTERS_KEY)
  return bytes === undefined ? noCounters() : decodeCounters(bytes)
}
