// A loglet on one machine's disk: the loglet contract over group commit (group-commit.ts), segment files (segment.ts) and a
// cache of the newest entries. Tail, readers and listeners see only what a completed sync covers.
//
// The seal is a record in the log, so its order against every append is the order in the file: whatever is acknowledged lies
// before it, and the order rule needs no second look.

import { DelosError } from '../../base/delos-error.ts'
import type {
  Loglet,
  LogletAppendOutcome,
  LogletEntry,
  LogletMark,
  LogletRead,
  LogletRecipe,
  LogletTail,
} from '../../log/loglet.ts'
import type { LogletOffset } from '../../log/position.ts'
import type { Disk } from '../../runtime/disk.ts'
import type { Clock } from '../../runtime/runtime.ts'
import type { DiskSpace } from './disk-space.ts'
import type { FileLogletStats } from './file-loglet-stats.ts'
import { type Group, GroupCommit, type GroupCommitOptions } from './group-commit.ts'
import { SEGMENT_HEADER_BYTES } from './record-codec.ts'
import { Segment } from './segment.ts'
import { TailCache } from './tail-cache.ts'

const COLD_FILES_MAX = 8

/** What a provider hands to the loglet that it opened or created. */
export interface FileLogletParts {
  readonly disk: Disk
  readonly directory: string
  readonly clock: Clock
  readonly seed: number
  readonly maxEntryBytes: number
  readonly cacheBytes: number
  readonly space: DiskSpace
  readonly stats: FileLogletStats
  /** Segments with durable records, oldest first. */
  readonly segments: Segment[]
  readonly tail: number
  /** Set if it is sealed already; there is no writer then. */
  readonly successor: LogletRecipe | undefined
  readonly commit: Omit<GroupCommitOptions, 'onDurable'> | undefined
  readonly onClosed: () => void
}

export class FileLoglet implements Loglet {
  readonly maxEntryBytes: number
  readonly stats: FileLogletStats
  private readonly parts: FileLogletParts
  private readonly segments: Segment[]
  private readonly commit: GroupCommit | undefined
  private readonly cache: TailCache
  private readonly listeners = new Set<(tail: LogletOffset) => void>()
  private coldFiles: Segment[] = []
  private tail: number
  private successor: LogletRecipe | undefined
  private sealing: Promise<LogletAppendOutcome> | undefined
  private closing: Promise<void> | undefined
  private trimming: Promise<void> = Promise.resolve()
  /** Trimmed, and its file not yet durably gone: the next trim begins with it, or a hole could be left before a later one. */
  private removing: Segment | undefined

  constructor(parts: FileLogletParts) {
    this.parts = parts
    this.maxEntryBytes = parts.maxEntryBytes
    this.stats = parts.stats
    this.segments = parts.segments
    this.tail = parts.tail
    this.successor = parts.successor
    this.cache = new TailCache(parts.cacheBytes)
    this.commit = parts.commit && new GroupCommit({ ...parts.commit, onDurable: (group) => this.moveTail(group) })
  }

  get trimPoint(): LogletOffset {
    return (this.segments[0]?.firstOffset ?? 0) as LogletOffset
  }

  /** True while appends are refused for lack of disk space. */
  get diskFull(): boolean {
    return this.parts.space.full
  }

  append(bytes: Uint8Array): Promise<LogletAppendOutcome> {
    const { commit, parts } = this
    if (this.closing) return Promise.resolve({ kind: 'refused', cause: this.closedError() })
    if (this.successor || !commit) return Promise.resolve({ kind: 'sealed' })
    if (bytes.length > this.maxEntryBytes) {
      const message = `entry of ${bytes.length} bytes, maxEntryBytes is ${this.maxEntryBytes}`
      return Promise.resolve({ kind: 'refused', cause: new DelosError('LIMIT_EXCEEDED', message) })
    }
    const refusal = commit.refusal()
    if (refusal) return Promise.resolve({ kind: 'refused', cause: refusal })
    parts.space.count(bytes.length)
    if (parts.space.full) return this.appendOnceSpace(bytes, commit)
    return commit.enqueue(bytes, false)
  }

  async checkTail(): Promise<LogletTail> {
    this.mustWork()
    return this.tailNow()
  }

  readNext(from: LogletOffset, to: LogletOffset, maxBytes: number): Promise<LogletRead> {
    if (this.closing) return Promise.reject(this.closedError())
    const { tail } = this
    const end = Math.min(to, tail)
    const start = Math.max(from, this.trimPoint)
    if (start >= end) return Promise.resolve(readResult(from, start, [], start))
    if (start < this.cache.start(tail)) return this.readFromDisk(from, start, end, maxBytes)
    const entries = this.cache.read(start, end, maxBytes, tail)
    return Promise.resolve(readResult(from, start, entries, start + entries.length))
  }

  prefixTrim(to: LogletOffset): Promise<void> {
    const trimmed = this.trimming.then(() => this.trimSegments(to))
    // A failed trim is its caller's to know; the next one starts afresh.
    this.trimming = trimmed.catch(() => undefined)
    return trimmed
  }

  async seal(successor: LogletRecipe): Promise<LogletTail> {
    this.mustWork()
    const { commit } = this
    if (this.successor || !commit) return this.tailNow()
    this.sealing ??= commit.enqueue(encodeRecipe(successor), true).finally(() => {
      this.sealing = undefined
    })
    const outcome = await this.sealing
    if (outcome.kind === 'refused' || outcome.kind === 'indeterminate') throw outcome.cause
    return this.tailNow()
  }

