// The LocalStore over any StoreBackend: one transaction, the write-back layer, reads that merge layer and disk, and the one
// loop that pushes whole layers. What survives a crash follows from it: a push carries every commit up to one point and
// nothing past it, and pushes never overtake each other.

import { assert } from '../base/assert.ts'
import { DelosError } from '../base/delos-error.ts'
import type { Key } from '../base/key.ts'
import { LatencyHistogram } from '../base/latency-histogram.ts'
import { Deferred } from './deferred.ts'
import type {
  KeyRange,
  LocalRange,
  LocalStore,
  ReadTx,
  Row,
  ScanOptions,
  StoreDigest,
  StoreStats,
  StoreView,
  Transaction,
} from './local-store.ts'
import { mergedGetMany } from './merged-get.ts'
import { mergedScan } from './merged-scan.ts'
import type { StoreBackend, WriteBatch } from './store-backend.ts'
import { SnapshotView } from './store-view.ts'
import { StoreTransaction, type TransactionOwner } from './transaction.ts'
import { TransactionWrites } from './transaction-writes.ts'
import { type StoreRuntime, ViewRequest } from './view-request.ts'
import { DEFAULT_LAYER_LIMITS, type LayerLimits, WriteBackLayer } from './write-back-layer.ts'
import type { WriteTable } from './write-table.ts'

/** Options of every store, whatever its backend. */
export interface StoreOptions extends Partial<LayerLimits> {
  /** Views open or being opened at a time. Default 8. */
  readonly viewsMax?: number
  /** Local puts waiting to become durable. Default 1 000. */
  readonly localPutsMax?: number
  /** Digests that wait for their push or their computation. Default 8. */
  readonly digestsMax?: number
  /** 16 bytes that the hashes of digests depend on: the same wherever digests are compared. Default zeros. */
  readonly digestKey?: Uint8Array
}

export class StoreCore implements LocalStore, TransactionOwner {
  private readonly backend: StoreBackend
  private readonly runtime: StoreRuntime
  private readonly viewsMax: number
  private readonly localPutsMax: number
  private readonly digestsMax: number
  private readonly layer: WriteBackLayer

  private transaction: StoreTransaction | undefined
  /** Those of the open transaction; kept between transactions. */
  private readonly writes = new TransactionWrites()
  /** Commits so far; how many of them the disk has; how many of them survive a crash. */
  private committed = 0
  private pushed = 0
  private durable = 0

  private failure: DelosError | undefined
  private closing: Promise<void> | undefined
  private abandoned = false
  private pumpPlanned = false
  private writing: Promise<void> | undefined
  private readonly flushWaiters: { readonly upTo: number; readonly done: Deferred<void> }[] = []
  private readonly digestWaiters: DigestRequest[] = []
  private viewWaiters: ViewRequest[] = []
  private readonly views = new Set<SnapshotView>()
  private localPending = new Map<Key, Uint8Array>()
  private localInFlight: ReadonlyMap<Key, Uint8Array> = EMPTY_LOCAL
  private localWaiters: Deferred<void>[] = []
  private writable: Deferred<void> | undefined
  private readonly counts = { pushes: 0, pushedBytes: 0, flushes: 0, flushTimes: new LatencyHistogram() }

  constructor(backend: StoreBackend, runtime: StoreRuntime, options: StoreOptions = {}) {
    this.backend = backend
    this.runtime = runtime
    this.viewsMax = options.viewsMax ?? 8
    this.localPutsMax = options.localPutsMax ?? 1000
    this.digestsMax = options.digestsMax ?? 8
    this.layer = new WriteBackLayer({
      layerBytesMax: options.layerBytesMax ?? DEFAULT_LAYER_LIMITS.layerBytesMax,
      layerKeysMax: options.layerKeysMax ?? DEFAULT_LAYER_LIMITS.layerKeysMax,
    })
  }

  // Reads of the committed state.

  get(key: Key): Uint8Array | undefined {
    const value = this.layer.get(key)
    if (value === undefined) return this.backend.get(key)
    return value === null ? undefined : value
  }

  getMany(keys: readonly Key[]): (Uint8Array | undefined)[] {
    return mergedGetMany(
      keys,
      (key) => this.layer.get(key),
      (missing) => this.backend.getMany(missing),
    )
  }

  scan(range: KeyRange, options?: ScanOptions): Iterable<Row> {
    const { committed } = this
    const check = (): void => assert(this.committed === committed, 'a scan was continued after a commit')
    return mergedScan(this.layer.tables, this.backend, range, options, check)
  }

  scanOver(own: WriteTable, range: KeyRange, options: ScanOptions | undefined, check: () => void): Iterable<Row> {
    return mergedScan([own, ...this.layer.tables], this.backend, range, options, check)
  }

