// The replicated state of SessionOrder: for each server its one open epoch and the last sequence number applied in it. All of
// it deterministic functions of a transaction. Not here: when apply calls what.
//
//   key    prefix · "epoch" 00 · u64 epoch
//   value  u8 format 1 · varint last sequence number · varint position at which it was last heard of · server id

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import { type Key, keyUint, uintOfKey } from '../../base/key.ts'
import type { LogPos } from '../../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { rangeOfPrefix } from '../../store/sub-store.ts'

/** Replicated behaviour: past this many servers, the one that was not heard of for longest loses its epoch. */
export const EPOCHS_KEPT = 1000

const FORMAT = 1

export interface Epoch {
  /** The position of the `open` that began it. */
  readonly epoch: number
  readonly serverId: string
  /** The last sequence number that was applied; 0 if none was. */
  readonly last: number
  readonly heardPos: number
}

/** What apply did with an entry that it did not pass up. Never seen by the layers above. */
export class Filtered {
  /** duplicate: applied before. early: one before it is missing. closed: its epoch is not open (any more). */
  readonly kind: 'duplicate' | 'early' | 'closed'

  constructor(kind: Filtered['kind']) {
    this.kind = kind
  }
}

const DUPLICATE = new Filtered('duplicate')
const EARLY = new Filtered('early')
/** The answer to everything with a number while the engine is disabled: disabling closes all epochs. */
export const CLOSED = new Filtered('closed')

/** A row of the transaction being applied, as memory keeps it: changed in place, and written anew each time. */
interface KnownRow {
  readonly epoch: number
  readonly key: Key
  readonly serverId: string
  last: number
}

export class EpochTable {
  private readonly prefix: Key
  private readonly writer = new ByteWriter(64)
  /**
   * Rows that were read or written, so that an entry costs no read: in apply memory is that of the transaction, and an aborted
   * transaction ends the database. Nobody else writes this range without telling (`forget`).
   */
  private readonly known = new Map<number, KnownRow>()
  /** The one of the last entry: usually that of the next, too. */
  private latest: KnownRow | undefined

  constructor(enginePrefix: Key) {
    this.prefix = `${enginePrefix}epoch\x00`
  }

  /** What the store holds may be anything by now. */
  forget(): void {
    this.known.clear()
    this.latest = undefined
  }

  /** The open epoch of a server, if it has one. A scan of at most EPOCHS_KEPT rows. */
  find(tx: ReadTx, serverId: string): Epoch | undefined {
    return this.all(tx).find((candidate) => candidate.serverId === serverId)
  }

  /** Every open epoch, oldest first. */
  all(tx: ReadTx): Epoch[] {
    const found: Epoch[] = []
    for (const [key, value] of tx.scan(rangeOfPrefix(this.prefix))) {
      found.push(decode(uintOfKey(key, this.prefix.length), value))
    }
    return found
  }

  /** Begins an epoch at `pos` and closes the server's former one. False, and nothing changes, unless that is `replaces`. */
  open(tx: ReadWriteTx, pos: LogPos, serverId: string, replaces: number): boolean {
    const all = this.all(tx)
    const former = all.find((candidate) => candidate.serverId === serverId)
    if ((former?.epoch ?? 0) !== replaces) return false
    if (former !== undefined) this.delete(tx, former.epoch)
    else if (all.length >= EPOCHS_KEPT) {
      const quietest = all.reduce((least, other) => (other.heardPos < least.heardPos ? other : least))
      this.delete(tx, quietest.epoch)
    }
    const row = { epoch: pos, key: this.keyOf(pos), serverId, last: 0 }
    this.known.set(pos, row)
    this.write(tx, row, pos)
    return true
  }

  /** undefined if this entry is the next of its epoch, which is noted: pass it up. Otherwise why it must not be. */
  accept(tx: ReadWriteTx, epoch: number, sequence: number, pos: LogPos): Filtered | undefined {
    const row = this.latest?.epoch === epoch ? this.latest : (this.known.get(epoch) ?? this.read(tx, epoch))
    if (row === undefined) return CLOSED
    this.latest = row
    if (sequence <= row.last) return DUPLICATE
    if (sequence > row.last + 1) return EARLY
    row.last = sequence
    this.write(tx, row, pos)
    return undefined
  }

  /** Closes every epoch. */
  clear(tx: ReadWriteTx): void {
    for (const { epoch } of this.all(tx)) this.delete(tx, epoch)
  }

  private read(tx: ReadTx, epoch: number): KnownRow | undefined {
    const key = this.keyOf(epoch)
    const value = tx.get(key)
    if (value === undefined) return undefined
    const { last, serverId } = decode(epoch, value)
    const row = { epoch, key, serverId, last }
    this.known.set(epoch, row)
    return row
  }

  private write(tx: ReadWriteTx, { key, last, serverId }: KnownRow, heardPos: LogPos): void {
    const { writer } = this
    writer.reset()
    writer.u8(FORMAT)
    writer.varint(last)
    writer.varint(heardPos)
    writer.string(serverId)
    tx.put(key, writer.toBytes())
  }

  private delete(tx: ReadWriteTx, epoch: number): void {
    this.known.delete(epoch)
    if (this.latest?.epoch === epoch) this.latest = undefined
    tx.delete(this.keyOf(epoch))
  }

  private keyOf(epoch: number): Key {
    return this.prefix + keyUint(epoch)
  }
}

function decode(epoch: number, value: Uint8Array): Epoch {
  const reader = new ByteReader(value)
  const format = reader.u8()
  if (format !== FORMAT)
    throw new DelosError('FORMAT', `epoch ${epoch} has format ${format}, this version reads ${FORMAT}`)
  return { epoch, last: reader.varint(), heardPos: reader.varint(), serverId: reader.string() }
}
