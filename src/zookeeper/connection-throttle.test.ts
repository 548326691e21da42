import { describe, expect, it } from 'vitest'
import { type ConnectionThrottleOptions, DEFAULT_ACCESS } from './access-options.ts'
import { ConnectionThrottle } from './connection-throttle.ts'

function throttle(options: Partial<ConnectionThrottleOptions>, luck = () => 0.5) {
  const clock = { now: 0 }
  const chance = { uint32: () => luck() * 2 ** 32, bytes: () => new Uint8Array(0) }
  const made = new ConnectionThrottle({ ...DEFAULT_ACCESS.connectionThrottle, ...options }, () => clock.now, chance)
  const admitted = (times: number, isNew = true): number => {
    let count = 0
    for (let i = 0; i < times; i++) if (made.admit(isNew)) count++
    return count
  }
  return { made, clock, admitted }
}

describe('the throttle of new sessions', () => {
  it('is off without tokens', () => {
    expect(throttle({}).admitted(1000)).toBe(1000)
  })

  it('admits what is in the bucket, and what fills in, up to the full bucket', () => {
    const { clock, admitted, made } = throttle({ maxTokens: 5, fillTimeMs: 10, fillCount: 2 })
    expect([admitted(9), made.deficit]).toEqual([5, 5])
    clock.now = 10
    expect(admitted(9)).toBe(0)
    clock.now = 20
    expect(admitted(9)).toBe(4)
    clock.now = 10_000
    expect(admitted(9)).toBe(5)
  })

  it('counts by what a session costs, if told to', () => {
    expect(throttle({ maxTokens: 4, weighted: true }).admitted(9)).toBe(4)
    expect(throttle({ maxTokens: 4, weighted: true }).admitted(9, false)).toBe(6)
  })

  it('refuses at random while the bucket is found empty, and less when it fills again', () => {
    const options = { maxTokens: 10, fillTimeMs: 1000, fillCount: 10, freezeTimeMs: 100 }
    const { made, clock, admitted } = throttle({ ...options, dropIncrease: 0.3, dropDecrease: 0.4, decreaseRatio: 1 })
    const drops = [0, 101, 150, 202, 303, 404, 505].map((now) => {
      clock.now = now
      admitted(now === 0 ? 20 : 1)
      return made.dropProbability
    })
    expect(drops).toEqual([0, 0.3, 0.3, 0.6, 0.8999999999999999, 1, 1])
    clock.now = 2000
    expect([admitted(1), made.deficit]).toEqual([0, 0])
    clock.now = 2101
    expect([admitted(1), made.deficit]).toEqual([1, 1])
  })
})
