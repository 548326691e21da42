// Compares what the servers' contents hashed to at one position, range by range, and remembers what differed as long as those
// servers are what they were. All of it is replicated and deterministic. Not here: who asks for a digest, and taking one. Nothing is ever repaired here.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import { type Key, keyText, keyUint, textOfKey, uintOfKey } from '../../base/key.ts'
import type { PositionedDigest } from '../../engine/digest.ts'
import type { LogPos } from '../../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { rangeOfPrefix } from '../../store/sub-store.ts'
import { readRanges, writeRanges } from './view-message.ts'

/** Replicated behaviour: the newest positions for which digests are kept. */
export const ROUNDS_MAX = 8
/** Replicated behaviour: the newest alarms that are kept. */
export const ALARMS_MAX = 16

/** Content that was not the same on all servers. */
export interface DigestAlarm {
  /** At or before it the content parted. */
  readonly position: LogPos
  /** The sub-store. */
  readonly range: string
  /** Who differs from more than half; without such a majority, all that reported. Ascending. */
  readonly servers: readonly string[]
  readonly majority: boolean
}

type Ranges = ReadonlyMap<string, string>

const FORMAT = 1
const REPORTED = 'd'
const ALARM = 'a'
const ABSENT = ''

const writer = new ByteWriter(256)

export class DigestRounds {
  private readonly prefix: Key
  /** By position, ascending; each by server. */
  private readonly rounds = new Map<LogPos, Map<string, Ranges>>()
  private kept: DigestAlarm[] = []

  /** `prefix` is the engine's key range. */
  constructor(prefix: Key) {
    this.prefix = prefix
  }

  /** Oldest first. */
  get alarms(): readonly DigestAlarm[] {
    return this.kept
  }

  load(tx: ReadTx): void {
    this.rounds.clear()
    this.kept = []
    const reported = this.prefix + REPORTED
    for (const [key, value] of tx.scan(rangeOfPrefix(reported))) {
      const position = uintOfKey(key, reported.length) as LogPos
      this.round(position).set(textOfKey(key.slice(reported.length + 8)), readRanges(readerOf(value)))
    }
    const alarm = this.prefix + ALARM
    for (const [key, value] of tx.scan(rangeOfPrefix(alarm))) this.kept.push(decodeAlarm(key, alarm.length, value))
  }

  /**
   * A member's digest arrived at `pos`. A position is compared when every member has reported it, and when more than half
   * have and a newer one is under way; whoever reports later is compared with those.
   */
  report(tx: ReadWriteTx, serverId: string, digest: PositionedDigest, members: readonly string[], pos: LogPos): void {
    const { position, ranges } = digest
    const oldest = this.rounds.size >= ROUNDS_MAX ? (this.rounds.keys().next().value as LogPos) : 0
    if (position >= pos || position < oldest) return
    writer.reset()
    writer.u8(FORMAT)
    writeRanges(writer, ranges)
    tx.put(this.keyOf(position, serverId), writer.toBytes())
    this.round(position).set(serverId, ranges)
    const newest = Math.max(...this.rounds.keys())
    for (const [at, reports] of this.rounds) this.compareIfReady(tx, at as LogPos, reports, members, at < newest)
    while (this.rounds.size > ROUNDS_MAX) this.drop(tx, this.rounds.keys().next().value as LogPos)
  }

  /**
   * This server went, or came anew and may have been rebuilt: what is known of its content holds no more. Alarms that name it
   * end; the next digest raises them again if there is still a difference.
   */
  forget(tx: ReadWriteTx, serverId: string): void {
    for (const [position, reports] of this.rounds) {
      if (!reports.delete(serverId)) continue
      tx.delete(this.keyOf(position, serverId))
      if (reports.size === 0) this.rounds.delete(position)
    }
    for (const alarm of this.naming(serverId)) tx.delete(this.alarmKeyOf(alarm))
    this.kept = this.kept.filter(({ servers }) => !servers.includes(serverId))
  }

  /** The alarms that name this server. */
  naming(serverId: string): readonly DigestAlarm[] {
    return this.kept.filter(({ servers }) => servers.includes(serverId))
  }

