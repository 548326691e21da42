// The share of recent time that went into something: a sum per second over the last ten, so that any number of readers get the
// same answer and nothing runs in the background.

const SLOT_MS = 1000
const SLOTS = 10

export class UtilisationWindow {
  private readonly sums = new Float64Array(SLOTS)
  /** Which second each slot holds, counted from the epoch of the clock. */
  private readonly seconds = new Float64Array(SLOTS).fill(-1)
  private readonly sinceMs: number

  constructor(nowMs: number) {
    this.sinceMs = nowMs
  }

  /** `ms` were spent until now. */
  add(nowMs: number, ms: number): void {
    const second = Math.floor(nowMs / SLOT_MS)
    const slot = second % SLOTS
    if (this.seconds[slot] !== second) {
      this.seconds[slot] = second
      this.sums[slot] = 0
    }
    this.sums[slot] = (this.sums[slot] as number) + ms
  }

  /** Fraction of the time since at most ten seconds ago, 0 to 1. */
  utilisation(nowMs: number): number {
    const oldest = Math.floor(nowMs / SLOT_MS) - SLOTS + 1
    let sum = 0
    for (let slot = 0; slot < SLOTS; slot++) {
      if ((this.seconds[slot] as number) >= oldest) sum += this.sums[slot] as number
    }
    const elapsedMs = nowMs - Math.max(this.sinceMs, oldest * SLOT_MS)
    return elapsedMs > 0 ? Math.min(1, sum / elapsedMs) : 0
  }
}
