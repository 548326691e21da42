import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { AppliedIds, ID_WINDOW } from './applied-ids.ts'

const ids = fc.array(fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 3 * ID_WINDOW })), {
  maxLength: 200,
})

function roundTrip(applied: AppliedIds): AppliedIds {
  const writer = new ByteWriter()
  applied.write(writer)
  const reader = new ByteReader(writer.toBytes())
  const read = AppliedIds.read(reader)
  expect(reader.remaining).toBe(0)
  return read
}

describe('AppliedIds', () => {
  it('agrees with a plain set, except that what falls out of the window counts as applied', () => {
    fc.assert(
      fc.property(ids, fc.boolean(), (arrivals, store) => {
        const seen = new Set<number>()
        let applied = new AppliedIds()
        let highest = 0
        for (const id of arrivals) {
          const outOfWindow = id <= highest - ID_WINDOW
          const arrival = applied.arrive(id)
          expect(arrival === 'new', `id ${id}`).toBe(!seen.has(id) && !outOfWindow)
          if (arrival === 'new') {
            seen.add(id)
            highest = Math.max(highest, id)
          }
          if (store) applied = roundTrip(applied)
        }
      }),
    )
  })

  it('takes a few bytes for ids that come in order, and for one gap', () => {
    const applied = new AppliedIds()
    const size = () => {
      const writer = new ByteWriter()
      applied.write(writer)
      return writer.size
    }
    for (let id = 1; id <= 10_000; id++) applied.arrive(id)
    expect(size()).toBeLessThan(5)
    for (let id = 10_002; id <= 12_000; id++) applied.arrive(id)
    expect(size()).toBeLessThan(8)
  })

  it('copies deeply', () => {
    const applied = new AppliedIds()
    applied.arrive(5)
    const copy = applied.copy()
    copy.arrive(6)
    expect(applied.arrive(6)).toBe('new')
  })
})
