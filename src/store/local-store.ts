// The contract of the LocalStore: an ordered byte map with one writer, one open transaction at a time, visible at once and
// durable later.
//
//   tx.commit()            visible: every later read and transaction sees it; it lives in the write-back layer
//   push                   the whole committed layer reaches the disk in one batch, never a part of it
//   flush() resolved       durable: survives power loss
//
// After a crash the store holds a prefix of the commits (at least up to the last resolved flush), whole commits only: what
// belongs together (data and cursor) is put in one transaction, and the log replays the rest.

import type { Key } from '../base/key.ts'
import type { LatencyHistogram } from '../base/latency-histogram.ts'

/** A half-open range of keys. `to` undefined means the end of the map. */
export interface KeyRange {
  readonly from: Key
  readonly to?: Key | undefined
}

export interface ScanOptions {
  /** Descending from the end of the range. Default false. */
  readonly reverse?: boolean
  /** At most this many rows. Default: all. */
  readonly limit?: number
  /** What the rows hold as values means nothing then. Several times faster where values are large. Default false. */
  readonly keysOnly?: boolean
}

/** A row. The value must not be changed by whoever receives it. */
export type Row = readonly [key: Key, value: Uint8Array]

/** Reads of one consistent state. Valid only until the current synchronous section ends. */
export interface ReadTx {
  /** The value, or undefined if there is none. About 0.2 µs from the write-back layer, 5 µs from RocksDB. */
  get(key: Key): Uint8Array | undefined
  /** Many at once, in the order of `keys`: 2 µs a key from RocksDB. */
  getMany(keys: readonly Key[]): (Uint8Array | undefined)[]
  /** Rows in key order, lazily. */
  scan(range: KeyRange, options?: ScanOptions): Iterable<Row>
}

/** Marks a state of the transaction that `rollbackTo` returns to. Only valid inside its transaction, innermost first. */
export type Savepoint = number & { readonly savepoint: unique symbol }

/** What layers above Base get in apply: reads its own writes. */
export interface ReadWriteTx extends ReadTx {
  /** The store keeps `value` without a copy: the caller must not change it once the transaction is committed. */
  put(key: Key, value: Uint8Array): void
  delete(key: Key): void
  savepoint(): Savepoint
  /** Undoes every put and delete since the savepoint. */
  rollbackTo(savepoint: Savepoint): void
}

/** A transaction with the right to end it; Base alone holds it. */
export interface Transaction extends ReadWriteTx {
  /** Makes all of it visible at once. Throws IO_ERROR once the disk has failed: nothing changed then, and it is over. */
  commit(): void
  /** Drops all of it. */
  abort(): void
}

/** A consistent view that outlives the current synchronous section: paging, backup, snapshot. */
export interface StoreView extends ReadTx {
  /** True when its deadline has passed and it was closed; further reads throw TIMEOUT. */
  readonly expired: boolean
  close(): void
}

/** A small durable range of this server alone: never replicated, never in snapshots, outside digests. */
export interface LocalRange {
  get(key: Key): Uint8Array | undefined
  /** Durable when it resolves. */
  put(key: Key, value: Uint8Array): Promise<void>
}

/**
 * Sub-store name → 32 hex digits: the sum modulo 2^128 of a keyed hash of every row of that sub-store. Equal content has equal
 * digests, however it came about; an empty sub-store has none.
 */
export type StoreDigest = ReadonlyMap<string, string>

/** What a store says of itself; all cumulative or current, for metrics. */
export interface StoreStats {
  readonly layerKeys: number
  readonly layerBytes: number
  readonly pushes: number
  readonly pushedBytes: number
  readonly flushes: number
  readonly openViews: number
  /** Times of the pushes that made something durable. */
  readonly flushTimes: Pick<LatencyHistogram, 'snapshot'>
}

export interface LocalStore {
  /** Opens the one transaction. A second one before commit or abort is an assertion failure. */
  begin(): Transaction
  /** Reads of the committed state, valid until the current synchronous section ends. Free. */
  read(): ReadTx
  /**
   * Brings what the disk has under these keys closer, beside the event loop, so that reading it soon costs little; at most some
   * thousands. A hint: resolves when that is done, or at once if too much is under way. Rejects with IO_ERROR, CLOSED.
   */
  prefetch(keys: readonly Key[]): Promise<void>
  /**
   * Resolves when everything committed before the call is durable. Concurrent calls share work. Rejects with IO_ERROR
   * once and for all: the store then refuses commits.
   */
  flush(): Promise<void>
  /** Pushes the layer, then reads through one pinned snapshot. At most `viewsMax` (StoreOptions) open at a time: OVERLOADED past it. */
  openView(options: { readonly deadlineMs: number }): Promise<StoreView>
  readonly local: LocalRange
  /**
   * Digests of the content as of the last commit, for all sub-stores. Resolves when that content has reached the disk; costs
   * the event loop nothing but an early push. The first one in the life of a store walks all of its rows between the pushes;
   * from then on the digests are kept, durably, and each row that is pushed costs a read of the value that it replaces. Both
   * happen where the pushes do. Rejects with IO_ERROR, CLOSED; OVERLOADED if `digestsMax` (8) wait.
   */
  digest(): Promise<StoreDigest>
  /** True while the write-back layer is past its limit: begin no new slice before `whenWritable` resolves. */
  readonly full: boolean
  whenWritable(): Promise<void>
  readonly stats: StoreStats
  /** Flushes, then closes. */
  close(): Promise<void>
}
