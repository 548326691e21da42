// The newest entries of a file loglet, in memory: the apply loop reads them back without I/O and without a copy. Bounded by
// bytes; what falls out is read from the segment files.

import type { LogletEntry } from '../../log/loglet.ts'

// What an entry costs besides its bytes, so that many empty entries are bounded as well.
const ENTRY_OVERHEAD_BYTES = 100

/** A run of entries with consecutive offsets that ends at the tail. */
export class TailCache {
  private readonly bytesMax: number
  private entries: LogletEntry[] = []
  private head = 0
  private bytes = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** The first offset held; `tail` if nothing is held. */
  start(tail: number): number {
    return tail - (this.entries.length - this.head)
  }

  /** The entry must be the next one. Its bytes are kept, not copied. */
  push(entry: LogletEntry): void {
    this.entries.push(entry)
    this.bytes += entry.bytes.length + ENTRY_OVERHEAD_BYTES
    while (this.bytes > this.bytesMax) this.evict()
  }

  /** Entries from offset `from`, which must be at or past `start(tail)`, up to `to`: at most `maxBytes`, at least one. */
  read(from: number, to: number, maxBytes: number, tail: number): LogletEntry[] {
    const first = this.head + from - this.start(tail)
    const limit = Math.min(this.entries.length, first + to - from)
    let size = 0
    let end = first
    while (end < limit) {
      size += (this.entries[end] as LogletEntry).bytes.length
      if (size > maxBytes && end > first) break
      end++
    }
    return this.entries.slice(first, end)
  }

  private evict(): void {
    const evicted = this.entries[this.head] as LogletEntry
    this.bytes -= evicted.bytes.length + ENTRY_OVERHEAD_BYTES
    this.entries[this.head] = EVICTED
    this.head++
    if (this.head > 1024 && this.head * 2 > this.entries.length) {
      this.entries = this.entries.slice(this.head)
      this.head = 0
    }
  }
}

const EVICTED = { offset: -1, bytes: new Uint8Array(0) } as unknown as LogletEntry
