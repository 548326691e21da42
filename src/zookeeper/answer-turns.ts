// Turns of the event loop, as all connections share them: what they are answered in one takes some 10 ms, and who has more to do goes on
// in a later one, first come, first served. A connection's own part is flow-control.ts'.

/** Of answers, before everything else has its turn. */
const TURN_MS = 10
/** What took less is not counted: it costs more to do so. */
const COUNTED_MS = 0.2

export interface TurnTaker {
  /** Its turn has come: it answers until it is over. */
  goOn(): void
}

export class AnswerTurns {
  private readonly soon: (action: () => void) => void
  private readonly nowMs: () => number
  /** One entry for each connection at most. */
  private readonly waiting = new Set<TurnTaker>()
  private spentMs = 0
  private isScheduled = false

  constructor(soon: (action: () => void) => void, nowMs: () => number) {
    this.soon = soon
    this.nowMs = nowMs
  }

  /** For who goes on now; the more wait, the less for each: so whoever asks for little hardly waits for those who ask for much. */
  get shareMs(): number {
    return TURN_MS / (1 + this.waiting.size)
  }

  /** No long read should begin. */
  get isOver(): boolean {
    return this.spentMs >= TURN_MS
  }

  /** A connection was answered for so long. */
  spent(ms: number): void {
    if (ms < COUNTED_MS) return
    this.spentMs += ms
    this.schedule()
  }

  /** `goOn` is called in a later turn, once. */
  wait(taker: TurnTaker): void {
    this.waiting.add(taker)
    this.schedule()
  }

  private schedule(): void {
    if (this.isScheduled) return
    this.isScheduled = true
    this.soon(this.next)
  }

  private readonly next = (): void => {
    this.isScheduled = false
    this.spentMs = 0
    let left = this.waiting.size
    if (left === 0) return
    const startedMs = this.nowMs()
    try {
      for (const taker of this.waiting) {
        if (left-- === 0 || this.isOver) break
        this.waiting.delete(taker)
        taker.goOn()
        this.spentMs = Math.max(this.spentMs, this.nowMs() - startedMs)
      }
    } finally {
      // What comes now from the network has a turn of its own; and whatever one of them throws, the others go on.
      this.spentMs = 0
      if (this.waiting.size > 0) this.schedule()
    }
  }
}
