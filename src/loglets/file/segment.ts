// One segment file of a file loglet as readers see it: where its records lie, and reading them back from the disk. Writing is
// segment-writer.ts; entries that are still in memory never come here (tail-cache.ts).

import { assert } from '../../base/assert.ts'
import { DelosError } from '../../base/delos-error.ts'
import type { LogletEntry } from '../../log/loglet.ts'
import type { LogletOffset } from '../../log/position.ts'
import type { Disk, DiskFile } from '../../runtime/disk.ts'
import { KIND_ENTRY, readRecord, SEGMENT_HEADER_BYTES, type SegmentHeader } from './record-codec.ts'

const CHECKPOINT_EVERY_BYTES = 64 * 1024
const WINDOW_BYTES_MIN = 64 * 1024
const WINDOW_BYTES_MAX = 1024 * 1024

interface Checkpoint {
  readonly offset: number
  readonly place: number
}

/** What one read of a segment found: every entry of [from, next). */
export interface SegmentRead {
  readonly entries: LogletEntry[]
  readonly next: number
}

/** A segment that holds at least one durable record. */
export class Segment {
  readonly number: number
  readonly path: string
  readonly firstOffset: number
  readonly wallMs: number
  /** Bytes of header and durable records. */
  bytes: number
  private readonly disk: Disk
  private readonly seed: number
  private readonly checkpoints: Checkpoint[]
  /** Where the last read ended: a reader that goes on needs no search. */
  private lastRead: Checkpoint
  private file: Promise<DiskFile> | undefined
  private readers = 0
  /** The handle closes with the last reader. */
  private closeWhenIdle = false
  private retired = false

  constructor(disk: Disk, path: string, header: SegmentHeader, seed: number, bytes: number) {
    this.disk = disk
    this.path = path
    this.number = header.segment
    this.firstOffset = header.firstOffset
    this.wallMs = header.wallMs
    this.seed = seed
    this.bytes = bytes
    this.lastRead = { offset: header.firstOffset, place: SEGMENT_HEADER_BYTES }
    this.checkpoints = [this.lastRead]
  }

  /** Notes where a record begins. Ascending; keeps one in 64 KiB. */
  noteRecord(offset: number, place: number): void {
    const last = this.checkpoints[this.checkpoints.length - 1] as Checkpoint
    if (place >= last.place + CHECKPOINT_EVERY_BYTES) this.checkpoints.push({ offset, place })
  }

  /**
   * Entries of [from, to) from the disk: one window of it, but at least one entry. All of [from, to) must be durable and in
   * this segment, so that anything but the expected record is damage: rejects with CORRUPT, naming file and byte.
   */
  async read(from: number, to: number, maxBytes: number): Promise<SegmentRead> {
    const entries: LogletEntry[] = []
    let { offset, place } = this.startFor(from)
    let windowBytes = Math.min(Math.max(maxBytes, WINDOW_BYTES_MIN), WINDOW_BYTES_MAX)
    let size = 0
    while (offset < to && entries.length === 0) {
      const window = await this.window(place, windowBytes)
      let at = 0
      while (offset < to) {
        const record = readRecord(window, at, this.number, this.seed)
        if ('needs' in record) {
          // Cut off by the window: read on from this record, in a window that holds it.
          const atEndOfFile = window.length < windowBytes
          if (record.needs === 0 || atEndOfFile) throw this.corrupt(place + at, offset)
          windowBytes = Math.max(windowBytes, record.needs)
          break
        }
        if (record.offset !== offset || record.kind !== KIND_ENTRY) throw this.corrupt(place + at, offset)
        if (offset >= from) {
          const bytes = window.subarray(record.payloadStart, record.payloadEnd)
          size += bytes.length
          if (entries.length > 0 && size > maxBytes) break
          entries.push({ offset: offset as LogletOffset, bytes })
        }
        at = record.end
        offset++
        this.noteRecord(offset, place + at)
        if (entries.length > 0 && size >= maxBytes) break
      }
      place += at
    }
    this.lastRead = { offset, place }
    return { entries, next: offset }
  }

  /** Closes the handle once no reader uses it; it opens again if needed. */
  async release(): Promise<void> {
    this.closeWhenIdle = true
    if (this.readers > 0 || !this.file) return
    const { file } = this
    this.file = undefined
    await (await file).close()
  }

  /** For good: a reader that comes late closes the handle behind it. */
  retire(): Promise<void> {
    this.retired = true
    return this.release()
  }

  private startFor(from: number): Checkpoint {
    assert(from >= this.firstOffset, `read of ${from} in a segment that starts at ${this.firstOffset}`)
    if (this.lastRead.offset === from) return this.lastRead
    let low = 0
    let high = this.checkpoints.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.checkpoints[middle] as Checkpoint).offset <= from) low = middle
      else high = middle - 1
    }
    return this.checkpoints[low] as Checkpoint
  }

  // A fresh buffer each time: entries are views into it and stay valid.
  private async window(place: number, bytes: number): Promise<Buffer> {
    this.readers++
    this.closeWhenIdle = this.retired
    try {
      const file = await this.opened()
      const window = Buffer.allocUnsafeSlow(bytes)
      return window.subarray(0, await file.read(window, place))
    } catch (error) {
      throw DelosError.from(error, 'IO_ERROR', `read ${this.path}`)
    } finally {
      this.readers--
      if (this.closeWhenIdle) await this.release()
    }
  }

  private opened(): Promise<DiskFile> {
    this.file ??= this.disk.open(this.path, 'read').catch((error: unknown) => {
      // Not remembered: the next reader tries again, and there is nothing to close.
      this.file = undefined
      throw error
    })
    return this.file
  }

  private corrupt(place: number, offset: number): DelosError {
    return new DelosError(
      'CORRUPT',
      `${this.path}: damaged at byte ${place}, where the record of offset ${offset} belongs`,
    )
  }
}
