import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CommitTimes } from './commit-times.ts'

describe('the times of commits', () => {
  it('tell up to which zxid all was told by then', () => {
    const times = new CommitTimes()
    expect(times.toldBy(1e9)).toBeUndefined()
    for (const [zxid, ms] of [
      [5, 10],
      [6, 20],
      [9, 20],
      [10, 30],
    ] as const) {
      times.note(zxid, ms)
    }
    expect([9, 10, 19, 20, 29, 30, 1000].map((ms) => times.toldBy(ms))).toEqual([undefined, 5, 5, 9, 9, 10, 10])
  })

  it('are bounded: they get coarser, never say too much, and the first is kept', () => {
    const notes = fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.nat(2)), { minLength: 1, maxLength: 60 })
    fc.assert(
      fc.property(notes, fc.integer({ min: 2, max: 6 }), fc.nat(130), (steps, marksMax, ms) => {
        const [few, all] = [new CommitTimes(marksMax), new CommitTimes()]
        let [zxid, at] = [0, 0]
        for (const [more, later] of steps) {
          zxid += more
          at += later
          few.note(zxid, at)
          all.note(zxid, at)
        }
        const exact = all.toldBy(ms)
        const coarse = few.toldBy(ms)
        expect(coarse === undefined).toBe(exact === undefined)
        if (coarse !== undefined) expect(coarse).toBeLessThanOrEqual(exact as number)
        expect(few.toldBy(at)).toBe(zxid)
      }),
    )
  })
})
