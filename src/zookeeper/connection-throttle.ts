// ZooKeeper's throttle of new sessions: a bucket of tokens that fills with time, and a chance of refusing at random that grows
// while the bucket is found empty, so that not always the same clients come too late.

import type { Chance, ConnectionThrottleOptions } from './access-options.ts'

export class ConnectionThrottle {
  /** Of refusing a session at random, 0 to 1. */
  dropProbability = 0
  private readonly options: ConnectionThrottleOptions
  private readonly nowMs: () => number
  private readonly chance: Chance
  /** Of the full bucket, and what fills in at a time; in tokens of a weighted bucket. */
  private readonly maxTokens: number
  private readonly fillCount: number
  private tokens: number
  private filledMs: number
  private frozenMs: number

  constructor(options: ConnectionThrottleOptions, nowMs: () => number, chance: Chance) {
    // The numbers are meant for new sessions.
    const perToken = options.weighted ? options.newSessionWeight : 1
    this.options = options
    this.nowMs = nowMs
    this.chance = chance
    this.maxTokens = options.maxTokens * perToken
    this.fillCount = options.fillCount * perToken
    this.tokens = this.maxTokens
    this.filledMs = nowMs()
    this.frozenMs = this.filledMs
  }

  /** Tokens missing in the bucket. */
  get deficit(): number {
    return this.maxTokens - this.tokens
  }

  /** Takes the tokens of a session that is new, or that comes back. False: there are too few, or chance is against it. */
  admit(isNew: boolean): boolean {
    if (this.maxTokens === 0) return true
    const { weighted, newSessionWeight, renewSessionWeight } = this.options
    const need = weighted ? (isNew ? newSessionWeight : renewSessionWeight) : 1
    const now = this.nowMs()
    this.fill(now)
    if (this.isUnlucky(now) || this.tokens < need) return false
    this.tokens -= need
    return true
  }

  private fill(now: number): void {
    const { fillTimeMs } = this.options
    const passed = now - this.filledMs
    if (passed <= fillTimeMs) return
    this.tokens = Math.min(this.tokens + Math.floor((passed * this.fillCount) / fillTimeMs), this.maxTokens)
    this.filledMs = now
  }

  private isUnlucky(now: number): boolean {
    const { freezeTimeMs, dropIncrease, dropDecrease, decreaseRatio } = this.options
    if (freezeTimeMs === -1) return false
    if (now - this.frozenMs > freezeTimeMs) {
      this.frozenMs = now
      if (this.tokens === 0) this.dropProbability = Math.min(this.dropProbability + dropIncrease, 1)
      else if (this.deficit <= Math.round(this.maxTokens * decreaseRatio)) {
        this.dropProbability = Math.max(this.dropProbability - dropDecrease, 0)
      }
    }
    return this.chance.uint32() / 2 ** 32 < this.dropProbability
  }
}
