import { describe, expect, it } from 'vitest'
import { Grant } from './grant.ts'

const at = (monotonicMs: number, wallMs = monotonicMs) => ({ monotonicMs, wallMs: 1_000_000 + wallMs })

describe('a grant', () => {
  it('is usable for its time, counted from before it was asked for, and never again after it was not', () => {
    const grant = new Grant(7, at(0), 900, 100)
    expect([0, 500, 899.9].map((ms) => grant.isUsable(at(ms)))).toEqual([true, true, true])
    expect(grant.isUsable(at(900))).toBe(false)
    expect(grant.isUsable(at(0))).toBe(false)
  })

  it('ends with the clock that says more: one of them may have stood still', () => {
    expect(new Grant(7, at(0), 900, 100).isUsable(at(850, 901))).toBe(false)
    expect(new Grant(7, at(0), 900, 100).isUsable(at(901, 850))).toBe(false)
  })

  it('is given up when the clocks disagree by more than the margin, in either direction', () => {
    for (const [now, usable] of [
      [at(100, 200), true],
      [at(100, 201), false],
      [at(200, 100), true],
      [at(201, 100), false],
    ] as const) {
      expect(new Grant(7, at(0), 900, 100).isUsable(now)).toBe(usable)
    }
  })
})
