// What a serving server does so that the log gets into the backup segment by segment: reads on while the log grows, claims what it has
// read, and uploads what it has claimed. Not here: when any of it is due (backlog.ts, backup-worker.ts).

import type { LogPos } from '../../log/position.ts'
import type { Backlog } from './backlog.ts'
import type { BackupMessage } from './backup-message.ts'
import type { SegmentClaim } from './backup-rows.ts'
import type { BackupOutcome, BackupState } from './backup-state.ts'
import type { LogBackupOptions } from './log-backup-options.ts'
import { type CopyParts, type PackedSegment, SegmentCopy } from './segment-copy.ts'

export interface UploadsParts extends CopyParts {
  readonly state: BackupState
  readonly backlog: Backlog
  readonly options: LogBackupOptions
  readonly serverId: string
  say(message: BackupMessage): Promise<BackupOutcome>
  /** Resolves with the size when the segment is durable in the blob store. */
  settled(segment: PackedSegment): Promise<number>
  /** The log begins at `oldest`, which is behind `from`, where something was to be read. */
  trimmed(from: LogPos, oldest: LogPos): Promise<void>
  uploaded(bytes: number): void
}

export class SegmentUploads {
  private readonly parts: UploadsParts
  /** The segment that is to be claimed next, as far as it is read. */
  private next: SegmentCopy | undefined
  /** Read before they were claimed; by their beginning. */
  private readonly read = new Map<LogPos, PackedSegment>()

  constructor(parts: UploadsParts) {
    this.parts = parts
  }

  /** Lets go of what others have claimed or taken over, or was given up. */
  passed({ claimedTo, end }: BackupState): void {
    for (const from of this.read.keys()) if (from < end) this.read.delete(from)
    if (this.next !== undefined && this.next.from < claimedTo) this.next = undefined
  }

  /** What is applied and nobody has claimed: claims it if that is due, else only reads on. One at a time. */
  async proceed(): Promise<void> {
    const { backlog, state } = this.parts
    const isDue = backlog.segmentDue(state)
    const from = state.claimedTo
    const { next } = this
    const copy = next?.from === from ? next : new SegmentCopy(this.parts, from)
    this.next = undefined
    backlog.readingOn()
    const oldest = await copy.readTo(backlog.applied, this.parts.options.segmentBytes)
    // Of what is only read ahead, nothing is lost yet.
    if (oldest !== undefined) return isDue ? await this.parts.trimmed(from, oldest) : undefined
    if (isDue) await this.claim(copy)
    else this.next = copy
  }

  async upload({ from, id: claim, to }: SegmentClaim): Promise<void> {
    const { serverId, source } = this.parts
    let segment = this.read.get(from)
    if (segment?.to !== to) {
      const copy = new SegmentCopy(this.parts, from)
      const oldest = await copy.readTo(to, Number.MAX_SAFE_INTEGER)
      if (oldest !== undefined) return await this.parts.trimmed(from, oldest)
      segment = await copy.finish(source.identity.historyId)
    }
    const bytes = await this.parts.settled(segment)
    this.read.delete(from)
    this.parts.uploaded(bytes)
    await this.parts.say({ kind: 'done', serverId, claim, bytes })
  }

  private async claim(copy: SegmentCopy): Promise<void> {
    const { serverId, source } = this.parts
    const segment = await copy.finish(source.identity.historyId)
    const { from, to } = segment
    this.read.set(from, segment)
    try {
      const outcome = await this.parts.say({ kind: 'claim', serverId, from, to })
      if (outcome.kind === 'void') this.read.delete(from)
    } catch (error) {
      this.read.delete(from)
      throw error
    }
  }
}
