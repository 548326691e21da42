// Which observers time the same calls, and who of them decides which. Not here: what is timed.

/** An observer that is called only while it times. */
export interface Sampled {
  readonly proposals: number
  /** Grows with each proposal that it times. */
  readonly proposeTurns: number
  stepIntoPropose(): void
  stepOutOfPropose(): void
  stepIntoApply(): void
  stepOutOfApply(): void
}

/**
 * Observers that time the same calls: who is called first decides, and while it times one, so do the others. Then a stall that hits
 * a timed entry is in all of them, and their differences, which are what an engine itself takes, hold without it. All other
 * calls pass the others by: where requests come one at a time, each layer that finds nothing to do still costs half a
 * microsecond of cold code.
 */
export class SampleGroup {
  private leader: Sampled | undefined
  private lowestTurns = 0
  private readonly others: Sampled[] = []

  /** Is there anybody but the one who decides? */
  get shared(): boolean {
    return this.others.length > 0
  }

  /** The one who decides. */
  get led(): Sampled | undefined {
    return this.leader
  }

  isLedBy(observer: Sampled): boolean {
    return this.leader === observer
  }

  /** Of what goes up: the first decides. */
  joinAbove(observer: Sampled): void {
    if (this.leader === undefined) this.leader = observer
    else this.others.push(observer)
  }

  /** Of what goes down: the last decides. */
  joinOnTop(observer: Sampled): void {
    const { leader } = this
    this.leader = observer
    if (leader === undefined) return
    this.others.push(leader)
    leader.stepOutOfPropose()
  }

  beginPropose(): void {
    this.lowestTurns = this.others[0]?.proposeTurns ?? 0
    for (const other of this.others) other.stepIntoPropose()
  }

  /** False if it did not get to the lowest: a layer in between keeps it back. */
  endPropose(): boolean {
    for (const other of this.others) other.stepOutOfPropose()
    return this.others[0]?.proposeTurns !== this.lowestTurns
  }

  beginApply(): void {
    for (const other of this.others) other.stepIntoApply()
  }

  endApply(): void {
    for (const other of this.others) other.stepOutOfApply()
  }
}

/** What an observer times together with others. */
export interface SampleGroups {
  readonly propose: SampleGroup
  readonly apply: SampleGroup
}

/** Of an observer that stands alone. */
export function aloneInGroups(): SampleGroups {
  return { propose: new SampleGroup(), apply: new SampleGroup() }
}