  read(): ReadTx {
    this.checkOpen()
    return this
  }

  prefetch(keys: readonly Key[]): Promise<void> {
    if (this.closing) return Promise.reject(closedError())
    return this.backend.prefetch?.(keys) ?? Promise.resolve()
  }

  // Transactions.

  begin(): Transaction {
    this.checkOpen()
    assert(this.transaction === undefined, 'one transaction is open at a time')
    assert(!this.layer.overrun, 'transactions went on far beyond a full write-back layer')
    this.transaction = new StoreTransaction(this, this.writes)
    return this.transaction
  }

  commit(writes: TransactionWrites): void {
    this.checkOpen()
    if (this.failure) throw this.failure
    this.layer.absorb(writes)
    this.committed++
    if (this.layer.wantsPush) this.planPump()
  }

  ended(): void {
    this.transaction = undefined
    this.writes.clear()
  }

  // Waiting for the disk.

  flush(): Promise<void> {
    if (this.closing) return Promise.reject(closedError())
    return this.flushAll()
  }

  private flushAll(): Promise<void> {
    if (this.failure) return Promise.reject(this.failure)
    if (this.durable === this.committed) return Promise.resolve()
    const last = this.flushWaiters.at(-1)
    if (last?.upTo === this.committed) return last.done.promise
    const done = new Deferred<void>()
    this.flushWaiters.push({ upTo: this.committed, done })
    this.planPump()
    return done.promise
  }

  digest(): Promise<StoreDigest> {
    if (this.closing) return Promise.reject(closedError())
    if (this.failure) return Promise.reject(this.failure)
    const upTo = this.committed
    const last = this.digestWaiters.at(-1)
    if (last?.upTo === upTo) return last.done.promise
    if (this.digestWaiters.length >= this.digestsMax) {
      return Promise.reject(new DelosError('OVERLOADED', `digestsMax: ${this.digestsMax} digests of the store wait`))
    }
    // What is committed from now on goes into another table: the push before it ends exactly here.
    if ((this.layer.newestFrozen?.upTo ?? this.pushed) !== upTo) this.layer.freeze(upTo)
    const done = new Deferred<StoreDigest>()
    this.digestWaiters.push({ upTo, done, asked: false })
    this.planPump()
    return done.promise
  }

  openView(options: { readonly deadlineMs: number }): Promise<StoreView> {
    if (this.closing) return Promise.reject(closedError())
    if (this.failure) return Promise.reject(this.failure)
    if (this.views.size + this.viewWaiters.length >= this.viewsMax) {
      return Promise.reject(new DelosError('OVERLOADED', `viewsMax: ${this.viewsMax} views of the store are open`))
    }
    const request = new ViewRequest(this.committed, this.runtime, options.deadlineMs, (expired) => {
      this.viewWaiters = this.viewWaiters.filter((other) => other !== expired)
    })
    this.viewWaiters.push(request)
    this.planPump()
    return request.done.promise
  }

  readonly local: LocalRange = {
    get: (key) => {
      this.checkOpen()
      return this.localPending.get(key) ?? this.localInFlight.get(key) ?? this.backend.getLocal(key)
    },
    put: (key, value) => {
      if (this.closing) return Promise.reject(closedError())
      if (this.failure) return Promise.reject(this.failure)
      if (this.localWaiters.length >= this.localPutsMax) {
        return Promise.reject(new DelosError('OVERLOADED', `localPutsMax: ${this.localPutsMax} local puts wait`))
      }
      const done = new Deferred<void>()
      this.localPending.set(key, value)
      this.localWaiters.push(done)
      this.planPump()
      return done.promise
    },
  }

  get full(): boolean {
    return this.layer.full
  }

  whenWritable(): Promise<void> {
    if (this.failure) return Promise.reject(this.failure)
    if (!this.layer.full) return Promise.resolve()
    this.writable ??= new Deferred<void>()
    this.planPump()
    return this.writable.promise
  }

  get stats(): StoreStats {
    const { layer, counts, views } = this
    return { layerKeys: layer.keys, layerBytes: layer.bytes, ...counts, openViews: views.size }
  }

  close(): Promise<void> {
    this.closing ??= this.closeOnce()
    return this.closing
  }

  private async closeOnce(): Promise<void> {
    assert(this.transaction === undefined, 'the store is closed with an open transaction')
    try {
      if (!this.failure) await this.flushAll()
    } finally {
      while (this.writing) await this.writing
      for (const { done } of this.digestWaiters.splice(0)) done.reject(closedError())
      for (const request of this.viewWaiters) request.reject(closedError())
      this.viewWaiters = []
      for (const view of [...this.views]) view.close()
      await this.backend.close()
    }
  }

