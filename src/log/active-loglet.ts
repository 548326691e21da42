// The open end of the virtual log: which loglet takes appends now, how far the log is known to reach, and moving on when that
// loglet turns out to be sealed. Reconfiguring itself is reconfiguration.ts.

import { DelosError } from '../base/delos-error.ts'
import { activeSegment, type Chain, type ChainSegment } from './chain/chain.ts'
import type { ChainRegister } from './chain-register.ts'
import type { ResolvedLogOptions } from './log-options.ts'
import type { Loglet } from './loglet.ts'
import { isGone, type LogletHandles } from './loglet-handles.ts'
import type { LogletOffset, LogPos } from './position.ts'
import type { Reconfiguration } from './reconfiguration.ts'

/** An open segment with its open loglet. */
export interface OpenEnd {
  readonly segment: ChainSegment
  readonly loglet: Loglet
}

export class ActiveLoglet {
  /** The highest tail known here: from pushes and open tail checks, never from a sealed answer. */
  knownTail: LogPos
  /** Set once the loglet of the open segment is open here. */
  end: OpenEnd | undefined
  private readonly register: ChainRegister
  private readonly handles: LogletHandles
  private readonly reconfiguration: Reconfiguration
  private readonly options: ResolvedLogOptions
  private readonly listeners = new Set<(tail: LogPos) => void>()
  private readonly background = new Set<Promise<void>>()
  private segment: ChainSegment
  private opening: Promise<OpenEnd> | undefined
  private moving: { readonly nonce: string; readonly done: Promise<void> } | undefined
  private unsubscribe: () => void = () => undefined
  private endPause: () => void = () => undefined
  private closed = false

  constructor(
    register: ChainRegister,
    handles: LogletHandles,
    reconfiguration: Reconfiguration,
    options: ResolvedLogOptions,
  ) {
    this.register = register
    this.handles = handles
    this.reconfiguration = reconfiguration
    this.options = options
    this.segment = activeSegment(register.chain)
    this.knownTail = this.segment.start
    register.setListener((chain) => this.adopt(chain))
  }

  /** The open segment and its loglet, opened if need be; refetches the chain when the loglet is gone. */
  async open(): Promise<OpenEnd> {
    if (this.end) return this.end
    this.opening ??= this.openLoglet().finally(() => {
      this.opening = undefined
    })
    return this.opening
  }

  /** Opens the end and asks it for its tail, so that `knownTail` is fresh. A sealed end is moved on from in the background. */
  async learn(): Promise<void> {
    for (;;) {
      const end = await this.open()
      try {
        const { tail, sealed } = await end.loglet.checkTail()
        if (sealed) this.inBackground(() => this.moveOn(end.segment))
        else this.noteTail(end.segment, tail)
        return
      } catch (error) {
        if (!isGone(error) || this.closed) throw error
        await this.register.refresh()
        if (this.end === end) throw error
      }
    }
  }

  onTailMoved(listener: (tail: LogPos) => void): () => void {
    const own = (tail: LogPos) => listener(tail)
    this.listeners.add(own)
    return () => {
      this.listeners.delete(own)
    }
  }

  /** The loglet of `segment`, believed open, has this tail. */
  noteTail(segment: ChainSegment, tail: LogletOffset): void {
    if (segment.config.nonce === this.segment.config.nonce) this.raise((segment.start + tail) as LogPos)
  }

  /**
   * The loglet of `segment` is sealed, or gone: resolves when the chain here may have moved on. If it has not, the sealer
   * gets some time, then its intention is rolled forward. Concurrent calls share the work.
   */
  moveOn(segment: ChainSegment): Promise<void> {
    const { nonce } = segment.config
    if (nonce !== this.segment.config.nonce) return Promise.resolve()
    if (this.closed) return Promise.reject(closedError())
    if (this.moving?.nonce === nonce) return this.moving.done
    const done = this.refetchOrRollForward(nonce).finally(() => {
      if (this.moving?.done === done) this.moving = undefined
    })
    this.moving = { nonce, done }
    return done
  }

  async close(): Promise<void> {
    this.closed = true
    this.register.setListener(() => undefined)
    this.unsubscribe()
    this.endPause()
    this.listeners.clear()
    await Promise.allSettled([...this.background, this.moving?.done])
  }

  private async refetchOrRollForward(nonce: string): Promise<void> {
    const { random, rollForwardMs } = this.options
    await this.register.refresh()
    if (this.segment.config.nonce !== nonce) return
    if (!this.closed) await this.pause(rollForwardMs + (random.uint32() / 0x1_0000_0000) * rollForwardMs)
    if (this.closed) throw closedError()
    if (this.segment.config.nonce !== nonce) return
    const chain = await this.register.refresh()
    if (!chain || activeSegment(chain).config.nonce !== nonce) return
    await this.reconfiguration.rollForward(chain)
  }

  // Ends early when the chain moves on here: most often the sealer is this very server.
  private pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.options.timers.after(delayMs, resolve)
      this.endPause = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  private async openLoglet(): Promise<OpenEnd> {
    for (;;) {
      const { segment } = this
      try {
        const loglet = await this.handles.open(segment.config)
        if (segment !== this.segment) continue
        this.end = { segment, loglet }
        this.unsubscribe = loglet.onTailMoved((tail) => this.logletMoved(segment, tail))
        this.inBackground(() => this.learnTail(segment, loglet))
        return this.end
      } catch (error) {
        if (!isGone(error)) throw error
        await this.register.refresh()
        if (segment.config.nonce === this.segment.config.nonce) throw error
      }
    }
  }

  private adopt(chain: Chain): void {
    const segment = activeSegment(chain)
    this.inBackground(() => this.handles.retain(chain))
    if (segment.config.nonce === this.segment.config.nonce) return
    this.unsubscribe()
    this.unsubscribe = () => undefined
    this.segment = segment
    this.end = undefined
    this.endPause()
    this.raise(segment.start)
    this.inBackground(() => this.open().then(() => undefined))
  }

  // A push that does not move the tail says that the loglet was found sealed.
  private logletMoved(segment: ChainSegment, tail: LogletOffset): void {
    if (segment !== this.segment) return
    const moved = segment.start + tail > this.knownTail
    this.noteTail(segment, tail)
    const { loglet } = this.end ?? {}
    if (!moved && loglet) this.inBackground(() => this.learnTail(segment, loglet))
  }

  private async learnTail(segment: ChainSegment, loglet: Loglet): Promise<void> {
    const { tail, sealed } = await loglet.checkTail()
    if (sealed) await this.moveOn(segment)
    else this.noteTail(segment, tail)
  }

  private raise(tail: LogPos): void {
    if (tail <= this.knownTail) return
    this.knownTail = tail
    for (const listener of [...this.listeners]) listener(tail)
  }

  // Whatever fails here is met again by the next append, tail check or read.
  private inBackground(work: () => Promise<void>): void {
    if (this.closed) return
    const done = work()
      .catch((error: unknown) => {
        if (!this.closed) this.options.onBackgroundError(error)
      })
      .finally(() => this.background.delete(done))
    this.background.add(done)
  }
}

function closedError(): DelosError {
  return new DelosError('CLOSED', 'the log was closed')
}
