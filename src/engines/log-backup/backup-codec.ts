// What is inside the blobs of a backup. Stored formats: golden files in testdata/backups, described in docs/formats.md. Integers
// are varints, texts and byte strings have their length before them. Not here: compression and encryption (the envelope).
//
//   about     u8 'A', format 1 · cluster · database · history id · name of the database · wall clock ms ·
//             u8 1 if it was restored, then: history id, position of the last entry
//   segment   u8 'L', format 1 · history id · from · to · wall clock ms of the first and the last entry · count ·
//             per entry: position less the one before it (first: less from) · flags · bytes ·
//             with flag 2: count of repairs, the same for each, its position in full
//             flags: 1 void, 2 repairs
//   part      u8 'P', format 1 · history id · cursor · number · count · rows: key, value
//   manifest  u8 'M', format 2 · history id · cursor · wall clock ms · parts · rows · bytes of keys and values ·
//             bytes after which a part was ended (format 1 does not say) · count, levels: engine, level · count, digests: range, 32 hex digits · server id

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import { keyOfBytes } from '../../base/key.ts'
import type { LogPos } from '../../log/position.ts'
import type { LogEntry } from '../../log/shared-log.ts'
import type { Row } from '../../store/local-store.ts'
import type { SegmentRange } from './backup-names.ts'

const FORMAT = 1
const MANIFEST_FORMAT = 2
const KINDS = { about: 0x41, segment: 0x4c, part: 0x50, manifest: 0x4d } as const
type Kind = keyof typeof KINDS
const VOID = 1
const REPAIRS = 2

/** Whose backup it is. */
export interface BackupAbout {
  readonly clusterId: string
  readonly databaseId: string
  readonly historyId: string
  readonly database: string
  readonly beganMs: number
  /** The history that this one was restored from, up to and with the entry at that position. */
  readonly restored?: { readonly historyId: string; readonly position: LogPos } | undefined
}

export interface LogSegment extends SegmentRange {
  readonly historyId: string
  /** When the first and the last entry were proposed, by the clocks of who did; 0 if there is none. */
  readonly firstMs: number
  readonly lastMs: number
  readonly entries: readonly LogEntry[]
}

export interface PartHead {
  readonly historyId: string
  readonly cursor: LogPos
  readonly number: number
}

export interface SnapshotPart extends PartHead {
  readonly rows: readonly Row[]
}

export interface SnapshotManifest {
  readonly historyId: string
  /** The first position that is not applied in it. */
  readonly cursor: LogPos
  readonly wallMs: number
  readonly parts: number
  /** Rows of one part, in bytes: names the parts. Undefined in what earlier versions wrote. */
  readonly partBytes: number | undefined
  readonly rows: number
  readonly bytes: number
  /** Of each engine: what the build knew that wrote it. */
  readonly levels: ReadonlyMap<string, number>
  /** See StoreDigest; under the database's id as key. */
  readonly digests: ReadonlyMap<string, string>
  readonly serverId: string
}

export function encodeAbout(about: BackupAbout): Uint8Array {
  const writer = begin('about', 256)
  for (const id of [about.clusterId, about.databaseId, about.historyId, about.database]) writer.string(id)
  writer.varint(about.beganMs)
  writer.u8(about.restored === undefined ? 0 : 1)
  if (about.restored !== undefined) {
    writer.string(about.restored.historyId)
    writer.varint(about.restored.position)
  }
  return writer.toBytes()
}

export function decodeAbout(bytes: Uint8Array, where: string): BackupAbout {
  const reader = readerOf('about', bytes, where)
  const [clusterId, databaseId, historyId, database] = [
    reader.string(),
    reader.string(),
    reader.string(),
    reader.string(),
  ]
  const beganMs = reader.varint()
  const restored = reader.u8() === 0 ? undefined : { historyId: reader.string(), position: reader.varint() as LogPos }
  return { clusterId, databaseId, historyId, database, beganMs, restored }
}

