// Which segment files in the directory of a file loglet are its log: one run of numbers, then perhaps a prepared file that
// was never begun, which is removed. What the last one holds is segment-recovery.ts.

import { DelosError } from '../../base/delos-error.ts'
import type { Disk } from '../../runtime/disk.ts'
import type { SegmentHeader } from './record-codec.ts'
import { Segment } from './segment.ts'
import { checkUnused, type RecoveredTail, readSegmentHeader, recoverTail } from './segment-recovery.ts'
import { segmentNumber, segmentPath } from './segment-writer.ts'

export interface RecoveredLoglet {
  /** Oldest first, the last one included. */
  readonly segments: Segment[]
  readonly last: RecoveredTail | undefined
}

/**
 * Checks that the segment files are one run, scans the last one that was begun, and removes prepared ones after it. Rejects
 * with CORRUPT, naming the file, or FORMAT. `seed` is the loglet's own start of every CRC.
 */
export async function recoverDirectory(disk: Disk, directory: string, seed: number): Promise<RecoveredLoglet> {
  const names = await disk.list(directory)
  const numbers = names.map(segmentNumber).filter((number) => number !== undefined)
  const segments: Segment[] = []
  const unused: number[] = []
  let lastHeader: SegmentHeader | undefined
  for (const number of numbers.sort((a, b) => a - b)) {
    const path = segmentPath(directory, number)
    const { header, fileBytes } = await readSegmentHeader(disk, path, seed)
    if (!header) {
      unused.push(number)
      continue
    }
    if (header.segment !== number) throw new DelosError('CORRUPT', `${path}: holds segment ${header.segment}`)
    if (unused.length > 0) throw new DelosError('CORRUPT', `${segmentPath(directory, unused[0] ?? 0)}: no valid header`)
    const expected = lastHeader ? lastHeader.segment + 1 : number
    if (number !== expected) throw new DelosError('CORRUPT', `${segmentPath(directory, expected)}: missing`)
    segments.push(new Segment(disk, path, header, seed, fileBytes))
    lastHeader = header
  }
  // Trimming never removes the newest segment: without any header nothing was ever durable, and only number 1 can exist.
  if (!lastHeader && unused.some((number) => number > 1))
    throw new DelosError('CORRUPT', `${directory}: no valid segment`)
  const last = lastHeader && (await recoverTail(disk, segmentPath(directory, lastHeader.segment), lastHeader, seed))
  if (last) segments[segments.length - 1] = last.segment
  for (const number of unused) {
    const path = segmentPath(directory, number)
    await checkUnused(disk, path, number, seed, last?.tail ?? 0)
    await disk.remove(path)
  }
  if (unused.length > 0) await disk.syncDir(directory)
  return { segments, last }
}
