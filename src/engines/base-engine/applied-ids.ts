// Which local ids of one incarnation were applied: a low mark below which all count as applied, and runs above it. Bounded:
// the mark follows the highest id at a fixed distance. Pure data, part of replicated state, so a stored format.

import type { ByteReader } from '../../base/byte-reader.ts'
import type { ByteWriter } from '../../base/byte-writer.ts'

/**
 * How far the low mark may lag behind the highest id. Replicated behaviour: changing it needs a new level. A proposal that
 * arrives after this many later ones of its own incarnation is dropped on every server.
 */
export const ID_WINDOW = 4096

/** What became of an id that arrived. */
export type Arrival = 'new' | 'duplicate' | 'too late'

export class AppliedIds {
  /** Every id up to this one counts as applied. */
  private low: number
  /** Ids above the mark that were applied, as first and last of each run, ascending, with gaps in between. */
  private readonly runs: number[]

  constructor(low = 0, runs: number[] = []) {
    this.low = low
    this.runs = runs
  }

  copy(): AppliedIds {
    return new AppliedIds(this.low, this.runs.slice())
  }

  /** Notes that `id` arrived. `too late`: at or below the mark, though nobody knows whether it was applied. */
  arrive(id: number): Arrival {
    const { runs } = this
    if (id === this.low + 1 && runs.length === 0) {
      this.low = id
      return 'new'
    }
    if (id <= this.low) return 'too late'
    if (!this.insert(id)) return 'duplicate'
    const last = runs[runs.length - 1] as number
    if (last - ID_WINDOW > this.low) this.low = last - ID_WINDOW
    this.absorb()
    return 'new'
  }

  write(writer: ByteWriter): void {
    writer.varint(this.low)
    writer.varint(this.runs.length)
    let last = this.low
    for (const bound of this.runs) {
      writer.varint(bound - last)
      last = bound
    }
  }

  static read(reader: ByteReader): AppliedIds {
    const low = reader.varint()
    const count = reader.varint()
    const runs: number[] = []
    let last = low
    for (let i = 0; i < count; i++) {
      last += reader.varint()
      runs.push(last)
    }
    return new AppliedIds(low, runs)
  }

  // False if it is there. Nearly always it extends the last run or starts one behind it, so the search goes from the end.
  private insert(id: number): boolean {
    const { runs } = this
    let at = runs.length
    while (at > 0 && (runs[at - 2] as number) > id) at -= 2
    if (at > 0 && id <= (runs[at - 1] as number)) return false
    const joinsBefore = at > 0 && runs[at - 1] === id - 1
    const joinsAfter = at < runs.length && runs[at] === id + 1
    if (joinsBefore && joinsAfter) runs.splice(at - 1, 2)
    else if (joinsBefore) runs[at - 1] = id
    else if (joinsAfter) runs[at] = id
    else runs.splice(at, 0, id, id)
    return true
  }

  // Runs that the mark has reached become part of it.
  private absorb(): void {
    const { runs } = this
    let gone = 0
    while (gone < runs.length && (runs[gone] as number) <= this.low + 1) {
      this.low = Math.max(this.low, runs[gone + 1] as number)
      gone += 2
    }
    if (gone > 0) runs.splice(0, gone)
  }
}
