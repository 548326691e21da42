import { describe, expect, it, vi } from 'vitest'
import { DelosError } from '../base/delos-error.ts'
import { histogramSince, LATENCY_BOUNDS_MS, LatencyHistogram, quantileMs } from '../base/latency-histogram.ts'
import type { Applicator, Completion, Engine } from '../engine/engine.ts'
import { type Entry, entryOf } from '../engine/entry.ts'
import { PassThrough } from '../engine/pass-through.ts'
import type { LogPos } from '../log/position.ts'
import type { Clock } from '../runtime/runtime.ts'
import { SeededRandom } from '../sim/seeded-random.ts'
import type { ReadTx, ReadWriteTx } from '../store/local-store.ts'
import type { ObserverEngine, ObserverOptions } from './observer-engine.ts'
import { ObserverSet } from './observer-set.ts'

const JOINT = { below: 'base', above: 'db' }
const TX = {} as ReadWriteTx
const POS = 7 as LogPos
const IGNORED: Completion<unknown> = { resolve: () => undefined, reject: () => undefined }

/** Time passes only where the test says so. */
class FakeClock implements Clock {
  nowMs = 1_000

  monotonicMs(): number {
    return this.nowMs
  }

  wallMs(): number {
    return this.nowMs
  }
}

/** Keeps what it is given. */
class Below implements Engine<unknown> {
  readonly proposed: { entry: Entry; completion: Completion<unknown> }[] = []
  syncing: Promise<ReadTx> = Promise.resolve({} as ReadTx)
  trimPrefix = 0

  propose(entry: Entry, completion: Completion<unknown>): void {
    this.proposed.push({ entry, completion })
  }

  sync(): Promise<ReadTx> {
    return this.syncing
  }

  registerUpcall(_applicator: Applicator<unknown>): void {
    // The test calls the observer itself.
  }

  setTrimPrefix(pos: LogPos): void {
    this.trimPrefix = pos
  }
}

function setUp(options: Partial<ObserverOptions> = {}) {
  const clock = new FakeClock()
  const below = new Below()
  const observer = new ObserverSet({ clock, ...options }).wrapJoint(below, JOINT) as ObserverEngine
  const applied: Entry[] = []
  observer.registerUpcall({
    apply: (_tx, entry) => {
      applied.push(entry)
      clock.nowMs += 2
      return 'result'
    },
    postApply: () => {
      clock.nowMs += 3
    },
  })
  return { clock, below, observer, applied }
}

