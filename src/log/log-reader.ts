// Reading the virtual log: routes a position to its segment, clips what a loglet holds to what the chain and the known tail
// grant it, joins chunks, marks voided positions. Stateless but for caches.

import { DelosError } from '../base/delos-error.ts'
import type { ActiveLoglet, OpenEnd } from './active-loglet.ts'
import { type Chain, type ChainRepair, type ChainSegment, chainStart, segmentAt } from './chain/chain.ts'
import type { ChainRegister } from './chain-register.ts'
import { type ChunkAssembler, isValidSet, joinChunks } from './chunk-assembler.ts'
import { type Chunk, decodeMarked, isChunk, isMarked } from './chunk-codec.ts'
import type { Loglet, LogletEntry } from './loglet.ts'
import { isGone, type LogletHandles } from './loglet-handles.ts'
import type { LogletOffset, LogPos } from './position.ts'
import type { LogEntry, LogRead } from './shared-log.ts'

const REREAD_BYTES = 1024 * 1024

export class LogReader {
  private readonly register: ChainRegister
  private readonly handles: LogletHandles
  private readonly active: ActiveLoglet
  private readonly assembler: ChunkAssembler

  constructor(register: ChainRegister, handles: LogletHandles, active: ActiveLoglet, assembler: ChunkAssembler) {
    this.register = register
    this.handles = handles
    this.active = active
    this.assembler = assembler
  }

  readNext(from: LogPos, to: LogPos, maxBytes: number): Promise<LogRead> {
    const { end } = this.active
    // The usual reader is at the end of the log.
    if (end && from >= end.segment.start) return this.readEnd(end, from, to, maxBytes)
    return this.readAcross(from, to, maxBytes)
  }

  private async readEnd(end: OpenEnd, from: LogPos, to: LogPos, maxBytes: number): Promise<LogRead> {
    let read: LogRead
    try {
      read = await this.readFrom(end.segment, end.loglet, from, to, maxBytes)
    } catch (error) {
      if (!isGone(error)) throw error
      await this.register.refresh()
      if (this.active.end === end) throw error
      return this.readAcross(from, to, maxBytes)
    }
    const done = read.entries.length > 0 || read.next === from || read.next >= Math.min(to, this.active.knownTail)
    return done ? read : continued(read, await this.readAcross(read.next, to, maxBytes))
  }

  /** Goes on over ranges that hold no entry, so that a reader gets one if there is one. */
  private async readAcross(from: LogPos, to: LogPos, maxBytes: number): Promise<LogRead> {
    let read = await this.readRouted(from, to, maxBytes)
    while (read.entries.length === 0 && read.next < Math.min(to, this.active.knownTail)) {
      const more = await this.readRouted(read.next, to, maxBytes)
      if (more.next === read.next) break
      read = continued(read, more)
    }
    return read
  }

  private async readRouted(from: LogPos, to: LogPos, maxBytes: number): Promise<LogRead> {
    for (;;) {
      const { chain } = this.register
      try {
        return await this.readInChain(chain, from, to, maxBytes)
      } catch (error) {
        // Unknown or deleted: the chain may have replaced or dropped it.
        if (!isGone(error)) throw error
        const fresh = await this.register.refresh()
        if (!fresh || fresh.version === chain.version) throw error
      }
    }
  }

  private async readInChain(chain: Chain, from: LogPos, to: LogPos, maxBytes: number): Promise<LogRead> {
    const start = Math.max(from, chainStart(chain)) as LogPos
    const segment = segmentAt(chain, start) as ChainSegment
    const loglet = await this.handles.open(segment.config)
    const read = await this.readFrom(segment, loglet, start, Math.max(to, start) as LogPos, maxBytes)
    return start === from ? read : { ...read, trimmedTo: read.trimmedTo ?? start }
  }

