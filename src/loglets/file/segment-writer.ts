// Where the next bytes of a file loglet go: the active segment file, zeros ahead of it, and the next segment file, prepared in
// the background so that neither a new block nor a new name delays an append.
//
// Zeros are written ahead because a sync of bytes in place need not write metadata of the file. One background step at a
// time, each of at most `STEP_BYTES_MAX`, paced by what is appended.

import { DelosError } from '../../base/delos-error.ts'
import type { Disk, DiskFile } from '../../runtime/disk.ts'

const STEP_BYTES_MIN = 64 * 1024
const STEP_BYTES_MAX = 1024 * 1024

interface OpenSegment {
  readonly number: number
  readonly path: string
  readonly file: DiskFile
  /** The file has at least this many bytes, zeros past what was written. */
  allocated: number
}

export interface SegmentWriterOptions {
  readonly disk: Disk
  readonly directory: string
  readonly segmentBytes: number
  /** A background step failed other than for lack of space: final, as a failed sync of the caller. */
  readonly onFailure: (error: DelosError) => void
}

export function segmentPath(directory: string, number: number): string {
  return `${directory}/${String(number).padStart(8, '0')}.seg`
}

/** The number in a segment's file name, or undefined for another name. */
export function segmentNumber(name: string): number | undefined {
  return /^\d{8,15}\.seg$/.test(name) ? Number(name.slice(0, -4)) : undefined
}

/** Owns the file being written and the one after it. */
export class SegmentWriter {
  /** Where the next bytes go in the active file. */
  place = 0
  private readonly options: SegmentWriterOptions
  private active: OpenSegment
  private next: OpenSegment | undefined
  private filling: Promise<void> | undefined
  private background: Promise<void> | undefined
  private closed = false

  private constructor(options: SegmentWriterOptions, active: OpenSegment, place: number) {
    this.options = options
    this.active = active
    this.place = place
  }

  /** Begins a new segment file; its name is durable when this resolves. */
  static async create(options: SegmentWriterOptions, number: number): Promise<SegmentWriter> {
    return new SegmentWriter(options, await createSegment(options, number), 0)
  }

  /** Goes on in an existing file, at `place`. */
  static async resume(
    options: SegmentWriterOptions,
    number: number,
    place: number,
    allocated: number,
  ): Promise<SegmentWriter> {
    const path = segmentPath(options.directory, number)
    const file = await options.disk.open(path, 'update')
    return new SegmentWriter(options, { number, path, file, allocated }, place)
  }

  get number(): number {
    return this.active.number
  }

  get path(): string {
    return this.active.path
  }

  /** Bytes that still fit in the active file. */
  get room(): number {
    return this.options.segmentBytes - this.place
  }

  /** Writes at `place` without moving it. Not durable before `sync`. */
  async write(bytes: Uint8Array): Promise<void> {
    const { active, place } = this
    // Zeros must not land on top of what is written now.
    if (this.filling && place + bytes.length > active.allocated) await this.filling
    await active.file.write(bytes, place)
    active.allocated = Math.max(active.allocated, place + bytes.length)
  }

  sync(): Promise<void> {
    return this.active.file.sync()
  }

  /** Takes back what a failed write may have left at or past `place`, so that it never comes back. Durable. */
  async takeBack(): Promise<void> {
    await this.background
    await this.active.file.truncate(this.place)
    await this.active.file.sync()
    this.active.allocated = this.place
  }

  /** Moves on to the next segment file, at place 0. */
  async roll(): Promise<void> {
    await this.background
    const next = this.next ?? (await createSegment(this.options, this.active.number + 1))
    const done = this.active
    this.active = next
    this.next = undefined
    this.place = 0
    await done.file.close()
  }

  /** Called after each group: starts a background step if one is due. Costs nothing otherwise. */
  maintain(): void {
    if (this.background || this.closed) return
    const step = this.dueStep()
    if (!step) return
    this.background = step()
      .catch((thrown: unknown) => this.stepFailed(DelosError.from(thrown, 'IO_ERROR', 'preparing log space')))
      .finally(() => {
        this.background = undefined
      })
  }

  async close(): Promise<void> {
    this.closed = true
    await this.background
    await this.active.file.close()
    await this.next?.file.close()
  }

  private dueStep(): (() => Promise<void>) | undefined {
    const { active, place, options } = this
    const stepBytes = Math.min(STEP_BYTES_MAX, Math.max(STEP_BYTES_MIN, place), options.segmentBytes)
    if (active.allocated < options.segmentBytes && active.allocated - place < stepBytes / 2) {
      return () => this.fillActive(stepBytes)
    }
    const quarter = options.segmentBytes / 4
    if (place < quarter) return undefined
    if (!this.next) return () => this.prepareNext()
    // Complete when the active file is three quarters full.
    const wanted = Math.min(options.segmentBytes, 2 * (place - quarter))
    const { next } = this
    return next.allocated < wanted ? () => this.fillNext(next) : undefined
  }

  private async fillActive(stepBytes: number): Promise<void> {
    const { active } = this
    const from = Math.max(active.allocated, this.place)
    const end = Math.min(from + stepBytes, this.options.segmentBytes)
    if (end <= from) return
    const written = active.file.write(zeros(end - from), from)
    this.filling = written.catch(() => undefined)
    try {
      // Not synced here: the next group's sync covers it, so that a failure is seen by the one who relies on it.
      await written
      active.allocated = Math.max(active.allocated, end)
    } finally {
      this.filling = undefined
    }
  }

  private async prepareNext(): Promise<void> {
    this.next = await createSegment(this.options, this.active.number + 1)
  }

  private async fillNext(next: OpenSegment): Promise<void> {
    const end = Math.min(next.allocated + STEP_BYTES_MAX, this.options.segmentBytes)
    await next.file.write(zeros(end - next.allocated), next.allocated)
    await next.file.sync()
    next.allocated = end
  }

  // Lack of space or of file handles shows again at the next group, where it is answered.
  private stepFailed(error: DelosError): void {
    if (error.code !== 'DISK_FULL' && error.code !== 'OVERLOADED') this.options.onFailure(error)
  }
}

async function createSegment(options: SegmentWriterOptions, number: number): Promise<OpenSegment> {
  const path = segmentPath(options.directory, number)
  // A file of that name can only be left from an attempt that failed half-way: it never held a durable record.
  await options.disk.remove(path)
  const file = await options.disk.open(path, 'create')
  try {
    await options.disk.syncDir(options.directory)
  } catch (error) {
    await file.close()
    throw error
  }
  return { number, path, file, allocated: 0 }
}

let zeroBuffer = Buffer.alloc(0)

function zeros(bytes: number): Buffer {
  if (zeroBuffer.length < bytes) zeroBuffer = Buffer.alloc(bytes)
  return zeroBuffer.subarray(0, bytes)
}