  /** For stores that can crash: forgets everything at once. Nothing pending ever settles; later calls throw CLOSED. */
  protected abandon(): void {
    this.abandoned = true
    this.closing = Promise.resolve()
    for (const request of this.viewWaiters.splice(0)) request.abandon()
    for (const view of [...this.views]) view.close()
  }

  // The pump: at most one write in flight; whoever asks meanwhile shares the next.

  private planPump(): void {
    if (this.pumpPlanned || this.writing) return
    this.pumpPlanned = true
    this.runtime.timers.soon(() => {
      this.pumpPlanned = false
      this.pump()
    })
  }

  private pump(): void {
    if (this.writing || this.failure || this.abandoned) return
    this.serveViews()
    this.askDigests()
    const { layer } = this
    const upTo = layer.oldestFrozen?.upTo ?? this.committed
    const sync = (this.flushWaiters[0]?.upTo ?? Number.POSITIVE_INFINITY) <= upTo || this.localWaiters.length > 0
    const wanted = layer.oldestFrozen !== undefined || layer.wantsPush || layer.full || this.viewWaiters.length > 0
    if (!sync && !wanted) return
    this.writing = this.push(sync)
  }

  private async push(sync: boolean): Promise<void> {
    const { table, bytes, upTo } = this.layer.oldestFrozen ?? this.layer.freeze(this.committed)
    const { localPending, localWaiters } = this
    this.localInFlight = localPending
    this.localPending = new Map()
    this.localWaiters = []
    const startMs = this.runtime.clock.monotonicMs()
    const batch: WriteBatch = { size: table.size + localPending.size, rows: () => table.rows(), local: localPending }
    try {
      await this.backend.write(batch, sync)
    } catch (thrown) {
      this.writing = undefined
      this.fail(DelosError.from(thrown, 'IO_ERROR', 'the store could not write'), localWaiters)
      return
    }
    this.writing = undefined
    this.layer.dropFrozen()
    this.localInFlight = EMPTY_LOCAL
    this.pushed = upTo
    this.counts.pushes++
    this.counts.pushedBytes += bytes
    if (sync) {
      this.counts.flushTimes.record(this.runtime.clock.monotonicMs() - startMs)
      this.becameDurable(upTo, localWaiters)
    }
    if (this.writable && !this.layer.full) {
      this.writable.resolve()
      this.writable = undefined
    }
    this.pump()
  }

  private becameDurable(upTo: number, localWaiters: readonly Deferred<void>[]): void {
    this.durable = upTo
    this.counts.flushes++
    while (this.flushWaiters[0] !== undefined && this.flushWaiters[0].upTo <= upTo)
      this.flushWaiters.shift()?.done.resolve()
    for (const waiter of localWaiters) waiter.resolve()
  }

  // No push is under way and none goes past a digest that was not asked for yet, so the disk holds what it is about.
  private askDigests(): void {
    for (const request of this.digestWaiters) {
      if (request.asked || request.upTo > this.pushed) continue
      assert(request.upTo === this.pushed, 'a push went past a digest')
      request.asked = true
      this.backend.digest().then(
        (digest) => {
          this.digestWaiters.shift()
          request.done.resolve(digest)
        },
        (thrown: unknown) => {
          if (!this.closing) this.fail(DelosError.from(thrown, 'IO_ERROR', 'the store could not take a digest'), [])
        },
      )
    }
  }

  private serveViews(): void {
    if (this.viewWaiters.length === 0) return
    const ready = this.viewWaiters.filter((request) => request.upTo <= this.pushed)
    this.viewWaiters = this.viewWaiters.filter((request) => request.upTo > this.pushed)
    for (const request of ready) {
      const view = new SnapshotView(this.backend.openSnapshot(), this.runtime.timers, request.leftMs(), (closed) =>
        this.views.delete(closed),
      )
      this.views.add(view)
      request.resolve(view)
    }
  }

  private fail(failure: DelosError, localWaiters: readonly Deferred<void>[]): void {
    this.failure = failure
    for (const { done } of this.flushWaiters.splice(0)) done.reject(failure)
    for (const waiter of [...localWaiters, ...this.localWaiters]) waiter.reject(failure)
    this.localWaiters = []
    for (const { done } of this.digestWaiters.splice(0)) done.reject(failure)
    for (const request of this.viewWaiters) request.reject(failure)
    this.viewWaiters = []
    this.writable?.reject(failure)
    this.writable = undefined
  }

  private checkOpen(): void {
    if (this.closing) throw closedError()
  }
}

const EMPTY_LOCAL: ReadonlyMap<Key, Uint8Array> = new Map()

interface DigestRequest {
  /** The number of commits whose content it is about. */
  readonly upTo: number
  readonly done: Deferred<StoreDigest>
  /** The backend is at work on it. */
  asked: boolean
}

function closedError(): DelosError {
  return new DelosError('CLOSED', 'the store is closed')
}
