// What a leader writes to, as a stand-in for a disk, a device or a service outside: it remembers the highest token that it has
// seen, and refuses lower ones. That alone stops a leader that was paused through the end of its term.

export class FencedRegister<V> {
  private highest = 0
  private content: V | undefined

  get value(): V | undefined {
    return this.content
  }

  /** False: somebody with a higher token was here. */
  write(fence: number, value: V): boolean {
    if (fence < this.highest) return false
    this.highest = fence
    this.content = value
    return true
  }
}
