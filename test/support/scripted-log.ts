// A shared log that does what a test tells it: answers of append, tail checks that wait, positions that are voided, reads
// that fail. Entries are shared by all handles onto the same array.

import type { LogPos } from '../../src/log/position.ts'
import type { AppendOutcome, LogEntry, LogRead, SharedLog } from '../../src/log/shared-log.ts'

/** What append does with one entry: stores it so many times, then answers. */
export interface AppendScript {
  readonly copies: number
  readonly outcome?: AppendOutcome
}

export class ScriptedLog implements SharedLog {
  maxEntryBytes = 1 << 20
  /** The log; a hole is a position without an entry. */
  readonly entries: (Uint8Array | undefined)[]
  readonly voided = new Set<number>()
  readonly trims: number[] = []
  trimmedTo = 0
  /** Next answers of append; then each entry is stored once and acknowledged. */
  readonly appendScripts: AppendScript[] = []
  /** Set: append answers only when the returned promise does. */
  appendGate: (() => Promise<void>) | undefined
  checkTailGate: (() => Promise<void>) | undefined
  readGate: (() => Promise<void>) | undefined
  reads = 0
  tailChecks = 0
  private readonly listeners = new Set<(tail: LogPos) => void>()

  constructor(entries: (Uint8Array | undefined)[] = []) {
    this.entries = entries
  }

  get knownTail(): LogPos {
    return this.entries.length as LogPos
  }

  /** Stores an entry as another server's append would. */
  store(bytes: Uint8Array | undefined): void {
    this.entries.push(bytes)
  }

  /** Tells the listeners. */
  announce(): void {
    for (const listener of this.listeners) listener(this.knownTail)
  }

  async append(bytes: Uint8Array): Promise<AppendOutcome> {
    await this.appendGate?.()
    const { copies, outcome } = this.appendScripts.shift() ?? { copies: 1 }
    const pos = this.knownTail
    for (let i = 0; i < copies; i++) this.store(bytes)
    if (copies > 0) this.announce()
    return outcome ?? { kind: 'appended', pos }
  }

  async checkTail(): Promise<LogPos> {
    this.tailChecks++
    // Read before the gate: the answer may be old when it comes.
    const tail = this.knownTail
    await this.checkTailGate?.()
    return tail
  }

  async readNext(from: LogPos, to: LogPos, _maxBytes: number): Promise<LogRead> {
    this.reads++
    await this.readGate?.()
    const start = Math.max(from, this.trimmedTo)
    const next = Math.max(start, Math.min(to, this.entries.length)) as LogPos
    const entries: LogEntry[] = []
    for (let pos = start; pos < next; pos++) {
      const bytes = this.entries[pos]
      if (bytes !== undefined) entries.push({ pos: pos as LogPos, bytes, voided: this.voided.has(pos) })
    }
    return start === from ? { entries, next } : { entries, next, trimmedTo: start as LogPos }
  }

  async prefixTrim(to: LogPos): Promise<void> {
    this.trims.push(to)
  }

  onTailMoved(listener: (tail: LogPos) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  oldest(): { readonly pos: LogPos; readonly wallMs: number | undefined } {
    return { pos: this.trimmedTo as LogPos, wallMs: undefined }
  }

  async close(): Promise<void> {
    this.listeners.clear()
  }
}

/** A gate that a test opens. */
export class Gate {
  private open!: () => void
  private readonly opened = new Promise<void>((resolve) => {
    this.open = resolve
  })

  readonly wait = (): Promise<void> => this.opened

  release(): void {
    this.open()
  }
}