describe('an observer', () => {
  it('counts all proposals and times one of sampleEvery, from propose to result', () => {
    const { clock, below, observer } = setUp({ sampleEvery: 4 })
    const results: unknown[] = []
    for (let i = 0; i < 10; i++)
      observer.propose(entryOf(Buffer.alloc(0)), { resolve: (r) => results.push(r), reject: () => undefined })
    clock.nowMs += 30
    for (const [i, { completion }] of below.proposed.entries()) completion.resolve(i)
    expect(results).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    const { propose, proposals } = observer.snapshot()
    expect(proposals).toBe(10)
    expect(propose).toMatchObject({ count: 3, sumMs: 90 })
  })

  it('hands on rejections', () => {
    const { below, observer } = setUp({ sampleEvery: 1 })
    const reasons: DelosError[] = []
    observer.propose(entryOf(Buffer.alloc(0)), { resolve: () => undefined, reject: (reason) => reasons.push(reason) })
    const error = new DelosError('OVERLOADED', 'full')
    below.proposed[0]?.completion.reject(error)
    expect(reasons).toEqual([error])
    expect(observer.snapshot().rejections).toBe(1)
  })

  it('times apply and postApply above it, and estimates their share of the time that passed', () => {
    const { clock, observer } = setUp({ sampleEvery: 5 })
    for (let i = 0; i < 20; i++) {
      expect(observer.apply(TX, entryOf(Buffer.alloc(0)), POS)).toBe('result')
      observer.postApply(entryOf(Buffer.alloc(0)), POS, 'result')
    }
    clock.nowMs += 100
    expect(observer.snapshot()).toMatchObject({
      applies: 20,
      apply: { count: 4, sumMs: 8 },
      postApply: { count: 4, sumMs: 12 },
      applyMs: 100,
      applyUtilisation: 0.5,
    })
    // Whoever asks changes nothing for who asks next.
    expect(observer.snapshot().applyUtilisation).toBe(0.5)
    clock.nowMs += 200
    expect(observer.snapshot().applyUtilisation).toBe(0.25)
    clock.nowMs += 10_000
    expect(observer.snapshot().applyUtilisation).toBe(0)
  })

  it('gives the caller of sync the promise of the layer below, and times it also when it fails', async () => {
    const { below, observer } = setUp()
    expect(observer.sync()).toBe(below.syncing)
    below.syncing = Promise.reject(new DelosError('TIMEOUT', 'late'))
    await expect(observer.sync()).rejects.toThrow('late')
    expect(observer.snapshot()).toMatchObject({ syncs: 2, sync: { count: 2 } })
  })

  it('leaves entries untouched unless it traces', () => {
    const { below, observer } = setUp({ sampleEvery: 1 })
    const entry = entryOf(Buffer.from('x'))
    observer.propose(entry, IGNORED)
    expect(below.proposed[0]?.entry).toBe(entry)
    observer.setTrimPrefix(9 as LogPos)
    expect(below.trimPrefix).toBe(9)
  })

  it('gives one of so many proposals a trace id and tells where it is seen in apply', () => {
    const seen: string[] = []
    const trace = {
      random: new SeededRandom(1),
      every: 2,
      seen: (id: string, _joint: unknown, pos: LogPos) => seen.push(`${id} ${pos}`),
    }
    const { below, observer, applied } = setUp({ trace })
    for (let i = 0; i < 4; i++) observer.propose(entryOf(Buffer.from('x')), IGNORED)
    for (const { entry } of below.proposed) observer.apply(TX, entry, POS)
    expect(applied.map((entry) => entry.headers.size)).toEqual([1, 0, 1, 0])
    expect(seen).toHaveLength(2)
    expect(seen[0]).toMatch(/^[0-9a-f]{16} 7$/)
    expect(seen[0]).not.toBe(seen[1])
  })

  it('never throws nor changes a result, whatever the one who traces does', () => {
    let calls = 0
    const seen = () => {
      calls++
      throw new Error('a bug of somebody else')
    }
    const { below, observer, applied } = setUp({
      sampleEvery: 1,
      trace: { random: new SeededRandom(1), every: 1, seen },
    })
    observer.propose(entryOf(Buffer.from('x')), IGNORED)
    const { entry } = below.proposed[0] as { entry: Entry }
    const untraced = observer.apply(TX, entryOf(Buffer.from('x')), POS)
    expect(observer.apply(TX, entry, POS)).toEqual(untraced)
    expect(calls).toBe(1)
    expect(applied).toHaveLength(2)
  })

  it('is one of a set that has them bottom to top', () => {
    const clock = new FakeClock()
    const set = new ObserverSet({ clock })
    const lower = set.wrapJoint(new Below(), { below: 'base', above: 'batching' })
    set.wrapJoint(lower, { below: 'batching', above: 'db' })
    expect(set.snapshot().map(({ above }) => above)).toEqual(['batching', 'db'])
  })

  it('times the same entries at all joints of a set, so that what they differ by is the layer between them', () => {
    const clock = new FakeClock()
    const set = new ObserverSet({ clock, sampleEvery: 4 })
    const lower = set.wrapJoint(new Below(), { below: 'base', above: 'middle' }) as ObserverEngine
    const upper = set.wrapJoint(new Below(), { below: 'middle', above: 'db' }) as ObserverEngine
    let stallMs = 0
    const work = (): void => {
      clock.nowMs += 1 + stallMs
    }
    upper.registerUpcall({ apply: work, postApply: work })
    const middle = (): void => {
      clock.nowMs += 2
    }
    lower.registerUpcall({
      apply: (tx, entry, pos) => {
        middle()
        // Of its own, below the database: they must not put the two out of step.
        if (pos % 3 > 0) upper.apply(tx, entry, pos)
      },
      postApply: (entry, pos, result) => {
        middle()
        if (pos % 3 > 0) upper.postApply(entry, pos, result)
      },
    })
    for (let pos = 0; pos < 240; pos++) {
      stallMs = pos === 40 ? 1000 : 0
      lower.apply(TX, entryOf(Buffer.alloc(0)), pos as LogPos)
      lower.postApply(entryOf(Buffer.alloc(0)), pos as LogPos, undefined)
    }
    const [below, above] = set.snapshot()
    expect([below?.apply.count, above?.apply.count]).toEqual([60, 40])
    expect((below?.apply.sumMs ?? 0) - (above?.apply.sumMs ?? 0)).toBe(120)
    expect((below?.applyMs ?? 0) - (above?.applyMs ?? 0)).toBe(240 * 4)
  })

  it('takes utilisation from entries that nobody else times, so that it does not contain what timing them costs', () => {
    const clock = new FakeClock()
    const set = new ObserverSet({ clock, sampleEvery: 4 })
    const lower = set.wrapJoint(new Below(), { below: 'base', above: 'middle' }) as ObserverEngine
    const middle = new (class extends PassThrough {})(lower)
    const upper = set.wrapJoint(middle, { below: 'middle', above: 'db' })
    upper.registerUpcall({ apply: () => undefined, postApply: () => undefined })
    // What stands in for the readings of the clock.
    const { record } = LatencyHistogram.prototype
    vi.spyOn(LatencyHistogram.prototype, 'record').mockImplementation(function (this: LatencyHistogram, ms) {
      clock.nowMs += 1
      record.call(this, ms)
    })
    for (let pos = 0; pos < 80; pos++) lower.apply(TX, entryOf(Buffer.alloc(0)), pos as LogPos)
    vi.restoreAllMocks()
    const [below] = set.snapshot()
    expect(below?.apply.sumMs).toBe(20)
    expect(below?.applyUtilisation).toBe(0)
  })

  it('lets entries that its set does not time pass it by', () => {
    class Middle extends PassThrough {
      get next(): Applicator<unknown> {
        return this.above
      }
    }
    const set = new ObserverSet({ clock: new FakeClock(), sampleEvery: 4 })
    const lower = set.wrapJoint(new Below(), { below: 'base', above: 'middle' }) as ObserverEngine
    const middle = new Middle(lower)
    const upper = set.wrapJoint(middle, { below: 'middle', above: 'db' })
    const direct: boolean[] = []
    const look = (): void => {
      direct.push(middle.next === database)
    }
    const database: Applicator<unknown> = { apply: look, postApply: look }
    upper.registerUpcall(database)
    for (let pos = 0; pos < 8; pos++) {
      lower.apply(TX, entryOf(Buffer.alloc(0)), pos as LogPos)
      lower.postApply(entryOf(Buffer.alloc(0)), pos as LogPos, undefined)
    }
    const timed = [false, false]
    const others = [true, true, true, true, true, true]
    expect(direct).toEqual([...timed, ...others, ...timed, ...others])
    expect(set.snapshot().map(({ applies }) => applies)).toEqual([8, 8])
  })

  it('lets proposals that its set does not time pass it by', () => {
    class Middle extends PassThrough {
      get next(): Engine<unknown> {
        return this.below
      }
    }
    const set = new ObserverSet({ clock: new FakeClock(), sampleEvery: 4 })
    const direct: boolean[] = []
    const bottom = new Below()
    bottom.propose = () => direct.push(middle.next === bottom)
    const middle = new Middle(set.wrapJoint(bottom, { below: 'base', above: 'middle' }))
    const upper = set.wrapJoint(middle, { below: 'middle', above: 'db' })
    for (let i = 0; i < 8; i++) upper.propose(entryOf(Buffer.alloc(0)), IGNORED)
    expect(direct).toEqual([false, true, true, true, false, true, true, true])
    expect(set.snapshot().map(({ proposals }) => proposals)).toEqual([8, 8])
  })

  it('times the next proposal where a layer in between keeps one back', () => {
    class Opening extends PassThrough {
      isOpen = false

      override propose(entry: Entry): void {
        if (this.isOpen) this.below.propose(entry, IGNORED)
      }
    }
    const set = new ObserverSet({ clock: new FakeClock(), sampleEvery: 8 })
    const bottom = new Below()
    const opening = new Opening(set.wrapJoint(bottom, { below: 'base', above: 'order' }))
    const top = set.wrapJoint(opening, { below: 'order', above: 'db' })
    for (let i = 0; i < 4; i++) {
      opening.isOpen = i === 3
      top.propose(entryOf(Buffer.alloc(0)), IGNORED)
    }
    for (const { completion } of bottom.proposed) completion.resolve(undefined)
    expect(set.snapshot().map(({ propose }) => propose.count)).toEqual([1, 0])
    expect(set.snapshot().map(({ proposals }) => proposals)).toEqual([4, 4])
  })

  it('decides anew below an engine that keeps proposals back and makes many one', () => {
    class Gathering extends PassThrough {
      private kept = 0

      override propose(entry: Entry): void {
        if (++this.kept % 4 === 0) this.below.propose(entry, IGNORED)
      }
    }
    const set = new ObserverSet({ clock: new FakeClock(), sampleEvery: 2, gatheredBy: 'batching' })
    const bottom = new Below()
    const order = new (class extends PassThrough {})(set.wrapJoint(bottom, { below: 'base', above: 'order' }))
    const batching = new Gathering(set.wrapJoint(order, { below: 'order', above: 'batching' }))
    const time = new (class extends PassThrough {})(set.wrapJoint(batching, { below: 'batching', above: 'time' }))
    const top = set.wrapJoint(time, { below: 'time', above: 'db' })
    for (let i = 0; i < 16; i++) top.propose(entryOf(Buffer.alloc(0)), IGNORED)
    for (const { completion } of bottom.proposed) completion.resolve(undefined)
    const joints = set.snapshot()
    expect(joints.map(({ proposals }) => proposals)).toEqual([4, 4, 16, 16])
    expect(joints.slice(0, 2).map(({ propose }) => propose.count)).toEqual([2, 2])
  })
})

