// Drops what the log holds more than once: a retried append may appear twice. Replicated state in Base's range, one record a
// server, bounded in servers, incarnations and ids. The copy in memory changes on commit only.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import { type Key, keyText, textOfKey } from '../../base/key.ts'
import type { LogPos } from '../../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { rangeOfPrefix, subStorePrefix } from '../../store/sub-store.ts'
import { AppliedIds, type Arrival } from './applied-ids.ts'
import { BASE, type ProposalStamp } from './proposal-stamp.ts'

/** Replicated behaviour, as ID_WINDOW: the newest incarnations of a server that are kept; older ones are dropped unseen. */
export const INCARNATIONS_KEPT = 4
/** Replicated behaviour: past this many servers, the one that was not heard of for longest is forgotten. */
export const SERVERS_KEPT = 1024

const FORMAT = 1
const PREFIX: Key = `${subStorePrefix(BASE)}origin\x00`

/** What was applied of one server. */
interface Origin {
  /** Entries of an incarnation below this count as duplicates: nobody waits for them. */
  floor: number
  /** The position at which it was last heard of. */
  lastPos: number
  /** By incarnation, ascending. */
  readonly incarnations: Map<number, AppliedIds>
}

export class DuplicateFilter {
  private readonly origins = new Map<string, Origin>()
  // Changes of the open transaction: undefined = forgotten.
  private readonly staged = new Map<string, Origin | undefined>()
  private readonly writer = new ByteWriter(256)

  load(tx: ReadTx): void {
    for (const [key, value] of tx.scan(rangeOfPrefix(PREFIX))) {
      this.origins.set(textOfKey(key.slice(PREFIX.length)), decodeOrigin(value))
    }
  }

  /** These rows were changed by somebody else: in the open transaction they count, not what memory holds. */
  edited(tx: ReadTx, keys: readonly Key[]): void {
    for (const key of keys) {
      if (!key.startsWith(PREFIX)) continue
      const serverId = textOfKey(key.slice(PREFIX.length))
      const value = tx.get(key)
      this.staged.set(serverId, value === undefined ? undefined : decodeOrigin(value))
    }
  }

  /** The highest incarnation of a server that was applied; 0 if none was. */
  newestIncarnation(serverId: string): number {
    return Math.max(0, ...(this.origins.get(serverId)?.incarnations.keys() ?? []))
  }

  /** Deterministic. Anything but `new` must not be applied. */
  arrive(stamp: ProposalStamp, pos: LogPos): Arrival {
    const origin = this.stage(stamp.serverId)
    if (stamp.incarnation < origin.floor) return 'too late'
    origin.lastPos = pos
    let ids = origin.incarnations.get(stamp.incarnation)
    if (ids === undefined) {
      ids = new AppliedIds()
      addIncarnation(origin, stamp.incarnation, ids)
    }
    return ids.arrive(stamp.localId)
  }

  /** Writes what changed into the open transaction. */
  write(tx: ReadWriteTx): void {
    for (const [serverId, origin] of this.staged) {
      const key = PREFIX + keyText(serverId)
      if (origin === undefined) tx.delete(key)
      else tx.put(key, encodeOrigin(origin, this.writer))
    }
  }

  committed(): void {
    for (const [serverId, origin] of this.staged) {
      if (origin === undefined) this.origins.delete(serverId)
      else this.origins.set(serverId, origin)
    }
    this.staged.clear()
  }

  aborted(): void {
    this.staged.clear()
  }

  // The copy that the open transaction may change.
  private stage(serverId: string): Origin {
    const staged = this.staged.get(serverId)
    if (staged !== undefined) return staged
    const known = this.staged.has(serverId) ? undefined : this.origins.get(serverId)
    const copy = known === undefined ? { floor: 0, lastPos: 0, incarnations: new Map() } : copyOrigin(known)
    this.staged.set(serverId, copy)
    if (known === undefined) this.forgetBeyondLimit(serverId)
    return copy
  }

  private forgetBeyondLimit(newcomer: string): void {
    const all = new Map<string, Origin | undefined>([...this.origins, ...this.staged])
    const present = [...all].filter((entry): entry is [string, Origin] => entry[1] !== undefined)
    if (present.length <= SERVERS_KEPT) return
    const others = present.filter(([serverId]) => serverId !== newcomer)
    // Two servers are never heard of at one position, so the order is total.
    const [oldest] = others.reduce((least, other) => (other[1].lastPos < least[1].lastPos ? other : least))
    this.staged.set(oldest, undefined)
  }
}

function addIncarnation(origin: Origin, incarnation: number, ids: AppliedIds): void {
  const { incarnations } = origin
  const sorted = [...incarnations, [incarnation, ids] as const].sort((a, b) => a[0] - b[0])
  const kept = sorted.slice(-INCARNATIONS_KEPT)
  incarnations.clear()
  for (const [number, applied] of kept) incarnations.set(number, applied)
  if (sorted.length > kept.length) origin.floor = kept[0]?.[0] ?? origin.floor
}

function copyOrigin(origin: Origin): Origin {
  const incarnations = new Map<number, AppliedIds>()
  for (const [number, ids] of origin.incarnations) incarnations.set(number, ids.copy())
  return { floor: origin.floor, lastPos: origin.lastPos, incarnations }
}

function encodeOrigin(origin: Origin, writer: ByteWriter): Uint8Array {
  writer.reset()
  writer.u8(FORMAT)
  writer.varint(origin.floor)
  writer.varint(origin.lastPos)
  writer.varint(origin.incarnations.size)
  for (const [number, ids] of origin.incarnations) {
    writer.varint(number)
    ids.write(writer)
  }
  return writer.toBytes()
}

function decodeOrigin(value: Uint8Array): Origin {
  const reader = new ByteReader(value)
  const format = reader.u8()
  if (format !== FORMAT)
    throw new DelosError('FORMAT', `applied ids have format ${format}, this version reads ${FORMAT}`)
  const floor = reader.varint()
  const lastPos = reader.varint()
  const incarnations = new Map<number, AppliedIds>()
  for (let count = reader.varint(); count > 0; count--) incarnations.set(reader.varint(), AppliedIds.read(reader))
  return { floor, lastPos, incarnations }
}
