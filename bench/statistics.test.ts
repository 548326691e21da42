import { describe, expect, it } from 'vitest'
import { median, ratioOf, spreadOf } from './statistics.ts'

describe('statistics', () => {
  it('takes the middle value, or the mean of the two middle ones, whatever the order', () => {
    expect(median([9, 1, 5])).toBe(5)
    expect(median([8, 2, 4, 6])).toBe(5)
    expect(median([7])).toBe(7)
  })

  it('refuses a median of nothing', () => {
    expect(() => median([])).toThrow('no values')
  })

  it('gives the smallest and the largest round with the median', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 })
  })

  it('relates the medians, and shows the ratios within a round as the spread', () => {
    expect(ratioOf([200, 300, 400], [100, 100, 200])).toEqual({ median: 3, min: 2, max: 3 })
  })
})