/**
 * Makes the bytes of a segment from entries as they are read, and hands them out in pieces, so that it needs no room for the whole. What
 * they begin with, the head, is known last.
 */
export class SegmentBuilder {
  readonly from: LogPos
  private readonly writer: ByteWriter
  private handedOut = 0
  private count = 0
  private before: number
  private firstMs = 0
  private lastMs = 0

  /** Room for `bytes` at a time; it grows if more is added before the next piece. */
  constructor(from: LogPos, bytes = 64 * 1024) {
    this.from = from
    this.before = from
    this.writer = new ByteWriter(bytes)
  }

  /** Of all entries that were added. */
  get bytes(): number {
    return this.handedOut + this.writer.size
  }

  /** Not handed out yet. */
  get waitingBytes(): number {
    return this.writer.size
  }

  /** In order. `wallMsOf` is asked for the first and the last one. */
  add(entries: readonly LogEntry[], wallMsOf: (entry: LogEntry) => number): void {
    const [first, last] = [entries[0], entries.at(-1)]
    if (first === undefined || last === undefined) return
    if (this.count === 0) this.firstMs = wallMsOf(first)
    this.lastMs = wallMsOf(last)
    this.count += entries.length
    for (const entry of entries) {
      this.writer.varint(entry.pos - this.before)
      this.before = entry.pos
      writeEntry(this.writer, entry)
    }
  }

  /** The next bytes behind the head: valid until more is added. */
  piece(): Uint8Array {
    const piece = this.writer.peek()
    this.handedOut += piece.length
    this.writer.reset()
    return piece
  }

  /** What comes before all pieces; nothing is added any more. */
  head(historyId: string, to: LogPos): Uint8Array {
    const head = begin('segment', 128)
    head.string(historyId)
    for (const number of [this.from, to, this.firstMs, this.lastMs, this.count]) head.varint(number)
    return head.toBytes()
  }
}

export function decodeSegment(bytes: Uint8Array, where: string): LogSegment {
  const reader = readerOf('segment', bytes, where)
  const historyId = reader.string()
  const [from, to] = [reader.varint() as LogPos, reader.varint() as LogPos]
  const [firstMs, lastMs] = [reader.varint(), reader.varint()]
  const entries: LogEntry[] = []
  let before: number = from
  for (let left = reader.varint(); left > 0; left--) {
    before += reader.varint()
    entries.push(readEntry(reader, before as LogPos))
  }
  ended(reader, where)
  if (before >= to && entries.length > 0)
    throw new DelosError('CORRUPT', `${where}: an entry at ${before} in a range to ${to}`)
  return { historyId, from, to, firstMs, lastMs, entries }
}

/** As SegmentBuilder, for a part of a snapshot. */
export class PartBuilder {
  private readonly writer: ByteWriter
  /** That were added. */
  rows = 0
  /** Of their keys and values. */
  bytes = 0

  /** Room for `bytes` at a time; it grows if more is added before the next piece. */
  constructor(bytes = 64 * 1024) {
    this.writer = new ByteWriter(bytes)
  }

  /** Not handed out yet. */
  get waitingBytes(): number {
    return this.writer.size
  }

  /** In the order of keys. */
  add([key, value]: Row): void {
    this.writer.key(key)
    this.writer.bytes(value)
    this.rows++
    this.bytes += key.length + value.length
  }

  /** The next bytes behind the head: valid until more is added. */
  piece(): Uint8Array {
    const piece = this.writer.peek()
    this.writer.reset()
    return piece
  }

  /** What comes before all pieces; nothing is added any more. */
  head({ cursor, historyId, number }: PartHead): Uint8Array {
    const head = begin('part', 128)
    head.string(historyId)
    for (const value of [cursor, number, this.rows]) head.varint(value)
    return head.toBytes()
  }
}

