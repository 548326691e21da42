import { beforeEach, describe, expect, it } from 'vitest'
import { Stopwatches } from './stopwatches.ts'

const TICK_MS = 100

describe('stopwatches', () => {
  let nowMs: number
  let stopwatches: Stopwatches
  let ran: { id: string; atMs: number }[]

  beforeEach(() => {
    nowMs = 0
    ran = []
    stopwatches = new Stopwatches(TICK_MS)
    stopwatches.begin(nowMs)
  })

  /** Time in which the event loop runs, or ticks that come late. */
  function pass(ms: number, tickMs = TICK_MS): void {
    for (let left = ms; left > 0; left -= tickMs) {
      nowMs += tickMs
      for (const { id } of stopwatches.tick(nowMs)) ran.push({ id, atMs: nowMs })
    }
  }

  it('run for their delay, never less and at most two ticks more', () => {
    pass(TICK_MS)
    const startMs = nowMs + 30
    stopwatches.set('a', 1, 4000)
    stopwatches.set('b', 1, 6000)
    pass(8000)
    expect(ran.map(({ id }) => id)).toEqual(['a', 'b'])
    for (const [i, delayMs] of [4000, 6000].entries()) {
      expect(ran[i]?.atMs).toBeGreaterThanOrEqual(startMs + delayMs)
      expect(ran[i]?.atMs).toBeLessThanOrEqual(startMs + delayMs + 2 * TICK_MS)
    }
  })

  it('measure no more than the clock does when ticks come early', () => {
    stopwatches.set('a', 1, 1000)
    pass(1000, TICK_MS - 1)
    expect(ran).toEqual([])
  })

  it('run on while they are restarted, and run out once when that stops', () => {
    stopwatches.set('a', 1, 1000)
    for (let i = 0; i < 50; i++) {
      pass(900)
      stopwatches.restart('a')
    }
    expect(ran).toEqual([])
    pass(5000)
    expect(ran).toHaveLength(1)
  })

  it('are forgotten when removed, and count anew when set anew, whatever the delays', () => {
    stopwatches.set('gone', 1, 1000)
    stopwatches.remove('gone')
    stopwatches.set('longer', 1, 1000)
    stopwatches.set('longer', 2, 5000)
    stopwatches.set('shorter', 1, 90_000)
    stopwatches.set('shorter', 2, 300)
    pass(4900)
    expect(ran.map(({ id }) => id)).toEqual(['shorter'])
    pass(400)
    expect(ran.map(({ id }) => id)).toEqual(['shorter', 'longer'])
    pass(100_000)
    expect(ran).toHaveLength(2)
  })

  it('that are set as they are run on', () => {
    stopwatches.set('a', 1, 1000)
    pass(900)
    stopwatches.set('a', 1, 1000)
    pass(300)
    expect(ran).toHaveLength(1)
  })

  it('start again after a gap, all of them', () => {
    stopwatches.set('a', 1, 4000)
    pass(3900)
    nowMs += 60_000
    pass(3900)
    expect(ran).toEqual([])
    pass(400)
    expect(ran).toHaveLength(1)
  })

  it('count one tick for a tick, however late it comes', () => {
    stopwatches.set('a', 1, 4000)
    pass(39 * 1000, 1000)
    expect(ran).toEqual([])
    pass(400)
    expect(ran).toHaveLength(1)
  })

  it('have their full delay when all are restarted', () => {
    stopwatches.set('a', 1, 1000)
    stopwatches.set('b', 1, 2000)
    pass(900)
    stopwatches.restartAll()
    pass(1000)
    expect(ran).toEqual([])
    pass(1300)
    expect(ran.map(({ id }) => id)).toEqual(['a', 'b'])
  })

  it('that ran are due again after the time for another try, or their delay if that is less', () => {
    stopwatches.set('long', 1, 5000)
    stopwatches.set('short', 1, 400)
    for (const id of ['long', 'short']) {
      const due = runUntilDue(id)
      const atMs = nowMs
      stopwatches.retry(due, 1000)
      runUntilDue(id)
      expect(nowMs - atMs).toBeGreaterThanOrEqual(Math.min(1000, due.delayMs))
      expect(nowMs - atMs).toBeLessThanOrEqual(Math.min(1000, due.delayMs) + 2 * TICK_MS)
    }
  })

  it('that were removed or moved are not kept until their time, and the others run as they did', () => {
    stopwatches.set('kept', 1, 60_000)
    for (let i = 0; i < 20_000; i++) {
      stopwatches.set('lock', i, 24 * 3_600_000)
      stopwatches.remove('lock')
      stopwatches.set('moved', i, i % 2 === 0 ? 48 * 3_600_000 : 36 * 3_600_000)
      if (i % 500 === 0) pass(TICK_MS)
      expect(stopwatches.entries).toBeLessThanOrEqual(2 * stopwatches.size + 1000)
    }
    expect(stopwatches.size).toBe(2)
    pass(60_000 - nowMs)
    expect(ran).toEqual([])
    pass(2 * TICK_MS)
    expect(ran.map(({ id }) => id)).toEqual(['kept'])
  })

  function runUntilDue(wanted: string) {
    for (;;) {
      nowMs += TICK_MS
      // Also those behind the wanted one come back: whoever is not given back is never due again.
      const due = stopwatches.tick(nowMs)
      for (const stopwatch of due) if (stopwatch.id !== wanted) stopwatches.again(stopwatch)
      const found = due.find(({ id }) => id === wanted)
      if (found !== undefined) return found
    }
  }
})
