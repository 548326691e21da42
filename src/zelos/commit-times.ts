// When this server told of its newest commits, by its monotonic clock. Soft state: two numbers a commit, and the more there are
// the coarser they get.

import type { Zxid } from './znode.ts'

const MARKS_MAX = 16_384

export class CommitTimes {
  private readonly marksMax: number
  private zxids: Zxid[] = []
  private times: number[] = []

  constructor(marksMax: number = MARKS_MAX) {
    this.marksMax = marksMax
  }

  /** Neither is less than the last time. */
  note(zxid: Zxid, ms: number): void {
    const { times, zxids } = this
    const last = times.length - 1
    if (times[last] === ms) {
      zxids[last] = zxid
      return
    }
    if (times.push(ms) > this.marksMax) this.thin()
    this.zxids.push(zxid)
  }

  /** All up to this zxid was told at `ms` or before, perhaps more; undefined if that was before the first note. */
  toldBy(ms: number): Zxid | undefined {
    const { times } = this
    let low = 0
    let high = times.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((times[middle] as number) <= ms) low = middle + 1
      else high = middle
    }
    return this.zxids[low - 1]
  }

  /** The first stays: before it nothing is known. */
  private thin(): void {
    const newest = this.times.pop() as number
    const isEven = (_: number, at: number) => at % 2 === 0
    this.times = this.times.filter(isEven)
    this.zxids = this.zxids.filter(isEven)
    this.times.push(newest)
  }
}
