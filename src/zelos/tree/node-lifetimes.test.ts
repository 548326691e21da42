// Containers and TTL nodes from end to end, in virtual time: Zelos on Time on a log that applies at once.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type HarnessOptions, OPEN, type TestClient, ZelosHarness } from '../../../test/support/zelos-harness.ts'
import { ManualTime } from '../../store/manual-time.ts'
import { openMemoryStore } from '../../store/memory-store.ts'
import type { UpdateOperation, UpdateResult } from '../requests.ts'
import { type Lifetime, TTL_MS_MAX, ZCODE } from '../znode.ts'
import { timedNodesMax, timedSessionsMax } from './timer-room.ts'

const HOUR_MS = 3_600_000
/** A timer may fire later than its time by a tick, and what it needs to be logged. */
const LATE_MS = 600

function server(options: HarnessOptions = {}): ZelosHarness {
  const time = new ManualTime(queueMicrotask)
  const random = { uint32: () => 7, bytes: (length: number) => new Uint8Array(length) }
  return new ZelosHarness(openMemoryStore({ runtime: { clock: time, timers: time, random } }), { ...options, time })
}

function timed(path: string, kind: Lifetime['kind'], ms: number, flags = 0): UpdateOperation {
  return { op: 'create', path, data: null, acl: OPEN, flags, lifetime: { kind, ms } }
}

/** A server whose one client lives for ever, and which nodes are there. */
function world() {
  const harness = server()
  const alice = harness.client(30_000)
  const touch = () => harness.zelos.sessions.touch(alice.requester.session)
  return {
    harness,
    alice,
    pass: (ms: number) => harness.pass(ms, touch),
    has: (path: string) => harness.zelos.exists(alice.requester, path, undefined) !== ZCODE.NO_NODE,
  }
}

describe('a TTL node', () => {
  it('goes when it was not changed for its time, not before, and watches are told', () => {
    const { harness, alice, pass, has } = world()
    expect(alice.write(timed('/t', 'ttl', 5000)).node).toMatchObject({ ephemeralOwner: 0, numChildren: 0 })
    harness.zelos.exists(alice.requester, '/t', alice)
    pass(4950)
    expect(has('/t')).toBe(true)
    pass(50 + LATE_MS)
    expect(has('/t')).toBe(false)
    expect(alice.takeEvents()).toEqual(['deleted /t'])
  })

  it('has its whole time again when its data is set, not when its access list is or a child comes', () => {
    const { alice, pass, has } = world()
    for (const path of ['/data', '/acl', '/child']) alice.write(timed(path, 'ttl', 5000))
    pass(4000)
    alice.setData('/data', null)
    alice.setAcl('/acl', OPEN)
    alice.create('/child/x')
    alice.delete('/child/x')
    pass(1000 + LATE_MS)
    expect([has('/data'), has('/acl'), has('/child')]).toEqual([true, false, false])
    pass(3300)
    expect(has('/data')).toBe(true)
    pass(200 + LATE_MS)
    expect(has('/data')).toBe(false)
  })

  it('stays as long as it has children, and goes some time after the last one', () => {
    const { alice, pass, has } = world()
    alice.write(timed('/t', 'ttl', 5000))
    alice.create('/t/x')
    alice.create('/t/y')
    pass(20_000)
    alice.delete('/t/x')
    pass(20_000)
    expect(has('/t')).toBe(true)
    alice.delete('/t/y')
    pass(4900)
    expect(has('/t')).toBe(true)
    pass(100 + LATE_MS)
    expect(has('/t')).toBe(false)
  })

  it('whose time was over has all of it again when its data is set', () => {
    const { alice, pass, has } = world()
    alice.write(timed('/t', 'ttl', 100_000))
    alice.create('/t/x')
    pass(110_000)
    alice.setData('/t', null)
    alice.delete('/t/x')
    pass(99_000)
    expect(has('/t')).toBe(true)
    pass(1000 + LATE_MS)
    expect(has('/t')).toBe(false)
  })

  it('may live for hours, and costs an entry of the log for each', () => {
    const { harness, alice, pass, has } = world()
    alice.write(timed('/t', 'ttl', 2 * HOUR_MS + 1000))
    const { length } = harness.log.entries
    pass(2 * HOUR_MS)
    expect(has('/t')).toBe(true)
    pass(1000 + 3 * LATE_MS)
    expect(has('/t')).toBe(false)
    expect(harness.log.entries.length - length).toBeLessThan(10)
  })

  it('made again at the same path has nothing to do with the one before', () => {
    const { alice, pass, has } = world()
    alice.write(timed('/t', 'ttl', 5000))
    pass(4000)
    alice.delete('/t')
    alice.create('/t')
    pass(10_000)
    expect(has('/t')).toBe(true)
  })

  it('is sequential if asked, has children that may be ephemeral, and can be under one', () => {
    const { alice } = world()
    expect(alice.write(timed('/t-', 'ttl', 5000, 2)).path).toBe('/t-0000000000')
    expect(alice.create('/t-0000000000/e', { flags: 1 }).err).toBe(ZCODE.OK)
    expect(alice.write(timed('/t-0000000000/e/t', 'ttl', 5000)).err).toBe(ZCODE.NO_CHILDREN_FOR_EPHEMERALS)
    expect(alice.write(timed('/t-0000000000/t', 'ttl', 5000)).err).toBe(ZCODE.OK)
  })

  it('of a time that there is not, or of a path that no timer can carry, is refused', () => {
    const { alice } = world()
    for (const ms of [0, TTL_MS_MAX + 1]) expect(alice.write(timed('/t', 'ttl', ms)).err).toBe(ZCODE.BAD_ARGUMENTS)
    expect(alice.write(timed(`/${'x'.repeat(16_000)}`, 'ttl', 1)).err).toBe(ZCODE.BAD_ARGUMENTS)
  })

  it('with a path longer than the name of a timer goes as any other', () => {
    const { alice, pass, has } = world()
    const paths = ['a', 'b'].map((end) => `/${'x'.repeat(15_000)}${end}`)
    for (const path of paths) alice.write(timed(path, 'ttl', 1000))
    pass(1000 + LATE_MS)
    expect(paths.map(has)).toEqual([false, false])
  })

  it('of a multi that failed leaves no timer behind', () => {
    const { harness, alice, pass } = world()
    expect(alice.multi(timed('/t', 'ttl', 1000), { op: 'check', path: '/none', version: -1 })[1]?.err).toBe(
      ZCODE.NO_NODE,
    )
    expect(harness.timer.details()).toMatchObject({ timers: 1 })
    const { length } = harness.log.entries
    pass(2000)
    expect(harness.log.entries).toHaveLength(length)
  })
})