describe('a latency histogram', () => {
  it('has inclusive upper bounds and one bucket for the rest', () => {
    const histogram = new LatencyHistogram()
    for (const bound of LATENCY_BOUNDS_MS) histogram.record(bound)
    histogram.record(1e9)
    const { counts, count, boundsMs } = histogram.snapshot()
    expect(counts).toEqual(Array.from({ length: boundsMs.length + 1 }, () => 1))
    expect(count).toBe(boundsMs.length + 1)
  })
  it('tells percentiles from a quarter of a microsecond to seconds, off by an eighth at most', () => {
    for (const ms of [0.0003, 0.0021, 0.05, 1.7, 33, 900, 12_000]) {
      const histogram = new LatencyHistogram()
      for (let i = 0; i < 100; i++) histogram.record(i < 98 ? ms / 2 : ms)
      const snapshot = histogram.snapshot()
      const off = (found: number, wanted: number): number => Math.abs(found - wanted) / wanted
      if (ms > 0.001) expect(off(quantileMs(snapshot, 0.5), ms / 2), `p50 of ${ms / 2}`).toBeLessThan(0.13)
      if (ms > 0.001) expect(off(quantileMs(snapshot, 0.99), ms), `p99 of ${ms}`).toBeLessThan(0.13)
    }
    expect(quantileMs(new LatencyHistogram().snapshot(), 0.99)).toBe(0)
  })

  it('subtracts', () => {
    const histogram = new LatencyHistogram()
    histogram.record(1)
    const before = histogram.snapshot()
    histogram.record(3)
    histogram.record(5)
    const since = histogramSince(before, histogram.snapshot())
    expect(since).toMatchObject({ count: 2, sumMs: 8 })
    expect(quantileMs(since, 0.5)).toBeGreaterThan(2.5)
  })
})
