// The replicated view: who the members are, how far each has durably applied, what each build knows, and the trim prefix that
// follows. Every change is a deterministic function of content, message and position. Not here: who proposes what, and when.
//
// Held in memory as well, as of the entry being applied, as an engine's flags are: an aborted transaction stops the database,
// so outside apply memory and store agree.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import { type Key, keyText, textOfKey } from '../../base/key.ts'
import type { EngineLevels } from '../../engine/membership.ts'
import { LOG_START, type LogPos } from '../../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { rangeOfPrefix } from '../../store/sub-store.ts'
import { type Evict, type Join, type Leave, type Report, readLevels, writeLevels } from './view-message.ts'

/** Replicated behaviour: joins past it are refused. */
export const MEMBERS_MAX = 1000

/** What apply of a join, leave or evict answered; the same on all servers. */
export type ViewOutcome =
  | { readonly kind: 'done' }
  /** There was nothing to do any more; nothing changed. */
  | { readonly kind: 'void'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string }

/** One member, as operators see it. */
export interface MemberRecord {
  readonly serverId: string
  /** Everything below is durable there. Only grows. */
  readonly durable: LogPos
  /** Position of the last entry of its that carried a report. */
  readonly lastHeard: LogPos
  readonly levels: EngineLevels
}

interface Member extends MemberRecord {
  readonly key: Key
  durable: LogPos
  lastHeard: LogPos
  levels: EngineLevels
}

const FORMAT = 1
const DONE: ViewOutcome = { kind: 'done' }
// Of the engine's range: levels and positions of a member apart, since only the latter change with every entry.
const LEVELS = 'l'
const POSITIONS = 'p'
const RELEASED = 'r'

const writer = new ByteWriter(64)

export class ReplicatedView {
  private readonly prefix: Key
  private readonly members = new Map<string, Member>()
  private sortedIds: readonly string[] = []
  private releasedNow: LogPos = LOG_START
  private versionNow = 0

  /** `prefix` is the engine's key range. */
  constructor(prefix: Key) {
    this.prefix = prefix
  }

  /** Ids, ascending. */
  get ids(): readonly string[] {
    return this.sortedIds
  }

  /** Below it every member had durably applied everything when it moved here. Only grows; no server trims past it. */
  get released(): LogPos {
    return this.releasedNow
  }

  /** Another one after each change of who the members are and what they announced. */
  get version(): number {
    return this.versionNow
  }

  /** The least durable position of a member; undefined without members. */
  get minimum(): LogPos | undefined {
    let least: LogPos | undefined
    for (const { durable } of this.members.values()) if (least === undefined || durable < least) least = durable
    return least
  }

  get(serverId: string): MemberRecord | undefined {
    return this.members.get(serverId)
  }

  /** All members but this one. */
  others(serverId: string): MemberRecord[] {
    return [...this.members.values()].filter((member) => member.serverId !== serverId)
  }

  load(tx: ReadTx): void {
    this.members.clear()
    for (const record of readMembers(tx, this.prefix)) {
      this.members.set(record.serverId, { ...record, key: this.keyOf(POSITIONS, record.serverId) })
    }
    const stored = tx.get(this.prefix + RELEASED)
    this.releasedNow = stored === undefined ? LOG_START : (readerOf(stored).varint() as LogPos)
    this.changed()
  }

  /** A sign of life. That of a server which is no member changes nothing. */
  report(tx: ReadWriteTx, report: Report, pos: LogPos): void {
    const member = this.members.get(report.serverId)
    if (member === undefined) return
    this.heard(tx, member, report.durable, pos)
  }

  /** Also: a member announces other levels. */
  join(tx: ReadWriteTx, join: Join, pos: LogPos): ViewOutcome {
    const { serverId } = join
    let member = this.members.get(serverId)
    if (member === undefined) {
      const refusal = this.refusal(join)
      if (refusal !== undefined) return { kind: 'refused', reason: refusal }
      const key = this.keyOf(POSITIONS, serverId)
      member = { serverId, durable: join.durable, lastHeard: pos, levels: join.levels, key }
      this.members.set(serverId, member)
    }
    member.levels = join.levels
    writer.reset()
    writer.u8(FORMAT)
    writeLevels(writer, join.levels)
    tx.put(this.keyOf(LEVELS, serverId), writer.toBytes())
    this.heard(tx, member, join.durable, pos)
    this.changed()
    this.release(tx)
    return DONE
  }

