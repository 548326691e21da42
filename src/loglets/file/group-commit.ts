// The one writer of a file loglet: everything that waits goes into one write and one sync; while a sync is in flight the next
// group forms. It decides what every append is answered; what readers may see is file-loglet.ts.

import { DelosError } from '../../base/delos-error.ts'
import type { LogletAppendOutcome } from '../../log/loglet.ts'
import type { LogletOffset } from '../../log/position.ts'
import type { Clock } from '../../runtime/runtime.ts'
import type { DiskSpace } from './disk-space.ts'
import type { FileLogletStats } from './file-loglet-stats.ts'
import {
  encodeSegmentHeader,
  KIND_ENTRY,
  KIND_SEAL,
  putRecord,
  recordBytes,
  SEGMENT_HEADER_BYTES,
} from './record-codec.ts'
import type { SegmentWriter } from './segment-writer.ts'

const WAITING_COUNT_MAX = 65_536
// A group buffer that grew past this for one large group is not kept.
const KEPT_BUFFER_BYTES = 1024 * 1024

/** An entry, or the payload of the seal, that waits to be written. */
export interface Waiting {
  readonly bytes: Uint8Array
  readonly isSeal: boolean
  readonly settle: (outcome: LogletAppendOutcome) => void
}

/** A durable group. */
export interface Group {
  readonly waiting: readonly Waiting[]
  readonly firstOffset: number
  readonly segment: number
  readonly path: string
  /** Where the first record lies. */
  readonly place: number
  /** End of the last record. */
  readonly end: number
  /** Wall clock when it was written. */
  readonly wallMs: number
}

export interface GroupCommitOptions {
  readonly writer: SegmentWriter
  readonly seed: number
  readonly firstOffset: number
  readonly groupBytesMax: number
  readonly waitingBytesMax: number
  readonly directory: string
  readonly clock: Clock
  readonly space: DiskSpace
  readonly stats: FileLogletStats
  readonly onSync: ((latencyMs: number) => void) | undefined
  /** Synchronous; called for each durable group in order, before its appends are settled. */
  readonly onDurable: (group: Group) => void
}

export class GroupCommit {
  /** Set once and for all by a failed write or sync. */
  failure: DelosError | undefined
  private readonly options: GroupCommitOptions
  private nextOffset: number
  private waiting: Waiting[] = []
  private waitingBytes = 0
  private sealed = false
  private closing: DelosError | undefined
  private running: Promise<void> | undefined
  private buffer = Buffer.allocUnsafeSlow(64 * 1024)

  constructor(options: GroupCommitOptions) {
    this.options = options
    this.nextOffset = options.firstOffset
  }

  /** The reason to refuse an append before it waits, if there is one. */
  refusal(): DelosError | undefined {
    const { waitingBytesMax } = this.options
    if (this.failure || this.closing) return this.failure ?? this.closing
    if (this.waiting.length < WAITING_COUNT_MAX && this.waitingBytes <= waitingBytesMax) return undefined
    const now = `${this.waiting.length} appends of ${this.waitingBytes} bytes wait`
    return new DelosError('OVERLOADED', `${now}, the limits are ${WAITING_COUNT_MAX} and ${waitingBytesMax} bytes`)
  }

  /** Queues an entry or the seal. The write begins in a microtask, so appends of one synchronous section share a group. */
  enqueue(bytes: Uint8Array, isSeal: boolean): Promise<LogletAppendOutcome> {
    return new Promise((settle) => {
      this.waiting.push({ bytes, isSeal, settle })
      this.waitingBytes += bytes.length
      this.running ??= Promise.resolve().then(() => this.run())
    })
  }

  /** Stops for good: what waits is refused, the group in flight is completed. */
  fail(error: DelosError): void {
    this.failure ??= asFinal(error)
    this.settleWaiting({ kind: 'refused', cause: this.failure })
  }

  async close(): Promise<void> {
    this.closing = new DelosError('CLOSED', `the loglet in ${this.options.directory} was closed`)
    this.settleWaiting({ kind: 'refused', cause: this.closing })
    await this.running
    await this.options.writer.close()
  }

  private async run(): Promise<void> {
    const { writer } = this.options
    let durable: Group | undefined
    try {
      while (this.waiting.length > 0 && !this.sealed && !this.failure) {
        if (this.mustRoll()) {
          durable = this.publish(durable)
          if (!(await this.roll())) continue
        }
        const group = this.takeGroup()
        if (!(await this.write(group))) continue
        const synced = writer.sync()
        const startedMs = this.options.clock.monotonicMs()
        // While the disk works on this group, the one before it is applied.
        durable = this.publish(durable)
        await this.awaitSync(synced, group, startedMs)
        durable = group
        if (this.waiting.length === 0) durable = this.publish(durable)
      }
    } catch (thrown) {
      this.fail(DelosError.from(thrown, 'IO_ERROR', `loglet in ${this.options.directory}`))
    }
    this.running = undefined
    this.publish(durable)
    if (this.sealed) this.settleWaiting({ kind: 'sealed' })
  }

