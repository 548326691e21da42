// Where a restore has begun a new history: which positions were given out by a history that was lost, and never are again. Written
// in apply. A stored format: under `h` and the position that the new history goes on behind, the last position before, as varint.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { historyKey, historyRange, positionOfHistory } from '../codec/table-keys.ts'

/** The positions in (last, behind] were another history's, or nobody's. */
interface Lost {
  readonly last: number
  readonly behind: number
}

export class Histories {
  /** Ascending. */
  private lost: readonly Lost[] = []

  load(reader: ReadTx): void {
    this.lost = [...reader.scan(historyRange())].map(([key, bytes]) => ({
      last: new ByteReader(bytes).varint(),
      behind: positionOfHistory(key),
    }))
  }

  begin(tx: ReadWriteTx, last: number, behind: number): void {
    const writer = new ByteWriter(16)
    writer.varint(last)
    tx.put(historyKey(behind), writer.toBytes())
    this.lost = [...this.lost, { last, behind }]
  }

  /** The position that the present history goes on behind; 0: it is the first one. */
  get begins(): number {
    return this.lost.at(-1)?.behind ?? 0
  }

  /** Throws MISMATCH if that position is of a history that was lost. */
  require(position: number): void {
    const lost = this.lost.find(({ behind, last }) => position > last && position < behind)
    if (lost === undefined) return
    const why = `position ${position} is of a history that is gone: a restore went back to position ${lost.last}`
    throw new DelosError('MISMATCH', `${why}; read anew, and go on from there`)
  }

  /** The first position from this one on that is not lost. */
  from(position: number): number {
    if (this.lost.length === 0) return position
    const lost = this.lost.find(({ behind, last }) => position > last && position <= behind)
    return lost === undefined ? position : lost.behind + 1
  }

  /** How many positions of [from, to] are not lost. */
  count(from: number, to: number): number {
    let count = to - from
    for (const { behind, last } of this.lost) if (last >= from && behind <= to) count -= behind - last
    return count
  }
}