describe('a container', () => {
  it('goes some time after its last child, in one go with empty containers above it', () => {
    const { alice, pass, has } = world()
    alice.write(timed('/c', 'container', 60_000))
    alice.write(timed('/c/d', 'container', 60_000))
    alice.create('/c/d/x')
    alice.delete('/c/d/x')
    pass(59_900)
    expect(has('/c/d')).toBe(true)
    pass(100 + LATE_MS)
    expect([has('/c/d'), has('/c')]).toEqual([false, true])
    pass(60_000 + LATE_MS)
    expect(has('/c')).toBe(false)
  })

  it('that never had a child stays', () => {
    const { alice, pass, has } = world()
    alice.write(timed('/c', 'container', 60_000))
    pass(200_000)
    expect(has('/c')).toBe(true)
  })

  it('stays when a child came in time, and then has the whole time again', () => {
    const { alice, pass, has } = world()
    alice.write(timed('/c', 'container', 60_000))
    alice.create('/c/x')
    alice.delete('/c/x')
    pass(59_000)
    alice.create('/c/y')
    pass(100_000)
    expect(has('/c')).toBe(true)
    alice.delete('/c/y')
    pass(59_000)
    expect(has('/c')).toBe(true)
    pass(1000 + LATE_MS)
    expect(has('/c')).toBe(false)
  })

  it('goes also when its last child was ephemeral and ended with its session', () => {
    const { harness, alice, pass, has } = world()
    const bob = harness.client(30_000)
    alice.write(timed('/c', 'container', 60_000))
    bob.create('/c/e', { flags: 1 })
    bob.close()
    pass(60_000 + LATE_MS)
    expect(has('/c')).toBe(false)
  })
})

describe('the lifetimes of nodes', () => {
  it('have no end while Time is disabled, and all of their time from where it is enabled', async () => {
    const harness = server({ timers: false })
    const alice = harness.client()
    const has = (path: string) => harness.zelos.exists(alice.requester, path, undefined) !== ZCODE.NO_NODE
    alice.write(timed('/t', 'ttl', 5000))
    alice.write(timed('/used', 'container', 5000))
    alice.write(timed('/unused', 'container', 5000))
    alice.create('/used/x')
    alice.delete('/used/x')
    harness.pass(20_000)
    expect([has('/t'), has('/used')]).toEqual([true, true])
    await harness.timer.proposeChange({ kind: 'flag', enabled: true })
    harness.pass(4950, () => harness.zelos.sessions.touch(alice.requester.session))
    expect([has('/t'), has('/used')]).toEqual([true, true])
    harness.pass(50 + LATE_MS)
    expect([has('/t'), has('/used'), has('/unused')]).toEqual([false, false, true])
  })

  it('are told by operations: never removed with children or too early, always in the end', () => {
    const paths = ['/t', '/u', '/c', '/d']
    const step = fc.record({
      at: fc.nat(paths.length - 1),
      what: fc.constantFrom('make', 'set', 'child', 'unchild', 'multi', 'delete', 'nothing', 'nothing'),
      waitMs: fc.constantFrom(0, 100, 700, 1500, 4000),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
        const { harness, alice, pass, has } = world()
        const seen = new Map<string, { changedMs: number; emptyMs: number; used: boolean; child: boolean }>()
        for (const { at, what, waitMs } of steps) {
          const path = paths[at] as string
          const now = harness.time.monotonicMs()
          const { err } = act(alice, path, what)
          const node = seen.get(path)
          if (err === ZCODE.OK) {
            if (what === 'make') seen.set(path, { changedMs: now, emptyMs: now, used: false, child: false })
            else if (what === 'delete') seen.delete(path)
            else if (node !== undefined) {
              if (what === 'set') node.changedMs = now
              if (what === 'child' || what === 'multi') node.used = true
              if (what === 'child') node.child = true
              if (what === 'unchild') node.child = false
              if (what === 'unchild' || (what === 'multi' && !node.child)) node.emptyMs = now
            }
          }
          pass(waitMs)
          for (const [one, { changedMs, emptyMs, used, child }] of seen) {
            const isContainer = one === '/c' || one === '/d'
            const ageMs = harness.time.monotonicMs() - (isContainer ? emptyMs : changedMs)
            if (child || (isContainer && !used) || ageMs < 2000) expect(has(one)).toBe(true)
            else if (harness.time.monotonicMs() - Math.max(emptyMs, changedMs) > 2000 + LATE_MS) {
              expect(has(one)).toBe(false)
            }
            if (!has(one)) seen.delete(one)
          }
        }
      }),
      { numRuns: 150 },
    )
  })
})

