// Catches an engine that breaks its contract in apply: writes outside its key range, or before it is enabled. Used by the
// conformance suite and by a stack with `checked` on; costs two objects per entry and engine, so off in production.
//
//   below ── apply(tx) ──▶ CheckedBelow ── apply(checked) ──▶ engine ── apply(checked) ──▶ CheckedAbove ── apply(tx) ──▶ above

import { assert } from '../base/assert.ts'
import type { Key } from '../base/key.ts'
import type { LogPos } from '../log/position.ts'
import type { KeyRange, ReadWriteTx, Row, Savepoint, ScanOptions } from '../store/local-store.ts'
import { flagsKey } from './engine-flags.ts'
import type { EngineLayer } from './engine-layer.ts'
import type { Entry } from './entry.ts'
import { PassThrough } from './pass-through.ts'

/** A transaction as one engine may use it: reads anywhere, writes in its own range and only while enabled. */
class CheckedTx implements ReadWriteTx {
  readonly unchecked: ReadWriteTx
  private readonly engine: EngineLayer

  constructor(unchecked: ReadWriteTx, engine: EngineLayer) {
    this.unchecked = unchecked
    this.engine = engine
  }

  get(key: Key): Uint8Array | undefined {
    return this.unchecked.get(key)
  }

  getMany(keys: readonly Key[]): (Uint8Array | undefined)[] {
    return this.unchecked.getMany(keys)
  }

  scan(range: KeyRange, options?: ScanOptions): Iterable<Row> {
    return this.unchecked.scan(range, options)
  }

  put(key: Key, value: Uint8Array): void {
    this.requireWritable(key)
    this.unchecked.put(key, value)
  }

  delete(key: Key): void {
    this.requireWritable(key)
    this.unchecked.delete(key)
  }

  savepoint(): Savepoint {
    return this.unchecked.savepoint()
  }

  rollbackTo(savepoint: Savepoint): void {
    this.unchecked.rollbackTo(savepoint)
  }

  private requireWritable(key: Key): void {
    const { name, prefix, flagsInApply, writesAnywhere } = this.engine
    assert(
      writesAnywhere || key.startsWith(prefix),
      `engine ${name} wrote outside its key range: ${JSON.stringify(key)}`,
    )
    assert(flagsInApply.enabled || key === flagsKey(name), `engine ${name} wrote before it was enabled`)
  }
}

/** Stands below an engine: hands it checked transactions. `engine` is set right after its construction. */
export class CheckedBelow extends PassThrough {
  engine!: EngineLayer

  override apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): unknown {
    return this.above.apply(new CheckedTx(tx, this.engine), entry, pos)
  }
}

/** Stands above the same engine: hands the layer above the transaction that CheckedBelow received. */
export class CheckedAbove extends PassThrough {
  override apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): unknown {
    assert(tx instanceof CheckedTx, 'an engine passes up the transaction that it received')
    return this.above.apply(tx.unchecked, entry, pos)
  }
}
