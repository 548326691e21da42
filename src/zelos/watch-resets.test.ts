// Many watches that are set again at once.

import { describe, expect, it } from 'vitest'
import { TestClient, ZelosHarness } from '../../test/support/zelos-harness.ts'
import type { DelosError } from '../base/delos-error.ts'
import { ManualTime } from '../store/manual-time.ts'
import { openMemoryStore } from '../store/memory-store.ts'
import type { WalkCompletion, WatchSet } from './zelos.ts'
import type { ZCode } from './znode.ts'

const NODES = 3_000

/** A clock that goes on 1 ms whenever it is read: a slice ends after a few looks at it. */
class TickingTime extends ManualTime {
  override monotonicMs(): number {
    this.advance(1)
    return super.monotonicMs()
  }
}

class Answer implements WalkCompletion<ZCode> {
  isWanted = true
  result: ZCode | undefined
  error: DelosError | undefined

  resolve(result: ZCode): void {
    this.result = result
  }

  reject(error: DelosError): void {
    this.error = error
  }
}

const path = (at: number): string => `/n${String(at).padStart(4, '0')}`
const all = Array.from({ length: NODES }, (_, at) => path(at))

function start(limits: ConstructorParameters<typeof ZelosHarness>[1] = {}) {
  const turns: (() => void)[] = []
  const time = new TickingTime((callback) => turns.push(callback))
  const storeTime = new ManualTime(queueMicrotask)
  const random = { uint32: () => 7, bytes: (length: number) => new Uint8Array(length) }
  const store = openMemoryStore({ runtime: { clock: storeTime, timers: storeTime, random } })
  const harness = new ZelosHarness(store, { time, ...limits })
  const { zelos } = harness
  const [alice, bob] = [new TestClient(zelos), new TestClient(zelos)]
  bob.open()
  for (const one of all) bob.create(one)
  const turn = (): boolean => {
    const due = turns.splice(0)
    for (const callback of due) callback()
    return due.length > 0
  }
  const set = (sink: TestClient, watches: Partial<WatchSet>): Answer => {
    const answer = new Answer()
    const none = { relativeZxid: zelos.lastZxid, data: [], exist: [], child: [] }
    zelos.setWatches(sink, { ...none, ...watches }, answer)
    return answer
  }
  return { zelos, alice, bob, turn, set }
}

describe('watches that are set again', () => {
  it('are set in several turns if they are many, at once if they are few', () => {
    const { zelos, alice, turn, set } = start()
    expect(set(alice, { data: all.slice(0, 10) }).result).toBe(0)
    const answer = set(alice, { data: all, child: all })
    let turns = 0
    while (answer.result === undefined) {
      expect(turn()).toBe(true)
      turns++
    }
    expect([answer.result, turns > 4, zelos.stats.watchCount]).toEqual([0, true, 2 * NODES])
  })

  it('miss nothing and tell nothing twice, whatever changes between the turns', () => {
    const { zelos, alice, bob, turn, set } = start()
    const relativeZxid = zelos.lastZxid
    bob.setData(path(5), Buffer.of(1))
    const absent = Array.from({ length: NODES }, (_, at) => `/x${at}`)
    const answer = set(alice, { relativeZxid, data: all, exist: absent, child: all })
    for (let at = 0; answer.result === undefined; at += 100) {
      bob.setData(path(at + 1), Buffer.of(1))
      bob.delete(path(at + 2))
      bob.create(`/x${at}`)
      bob.create(`${path(at + 3)}/child`)
      turn()
    }
    bob.setData(path(50), Buffer.of(1))
    const events = alice.takeEvents()
    // Of a node that is gone each list tells, as in ZooKeeper.
    const once = events.filter((event) => !event.startsWith('deleted'))
    expect(new Set(once).size).toBe(once.length)
    expect(events).toContain('dataChanged /n0050')
    for (const kind of [
      'dataChanged /n0005',
      'dataChanged /n0001',
      'dataChanged /n0101',
      'created /x0',
      'created /x200',
    ]) {
      expect(events).toContain(kind)
    }
    for (const one of ['deleted /n0002', 'deleted /n0302', 'childrenChanged /n0003', 'childrenChanged /n0403']) {
      expect(events).toContain(one)
    }
  })

  it('tell nothing that a watch which stays has told between the turns', () => {
    const { alice, bob, turn, set } = start()
    const [seen, grown, gone, open] = [path(NODES - 1), path(NODES - 2), path(NODES - 3), path(NODES - 4)] as const
    const answer = set(alice, { data: all, child: all, persistent: [seen, grown], recursive: [gone] })
    expect(turn()).toBe(true)
    bob.setData(seen, Buffer.of(1))
    bob.create(`${grown}/child`)
    bob.create(`${gone}/child`)
    bob.delete(`${gone}/child`)
    bob.delete(gone)
    bob.setData(open, Buffer.of(1))
    while (answer.result === undefined) expect(turn()).toBe(true)
    expect(alice.takeEvents()).toEqual([
      `dataChanged ${seen}`,
      `childrenChanged ${grown}`,
      `created ${gone}/child`,
      `deleted ${gone}/child`,
      `deleted ${gone}`,
      `dataChanged ${open}`,
    ])
    bob.setData(path(0), Buffer.of(1))
    expect(alice.takeEvents()).toEqual([`dataChanged ${path(0)}`])
  })

  it('are not set any more once their connection is gone', () => {
    const { zelos, alice, turn, set } = start()
    const answer = set(alice, { data: all })
    answer.isWanted = false
    zelos.removeSink(alice)
    while (turn()) expect(answer.result).toBeUndefined()
    expect(zelos.stats.watchCount).toBe(0)
  })

  it('are refused from the one that is too many; those that stay, all of them if they are too many for one request', () => {
    const { zelos, alice, turn, set } = start({
      limits: { watchesPerConnectionMax: 2_500, lastingWatchesPerResetMax: 3 },
    })
    const answer = set(alice, { data: all })
    while (answer.error === undefined) expect(turn()).toBe(true)
    expect([answer.error.code, zelos.stats.watchCount]).toEqual(['LIMIT_EXCEEDED', 2_500])
    zelos.removeSink(alice)
    const lasting = set(alice, { persistent: all.slice(0, 2), recursive: all.slice(0, 2), data: all })
    expect(lasting.error?.message).toContain('lastingWatchesPerResetMax')
    expect([zelos.stats.watchCount, zelos.stats.limitsExceeded.lastingWatchesPerResetMax]).toEqual([0, 1])
    expect(set(alice, { persistent: all.slice(0, 2), recursive: all.slice(0, 1) }).result).toBe(0)
  })
})