  leave(tx: ReadWriteTx, { serverId }: Leave): ViewOutcome {
    if (!this.members.has(serverId)) return { kind: 'void', reason: `${serverId} is no member` }
    return this.remove(tx, serverId)
  }

  evict(tx: ReadWriteTx, { serverId, lastHeard }: Evict): ViewOutcome {
    const member = this.members.get(serverId)
    if (member === undefined) return { kind: 'void', reason: `${serverId} is no member` }
    if (member.lastHeard > lastHeard) {
      return { kind: 'void', reason: `${serverId} was heard at ${member.lastHeard}, after ${lastHeard}` }
    }
    return this.remove(tx, serverId)
  }

  /** The members that have not announced `engine` at `level`, ascending. */
  missing(engine: string, level: number): readonly string[] {
    return this.sortedIds.filter((id) => {
      const announced = this.members.get(id)?.levels.get(engine)
      return announced === undefined || announced < level
    })
  }

  private refusal({ durable, serverId }: Join): string | undefined {
    if (durable < this.releasedNow) {
      return (
        `bootstrap: ${serverId} has durably applied up to ${durable}, and the log is released up to ` +
        `${this.releasedNow}; it must restore a snapshot unless it still catches up`
      )
    }
    return this.members.size >= MEMBERS_MAX ? `MEMBERS_MAX: the view has ${MEMBERS_MAX} members` : undefined
  }

  // The last one stays: an empty view would release nothing and know nobody to ask.
  private remove(tx: ReadWriteTx, serverId: string): ViewOutcome {
    if (this.members.size === 1) return { kind: 'refused', reason: `${serverId} is the last member` }
    this.members.delete(serverId)
    tx.delete(this.keyOf(LEVELS, serverId))
    tx.delete(this.keyOf(POSITIONS, serverId))
    this.changed()
    this.release(tx)
    return DONE
  }

  private heard(tx: ReadWriteTx, member: Member, durable: LogPos, pos: LogPos): void {
    const before = member.durable
    // An entry may overtake another on its way to the log, so the later one may say less.
    if (durable > before) member.durable = durable
    if (pos > member.lastHeard) member.lastHeard = pos
    tx.put(member.key, encodePositions(member))
    if (durable > before && before <= this.releasedNow) this.release(tx)
  }

  private release(tx: ReadWriteTx): void {
    const { minimum } = this
    if (minimum === undefined || minimum <= this.releasedNow) return
    this.releasedNow = minimum
    writer.reset()
    writer.u8(FORMAT)
    writer.varint(minimum)
    tx.put(this.prefix + RELEASED, writer.toBytes())
  }

  private changed(): void {
    this.sortedIds = [...this.members.keys()].sort()
    this.versionNow++
  }

  private keyOf(kind: string, serverId: string): Key {
    return this.prefix + kind + keyText(serverId)
  }
}

/** The members in the engine's range `prefix` as of `tx`, by key. */
export function readMembers(tx: ReadTx, prefix: Key): MemberRecord[] {
  const members: MemberRecord[] = []
  const from = prefix + LEVELS
  for (const [key, value] of tx.scan(rangeOfPrefix(from))) {
    const id = key.slice(from.length)
    const positions = readerOf(tx.get(prefix + POSITIONS + id))
    const durable = positions.varint() as LogPos
    const lastHeard = positions.varint() as LogPos
    members.push({ serverId: textOfKey(id), durable, lastHeard, levels: readLevels(readerOf(value)) })
  }
  return members
}

function encodePositions(member: Member): Uint8Array {
  writer.reset()
  writer.u8(FORMAT)
  writer.varint(member.durable)
  writer.varint(member.lastHeard)
  return writer.toBytes()
}

function readerOf(stored: Uint8Array | undefined): ByteReader {
  if (stored === undefined) throw new DelosError('CORRUPT', 'a member of the view has no positions')
  const reader = new ByteReader(stored)
  const format = reader.u8()
  if (format !== FORMAT) throw new DelosError('FORMAT', `the view has format ${format}, this version reads ${FORMAT}`)
  return reader
}
