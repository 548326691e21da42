// A queue whose both ends are cheap however long it is.

/** First in, first out. */
export class Fifo<T> {
  private items: (T | undefined)[] = []
  private head = 0

  get length(): number {
    return this.items.length - this.head
  }

  /** The item at that place, 0 being the first. */
  at(index: number): T | undefined {
    return this.items[this.head + index]
  }

  push(item: T): void {
    this.items.push(item)
  }

  shift(): T | undefined {
    if (this.head === this.items.length) return undefined
    const item = this.items[this.head]
    this.items[this.head++] = undefined
    if (this.head === this.items.length) {
      this.items.length = 0
      this.head = 0
    } else if (this.head >= 1024 && this.head * 2 >= this.items.length) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
    return item
  }

  /** Takes out the last one. */
  pop(): T | undefined {
    if (this.head === this.items.length) return undefined
    const item = this.items.pop()
    if (this.head === this.items.length) this.drain()
    return item
  }

  /** Takes out all of it, in order. */
  drain(): T[] {
    const all = this.items.slice(this.head) as T[]
    this.items = []
    this.head = 0
    return all
  }
}
