// How much history the log keeps although nobody needs it to recover: a pure function of marks.

import type { ChainSegment } from './chain/chain.ts'
import type { LogletMark } from './loglet.ts'
import type { LogPos } from './position.ts'

export interface RetentionPolicy {
  /** What was appended in the newest `hours` is kept … */
  readonly hours: number
  /** … but not more than about this many bytes of it. */
  readonly bytes: number
}

export const RETENTION_DEFAULT: RetentionPolicy = { hours: 24, bytes: 4 * 1024 * 1024 * 1024 }

/** A segment with its loglet's marks, oldest first. */
export interface MarkedSegment {
  readonly segment: ChainSegment
  readonly marks: readonly LogletMark[]
}

/**
 * The position below which the policy allows trimming: the higher of the age point (everything below is older) and the size
 * point (everything above fits). Segments without marks are not held back.
 */
export function retentionPoint(segments: readonly MarkedSegment[], policy: RetentionPolicy, nowWallMs: number): LogPos {
  const oldestMs = nowWallMs - policy.hours * 3_600_000
  const marks = positionMarks(segments)
  const totalBytes = marks[marks.length - 1]?.bytesBelow ?? 0
  let agePoint = 0
  let sizePoint: number | undefined
  for (const { pos, wallMs, bytesBelow } of marks) {
    if (wallMs <= oldestMs) agePoint = Math.max(agePoint, pos)
    if (totalBytes - bytesBelow <= policy.bytes) sizePoint ??= pos
  }
  if (marks.length === 0) return Number.MAX_SAFE_INTEGER as LogPos
  return Math.max(agePoint, sizePoint ?? 0) as LogPos
}

function positionMarks(segments: readonly MarkedSegment[]): { pos: number; wallMs: number; bytesBelow: number }[] {
  const all: { pos: number; wallMs: number; bytesBelow: number }[] = []
  let bytesBefore = 0
  for (const { segment, marks } of segments) {
    for (const mark of marks) {
      const pos = Math.min(segment.start + mark.offset, segment.end ?? Number.MAX_SAFE_INTEGER)
      all.push({ pos, wallMs: mark.wallMs, bytesBelow: bytesBefore + mark.bytesBelow })
    }
    bytesBefore = all[all.length - 1]?.bytesBelow ?? bytesBefore
  }
  return all
}