export function decodePart(bytes: Uint8Array, where: string): SnapshotPart {
  const reader = readerOf('part', bytes, where)
  const historyId = reader.string()
  const [cursor, number] = [reader.varint() as LogPos, reader.varint()]
  const rows: Row[] = []
  for (let left = reader.varint(); left > 0; left--) rows.push([keyOfBytes(reader.bytes()), reader.bytes()])
  ended(reader, where)
  return { historyId, cursor, number, rows }
}

export function encodeManifest(manifest: SnapshotManifest): Uint8Array {
  const writer = begin('manifest', 1024)
  writer.string(manifest.historyId)
  const { bytes, cursor, parts, rows, wallMs } = manifest
  for (const number of [cursor, wallMs, parts, rows, bytes, manifest.partBytes ?? 0]) writer.varint(number)
  writer.varint(manifest.levels.size)
  for (const [name, level] of [...manifest.levels].sort(byName)) {
    writer.string(name)
    writer.varint(level)
  }
  writer.varint(manifest.digests.size)
  for (const [range, digest] of [...manifest.digests].sort(byName)) {
    writer.string(range)
    writer.string(digest)
  }
  writer.string(manifest.serverId)
  return writer.toBytes()
}

export function decodeManifest(bytes: Uint8Array, where: string): SnapshotManifest {
  const reader = readerOf('manifest', bytes, where)
  const historyId = reader.string()
  const cursor = reader.varint() as LogPos
  const [wallMs, parts, rows, content] = [reader.varint(), reader.varint(), reader.varint(), reader.varint()]
  const partBytes = (bytes[1] === 1 ? 0 : reader.varint()) || undefined
  const levels = new Map<string, number>()
  for (let left = reader.varint(); left > 0; left--) levels.set(reader.string(), reader.varint())
  const digests = new Map<string, string>()
  for (let left = reader.varint(); left > 0; left--) digests.set(reader.string(), reader.string())
  const serverId = reader.string()
  ended(reader, where)
  return { historyId, cursor, wallMs, parts, partBytes, rows, bytes: content, levels, digests, serverId }
}

function writeEntry(writer: ByteWriter, { bytes, repairs = [], voided }: LogEntry): void {
  writer.u8((voided ? VOID : 0) | (repairs.length > 0 ? REPAIRS : 0))
  writer.bytes(bytes)
  if (repairs.length === 0) return
  writer.varint(repairs.length)
  for (const repair of repairs) {
    writer.varint(repair.pos)
    writeEntry(writer, repair)
  }
}

function readEntry(reader: ByteReader, pos: LogPos): LogEntry {
  const flags = reader.u8()
  if (flags > (VOID | REPAIRS)) throw new DelosError('FORMAT', `an entry of a segment has flags ${flags}`)
  const entry = { pos, bytes: reader.bytes(), voided: (flags & VOID) !== 0 }
  if ((flags & REPAIRS) === 0) return entry
  const repairs: LogEntry[] = []
  for (let left = reader.varint(); left > 0; left--) repairs.push(readEntry(reader, reader.varint() as LogPos))
  return { ...entry, repairs }
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1
}

function formatOf(kind: Kind): number {
  return kind === 'manifest' ? MANIFEST_FORMAT : FORMAT
}

function begin(kind: Kind, bytes: number): ByteWriter {
  const writer = new ByteWriter(bytes)
  writer.u8(KINDS[kind])
  writer.u8(formatOf(kind))
  return writer
}

function readerOf(kind: Kind, bytes: Uint8Array, where: string): ByteReader {
  const reader = new ByteReader(bytes)
  if (reader.u8() !== KINDS[kind]) throw new DelosError('CORRUPT', `${where} is no ${kind} of a backup`)
  const format = reader.u8()
  const known = formatOf(kind)
  if (format < FORMAT || format > known) {
    throw new DelosError('FORMAT', `${where} has format ${format}, this version reads ${known}`)
  }
  return reader
}

function ended(reader: ByteReader, where: string): void {
  if (reader.remaining !== 0) throw new DelosError('CORRUPT', `${where}: ${reader.remaining} bytes follow its end`)
}
