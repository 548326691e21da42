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

  it('are told many events that those which stay have missed in several turns, each once, in order, with what comes meanwhile', () => {
    const { zelos, alice, bob, turn, set } = start()
    const relativeZxid = zelos.lastZxid
    for (const one of all) bob.setData(one, Buffer.of(1))
    const stays = new TestClient(zelos)
    zelos.addWatch(stays, '/', 'recursive')
    // It has this one already.
    zelos.addWatch(alice, '/x', 'persistent')
    const answer = set(alice, { relativeZxid, recursive: ['/'], data: ['/n0001', '/x', '/n2000'] })
    let turns = 0
    for (; answer.result === undefined; turns++) {
      expect(zelos.hasWatch(alice, '/', 'recursive')).toBe(false)
      if (turns < 3) {
        bob.setData(path(turns), Buffer.of(2))
        bob.create(turns === 0 ? '/x' : `/x${turns}`)
      }
      expect(turn()).toBe(true)
    }
    expect(turns).toBeGreaterThan(4)
    bob.setData(path(7), Buffer.of(2))
    const missed = all.map((one) => `dataChanged ${one}`)
    const events = alice.takeEvents()
    expect(events.filter((event) => event !== 'created /x')).toEqual([
      ...missed,
      ...stays.takeEvents().filter((event) => event !== 'created /x'),
    ])
    expect(events.filter((event) => event === 'created /x')).toHaveLength(1)
    expect([zelos.stats.missedReplayed, zelos.stats.missedCompared]).toEqual([1, 0])
    // Those were used up.
    for (const one of ['/n0001', '/x', '/n2000']) expect(zelos.hasWatch(alice, one, 'data')).toBe(false)
  })

  it('are told what the nodes show, if more changes than are kept come while they are told of others', () => {
    const { zelos, alice, bob, turn, set } = start({ limits: { comparedNodesMax: 10_000 } })
    const relativeZxid = zelos.lastZxid
    for (const one of all) bob.setData(one, Buffer.of(1))
    const answer = set(alice, { relativeZxid, persistent: all.slice(0, 3), recursive: ['/n2999'] })
    const kept = 100_000
    for (let at = 0; at < kept / 2_500; at++) {
      const operations = Array.from({ length: 2_501 }, () => {
        return { op: 'setData', path: '/n0005', data: null, version: -1 } as const
      })
      bob.multi(...operations)
    }
    bob.setData('/n0002', Buffer.of(2))
    while (answer.result === undefined) expect(turn()).toBe(true)
    const last = alice.takeEvents().filter((event) => event === 'dataChanged /n0002')
    expect(last.length).toBeGreaterThan(0)
    expect(zelos.hasWatch(alice, '/n2999', 'recursive')).toBe(true)
    expect([zelos.stats.missedReplayed, zelos.stats.missedCompared]).toEqual([1, 1])
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
