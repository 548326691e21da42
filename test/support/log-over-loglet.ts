// The simplest shared log: one loglet that is never sealed. For tests of what stands on the log.

import { assert } from '../../src/base/assert.ts'
import type { Loglet } from '../../src/log/loglet.ts'
import type { LogletOffset, LogPos } from '../../src/log/position.ts'
import type { AppendOutcome, LogRead, SharedLog } from '../../src/log/shared-log.ts'

export class LogOverLoglet implements SharedLog {
  /** Positions that read as voided. */
  readonly voided = new Set<number>()
  private readonly loglet: Loglet
  private known = 0 as LogPos

  constructor(loglet: Loglet) {
    this.loglet = loglet
    loglet.onTailMoved((tail) => {
      this.known = Math.max(this.known, tail) as LogPos
    })
  }

  get maxEntryBytes(): number {
    return this.loglet.maxEntryBytes
  }

  get knownTail(): LogPos {
    return this.known
  }

  async append(bytes: Uint8Array): Promise<AppendOutcome> {
    const outcome = await this.loglet.append(bytes)
    assert(outcome.kind !== 'sealed', 'nobody seals this loglet')
    return outcome.kind === 'appended' ? { kind: 'appended', pos: outcome.offset as number as LogPos } : outcome
  }

  async checkTail(): Promise<LogPos> {
    const { tail } = await this.loglet.checkTail()
    this.known = Math.max(this.known, tail) as LogPos
    return tail as number as LogPos
  }

  async readNext(from: LogPos, to: LogPos, maxBytes: number): Promise<LogRead> {
    const read = await this.loglet.readNext(from as number as LogletOffset, to as number as LogletOffset, maxBytes)
    const entries = read.entries.map(({ offset, bytes }) => ({
      pos: offset as number as LogPos,
      bytes,
      voided: this.voided.has(offset),
    }))
    const next = read.next as number as LogPos
    return read.trimmedTo === undefined
      ? { entries, next }
      : { entries, next, trimmedTo: read.trimmedTo as number as LogPos }
  }

  prefixTrim(to: LogPos): Promise<void> {
    return this.loglet.prefixTrim(to as number as LogletOffset)
  }

  onTailMoved(listener: (tail: LogPos) => void): () => void {
    return this.loglet.onTailMoved((tail) => listener(tail as number as LogPos))
  }

  oldest(): { readonly pos: LogPos; readonly wallMs: number | undefined } {
    return { pos: this.loglet.trimPoint as number as LogPos, wallMs: undefined }
  }

  close(): Promise<void> {
    return this.loglet.close()
  }
}
