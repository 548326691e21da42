// Reads a range of the log, makes a segment of it and puts it in the blob store. Not here: who may, and when (backup-worker.ts).

import { DelosError } from '../../base/delos-error.ts'
import type { CopySource } from '../../engine/copy-source.ts'
import type { LogPos } from '../../log/position.ts'
import type { Timers } from '../../runtime/runtime.ts'
import { SegmentBuilder } from './backup-codec.ts'
import type { BackupNames, SegmentRange } from './backup-names.ts'
import type { BackupTarget } from './log-backup-options.ts'

/** A read of the log at a time: what is decoded and copied in one section of the event loop. */
const READ_BYTES = 256 * 1024

export type SegmentRead =
  | { readonly kind: 'read'; readonly builder: SegmentBuilder; readonly to: LogPos }
  /** The log begins behind the beginning of the range. */
  | { readonly kind: 'trimmed'; readonly oldest: LogPos }

export interface SegmentParts {
  readonly source: CopySource
  readonly timers: Timers
  readonly signal: AbortSignal
}

/** From `from` up to `to`, or less if that is more than about `bytesMax`. */
export async function readSegment(parts: SegmentParts, range: SegmentRange, bytesMax: number): Promise<SegmentRead> {
  const { signal, source, timers } = parts
  const builder = new SegmentBuilder(range.from)
  let at = range.from
  while (at < range.to && (at === range.from || builder.bytes < bytesMax)) {
    const read = await source.readNext(at, range.to, READ_BYTES)
    if (read.trimmedTo !== undefined) return { kind: 'trimmed', oldest: read.trimmedTo }
    if (read.next === at) throw new DelosError('NOT_READY', `nothing can be read at ${at} yet`)
    builder.add(read.entries, (entry) => source.wallMsOf(entry))
    at = read.next
    // The log answers from memory: without this the clients of this server would wait for the whole segment.
    await new Promise<void>((resolve) => timers.soon(resolve))
    if (signal.aborted) throw new DelosError('CLOSED', 'the upload was ended')
  }
  return { kind: 'read', builder, to: at }
}

/** Resolves with its size when it is durable there. */
export async function putSegment(
  { envelope, store }: BackupTarget,
  names: BackupNames,
  historyId: string,
  builder: SegmentBuilder,
  to: LogPos,
  signal: AbortSignal,
): Promise<number> {
  const name = names.segment({ from: builder.from, to })
  const wrapped = await envelope.wrap(name, builder.finish(historyId, to))
  await store.put(name, wrapped, { signal })
  return wrapped.length
}
