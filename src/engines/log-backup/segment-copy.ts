// A range of the log on its way to the blob store: read as far as it is there, and compressed piece by piece while it is read. So neither
// memory nor a turn of the event loop ever takes a whole segment. Not here: who may upload what, and when (segment-uploads.ts).

import { DelosError } from '../../base/delos-error.ts'
import type { Envelope, PackedPart } from '../../blobs/envelope.ts'
import type { CopySource } from '../../engine/copy-source.ts'
import type { LogPos } from '../../log/position.ts'
import type { Timers } from '../../runtime/runtime.ts'
import { SegmentBuilder } from './backup-codec.ts'
import type { BackupNames, SegmentRange } from './backup-names.ts'
import type { BackupTarget } from './log-backup-options.ts'

/** A read of the log at a time: what is decoded and copied in one section of the event loop. */
const READ_BYTES = 256 * 1024
/** So much is compressed at a time; with one more read it is still one chunk of the envelope. */
const PIECE_BYTES = 768 * 1024

/** A range of which everything is read. */
export interface PackedSegment extends SegmentRange {
  readonly parts: readonly PackedPart[]
}

export interface CopyParts {
  readonly source: CopySource
  readonly envelope: Envelope
  readonly timers: Timers
  readonly signal: AbortSignal
}

export class SegmentCopy {
  /** First position that is not read. */
  to: LogPos
  private readonly parts: CopyParts
  private readonly builder: SegmentBuilder
  private readonly packed: PackedPart[] = []

  constructor(parts: CopyParts, from: LogPos) {
    this.parts = parts
    this.to = from
    this.builder = new SegmentBuilder(from, PIECE_BYTES + READ_BYTES)
  }

  get from(): LogPos {
    return this.builder.from
  }

  /**
   * Reads on up to `to`, or until it has about `bytesMax`: at least something. Answers with the oldest position of the log if that begins
   * behind what is to be read. Whatever it rejects with, nothing can be done with the copy any more.
   */
  async readTo(to: LogPos, bytesMax: number): Promise<LogPos | undefined> {
    const { builder } = this
    const { signal, source, timers } = this.parts
    while (this.to < to && (this.to === this.from || builder.bytes < bytesMax)) {
      const read = await source.readNext(this.to, to, READ_BYTES)
      if (read.trimmedTo !== undefined) return read.trimmedTo
      if (read.next === this.to) throw new DelosError('NOT_READY', `nothing can be read at ${this.to} yet`)
      builder.add(read.entries, (entry) => source.wallMsOf(entry))
      this.to = read.next
      if (builder.waitingBytes >= PIECE_BYTES) await this.pack()
      // The log answers from memory: without this the clients of this server would wait for all that is read.
      else await new Promise<void>((resolve) => timers.soon(resolve))
      if (signal.aborted) throw new DelosError('CLOSED', 'the upload was ended')
    }
    return undefined
  }

  /** As far as it is read; it is not read on after that. */
  async finish(historyId: string): Promise<PackedSegment> {
    const { builder, from, packed, to } = this
    if (builder.waitingBytes > 0) await this.pack()
    const head = await this.parts.envelope.pack(builder.head(historyId, to))
    return { from, to, parts: [head, ...packed] }
  }

  private async pack(): Promise<void> {
    this.packed.push(await this.parts.envelope.pack(this.builder.piece()))
  }
}

/** Resolves with its size when it is durable there. */
export async function putSegment(
  { envelope, store }: BackupTarget,
  names: BackupNames,
  { parts, ...range }: PackedSegment,
  signal: AbortSignal,
): Promise<number> {
  const name = names.segment(range)
  const sealed = envelope.seal(name, parts)
  await store.put(name, sealed, { signal })
  return sealed.reduce((sum, piece) => sum + piece.length, 0)
}
