import { describe, expect, it } from 'vitest'
import { nodeRuntime } from './node-runtime.ts'

describe('the runtime of this machine', () => {
  const { clock, timers, random } = nodeRuntime()

  it('has a monotonic clock that never goes back, and a wall clock of this century', () => {
    let before = clock.monotonicMs()
    for (let i = 0; i < 1_000; i++) {
      const now = clock.monotonicMs()
      expect(now).toBeGreaterThanOrEqual(before)
      before = now
    }
    expect(clock.wallMs()).toBeGreaterThan(Date.UTC(2020, 0, 1))
  })

  it('runs a timer once and not before its time, and a cancelled one never', async () => {
    const cancelled = timers.after(1, () => expect.unreachable())
    cancelled.cancel()
    cancelled.cancel()
    for (const delayMs of [0, 0.5, 1, 2.7, 3, 5]) {
      const start = clock.monotonicMs()
      await new Promise<void>((resolve) => {
        timers.after(delayMs, resolve)
      })
      expect(clock.monotonicMs() - start).toBeGreaterThanOrEqual(delayMs)
    }
  })

  it('takes a delay that Node would turn into 1 ms', () => {
    const timer = timers.after(2 ** 40, () => expect.unreachable())
    timer.cancel()
  })

  it('runs what comes soon after the promises, in order', async () => {
    const seen: string[] = []
    timers.soon(() => seen.push('first'))
    timers.soon(() => seen.push('second'))
    await Promise.resolve()
    seen.push('promise')
    await new Promise<void>((resolve) => {
      timers.soon(resolve)
    })
    expect(seen).toEqual(['promise', 'first', 'second'])
  })

  it('draws different numbers and bytes each time', () => {
    const drawn = new Set(Array.from({ length: 3_000 }, () => random.uint32()))
    expect(drawn.size).toBeGreaterThan(2_990)
    expect(random.bytes(16)).toHaveLength(16)
    expect(random.bytes(16)).not.toEqual(random.bytes(16))
  })
})
