// The replicated state of Lease: who holds it, under which epoch, and what waits for the holder. Deterministic functions of content,
// header and position: no clock is read here. Held in memory as well, as of the entry being applied, as an engine's flags are.
//
//   l                       u8 format = 1, varint epoch, u8 held, varint position last heard of, varint ms, varint position of the
//                           last edit that the holder has not acknowledged (0: none), string server id, string address
//   f <u64 pos> <u64 index> payload of an entry that an engine below raised while the lease was held

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import { type Key, keyUint, uintOfKey } from '../../base/key.ts'
import type { LogPos } from '../../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { rangeOfPrefix } from '../../store/sub-store.ts'
import type { Take } from './lease-codec.ts'

export interface LeaseState {
  /** The position at which it was taken last; 0 before the first time. */
  readonly epoch: number
  /** Until an entry that names this epoch releases or takes it: no time ends it here. */
  readonly held: boolean
  readonly heardAt: number
  readonly durationMs: number
  /** An edit that the holder did not make, and may not have applied yet; 0: none. */
  readonly edited: number
  readonly serverId: string
  readonly address: string
}

/** What waits for the holder. */
export interface HeldBack {
  readonly position: number
  readonly index: number
}

const FORMAT = 1
const NOBODY: LeaseState = { epoch: 0, held: false, heardAt: 0, durationMs: 0, edited: 0, serverId: '', address: '' }

export class LeaseRecord {
  private readonly key: Key
  private readonly heldBackPrefix: Key
  private now: LeaseState = NOBODY
  /** How many wait for the holder. */
  private waiting = 0

  constructor(enginePrefix: Key) {
    this.key = `${enginePrefix}l`
    this.heldBackPrefix = `${enginePrefix}f`
  }

  get state(): LeaseState {
    return this.now
  }

  get heldBackCount(): number {
    return this.waiting
  }

  load(tx: ReadTx): void {
    const stored = tx.get(this.key)
    this.now = stored === undefined ? NOBODY : decode(stored)
    this.waiting = 0
    for (const _ of tx.scan(rangeOfPrefix(this.heldBackPrefix), { keysOnly: true })) this.waiting++
  }

  take(tx: ReadWriteTx, { address, durationMs, heardAt, replaces, serverId }: Take, pos: LogPos): boolean {
    const { epoch, held, heardAt: last } = this.now
    if (replaces !== epoch || (held && heardAt !== last)) return false
    this.write(tx, { epoch: pos, held: true, heardAt: pos, durationMs, edited: 0, serverId, address })
    return true
  }

  renew(tx: ReadWriteTx, epoch: number, applied: number, pos: LogPos): boolean {
    if (!this.isHeldUnder(epoch)) return false
    const edited = applied > this.now.edited ? 0 : this.now.edited
    this.write(tx, { ...this.now, heardAt: pos, edited })
    return true
  }

  release(tx: ReadWriteTx, epoch: number): boolean {
    if (!this.isHeldUnder(epoch)) return false
    this.write(tx, { ...this.now, held: false, edited: 0 })
    return true
  }

  /** Content was changed at `pos` by somebody whom no lease holds back. */
  edited(tx: ReadWriteTx, pos: LogPos): void {
    if (this.now.held) this.write(tx, { ...this.now, edited: pos })
  }

  holdBack(tx: ReadWriteTx, pos: LogPos, index: number, payload: Uint8Array): void {
    tx.put(this.keyOf({ position: pos, index }), payload)
    this.waiting++
  }

  /** The payload, which waits no more; undefined if there is none, or this epoch may not have it. */
  takeHeldBack(tx: ReadWriteTx, epoch: number, what: HeldBack): Uint8Array | undefined {
    if (this.now.held ? epoch !== this.now.epoch : epoch !== 0) return undefined
    const key = this.keyOf(what)
    const payload = tx.get(key)
    if (payload === undefined) return undefined
    tx.delete(key)
    this.waiting--
    // In memory of its own: what is above may keep views of it.
    return Buffer.from(payload)
  }

  /** The oldest that wait. */
  heldBack(tx: ReadTx, limit: number): HeldBack[] {
    const at = this.heldBackPrefix.length
    return [...tx.scan(rangeOfPrefix(this.heldBackPrefix), { limit, keysOnly: true })].map(([key]) => ({
      position: uintOfKey(key, at),
      index: uintOfKey(key, at + 8),
    }))
  }

  private isHeldUnder(epoch: number): boolean {
    return this.now.held && this.now.epoch === epoch
  }

  private keyOf({ index, position }: HeldBack): Key {
    return this.heldBackPrefix + keyUint(position) + keyUint(index)
  }

  private write(tx: ReadWriteTx, state: LeaseState): void {
    const writer = new ByteWriter(64)
    writer.u8(FORMAT)
    writer.varint(state.epoch)
    writer.u8(state.held ? 1 : 0)
    writer.varint(state.heardAt)
    writer.varint(state.durationMs)
    writer.varint(state.edited)
    writer.string(state.serverId)
    writer.string(state.address)
    tx.put(this.key, writer.toBytes())
    this.now = state
  }
}

function decode(stored: Uint8Array): LeaseState {
  const reader = new ByteReader(stored)
  const format = reader.u8()
  if (format !== FORMAT) throw new DelosError('FORMAT', `the lease has format ${format}, this version reads ${FORMAT}`)
  const epoch = reader.varint()
  const held = reader.u8() === 1
  const heardAt = reader.varint()
  const durationMs = reader.varint()
  const edited = reader.varint()
  const serverId = reader.string()
  return { epoch, held, heardAt, durationMs, edited, serverId, address: reader.string() }
}
