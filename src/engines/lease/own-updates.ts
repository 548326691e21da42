// The holder's own updates that are under way. Another server may apply one first and show it, so a read by the lease waits for
// those that were proposed before it; and one of which nobody knows whether it will be applied ends reads by this epoch.

/** Numbers are given out in order. */
export class OwnUpdates {
  private readonly underWay = new Set<number>()
  private readonly waiting: { readonly upTo: number; readonly resolve: () => void }[] = []
  private last = 0

  get count(): number {
    return this.underWay.size
  }

  begin(): number {
    this.underWay.add(++this.last)
    return this.last
  }

  /** It was applied here, or never will be anywhere, or nobody knows. */
  end(number: number): void {
    this.underWay.delete(number)
    if (this.waiting.length === 0) return
    const oldest = this.oldest()
    while (this.waiting[0] !== undefined && this.waiting[0].upTo < oldest) this.waiting.shift()?.resolve()
  }

  /** Resolves when all that are under way now have ended. */
  settled(): Promise<void> {
    if (this.underWay.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.waiting.push({ upTo: this.last, resolve }))
  }

  private oldest(): number {
    const first = this.underWay.values().next()
    return first.done === true ? Number.POSITIVE_INFINITY : first.value
  }
}
