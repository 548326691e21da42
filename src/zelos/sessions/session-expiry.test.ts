import { beforeEach, describe, expect, it } from 'vitest'
import { ManualTime } from '../../store/manual-time.ts'
import { LocalSessionExpiry } from './session-expiry.ts'

const TICK_MS = 100

describe('local session expiry', () => {
  let time: ManualTime
  let expired: { id: number; atMs: number }[]
  let alive: boolean
  let expiry: LocalSessionExpiry

  beforeEach(() => {
    time = new ManualTime(queueMicrotask)
    expired = []
    alive = true
    expiry = new LocalSessionExpiry({
      clock: time,
      timers: time,
      tickMs: TICK_MS,
      expired: (id) => expired.push({ id, atMs: time.monotonicMs() }),
      alive: () => alive,
    })
  })

  /** Time in which the event loop runs. */
  function pass(ms: number): void {
    for (let i = 0; i < ms; i += TICK_MS) time.advance(TICK_MS)
  }

  it('ends a silent session after its timeout, never early and at most two ticks late', () => {
    time.advance(30)
    expiry.start(1, 4000)
    expiry.start(2, 6000)
    pass(8000)
    expect(expired.map(({ id }) => id)).toEqual([1, 2])
    for (const [i, due] of [4030, 6030].entries()) {
      expect(expired[i]?.atMs).toBeGreaterThanOrEqual(due)
      expect(expired[i]?.atMs).toBeLessThanOrEqual(due + 2 * TICK_MS)
    }
  })

  it('does not end a session that shows life, and ends it once when it stops', () => {
    expiry.start(1, 1000)
    for (let i = 0; i < 50; i++) {
      pass(900)
      expiry.touch(1)
    }
    expect(expired).toEqual([])
    pass(5000)
    expect(expired).toHaveLength(1)
  })

  it('forgets a stopped session, also one that is started again with another timeout', () => {
    expiry.start(1, 1000)
    expiry.stop(1)
    expiry.start(2, 1000)
    expiry.start(2, 5000)
    pass(4900)
    expect(expired).toEqual([])
    pass(400)
    expect(expired.map(({ id }) => id)).toEqual([2])
  })

  it('ends nobody for the time that the process stood still: all have their full timeout after it', () => {
    expiry.start(1, 4000)
    pass(3900)
    time.advance(60_000)
    pass(3900)
    expect(expired).toEqual([])
    pass(400)
    expect(expired).toHaveLength(1)
  })

  it('does not count what a busy event loop comes late, tick by tick', () => {
    expiry.start(1, 4000)
    for (let i = 0; i < 39; i++) time.advance(TICK_MS + 900)
    expect(expired).toEqual([])
    pass(400)
    expect(expired).toHaveLength(1)
  })

  it('ends nobody while updates do not get through', () => {
    expiry.start(1, 1000)
    alive = false
    pass(20_000)
    expect(expired).toEqual([])
    alive = true
    pass(900)
    expect(expired).toEqual([])
    pass(300)
    expect(expired).toHaveLength(1)
  })

  it('stands still while paused, and gives everybody the full timeout when it goes on', () => {
    expiry.start(1, 1000)
    pass(900)
    expiry.pause()
    pass(5000)
    expiry.resume()
    pass(1000)
    expect(expired).toEqual([])
    pass(200)
    expect(expired).toHaveLength(1)
  })

  it('gives everybody the full timeout when told to restart', () => {
    expiry.start(1, 1000)
    expiry.start(2, 2000)
    pass(900)
    expiry.restartAll()
    pass(1000)
    expect(expired).toEqual([])
    pass(1300)
    expect(expired.map(({ id }) => id)).toEqual([1, 2])
  })

  it('runs no timer after close', () => {
    expiry.start(1, 1000)
    expiry.close()
    pass(5000)
    expect(expired).toEqual([])
  })
})
