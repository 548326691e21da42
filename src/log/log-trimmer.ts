// Freeing the old end of the log: the limit that the engines set, held back by the retention policy and by chunk sets that are
// still open. Physically trim first, then drop whole segments from the chain.

import type { Timer } from '../runtime/runtime.ts'
import type { ActiveLoglet } from './active-loglet.ts'
import type { ChainRegister } from './chain-register.ts'
import type { ChunkAssembler } from './chunk-assembler.ts'
import type { ResolvedLogOptions } from './log-options.ts'
import { isGone, type LogletHandles } from './loglet-handles.ts'
import type { LogletOffset, LogPos } from './position.ts'
import type { Reconfiguration } from './reconfiguration.ts'
import { type MarkedSegment, retentionPoint } from './retention.ts'

export class LogTrimmer {
  private readonly register: ChainRegister
  private readonly handles: LogletHandles
  private readonly active: ActiveLoglet
  private readonly reconfiguration: Reconfiguration
  private readonly assembler: ChunkAssembler
  private readonly options: ResolvedLogOptions
  private limit = 0 as LogPos
  /** The pass under way, or the last one; never rejects. */
  private running: Promise<void> = Promise.resolve()
  /** A pass that has not begun: whoever comes meanwhile shares it. */
  private following: Promise<void> | undefined
  private timer: Timer | undefined
  private closed = false

  constructor(parts: {
    readonly register: ChainRegister
    readonly handles: LogletHandles
    readonly active: ActiveLoglet
    readonly reconfiguration: Reconfiguration
    readonly assembler: ChunkAssembler
    readonly options: ResolvedLogOptions
  }) {
    this.register = parts.register
    this.handles = parts.handles
    this.active = parts.active
    this.reconfiguration = parts.reconfiguration
    this.assembler = parts.assembler
    this.options = parts.options
  }

  /** Trims what the policy lets go now; the rest later, as it grows old. One pass at a time. */
  trim(to: LogPos): Promise<void> {
    if (to > this.limit) this.limit = to
    this.scheduleNext()
    if (this.following) return this.following
    const pass = this.running.then(() => {
      this.following = undefined
      return this.closed ? undefined : this.pass()
    })
    this.following = pass
    this.running = pass.catch(() => undefined)
    return pass
  }

  async close(): Promise<void> {
    this.closed = true
    this.timer?.cancel()
    await this.running
  }

  private scheduleNext(): void {
    if (this.timer || this.closed) return
    this.timer = this.options.timers.after(this.options.trimIntervalMs, () => {
      this.timer = undefined
      this.trim(this.limit).catch((error: unknown) => this.options.onBackgroundError(error))
    })
  }

  // A segment that somebody else dropped or moved amid a pass: the chain that they made says what is left to do.
  private async pass(): Promise<void> {
    for (;;) {
      const { version } = this.register.chain
      try {
        return await this.passOnce()
      } catch (error) {
        if (!isGone(error) || this.closed) throw error
        const fresh = await this.register.refresh()
        if (!fresh || fresh.version === version) throw error
      }
    }
  }

  private async passOnce(): Promise<void> {
    const { chain } = this.register
    // A server may never trim past what it knows to exist.
    const wanted = Math.min(this.limit, this.active.knownTail)
    if (wanted <= (chain.segments[0]?.start ?? 0)) return
    const marked = await this.marks()
    const policy = retentionPoint(marked, this.options.retention, this.options.clock.wallMs())
    const point = Math.min(wanted, policy) as LogPos
    let dropUpTo: LogPos | undefined
    for (const { segment } of marked) {
      if (segment.start >= point) break
      const whole = segment.end !== undefined && segment.end <= point
      const end = whole ? (segment.end as LogPos) : this.assembler.trimBound(point, segment.start)
      const loglet = await this.handles.open(segment.config)
      await loglet.prefixTrim((end - segment.start) as LogletOffset)
      if (whole) dropUpTo = end
    }
    if (dropUpTo !== undefined) await this.reconfiguration.truncate(dropUpTo)
  }

  // A segment that somebody else just dropped is no longer ours to trim.
  private async marks(): Promise<MarkedSegment[]> {
    const marked: MarkedSegment[] = []
    for (const segment of this.register.chain.segments) {
      try {
        const loglet = await this.handles.open(segment.config)
        marked.push({ segment, marks: loglet.marks() })
      } catch (error) {
        if (!isGone(error)) throw error
        await this.register.refresh()
      }
    }
    return marked
  }
}