  private mustRoll(): boolean {
    const { writer } = this.options
    return writer.place > 0 && recordBytes((this.waiting[0] as Waiting).bytes.length) > writer.room
  }

  private async roll(): Promise<boolean> {
    try {
      await this.options.writer.roll()
      return true
    } catch (thrown) {
      const error = DelosError.from(thrown, 'IO_ERROR', 'new log segment')
      if (error.code === 'OVERLOADED') {
        this.settleWaiting({ kind: 'refused', cause: error })
        return false
      }
      if (error.code !== 'DISK_FULL') throw error
      this.options.space.markFull()
      this.settleWaiting(this.options.space.refusal())
      return false
    }
  }

  /** Moves what fits from the queue into the buffer; at least one. */
  private takeGroup(): Group {
    const { writer, clock, seed } = this.options
    const wallMs = Math.max(0, Math.floor(clock.wallMs()))
    const start = writer.place === 0 ? SEGMENT_HEADER_BYTES : 0
    const taken = this.waiting.splice(0, this.countForGroup(start))
    let bytes = start
    for (const { bytes: payload } of taken) bytes += recordBytes(payload.length)
    if (this.buffer.length < bytes || this.buffer.length > Math.max(bytes, KEPT_BUFFER_BYTES)) {
      this.buffer = Buffer.allocUnsafeSlow(Math.max(bytes, 64 * 1024))
    }
    const segment = writer.number
    if (start > 0) {
      encodeSegmentHeader({ segment, firstOffset: this.nextOffset, wallMs }, seed).copy(this.buffer)
    }
    let at = start
    for (const [groupIndex, { bytes: payload, isSeal }] of taken.entries()) {
      const record = {
        kind: isSeal ? KIND_SEAL : KIND_ENTRY,
        offset: this.nextOffset + groupIndex,
        groupIndex,
        segment,
        payload,
      }
      at = putRecord(this.buffer, at, record, seed)
      this.waitingBytes -= payload.length
    }
    return {
      waiting: taken,
      firstOffset: this.nextOffset,
      segment,
      path: writer.path,
      place: writer.place + start,
      end: writer.place + at,
      wallMs,
    }
  }

  // The seal ends its group.
  private countForGroup(start: number): number {
    const room = Math.min(this.options.groupBytesMax, this.options.writer.room)
    let bytes = start
    let count = 0
    for (const waiting of this.waiting) {
      bytes += recordBytes(waiting.bytes.length)
      if (count > 0 && bytes > room) break
      count++
      if (waiting.isSeal) break
    }
    return count
  }

  /** False if the disk was full: the group is refused and nothing of it stays. */
  private async write(group: Group): Promise<boolean> {
    const { writer, space } = this.options
    try {
      await writer.write(this.buffer.subarray(0, group.end - writer.place))
      return true
    } catch (thrown) {
      const error = DelosError.from(thrown, 'IO_ERROR', `write ${group.path}`)
      try {
        if (error.code !== 'DISK_FULL') throw error
        space.markFull()
        await writer.takeBack()
      } catch (failed) {
        settle(group.waiting, { kind: 'indeterminate', cause: error })
        throw failed
      }
      settle(group.waiting, space.refusal())
      return false
    }
  }

  private async awaitSync(synced: Promise<void>, group: Group, startedMs: number): Promise<void> {
    const { writer, clock, stats, onSync } = this.options
    try {
      await synced
    } catch (thrown) {
      const cause = DelosError.from(thrown, 'IO_ERROR', `sync ${group.path}`)
      settle(group.waiting, { kind: 'indeterminate', cause })
      throw cause
    }
    const latencyMs = clock.monotonicMs() - startedMs
    stats.noteGroup(latencyMs, group.waiting.length, group.end - writer.place)
    onSync?.(latencyMs)
    const last = group.waiting[group.waiting.length - 1] as Waiting
    this.sealed = last.isSeal
    this.nextOffset += group.waiting.length - (last.isSeal ? 1 : 0)
    writer.place = group.end
  }

  private publish(group: Group | undefined): undefined {
    if (!group) return
    this.options.writer.maintain()
    this.options.onDurable(group)
    for (const [i, { settle }] of group.waiting.entries()) {
      settle({ kind: 'appended', offset: (group.firstOffset + i) as LogletOffset })
    }
  }

  private settleWaiting(outcome: LogletAppendOutcome): void {
    const { waiting } = this
    this.waiting = []
    this.waitingBytes = 0
    settle(waiting, outcome)
  }
}

/** Space may come back, this loglet will not: DISK_FULL would promise that the same call can succeed later. */
function asFinal(error: DelosError): DelosError {
  return error.code === 'DISK_FULL' ? new DelosError('IO_ERROR', error.message, { cause: error }) : error
}

function settle(waiting: readonly Waiting[], outcome: LogletAppendOutcome): void {
  for (const one of waiting) one.settle(outcome)
}
