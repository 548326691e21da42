import { describe, expect, it } from 'vitest'
import type { LogPos } from '../../log/position.ts'
import { SilenceWatch } from './silence-watch.ts'

/** A watch that is looked at every second, and calls ten seconds silence. */
function fixture() {
  const watch = new SilenceWatch({ heartbeatMs: 1_000, silentMs: 10_000 })
  let nowMs = 0
  let own = 100
  /** What the look at `ms` later finds, with own entries coming back unless `deaf`. */
  const look = (ms: number, heard: Record<string, number>, deaf = false): string[] => {
    nowMs += ms
    if (!deaf) own++
    const others = Object.entries(heard).map(([serverId, pos]) => ({ serverId, lastHeard: pos as LogPos }))
    return watch.look(nowMs, own as LogPos, others).map(({ serverId, lastHeard }) => `${serverId} ${lastHeard}`)
  }
  const looks = (count: number, heard: Record<string, number>, deaf = false): string[] => {
    const accused: string[] = []
    for (let i = 0; i < count; i++) accused.push(...look(1_000, heard, deaf))
    return accused
  }
  return { watch, look, looks }
}

describe('a silent member', () => {
  it('is named once it has been silent for the whole time, with the position at which it was last heard', () => {
    const { look, looks } = fixture()
    expect(looks(10, { b: 5, c: 6 })).toEqual([])
    expect(look(1_000, { b: 5, c: 7 })).toEqual(['b 5'])
  })

  it('starts again with every newer entry', () => {
    const { looks } = fixture()
    for (let pos = 1; pos < 10; pos++) expect(looks(9, { b: pos })).toEqual([])
  })

  it('starts again when it comes back to the view', () => {
    const { looks } = fixture()
    expect(looks(9, { b: 5 })).toEqual([])
    expect(looks(1, {})).toEqual([])
    expect(looks(10, { b: 5 })).toEqual([])
  })
})

describe('all stopwatches start again', () => {
  it('after a look that came much too late: this server stood still', () => {
    const { look, looks } = fixture()
    looks(9, { b: 5 })
    expect(look(60_000, { b: 5 })).toEqual([])
    expect(looks(9, { b: 5 })).toEqual([])
    expect(looks(1, { b: 5 })).toEqual(['b 5'])
  })

  it('while own entries do not come back: this server lags, or the log does', () => {
    const { looks } = fixture()
    looks(9, { b: 5 })
    expect(looks(50, { b: 5 }, true)).toEqual([])
    expect(looks(9, { b: 5 })).toEqual([])
    expect(looks(1, { b: 5 })).toEqual(['b 5'])
  })

  it('but not after one look without an own entry: two in a row belong to an idle server', () => {
    const { look, looks } = fixture()
    looks(5, { b: 5 })
    expect(look(1_000, { b: 5 }, true)).toEqual([])
    expect(looks(4, { b: 5 })).toEqual([])
    expect(looks(1, { b: 5 })).toEqual(['b 5'])
  })

  it('while this server is no member itself', () => {
    const { watch } = fixture()
    const others = [{ serverId: 'b', lastHeard: 5 as LogPos }]
    for (let nowMs = 0; nowMs < 60_000; nowMs += 1_000) expect(watch.look(nowMs, undefined, others)).toEqual([])
  })
})
