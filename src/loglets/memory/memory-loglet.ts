// The executable definition of a loglet: the rules of log/loglet.ts over an array, short enough to read in one go. Nothing
// here is durable; hostile-loglet.ts adds the weather.

import { DelosError } from '../../base/delos-error.ts'
import type {
  Loglet,
  LogletAppendOutcome,
  LogletConfig,
  LogletEntry,
  LogletMark,
  LogletRead,
  LogletRecipe,
  LogletTail,
} from '../../log/loglet.ts'
import type { LogletOffset } from '../../log/position.ts'

/** Where the memory loglet departs from a dense, tidy log, within the contract. */
export interface MemoryLogletOptions {
  readonly maxEntryBytes: number
  /** Offsets left empty before the next entry, and before the sealed tail (0 = dense). */
  readonly gap: () => number
  /** True: an append to a sealed loglet is stored past the tail all the same, unacknowledged, and reads show it. */
  readonly zombies: boolean
  readonly wallMs: () => number
}

/** What all handles onto one loglet share. */
export class MemoryLog {
  readonly config: LogletConfig
  readonly options: MemoryLogletOptions
  readonly entries: LogletEntry[] = []
  readonly times: number[] = []
  readonly listeners = new Set<(tail: LogletOffset) => void>()
  /** First unwritten offset; frozen by the seal, whatever is stored past it. */
  tail = 0 as LogletOffset
  physicalEnd = 0
  trimPoint = 0 as LogletOffset
  successor: LogletRecipe | undefined
  destroyed = false

  constructor(config: LogletConfig, options: MemoryLogletOptions) {
    this.config = config
    this.options = options
  }

  append(bytes: Uint8Array): LogletAppendOutcome {
    if (this.successor && !this.options.zombies) return { kind: 'sealed' }
    const offset = (this.physicalEnd + this.options.gap()) as LogletOffset
    this.physicalEnd = offset + 1
    this.entries.push({ offset, bytes })
    this.times.push(this.options.wallMs())
    if (this.successor) return { kind: 'sealed' }
    this.tail = (offset + 1) as LogletOffset
    this.notify()
    return { kind: 'appended', offset }
  }

  seal(successor: LogletRecipe): LogletTail {
    if (!this.successor) {
      this.successor = successor
      this.tail = (this.tail + this.options.gap()) as LogletOffset
      this.physicalEnd = this.tail
      this.notify()
    }
    return this.checkTail()
  }

  checkTail(): LogletTail {
    if (!this.successor) return { tail: this.tail, sealed: false }
    return { tail: this.tail, sealed: true, successor: this.successor }
  }

  read(from: LogletOffset, to: LogletOffset, maxBytes: number): LogletRead {
    const end = Math.min(to, this.physicalEnd) as LogletOffset
    const start = Math.max(from, this.trimPoint) as LogletOffset
    const entries: LogletEntry[] = []
    let next = Math.max(start, end) as LogletOffset
    let size = 0
    for (let i = this.firstAt(start); i < this.entries.length; i++) {
      const entry = this.entries[i] as LogletEntry
      if (entry.offset >= end) break
      size += entry.bytes.length
      if (entries.length > 0 && size > maxBytes) {
        next = entry.offset
        break
      }
      entries.push(entry)
    }
    if (start === from) return { entries, next }
    return { entries, next, trimmedTo: start }
  }

  trim(to: LogletOffset): void {
    const point = Math.min(to, this.tail) as LogletOffset
    if (point <= this.trimPoint) return
    const dropped = this.firstAt(point)
    this.entries.splice(0, dropped)
    this.times.splice(0, dropped)
    this.trimPoint = point
  }

  marks(): LogletMark[] {
    let bytesBelow = 0
    const marks: LogletMark[] = []
    for (const [i, { offset, bytes }] of this.entries.entries()) {
      if (offset >= this.tail) break
      marks.push({ offset, wallMs: this.times[i] as number, bytesBelow })
      bytesBelow += bytes.length
    }
    marks.push({ offset: this.tail, wallMs: this.options.wallMs(), bytesBelow })
    return marks
  }

  /** Index of the first stored entry at or past `offset`. */
  private firstAt(offset: LogletOffset): number {
    let low = 0
    let high = this.entries.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.entries[middle] as LogletEntry).offset < offset) low = middle + 1
      else high = middle
    }
    return low
  }

  private notify(): void {
    for (const listener of [...this.listeners]) listener(this.tail)
  }
}

/** One server's handle onto a MemoryLog. */
export class MemoryLoglet implements Loglet {
  private readonly log: MemoryLog
  private readonly listeners = new Set<(tail: LogletOffset) => void>()
  private closed = false

  constructor(log: MemoryLog) {
    this.log = log
  }

  get maxEntryBytes(): number {
    return this.log.options.maxEntryBytes
  }

  get trimPoint(): LogletOffset {
    return this.log.trimPoint
  }

  async append(bytes: Uint8Array): Promise<LogletAppendOutcome> {
    const unusable = this.unusable()
    if (unusable) return { kind: 'refused', cause: unusable }
    if (bytes.length > this.maxEntryBytes) {
      const message = `entry of ${bytes.length} bytes, maxEntryBytes is ${this.maxEntryBytes}`
      return { kind: 'refused', cause: new DelosError('LIMIT_EXCEEDED', message) }
    }
    return this.log.append(bytes)
  }

  async checkTail(): Promise<LogletTail> {
    this.mustBeUsable()
    return this.log.checkTail()
  }

  async readNext(from: LogletOffset, to: LogletOffset, maxBytes: number): Promise<LogletRead> {
    this.mustBeUsable()
    return this.log.read(from, to, maxBytes)
  }

  async prefixTrim(to: LogletOffset): Promise<void> {
    this.mustBeUsable()
    this.log.trim(to)
  }

  async seal(successor: LogletRecipe): Promise<LogletTail> {
    this.mustBeUsable()
    return this.log.seal(successor)
  }

  onTailMoved(listener: (tail: LogletOffset) => void): () => void {
    // A wrapper per call: two subscriptions of one function end separately.
    const own = (tail: LogletOffset) => listener(tail)
    this.log.listeners.add(own)
    this.listeners.add(own)
    return () => {
      this.log.listeners.delete(own)
      this.listeners.delete(own)
    }
  }

  marks(): readonly LogletMark[] {
    return this.log.marks()
  }

  async close(): Promise<void> {
    this.closed = true
    for (const own of this.listeners) this.log.listeners.delete(own)
  }

  private unusable(): DelosError | undefined {
    const { nonce } = this.log.config
    if (this.closed) return new DelosError('CLOSED', `loglet ${nonce} was closed`)
    if (this.log.destroyed) return new DelosError('NOT_FOUND', `loglet ${nonce} was destroyed`)
    return undefined
  }

  private mustBeUsable(): void {
    const unusable = this.unusable()
    if (unusable) throw unusable
  }
}
