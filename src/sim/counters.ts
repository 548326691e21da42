// Named counters of faults and rare branches, so that a simulation that never reached one fails instead of proving nothing.

/** Counts by name. Names are few and constant. */
export class Counters {
  private readonly counts = new Map<string, number>()

  /** Adds to a counter. Bound, so that it can be handed to a component as a plain function. */
  readonly bump = (name: string, by = 1): void => {
    this.counts.set(name, (this.counts.get(name) ?? 0) + by)
  }

  get(name: string): number {
    return this.counts.get(name) ?? 0
  }

  /** Adds all of another's counts: the sum over many seeds. */
  add(other: Counters): void {
    for (const [name, count] of other.counts) this.bump(name, count)
  }

  /** The names of this list that were never counted. */
  requireAll(names: readonly string[]): string[] {
    return names.filter((name) => this.get(name) === 0)
  }

  /** All counts, by name in order. */
  entries(): [name: string, count: number][] {
    return [...this.counts].sort(([a], [b]) => (a < b ? -1 : 1))
  }
}
