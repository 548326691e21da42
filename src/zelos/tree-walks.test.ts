// Looks at many nodes: a slice a turn of the event loop, one at a time, right whatever comes in between.

import { describe, expect, it } from 'vitest'
import { TestClient, ZelosHarness } from '../../test/support/zelos-harness.ts'
import type { DelosError } from '../base/delos-error.ts'
import { ManualTime } from '../store/manual-time.ts'
import { openMemoryStore } from '../store/memory-store.ts'
import type { WalkCompletion } from './zelos.ts'
import { ZCODE } from './znode.ts'

/** A clock that goes on 1 ms whenever it is read: a slice ends after a few looks at it. */
class TickingTime extends ManualTime {
  override monotonicMs(): number {
    this.advance(1)
    return super.monotonicMs()
  }
}

class Found<R> implements WalkCompletion<R> {
  isWanted = true
  result: R | undefined
  error: DelosError | undefined

  resolve(result: R): void {
    this.result = result
  }

  reject(error: DelosError): void {
    this.error = error
  }
}

function start() {
  const turns: (() => void)[] = []
  const time = new TickingTime((callback) => turns.push(callback))
  const storeTime = new ManualTime(queueMicrotask)
  const random = { uint32: () => 7, bytes: (length: number) => new Uint8Array(length) }
  const harness = new ZelosHarness(openMemoryStore({ runtime: { clock: storeTime, timers: storeTime, random } }), {
    time,
  })
  const client = new TestClient(harness.zelos)
  client.open()
  const turn = (): boolean => {
    const due = turns.splice(0)
    for (const callback of due) callback()
    return due.length > 0
  }
  const { walks } = harness.zelos
  const count = (path: string): Found<{ readonly count: number } | number> => {
    const found = new Found<{ readonly count: number } | number>()
    walks.countDescendants(client.requester, path, found as never)
    return found
  }
  const ephemerals = (prefix: string, maxBytes = 1 << 30): Found<readonly string[]> => {
    const found = new Found<readonly string[]>()
    walks.getEphemerals(client.requester, prefix, maxBytes, found)
    return found
  }
  return { client, turn, count, ephemerals, walks }
}

function grow(client: TestClient, top: string, children: number, flags = 0): void {
  for (let i = 0; i < children; i++) client.create(`${top}/${i}`, { flags })
}

describe('a count of descendants', () => {
  it('that is short is there at once', () => {
    const { client, count } = start()
    client.create('/a')
    client.create('/a/b')
    client.create('/a/b/c')
    client.create('/ab')
    expect([count('/a').result, count('/a/b/c').result, count('/nope').result]).toEqual([
      { count: 2 },
      { count: 0 },
      ZCODE.NO_NODE,
    ])
    expect([count('/').result, count('').result]).toEqual([{ count: 7 }, { count: 8 }])
  })

  it('of many nodes takes turns, and is exact if nothing changes meanwhile', () => {
    const { client, turn, count } = start()
    client.create('/a')
    for (const top of ['/a/x', '/a/y', '/a/z']) {
      client.create(top)
      grow(client, top, 3_000)
    }
    const found = count('/a')
    let turns = 0
    while (found.result === undefined && turn()) turns++
    expect(found.result).toEqual({ count: 9_003 })
    expect(turns).toBeGreaterThan(2)
  })

  it('waits for the one before it, and does not go on when nobody waits any more', () => {
    const { client, turn, count } = start()
    client.create('/a')
    grow(client, '/a', 8_000)
    const [first, second, third] = [count('/a'), count('/a'), count('/a')]
    turn()
    first.isWanted = false
    second.isWanted = false
    let turns = 0
    while (third.result === undefined && turn()) turns++
    expect([first.result, second.result, third.result]).toEqual([undefined, undefined, { count: 8_000 }])
    while (turn()) turns++
    // The two others would have taken as many each.
    expect(turns).toBeLessThan(25)
  })

  it('hears of changes once it has begun: a change costs the same however many wait', () => {
    const { client, turn, count, walks } = start()
    client.create('/a')
    grow(client, '/a', 3_000)
    count('/a')
    const heard: [number, number] = [0, 0]
    const wait = (at: 0 | 1) => {
      let steps = 0
      const step = () => ++steps > 1_000
      walks.start({ step, changed: () => heard[at]++ }, new Found(), () => undefined)
    }
    wait(0)
    wait(1)
    client.delete('/a/1')
    expect(heard).toEqual([0, 0])
    while (heard[0] === 0) {
      expect(turn()).toBe(true)
      client.create('/x')
      client.delete('/x')
    }
    expect(heard[1]).toBe(0)
  })

  it('sees each node that is there all the time, and none twice', () => {
    const { client, turn, count } = start()
    client.create('/a')
    grow(client, '/a', 6_000)
    const found = count('/a')
    for (let i = 0; found.result === undefined && turn(); i++) {
      client.delete(`/a/${i}`)
      client.create(`/a/new${i}`)
    }
    const { count: seen } = found.result as { count: number }
    expect(seen).toBeGreaterThanOrEqual(5_990)
    expect(seen).toBeLessThanOrEqual(6_010)
  })
})

describe('a list of ephemeral nodes', () => {
  it('has those of the session whose path starts with a text, over many turns', () => {
    const { client, turn, ephemerals } = start()
    for (const top of ['/a', '/b']) {
      client.create(top)
      grow(client, top, 3_500, 1)
    }
    const all = ephemerals('')
    while (all.result === undefined && turn());
    expect(all.result).toHaveLength(7_000)
    expect(ephemerals('/b/12').result).toHaveLength(111)
    expect(ephemerals('/c').result).toEqual([])
  })

  it('goes on when whoever asked for another one throws at its answer', () => {
    const { client, turn, ephemerals, walks } = start()
    client.create('/a')
    grow(client, '/a', 500, 1)
    const resolve = () => {
      throw new Error('of a client')
    }
    const faulty = { isWanted: true, resolve, reject: resolve }
    expect(() => walks.getEphemerals(client.requester, '/b', 1_000, faulty)).toThrow('of a client')
    const found = ephemerals('/a')
    while (found.result === undefined && turn());
    expect(found.result).toHaveLength(500)
  })

  it('ends where it is too long for a reply', () => {
    const { client, ephemerals } = start()
    client.create('/a')
    grow(client, '/a', 500, 1)
    expect(ephemerals('', 1_000).error).toMatchObject({ code: 'LIMIT_EXCEEDED' })
    expect(ephemerals('/a/1', 1_000).error).toMatchObject({ code: 'LIMIT_EXCEEDED' })
    expect(ephemerals('/a/11', 1_000).result).toHaveLength(11)
  })
})
