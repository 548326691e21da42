import { describe, expect, it } from 'vitest'
import { Counters } from './counters.ts'
import { faultsWith, STORMY } from './faults.ts'
import { SeededRandom } from './seeded-random.ts'
import { simulate } from './simulation.ts'

describe('SeededRandom', () => {
  it('gives the same numbers for the same seed and label, and others otherwise', () => {
    const draw = (random: SeededRandom) => Array.from({ length: 20 }, () => random.uint32())
    expect(draw(new SeededRandom(7))).toEqual(draw(new SeededRandom(7)))
    const streams = [
      draw(new SeededRandom(7)),
      draw(new SeededRandom(8)),
      draw(new SeededRandom(7 + 2 ** 32)),
      draw(new SeededRandom(7, 'a')),
      draw(new SeededRandom(7).fork('a')),
      draw(new SeededRandom(7).fork('a').fork('a')),
    ]
    expect(new Set(streams.map(String)).size).toBe(streams.length)
  })

  it('forks the same stream however much was drawn', () => {
    const fresh = new SeededRandom(3)
    const used = new SeededRandom(3)
    used.bytes(100)
    expect(used.fork('x').uint32()).toBe(fresh.fork('x').uint32())
  })

  it('is uniform enough: 256 buckets over 256 000 draws, for the high and the low byte', () => {
    for (const shift of [0, 8, 16, 24]) {
      const random = new SeededRandom(1)
      const buckets = new Uint32Array(256)
      for (let i = 0; i < 256_000; i++) {
        const byte = (random.uint32() >>> shift) & 255
        buckets[byte] = (buckets[byte] as number) + 1
      }
      const chiSquare = buckets.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)
      expect(chiSquare).toBeLessThan(350)
    }
  })

  it('keeps its bounds', () => {
    const random = new SeededRandom(2)
    const seen = new Set(Array.from({ length: 1_000 }, () => random.integer(3, 5)))
    expect(seen).toEqual(new Set([3, 4, 5]))
    expect(random.chance(0)).toBe(false)
    expect(random.chance(1)).toBe(true)
  })
})

describe('Counters', () => {
  it('names those that were never hit', () => {
    const counters = new Counters()
    const { bump } = counters
    bump('torn tail')
    bump('lost race', 3)
    expect(counters.requireAll(['torn tail', 'roll-forward', 'lost race'])).toEqual(['roll-forward'])
    const sum = new Counters()
    sum.add(counters)
    sum.add(counters)
    expect(sum.entries()).toEqual([
      ['lost race', 6],
      ['torn tail', 2],
    ])
  })
})

describe('Simulation', () => {
  const busy = (seed: number) =>
    simulate({ seed, faults: STORMY }, async (world) => {
      const { disk, timers, clock } = world.server('a').boot()
      const file = await disk.open('f', 'create')
      for (let i = 0; i < 50; i++) await file.write(world.random.bytes(10), i).catch(() => world.trace.note('failed'))
      await new Promise<void>((resolve) => {
        timers.after(100, resolve)
      })
      world.trace.note('clock', clock.wallMs())
      return world.trace.hash
    })

  it('has the same trace for the same seed, and another for another', async () => {
    const [first, again, other] = [await busy(1), await busy(1), await busy(2)]
    expect(again).toBe(first)
    expect(other).not.toBe(first)
  })

  it('lets clocks drift, and timers follow the clock of their machine', async () => {
    await simulate({ seed: 5, faults: faultsWith({ clock: { driftPpmMax: 100_000 } }) }, async (world) => {
      const { clock, timers } = world.server('a').boot()
      await world.sleep(1_000)
      const drift = clock.monotonicMs() / world.clock.monotonicMs()
      expect(Math.abs(drift - 1)).toBeGreaterThan(0.001)
      const before = clock.monotonicMs()
      await new Promise<void>((resolve) => {
        timers.after(500, resolve)
      })
      expect(clock.monotonicMs() - before).toBeGreaterThanOrEqual(500)
      expect(clock.monotonicMs() - before).toBeLessThan(500.01)
    })
  })

  it('keeps the order of soon, and silences timers of a dead process', async () => {
    await simulate({ seed: 5 }, async (world) => {
      const server = world.server('a')
      const { timers } = server.boot()
      const seen: number[] = []
      for (let i = 0; i < 10; i++) timers.soon(() => seen.push(i))
      await world.sleep(1)
      expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      timers.soon(() => seen.push(99))
      timers.after(5, () => seen.push(99))
      server.kill()
      timers.soon(() => seen.push(99))
      timers.after(5, () => seen.push(99)).cancel()
      await world.sleep(10)
      expect(seen).toHaveLength(10)
    })
  })

  it('starts the monotonic clock of each boot anew, and keeps the wall clock going', async () => {
    await simulate({ seed: 5 }, async (world) => {
      const server = world.server('a')
      server.boot()
      await world.sleep(100)
      const wall = server.runtime.clock.wallMs()
      server.kill()
      server.boot()
      expect(server.runtime.clock.monotonicMs()).toBe(0)
      expect(server.runtime.clock.wallMs()).toBe(wall)
      server.runtime.clock.jumpWallMs(-5_000)
      expect(server.runtime.clock.wallMs()).toBe(wall - 5_000)
    })
  })
})
