// A queue whose both ends are cheap however long it is.

/** First in, first out. */
export class Fifo<T> {
  // Places below `head` and from `end` on are undefined. Setting the length of an array calls out of JavaScript: it is kept.
  private items: (T | undefined)[] = []
  private head = 0
  private end = 0

  get length(): number {
    return this.end - this.head
  }

  /** The item at that place, 0 being the first. */
  at(index: number): T | undefined {
    return this.items[this.head + index]
  }

  push(item: T): void {
    this.items[this.end++] = item
  }

  shift(): T | undefined {
    if (this.head === this.end) return undefined
    const item = this.items[this.head]
    this.items[this.head++] = undefined
    if (this.head === this.end) {
      this.emptied()
    } else if (this.head >= COMPACTED_FROM && this.head * 2 >= this.end) {
      this.items = this.items.slice(this.head, this.end)
      this.end -= this.head
      this.head = 0
    }
    return item
  }

  /** Takes out the last one. */
  pop(): T | undefined {
    if (this.head === this.end) return undefined
    const item = this.items[--this.end]
    this.items[this.end] = undefined
    if (this.head === this.end) this.emptied()
    return item
  }

  /** Takes out all of it, in order. */
  drain(): T[] {
    const all = this.items.slice(this.head, this.end) as T[]
    this.items = []
    this.emptied()
    return all
  }

  private emptied(): void {
    if (this.end > COMPACTED_FROM) this.items = []
    this.head = 0
    this.end = 0
  }
}

const COMPACTED_FROM = 1024