  private async readFrom(
    segment: ChainSegment,
    loglet: Loglet,
    from: LogPos,
    to: LogPos,
    maxBytes: number,
  ): Promise<LogRead> {
    // What lies past the known tail of an open loglet may turn out to lie past its end.
    const end = Math.min(to, segment.end ?? this.active.knownTail)
    if (from >= end) return { entries: [], next: from }
    const { start } = segment
    const { repairs: repairsThen, voided: voidedThen } = this.register.chain
    const read = await loglet.readNext((from - start) as LogletOffset, (end - start) as LogletOffset, maxBytes)
    const next = (start + read.next) as LogPos
    const readable = read.trimmedTo === undefined ? {} : { trimmedTo: (start + read.trimmedTo) as LogPos }
    const entries: LogEntry[] = []
    const { repairs, voided } = this.register.chain
    this.assembler.beginRead(from)
    for (const stored of read.entries) {
      const pos = (start + stored.offset) as LogPos
      const bytes = isMarked(stored.bytes) ? await this.unmark(segment, loglet, stored, pos) : stored.bytes
      if (bytes === 'trimmed') {
        if (entries.length > 0) {
          await this.addRepairs(entries, bothRepairs(repairsThen, repairs))
          return { ...readable, entries, next: pos }
        }
        const after = (pos + 1) as LogPos
        return { trimmedTo: after, ...(await this.readFrom(segment, loglet, after, to, maxBytes)) }
      }
      // A chain that dropped the segment meanwhile has forgotten what was void in it.
      if (bytes) entries.push({ pos, bytes, voided: isVoid(pos, voided) || isVoid(pos, voidedThen) })
    }
    this.assembler.endRead(next)
    const known = repairsThen.length === 0 ? repairs : bothRepairs(repairsThen, repairs)
    if (known.length > 0) await this.addRepairs(entries, known)
    return { ...readable, entries, next }
  }

  /** Puts what repairs these entries beside them. NOT_READY, to be tried again, while the log is not known here that far. */
  private async addRepairs(entries: LogEntry[], repairs: readonly ChainRepair[]): Promise<void> {
    for (const [at, entry] of entries.entries()) {
      const found: LogEntry[] = []
      for (const repair of repairs) if (repair.at === entry.pos) found.push(await this.entryAt(repair.entry))
      if (found.length > 0) entries[at] = { ...entry, repairs: found }
    }
  }

  private async entryAt(pos: LogPos): Promise<LogEntry> {
    const { entries } = await this.readAcross(pos, (pos + 1) as LogPos, REREAD_BYTES)
    const [entry] = entries
    if (entry !== undefined) return entry
    throw new DelosError('NOT_READY', `the entry at ${pos}, which repairs an earlier one, can't be read yet`)
  }

  /** The entry behind a marked one; undefined for a chunk that ends no valid set, `trimmed` if parts of it are gone. */
  private async unmark(
    segment: ChainSegment,
    loglet: Loglet,
    stored: LogletEntry,
    pos: LogPos,
  ): Promise<Uint8Array | 'trimmed' | undefined> {
    const decoded = decodeMarked(stored.bytes)
    if (!isChunk(decoded)) return decoded
    if (decoded.first === undefined) {
      this.assembler.notePart(decoded, pos)
      return undefined
    }
    if (!isValidSet(decoded, pos, segment.start)) return undefined
    return this.assembler.take(decoded, pos) ?? (await rereadSet(loglet, segment.start, decoded, pos))
  }
}

function isVoid(pos: LogPos, voided: readonly LogPos[]): boolean {
  return voided.length > 0 && voided.includes(pos)
}

/** As with voids: a chain that dropped the segment meanwhile has forgotten them. */
function bothRepairs(then: readonly ChainRepair[], now: readonly ChainRepair[]): readonly ChainRepair[] {
  return [...then, ...now.filter(({ entry }) => !then.some((known) => known.entry === entry))]
}

/** One answer of two reads, the second where the first one ended. */
function continued(first: LogRead, second: LogRead): LogRead {
  const trimmedTo = second.trimmedTo ?? first.trimmedTo
  return trimmedTo === undefined ? second : { ...second, trimmedTo }
}

/** Collects the parts of a set from the log: the reader began between them, or the cache let them go. */
async function rereadSet(loglet: Loglet, start: LogPos, last: Chunk, pos: LogPos): Promise<Uint8Array | 'trimmed'> {
  const parts = new Map<number, Uint8Array>()
  let at = ((last.first as LogPos) - start) as LogletOffset
  const end = (pos - start) as LogletOffset
  while (at < end) {
    const read = await loglet.readNext(at, end, REREAD_BYTES)
    if (read.trimmedTo !== undefined) return 'trimmed'
    if (read.next === at) break
    for (const { bytes } of read.entries) {
      const part = isMarked(bytes) ? decodeMarked(bytes) : undefined
      if (part && isChunk(part) && part.set === last.set && !parts.has(part.index)) parts.set(part.index, part.bytes)
    }
    at = read.next
  }
  const entry = joinChunks(parts, last)
  if (!entry) throw new DelosError('CORRUPT', `the entry at ${pos} lacks parts between ${last.first} and ${pos}`)
  return entry
}