  private compareIfReady(
    tx: ReadWriteTx,
    position: LogPos,
    reports: ReadonlyMap<string, Ranges>,
    members: readonly string[],
    overtaken: boolean,
  ): void {
    const present = members.filter((id) => reports.has(id)).length
    const complete = present === members.length
    if (!complete && !(overtaken && present * 2 > members.length)) return
    for (const alarm of differences(position, reports)) this.raise(tx, alarm)
    if (complete) this.drop(tx, position)
  }

  // A server that parted stays so: it is told of once, with the first position, unless another range or server joins it.
  private raise(tx: ReadWriteTx, alarm: DigestAlarm): void {
    const same = (other: DigestAlarm): boolean =>
      other.range === alarm.range && other.servers.join('\n') === alarm.servers.join('\n')
    if (this.kept.some(same)) return
    // Somebody who reported later may make a majority of what was none.
    const others = this.kept.filter((other) => other.range !== alarm.range || other.position !== alarm.position)
    this.kept = [...others, alarm].sort((a, b) => a.position - b.position || (a.range < b.range ? -1 : 1))
    writer.reset()
    writer.u8(FORMAT)
    writer.u8(Number(alarm.majority))
    writer.varint(alarm.servers.length)
    for (const server of alarm.servers) writer.string(server)
    tx.put(this.alarmKeyOf(alarm), writer.toBytes())
    while (this.kept.length > ALARMS_MAX) tx.delete(this.alarmKeyOf(this.kept.shift() as DigestAlarm))
  }

  // Positions stay ascending: an older one may be reported for the first time after a newer one.
  private round(position: LogPos): Map<string, Ranges> {
    let round = this.rounds.get(position)
    if (round !== undefined) return round
    round = new Map()
    const newer = [...this.rounds].filter(([at]) => at > position)
    for (const [at] of newer) this.rounds.delete(at)
    this.rounds.set(position, round)
    for (const [at, reports] of newer) this.rounds.set(at, reports)
    return round
  }

  private drop(tx: ReadWriteTx, position: LogPos): void {
    for (const serverId of this.rounds.get(position)?.keys() ?? []) tx.delete(this.keyOf(position, serverId))
    this.rounds.delete(position)
  }

  private keyOf(position: LogPos, serverId: string): Key {
    return this.prefix + REPORTED + keyUint(position) + keyText(serverId)
  }

  private alarmKeyOf({ position, range }: DigestAlarm): Key {
    return this.prefix + ALARM + keyUint(position) + range
  }
}

/** For operators. */
export function alarmText({ majority, position, range, servers }: DigestAlarm): string {
  const who = `server${servers.length === 1 ? '' : 's'} ${servers.join(', ')}`
  const how = majority ? 'against the majority' : 'no majority'
  return `content differs in range ${range} at position ${position}: ${who} (${how})`
}

/** One alarm per range that is not the same in all reports; a range that is absent on one side differs. */
export function differences(position: LogPos, reports: ReadonlyMap<string, Ranges>): DigestAlarm[] {
  const names = new Set([...reports.values()].flatMap((ranges) => [...ranges.keys()]))
  const alarms: DigestAlarm[] = []
  for (const range of [...names].sort()) {
    const byDigest = new Map<string, string[]>()
    for (const [serverId, ranges] of reports) {
      const digest = ranges.get(range) ?? ABSENT
      byDigest.set(digest, [...(byDigest.get(digest) ?? []), serverId])
    }
    if (byDigest.size < 2) continue
    const agreeing = [...byDigest.values()].find((servers) => servers.length * 2 > reports.size)
    const servers = [...reports.keys()].filter((id) => agreeing?.includes(id) !== true).sort()
    alarms.push({ position, range, servers, majority: agreeing !== undefined })
  }
  return alarms
}

function decodeAlarm(key: Key, offset: number, value: Uint8Array): DigestAlarm {
  const reader = readerOf(value)
  const majority = reader.u8() === 1
  const servers: string[] = []
  for (let count = reader.varint(); count > 0; count--) servers.push(reader.string())
  return { position: uintOfKey(key, offset) as LogPos, range: key.slice(offset + 8), servers, majority }
}

function readerOf(stored: Uint8Array): ByteReader {
  const reader = new ByteReader(stored)
  const format = reader.u8()
  if (format !== FORMAT) throw new DelosError('FORMAT', `digests have format ${format}, this version reads ${FORMAT}`)
  return reader
}
