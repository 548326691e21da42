// The log of a backup as Base plays it: entries of segments in the blob store, up to a tail that never moves. So a database is played
// to exactly that position and no further. Nothing can be appended.

import { DelosError } from '../../base/delos-error.ts'
import { decodeSegment, type LogSegment } from '../../engines/log-backup/backup-codec.ts'
import type { LogPos } from '../../log/position.ts'
import type { AppendOutcome, LogEntry, LogRead, SharedLog } from '../../log/shared-log.ts'
import type { OpenBlobs } from '../open-blob-store.ts'
import type { ListedSegment } from './backup-catalog.ts'

export interface ReplayLogOptions {
  readonly blobs: OpenBlobs
  readonly historyId: string
  readonly segments: readonly ListedSegment[]
  /** Readable from here on, */
  readonly from: LogPos
  /** and up to here, exclusive. */
  readonly tail: LogPos
  /** Bytes of segments that were fetched, as stored. */
  readonly fetched?: (bytes: number) => void
}

export class ReplayLog implements SharedLog {
  readonly maxEntryBytes = 1
  readonly knownTail: LogPos
  private readonly options: ReplayLogOptions
  /** The one that is being read, and the one behind it, which is on its way. */
  private current: LogSegment | undefined
  private coming: { readonly name: string; readonly segment: Promise<LogSegment> } | undefined

  constructor(options: ReplayLogOptions) {
    this.options = options
    this.knownTail = options.tail
  }

  async append(): Promise<AppendOutcome> {
    return { kind: 'refused', cause: new DelosError('UNSUPPORTED', 'a backup takes no entries') }
  }

  async checkTail(): Promise<LogPos> {
    return this.knownTail
  }

  async readNext(from: LogPos, to: LogPos, maxBytes: number): Promise<LogRead> {
    const end = Math.min(to, this.knownTail) as LogPos
    if (from >= end) return { entries: [], next: from }
    if (from < this.options.from) throw new DelosError('TRIMMED', `the backup is read from ${this.options.from} on`)
    const segment = await this.segmentWith(from)
    const entries: LogEntry[] = []
    let bytes = 0
    for (let at = firstFrom(segment.entries, from); at < segment.entries.length; at++) {
      const entry = segment.entries[at] as LogEntry
      if (entry.pos >= end) break
      if (entries.length > 0 && bytes + entry.bytes.length > maxBytes) return { entries, next: entry.pos }
      entries.push(entry)
      bytes += entry.bytes.length
    }
    return { entries, next: Math.min(end, segment.to) as LogPos }
  }

  async prefixTrim(): Promise<void> {
    // A backup is not for its reader to trim.
  }

  onTailMoved(): () => void {
    return () => undefined
  }

  oldest(): { readonly pos: LogPos; readonly wallMs: number | undefined } {
    return { pos: this.options.from, wallMs: undefined }
  }

  async close(): Promise<void> {
    await this.coming?.segment.catch(() => undefined)
  }

  private async segmentWith(pos: LogPos): Promise<LogSegment> {
    const { current } = this
    if (current !== undefined && current.from <= pos && pos < current.to) return current
    const listed = this.listed(pos)
    if (listed === undefined) throw new DelosError('NOT_FOUND', `the backup has no segment with position ${pos}`)
    const segment = await this.fetch(listed)
    this.coming = undefined
    this.current = segment
    const next = segment.to < this.knownTail ? this.listed(segment.to) : undefined
    if (next !== undefined) {
      const coming = this.fetch(next)
      coming.catch(() => undefined) // Whoever comes to read it is told.
      this.coming = { name: next.name, segment: coming }
    }
    return segment
  }

  /** The one that reaches furthest: a range that was given up and claimed again can be there twice. */
  private listed(pos: LogPos): ListedSegment | undefined {
    let best: ListedSegment | undefined
    for (const segment of this.options.segments) {
      if (segment.from > pos) break
      if (pos < segment.to && (best === undefined || segment.to > best.to)) best = segment
    }
    return best
  }

  private async fetch(listed: ListedSegment): Promise<LogSegment> {
    if (this.coming?.name === listed.name) return await this.coming.segment
    const { blobs, fetched, historyId } = this.options
    const { name } = listed
    const segment = decodeSegment(await blobs.envelope.unwrap(name, await blobs.store.get(name)), name)
    if (segment.historyId !== historyId || segment.from !== listed.from || segment.to !== listed.to) {
      throw new DelosError('CORRUPT', `${name} holds ${segment.from} to ${segment.to} of history ${segment.historyId}`)
    }
    fetched?.(listed.bytes)
    return segment
  }
}

function firstFrom(entries: readonly LogEntry[], pos: LogPos): number {
  let [low, high] = [0, entries.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((entries[middle] as LogEntry).pos < pos) low = middle + 1
    else high = middle
  }
  return low
}
