// One run of a simulated process, from boot to crash. What belongs to it asks it before acting, so that nothing of a dead
// process reaches the world after it.

/** Alive until ended, once. */
export class Life {
  private ended = false
  private readonly endings: (() => void)[] = []

  get alive(): boolean {
    return !this.ended
  }

  /** Calls `ending` when this life ends, in order of registration. */
  onEnd(ending: () => void): void {
    this.endings.push(ending)
  }

  end(): void {
    if (this.ended) return
    this.ended = true
    for (const ending of this.endings) ending()
  }
}
