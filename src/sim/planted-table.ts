// The planted bugs of DelosTable: `index-survives-rollback`, `token-applied-twice` and `backfill-overwrites` by a transaction that
// lies to apply, `expiry-by-local-clock` by entries that say what this server's clock says, and `range-not-validated` by a log into
// which entries go without the ranges that they name.

import { ByteReader } from '../base/byte-reader.ts'
import { ByteWriter } from '../base/byte-writer.ts'
import type { Key } from '../base/key.ts'
import { type Entry, entryOf } from '../engine/entry.ts'
import type { Clock } from '../runtime/runtime.ts'
import type { ReadWriteTx, Savepoint } from '../store/local-store.ts'
import { TABLE_PREFIX } from '../table/codec/table-keys.ts'
import { ENTRY_KINDS, readRangeRead } from '../table/codec/transaction-codec.ts'
import type { TableLog } from '../table/table-database.ts'
import type { PlantedBug } from './planted-bugs.ts'

/** What apply gets instead of `tx`. */
export function plantedTx(tx: ReadWriteTx, planted: PlantedBug | undefined): ReadWriteTx {
  if (planted === 'token-applied-twice') return new ForgetsTokens(tx)
  return planted === 'index-survives-rollback' ? new KeepsEntries(tx) : tx
}

/** What the database submits to instead of `log`. */
export function plantedLog(log: TableLog, planted: PlantedBug | undefined): TableLog {
  if (planted !== 'range-not-validated') return log
  return { sync: () => log.sync(), submit: (entry, completion) => log.submit(withoutRanges(entry), completion) }
}

/** What one process has of the planted bug. */
export class PlantedTables {
  private readonly planted: PlantedBug | undefined
  private readonly clock: Clock
  /** What rows were before they were written last. */
  private readonly before = new Map<Key, Uint8Array>()

  constructor(planted: PlantedBug | undefined, clock: Clock) {
    this.planted = planted
    this.clock = clock
  }

  log(log: TableLog): TableLog {
    return plantedLog(log, this.planted)
  }

  apply<R>(tx: ReadWriteTx, entry: Entry, run: (tx: ReadWriteTx, entry: Entry) => R): R {
    switch (this.planted) {
      case 'expiry-by-local-clock':
        return run(tx, atLocalTime(entry, this.clock.wallMs()))
      case 'backfill-overwrites': {
        const result = run(new RemembersRows(tx, this.before), entry)
        if (entry.payload?.[1] !== ENTRY_KINDS.step) return result
        for (const [key, row] of this.before) if (tx.get(key) !== undefined) tx.put(key, row)
        this.before.clear()
        return result
      }
      default:
        return run(plantedTx(tx, this.planted), entry)
    }
  }
}

class Passing implements ReadWriteTx {
  protected readonly tx: ReadWriteTx

  constructor(tx: ReadWriteTx) {
    this.tx = tx
  }

  get(key: Key) {
    return this.tx.get(key)
  }

  getMany(keys: readonly Key[]) {
    return this.tx.getMany(keys)
  }

  scan(...args: Parameters<ReadWriteTx['scan']>) {
    return this.tx.scan(...args)
  }

  put(key: Key, value: Uint8Array): void {
    this.tx.put(key, value)
  }

  delete(key: Key): void {
    this.tx.delete(key)
  }

  savepoint(): Savepoint {
    return this.tx.savepoint()
  }

  rollbackTo(savepoint: Savepoint): void {
    this.tx.rollbackTo(savepoint)
  }
}

class ForgetsTokens extends Passing {
  override get(key: Key) {
    return key.startsWith(`${TABLE_PREFIX}k`) ? undefined : super.get(key)
  }
}

class KeepsEntries extends Passing {
  private readonly entries: (readonly [Key, Uint8Array])[] = []

  override put(key: Key, value: Uint8Array): void {
    if (key.startsWith(`${TABLE_PREFIX}i`)) this.entries.push([key, value])
    super.put(key, value)
  }

  override rollbackTo(savepoint: Savepoint): void {
    super.rollbackTo(savepoint)
    for (const [key, value] of this.entries) super.put(key, value)
  }
}

class RemembersRows extends Passing {
  private readonly before: Map<Key, Uint8Array>

  constructor(tx: ReadWriteTx, before: Map<Key, Uint8Array>) {
    super(tx)
    this.before = before
  }

  override put(key: Key, value: Uint8Array): void {
    const old = key.startsWith(`${TABLE_PREFIX}r`) ? this.tx.get(key) : undefined
    if (old !== undefined) this.before.set(key, old)
    super.put(key, value)
  }
}

function atLocalTime(entry: Entry, wallMs: number): Entry {
  const payload = entry.payload as Uint8Array
  if (payload[1] !== ENTRY_KINDS.transaction) return entry
  const reader = new ByteReader(payload, 2)
  reader.varint()
  const writer = new ByteWriter(payload.length + 8)
  writer.raw(payload.subarray(0, 2))
  writer.varint(Math.floor(wallMs))
  writer.raw(payload.subarray(reader.position))
  return { ...entry, payload: writer.take() }
}

function withoutRanges(entry: Entry): Entry {
  const payload = entry.payload as Uint8Array
  if (payload[1] !== ENTRY_KINDS.transaction) return entry
  const reader = new ByteReader(payload, 2)
  reader.varint()
  reader.string()
  for (let left = reader.varint(); left > 0; left--) {
    reader.varint()
    reader.varint()
    reader.key()
    reader.varint()
  }
  const writer = new ByteWriter(payload.length)
  writer.raw(payload.subarray(0, reader.position))
  for (let left = reader.varint(); left > 0; left--) {
    reader.varint()
    reader.varint()
    readRangeRead(reader)
  }
  writer.varint(0)
  writer.raw(payload.subarray(reader.position))
  return entryOf(writer.take())
}