  onTailMoved(listener: (tail: LogletOffset) => void): () => void {
    const own = (tail: LogletOffset) => listener(tail)
    this.listeners.add(own)
    return () => {
      this.listeners.delete(own)
    }
  }

  marks(): readonly LogletMark[] {
    let bytesBelow = 0
    const marks: LogletMark[] = []
    for (const segment of this.segments) {
      marks.push({ offset: segment.firstOffset as LogletOffset, wallMs: segment.wallMs, bytesBelow })
      bytesBelow += segment.bytes
    }
    marks.push({ offset: this.tail as LogletOffset, wallMs: this.parts.clock.wallMs(), bytesBelow })
    return marks
  }

  /** A background failure of the disk: as final as a failed sync. */
  stop(error: DelosError): void {
    this.commit?.fail(error)
  }

  close(): Promise<void> {
    this.closing ??= this.closeParts()
    return this.closing
  }

  private tailNow(): LogletTail {
    const tail = this.tail as LogletOffset
    return this.successor ? { tail, sealed: true, successor: this.successor } : { tail, sealed: false }
  }

  private async appendOnceSpace(bytes: Uint8Array, commit: GroupCommit): Promise<LogletAppendOutcome> {
    const { space, stats } = this.parts
    if (await space.recovered()) {
      if (this.successor) return { kind: 'sealed' }
      const refusal = commit.refusal()
      return refusal ? { kind: 'refused', cause: refusal } : commit.enqueue(bytes, false)
    }
    stats.refusedForSpace++
    return space.refusal()
  }

  // Called by the writer for each durable group, before its appends are answered.
  private moveTail(group: Group): void {
    const { disk, seed } = this.parts
    let segment = this.segments[this.segments.length - 1]
    if (segment?.number !== group.segment) {
      const header = { segment: group.segment, firstOffset: group.firstOffset, wallMs: group.wallMs }
      segment = new Segment(disk, group.path, header, seed, SEGMENT_HEADER_BYTES)
      this.segments.push(segment)
    }
    segment.noteRecord(group.firstOffset, group.place)
    segment.bytes = group.end
    for (const { bytes, isSeal } of group.waiting) {
      if (isSeal) this.successor = decodeRecipe(bytes)
      else this.cache.push({ offset: this.tail++ as LogletOffset, bytes })
    }
    for (const listener of [...this.listeners]) listener(this.tail as LogletOffset)
  }

  private async readFromDisk(from: number, start: number, end: number, maxBytes: number): Promise<LogletRead> {
    let i = this.segments.length - 1
    while ((this.segments[i] as Segment).firstOffset > start) i--
    const segment = this.segments[i] as Segment
    const segmentEnd = this.segments[i + 1]?.firstOffset ?? end
    this.noteCold(segment)
    try {
      const { entries, next } = await segment.read(start, Math.min(end, segmentEnd), maxBytes)
      return readResult(from, start, entries, next)
    } catch (error) {
      // Trimmed under the reader: answer as if it had come later.
      if (start < this.trimPoint) return this.readNext(from as LogletOffset, end as LogletOffset, maxBytes)
      throw error
    }
  }

  // Files of old segments stay open for the next read; few, since readers go forward.
  private noteCold(segment: Segment): void {
    if (this.coldFiles[0] === segment) return
    this.coldFiles = [segment, ...this.coldFiles.filter((other) => other !== segment)]
    const oldest = this.coldFiles.length > COLD_FILES_MAX ? this.coldFiles.pop() : undefined
    // Closing a file that was only read can't lose anything.
    void oldest?.release().catch(() => undefined)
  }

  // One file at a time, each removal durable before the next: what a crash leaves is always a suffix.
  private async trimSegments(to: number): Promise<void> {
    const { disk, directory } = this.parts
    while (!this.closing) {
      this.removing ??= this.takeOldestBelow(to)
      if (!this.removing) return
      await this.removing.retire()
      await disk.remove(this.removing.path)
      await disk.syncDir(directory)
      this.removing = undefined
    }
  }

  private takeOldestBelow(to: number): Segment | undefined {
    const [oldest, second] = this.segments
    if (!oldest || !second || second.firstOffset > to) return undefined
    this.segments.shift()
    this.coldFiles = this.coldFiles.filter((segment) => segment !== oldest)
    return oldest
  }

  private async closeParts(): Promise<void> {
    try {
      await this.commit?.close()
      await this.trimming
      this.listeners.clear()
      for (const segment of this.segments) await segment.retire()
    } finally {
      this.parts.onClosed()
    }
  }

  private mustWork(): void {
    if (this.closing) throw this.closedError()
    if (this.commit?.failure) throw this.commit.failure
  }

  private closedError(): DelosError {
    return new DelosError('CLOSED', `the loglet in ${this.parts.directory} was closed`)
  }
}

function readResult(from: number, start: number, entries: readonly LogletEntry[], next: number): LogletRead {
  if (start <= from) return { entries, next: next as LogletOffset }
  return { entries, next: next as LogletOffset, trimmedTo: start as LogletOffset }
}

export function encodeRecipe(recipe: LogletRecipe): Uint8Array {
  return Buffer.from(JSON.stringify({ kind: recipe.kind, params: recipe.params }))
}

export function decodeRecipe(bytes: Uint8Array): LogletRecipe {
  return JSON.parse(Buffer.from(bytes).toString()) as LogletRecipe
}
