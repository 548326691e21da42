// One run of a simulated process, from boot to crash. What belongs to it asks it before acting, so that nothing of a dead
// process reaches the world after it, and nothing of one that stands still before it goes on.

/** Alive until ended, once. May stand still meanwhile: a suspended machine, a long collection. */
export class Life {
  private ended = false
  private readonly endings: (() => void)[] = []
  private readonly goingOn: (() => void)[] = []
  /** What waits for the process to go on; undefined while it runs. */
  private held: (() => void)[] | undefined

  get alive(): boolean {
    return !this.ended
  }

  /** Calls `ending` when this life ends, in order of registration. */
  onEnd(ending: () => void): void {
    this.endings.push(ending)
  }

  get standsStill(): boolean {
    return this.held !== undefined
  }

  /** Its timers, its disk and its sockets tell it nothing until `goOn`. Its clocks run. */
  standStill(): void {
    if (this.alive) this.held ??= []
  }

  /** Everything that was held happens now, in order. */
  goOn(): void {
    const { held = [] } = this
    this.held = undefined
    for (const action of held) this.pass(action)
    for (const action of this.goingOn) action()
  }

  /** Does `action` as soon as the process runs; never once it is dead. */
  pass(action: () => void): void {
    if (!this.alive) return
    if (this.held === undefined) action()
    else this.held.push(action)
  }

  /** Calls `action` whenever this life goes on after it stood still. */
  onGoOn(action: () => void): void {
    this.goingOn.push(action)
  }

  end(): void {
    if (this.ended) return
    this.ended = true
    this.held = undefined
    for (const ending of this.endings) ending()
  }
}