function act(alice: TestClient, path: string, what: string): Pick<UpdateResult, 'err'> {
  switch (what) {
    case 'make':
      return alice.write(timed(path, path < '/e' ? 'container' : 'ttl', 2000))
    case 'set':
      return alice.setData(path, null)
    case 'child':
      return alice.create(`${path}/x`)
    case 'unchild':
      return alice.delete(`${path}/x`)
    case 'multi': {
      const child = { path: `${path}/m` }
      const results = alice.multi(
        { op: 'create', ...child, data: null, acl: OPEN, flags: 0 },
        { op: 'delete', ...child, version: -1 },
      )
      return { err: results.find(({ err }) => err !== ZCODE.OK)?.err ?? ZCODE.OK }
    }
    case 'delete':
      return alice.delete(path)
    default:
      return { err: ZCODE.NO_NODE }
  }
}

describe('as many timers as there are', () => {
  /** Room for 75 nodes and 9 sessions, one of which is alice's. */
  const crowded = () => {
    const one = world()
    Object.assign(one.harness.timer, { timersMax: 100 })
    return one
  }

  it('suffice for nodes with a lifetime: the one too many is refused, and one that goes makes room', async () => {
    const { harness, alice, has } = crowded()
    const { timer } = harness
    for (let i = 0; i < 74; i++) alice.write(timed(`/t${i}`, 'ttl', HOUR_MS))
    const both = [timed('/t74', 'container', 1000), timed('/t75', 'ttl', HOUR_MS)]
    expect(alice.multi(...both).map(({ err }) => err)).toEqual([ZCODE.OK, ZCODE.BAD_ARGUMENTS])
    expect(alice.write(timed('/t74', 'ttl', HOUR_MS)).err).toBe(ZCODE.OK)
    expect(alice.write(timed('/t75', 'ttl', HOUR_MS)).err).toBe(ZCODE.BAD_ARGUMENTS)
    expect([has('/t74'), has('/t75'), alice.create('/plain').err]).toEqual([true, false, ZCODE.OK])
    alice.delete('/t3')
    expect(alice.write(timed('/t75', 'ttl', HOUR_MS)).err).toBe(ZCODE.OK)
    // Also if they were made while nothing was armed.
    await timer.proposeChange({ kind: 'flag', enabled: false })
    expect(alice.write(timed('/t76', 'ttl', HOUR_MS)).err).toBe(ZCODE.BAD_ARGUMENTS)
    await timer.proposeChange({ kind: 'flag', enabled: true })
    expect(timer.details().timers).toBe(76)
  })

  it('suffice for sessions: the one too many is refused, and one that ends makes room', () => {
    const { harness } = crowded()
    const clients = Array.from({ length: 8 }, () => harness.client())
    expect(() => harness.client()).toThrow(/sessionsMax/)
    expect(harness.zelos.stats).toMatchObject({ sessionCount: 9, limitsExceeded: { sessionsMax: 1 } })
    clients[3]?.close()
    harness.client()
    expect(harness.zelos.stats.sessionCount).toBe(9)
  })

  it('are not all taken by the two together', () => {
    const { timersMax } = server().timer
    expect(timersMax - timedNodesMax(timersMax) - timedSessionsMax(timersMax)).toBeGreaterThan(8)
  })

  it('are asked for before the log, where the client can be told of the limit', () => {
    const harness = server({ limits: { timedNodesMax: 2 } })
    const alice = harness.client()
    alice.write(timed('/a', 'ttl', HOUR_MS))
    expect(() => alice.multi(timed('/b', 'ttl', HOUR_MS), timed('/c', 'ttl', HOUR_MS))).toThrow(
      /timedNodesMax is 2, this would be 3/,
    )
    alice.write(timed('/b', 'container', 1000))
    expect(() => alice.write(timed('/c', 'ttl', HOUR_MS))).toThrow(/timedNodesMax is 2, this would be 3/)
    expect(harness.zelos.stats.limitsExceeded.timedNodesMax).toBe(2)
  })
})
