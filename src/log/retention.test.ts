import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LogletOffset, LogPos } from './position.ts'
import { type MarkedSegment, retentionPoint } from './retention.ts'

const HOUR = 3_600_000
const mark = (offset: number, hours: number, bytesBelow: number) => ({
  offset: offset as LogletOffset,
  wallMs: hours * HOUR,
  bytesBelow,
})
const segment = (start: number, end: number | undefined, marks: MarkedSegment['marks']): MarkedSegment => ({
  segment: {
    start: start as LogPos,
    end: end as LogPos | undefined,
    config: { kind: 'm', params: {}, nonce: `${start}` },
  },
  marks,
})

describe('retention', () => {
  // 0 to 50: 5 hours, 10 bytes each mark of 10; now is hour 5.
  const marks = [0, 1, 2, 3, 4, 5].map((i) => mark(i * 10, i, i * 10))

  it('keeps the newest hours', () => {
    expect(retentionPoint([segment(0, undefined, marks)], { hours: 2, bytes: 1e9 }, 5 * HOUR)).toBe(30)
    expect(retentionPoint([segment(0, undefined, marks)], { hours: 24, bytes: 1e9 }, 5 * HOUR)).toBe(0)
    expect(retentionPoint([segment(0, undefined, marks)], { hours: 0, bytes: 1e9 }, 5 * HOUR)).toBe(50)
  })

  it('keeps no more bytes than the limit, also of the newest hours', () => {
    expect(retentionPoint([segment(0, undefined, marks)], { hours: 24, bytes: 20 }, 5 * HOUR)).toBe(30)
    expect(retentionPoint([segment(0, undefined, marks)], { hours: 24, bytes: 0 }, 5 * HOUR)).toBe(50)
    expect(retentionPoint([segment(0, undefined, marks)], { hours: 1, bytes: 30 }, 5 * HOUR)).toBe(40)
  })

  it('adds up bytes over segments, and does not hold back one without marks', () => {
    const chain = [segment(0, 50, marks), segment(50, undefined, marks)]
    expect(retentionPoint(chain, { hours: 24, bytes: 60 }, 5 * HOUR)).toBe(40)
    expect(retentionPoint([segment(0, undefined, [])], { hours: 24, bytes: 60 }, 5 * HOUR)).toBe(
      Number.MAX_SAFE_INTEGER,
    )
  })

  it('lets go of more, never of less, as time passes and limits shrink', () => {
    const limits = fc.record({ hours: fc.nat({ max: 10 }), bytes: fc.nat({ max: 80 }) })
    fc.assert(
      fc.property(
        limits,
        fc.nat({ max: 5 }),
        fc.nat({ max: 5 }),
        fc.nat({ max: 30 }),
        (policy, later, lessHours, lessBytes) => {
          const chain = [segment(0, 50, marks), segment(50, undefined, marks)]
          const tighter = { hours: Math.max(0, policy.hours - lessHours), bytes: Math.max(0, policy.bytes - lessBytes) }
          const now = retentionPoint(chain, policy, 5 * HOUR)
          expect(retentionPoint(chain, tighter, (5 + later) * HOUR)).toBeGreaterThanOrEqual(now)
        },
      ),
    )
  })
})
