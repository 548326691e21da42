// Watches that stay, over a reconnect: the connection that comes back hears what one that never went has heard.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type HarnessOptions, OPEN, Outcome, TestClient, ZelosHarness } from '../../test/support/zelos-harness.ts'
import { entryOf } from '../engine/entry.ts'
import type { LocalStore } from '../store/local-store.ts'
import { ManualTime } from '../store/manual-time.ts'
import { openMemoryStore } from '../store/memory-store.ts'
import { UpdateEncoder } from './request-codec.ts'
import type { UpdateOperation, UpdateResult } from './requests.ts'
import { changeRange } from './tree/key-space.ts'
import type { WatchSet } from './zelos.ts'
import type { Acl, Zxid } from './znode.ts'

const BOB_ONLY: readonly Acl[] = [{ perms: 31, scheme: 'digest', id: 'bob:x' }]

function start(options: HarnessOptions = {}, store?: LocalStore): ZelosHarness {
  const time = new ManualTime(queueMicrotask)
  const random = { uint32: () => 7, bytes: (length: number) => new Uint8Array(length) }
  return new ZelosHarness(store ?? openMemoryStore({ runtime: { clock: time, timers: time, random } }), {
    ...options,
    time,
  })
}

function server(options: HarnessOptions = {}) {
  const harness = start(options)
  const { zelos } = harness
  const comeBack = (since: Zxid, watches: Partial<WatchSet>): TestClient => {
    const client = new TestClient(zelos)
    zelos.setWatches(client, { data: [], exist: [], child: [], ...watches, relativeZxid: since })
    return client
  }
  return { harness, zelos, comeBack, bob: harness.client() }
}

/** The same server after a restart. */
function restarted(harness: ZelosHarness, options: HarnessOptions = {}) {
  harness.close()
  const again = start(options, harness.store)
  const comeBack = (since: Zxid, watches: Partial<WatchSet>): TestClient => {
    const client = new TestClient(again.zelos)
    again.zelos.setWatches(client, { data: [], exist: [], child: [], ...watches, relativeZxid: since })
    return client
  }
  return { harness: again, zelos: again.zelos, comeBack, bob: again.client() }
}

/** The same after what came before was done by a build that kept no changes. */
function upgraded(harness: ZelosHarness, options: HarnessOptions = {}) {
  const tx = harness.store.begin()
  for (const [key] of [...tx.scan(changeRange())]) tx.delete(key)
  tx.commit()
  return restarted(harness, options)
}

describe('changes that are kept', () => {
  it('are all told to a persistent watch, in their order and with their zxids, and it stays', () => {
    const { zelos, comeBack, bob } = server()
    bob.create('/a')
    const since = zelos.lastZxid
    const zxids = [
      bob.setData('/a', null),
      bob.setData('/a', null),
      bob.create('/a/b'),
      bob.setData('/a/b', null),
      bob.delete('/a/b'),
      bob.delete('/a'),
      bob.create('/a'),
    ].map(({ zxid }) => zxid)
    const client = comeBack(since, { persistent: ['/a'] })
    expect(client.events.map(({ type, zxid }) => [type, zxids.indexOf(zxid)])).toEqual([
      ['dataChanged', 0],
      ['dataChanged', 1],
      ['childrenChanged', 2],
      ['childrenChanged', 4],
      ['deleted', 5],
      ['created', 6],
    ])
    client.takeEvents()
    bob.setData('/a', null)
    expect(client.takeEvents()).toEqual(['dataChanged /a'])
    expect(zelos.stats).toMatchObject({ missedReplayed: 1, missedCompared: 0 })
  })

  it('below a node are all told to a recursive watch, those of its neighbours are not', () => {
    const { zelos, comeBack, bob } = server()
    bob.create('/a')
    bob.create('/ab')
    const since = zelos.lastZxid
    for (const path of ['/a/b', '/a/b/c', '/ab/c']) bob.create(path)
    bob.delete('/a/b/c')
    bob.setData('/ab', null)
    bob.setData('/a', null)
    expect(comeBack(since, { recursive: ['/a'] }).takeEvents()).toEqual([
      'created /a/b',
      'created /a/b/c',
      'deleted /a/b/c',
      'dataChanged /a',
    ])
  })

  it('use up a one-shot watch of the same path, which does not fire a second time and is not set', () => {
    const { zelos, comeBack, bob } = server()
    bob.create('/a')
    bob.create('/b')
    const since = zelos.lastZxid
    bob.setData('/a', null)
    bob.create('/a/x')
    bob.setData('/b', null)
    const client = comeBack(since, { data: ['/a', '/b'], child: ['/a'], persistent: ['/a'] })
    expect(client.takeEvents()).toEqual(['dataChanged /a', 'childrenChanged /a', 'dataChanged /b'])
    expect([zelos.hasWatch(client, '/a', 'data'), zelos.hasWatch(client, '/a', 'persistent')]).toEqual([false, true])
  })

  it('of a node that the client may not read are not told', () => {
    const { zelos, comeBack, bob } = server()
    bob.authenticate({ scheme: 'digest', id: 'bob:x' })
    const since = zelos.lastZxid
    bob.create('/secret', { acl: BOB_ONLY })
    bob.create('/secret/open', { acl: OPEN })
    bob.delete('/secret/open')
    bob.delete('/secret')
    expect(comeBack(since, { recursive: ['/'], persistent: ['/secret'] }).takeEvents()).toEqual([
      'created /secret/open',
      'deleted /secret/open',
    ])
  })

  it('before a restart of the server are told behind it: once, in order, and with those that came since', () => {
    const { harness, zelos, bob } = server()
    bob.create('/a')
    const since = zelos.lastZxid
    bob.create('/a/b')
    bob.delete('/a/b')
    bob.create('/a/b')
    const again = restarted(harness)
    again.bob.setData('/a/b', null)
    again.bob.delete('/a/b')
    const client = again.comeBack(since, { persistent: ['/a'], recursive: ['/a/b'], data: ['/a'], child: ['/a'] })
    expect(client.takeEvents()).toEqual([
      ...[
        'created /a/b',
        'childrenChanged /a',
        'deleted /a/b',
        'childrenChanged /a',
        'created /a/b',
        'childrenChanged /a',
      ],
      ...['dataChanged /a/b', 'deleted /a/b', 'childrenChanged /a'],
    ])
    expect(again.zelos.hasWatch(client, '/a', 'data')).toBe(true)
    again.bob.setData('/a', null)
    expect(client.takeEvents()).toEqual(['dataChanged /a'])
    expect(again.zelos.stats).toMatchObject({ missedReplayed: 1, missedCompared: 0 })
    expect(again.comeBack(again.zelos.lastZxid, { persistent: ['/a'], recursive: ['/'] }).takeEvents()).toEqual([])
  })

  it('of hours when the session was connected, before a restart, are not told again but for the last minutes', () => {
    const { harness, zelos, bob } = server()
    bob.create('/a')
    const session = harness.client(30_000).requester
    const since = zelos.lastZxid
    const touch = () => {
      zelos.sessions.touch(session.session)
      zelos.sessions.touch(bob.requester.session)
    }
    for (let minute = 0; minute < 30; minute++) {
      bob.setData('/a', null)
      for (let part = 0; part < 6; part++) {
        harness.pass(10_000, touch)
        bob.create(`/tick-${minute}-${part}`)
      }
    }
    const { zelos: later } = restarted(harness)
    const client = new TestClient(later)
    client.requester = session
    later.setWatches(client, { relativeZxid: since, data: [], exist: [], child: [], persistent: ['/a'] })
    const told = client.takeEvents().length
    expect(told).toBeGreaterThanOrEqual(10)
    expect(told).toBeLessThan(15)
  })

  it('of a time when the session was connected are not told again, although the client has seen no zxid since', () => {
    const { harness, zelos, bob } = server()
    bob.create('/a')
    const alice = harness.client(30_000)
    const session = { ...alice.requester }
    const since = zelos.lastZxid
    const reader = new TestClient(zelos)
    const comeBack = (requester: TestClient['requester']) => {
      const client = new TestClient(zelos)
      client.requester = requester
      zelos.setWatches(client, { relativeZxid: since, data: [], exist: [], child: [], persistent: ['/a'] })
      return client.takeEvents()
    }
    bob.setData('/a', null)
    const touch = () => {
      zelos.sessions.touch(session.session)
      zelos.sessions.touch(bob.requester.session)
    }
    harness.pass(60_000, touch)
    bob.create('/a/b')
    expect(comeBack(session)).toEqual(['dataChanged /a', 'childrenChanged /a'])
    harness.pass(60_000, touch)
    bob.setData('/a', null)
    expect(comeBack(session)).toEqual(['childrenChanged /a', 'dataChanged /a'])
    expect(comeBack(harness.client().requester)).toEqual(['dataChanged /a', 'childrenChanged /a', 'dataChanged /a'])
    expect(comeBack(reader.requester)).toHaveLength(3)
    expect(zelos.stats.missedCompared).toBe(0)
  })

  it('of a time when the session was connected, and none of its connections watched, are all told', () => {
    const { harness, zelos, bob } = server()
    bob.create('/a')
    const alice = harness.client(30_000)
    const session = alice.open(30_000)
    const since = zelos.lastZxid
    const watches = { relativeZxid: since, data: [], exist: [], child: [], persistent: ['/a'] }
    zelos.setWatches(alice, watches)
    zelos.removeSink(alice)
    bob.setData('/a', null)
    // Comes and goes for minutes, and never gets to set its watches.
    for (let i = 0; i < 8; i++) {
      harness.pass(20_000, () => zelos.sessions.touch(bob.requester.session))
      const passing = new TestClient(zelos)
      expect(passing.reattach(session)).toBeDefined()
      zelos.removeSink(passing)
    }
    const back = new TestClient(zelos)
    back.reattach(session)
    zelos.setWatches(back, watches)
    expect(back.takeEvents()).toEqual(['dataChanged /a'])
    // From here on it was told.
    harness.pass(100_000, () => {
      zelos.sessions.touch(session.id)
      zelos.sessions.touch(bob.requester.session)
    })
    zelos.removeSink(back)
    const again = new TestClient(zelos)
    again.reattach(session)
    zelos.setWatches(again, watches)
    expect(again.takeEvents()).toEqual([])
  })

  it('of nodes with long paths are too', () => {
    const { zelos, comeBack, bob } = server()
    const since = zelos.lastZxid
    const long = ['long'.repeat(20_000), 'größer'.repeat(20_000)].map((name) => `/${name}`)
    for (const one of long) bob.create(one)
    bob.create('/a')
    expect(comeBack(since, { recursive: ['/'] }).takeEvents()).toEqual([...long, '/a'].map((one) => `created ${one}`))
    expect(zelos.stats).toMatchObject({ missedReplayed: 1, missedCompared: 0 })
  })

  it('are not those of another history, nor those of before a restore', () => {
    const { harness, zelos, comeBack, bob } = server()
    bob.create('/a')
    const since = zelos.lastZxid
    const restored = new UpdateEncoder().encode({ kind: 'newHistory', zxidAbove: 1000 }, 0)
    harness.engine.propose(entryOf(restored), new Outcome<UpdateResult>())
    const again = harness.client()
    again.setData('/a', null)
    const later = zelos.lastZxid
    again.setData('/a', null)
    again.setData('/a', null)
    expect(comeBack(later, { persistent: ['/a'] }).takeEvents()).toEqual(['dataChanged /a', 'dataChanged /a'])
    expect(comeBack(since, { persistent: ['/a'] }).takeEvents()).toEqual(['dataChanged /a'])
    expect(comeBack(999, { persistent: ['/a'] }).takeEvents()).toEqual(['dataChanged /a'])
    expect(zelos.stats).toMatchObject({ missedReplayed: 1, missedCompared: 2 })
  })

  it('are kept from the first update on that asks for it, on all servers: those of older builds are not', () => {
    const { harness, bob } = server()
    const { harness: again, zelos, comeBack } = upgraded(harness)
    const rows = () => [...again.store.read().scan(changeRange())].length
    const { requester } = bob
    const operation: UpdateOperation = { op: 'create', path: '/old', data: null, acl: OPEN, flags: 0 }
    // The session of restarted() began it.
    expect(rows()).toBe(1)
    const tx = again.store.begin()
    for (const [key] of [...tx.scan(changeRange())]) tx.delete(key)
    tx.commit()
    again.applicator.forget()
    const since = zelos.lastZxid
    const old = new UpdateEncoder().encode({ kind: 'write', requester, operation }, 0)
    again.engine.propose(entryOf(old), new Outcome<UpdateResult>())
    expect(rows()).toBe(0)
    const client = again.client()
    expect(rows()).toBe(1)
    const later = zelos.lastZxid
    // One that an older build has written, as the firing of a timer is: noted all the same.
    const path = '/later'
    const update = { kind: 'write', requester: client.requester, operation: { ...operation, path } } as const
    again.engine.propose(entryOf(new UpdateEncoder().encode(update, 0)), new Outcome<UpdateResult>())
    expect(comeBack(later, { recursive: ['/'] }).takeEvents()).toEqual(['created /later'])
    expect(zelos.stats).toMatchObject({ missedReplayed: 1, missedCompared: 0 })
    comeBack(since, { recursive: ['/'] })
    expect(zelos.stats).toMatchObject({ missedReplayed: 1, missedCompared: 1 })
  })
})

describe('of changes that are not kept', () => {
  it('the nodes show what happened to them last: created, changed, other children, or gone', () => {
    const { harness, zelos, bob } = server()
    for (const path of ['/same', '/changed', '/parent', '/gone', '/gone/too', '/again']) bob.create(path)
    bob.create('/parent/child')
    const since = zelos.lastZxid
    bob.setData('/changed', null)
    bob.setData('/changed', null)
    bob.delete('/parent/child')
    bob.create('/new')
    bob.setData('/new', null)
    bob.delete('/gone/too')
    bob.delete('/gone')
    bob.delete('/again')
    bob.create('/again')
    const { zelos: later, comeBack } = upgraded(harness)
    const persistent = ['/same', '/changed', '/parent', '/gone', '/gone/too', '/again', '/new']
    const client = comeBack(since, { persistent })
    expect(client.takeEvents()).toEqual([
      'dataChanged /changed',
      'childrenChanged /parent',
      'created /new',
      'dataChanged /new',
      'created /again',
      'deleted /gone',
      'deleted /gone/too',
    ])
    expect(later.stats).toMatchObject({ missedReplayed: 0, missedCompared: 1 })
    expect(persistent.every((path) => later.hasWatch(client, path, 'persistent'))).toBe(true)
  })

  it('nobody is told that a node is gone whose neighbourhood has not changed', () => {
    const { harness, zelos, bob } = server()
    bob.create('/a')
    const since = zelos.lastZxid
    bob.setData('/a', null)
    const { comeBack } = upgraded(harness)
    expect(comeBack(since, { persistent: ['/never', '/a/never'], recursive: ['/no'] }).takeEvents()).toEqual([])
  })

  it('a recursive watch hears of what is there, not of what was deleted below it, and only what it may read', () => {
    const { harness, zelos, bob } = server()
    bob.authenticate({ scheme: 'digest', id: 'bob:x' })
    for (const path of ['/a', '/a/b', '/a/b/c']) bob.create(path)
    const since = zelos.lastZxid
    bob.delete('/a/b/c')
    bob.setData('/a/b', null)
    bob.create('/a/d')
    bob.create('/a/d/secret', { acl: BOB_ONLY })
    bob.create('/elsewhere')
    const { comeBack } = upgraded(harness)
    expect(comeBack(since, { recursive: ['/a', '/a/d'], persistent: ['/a/d'] }).takeEvents()).toEqual([
      'dataChanged /a/b',
      'created /a/d',
      'childrenChanged /a/d',
    ])
  })

  it('no more nodes are looked at than the limit, which is counted', () => {
    const { harness, zelos, bob } = server()
    const since = zelos.lastZxid
    bob.create('/a')
    for (let i = 0; i < 10; i++) bob.create(`/a/${i}`)
    const { zelos: later, comeBack } = upgraded(harness, { limits: { comparedNodesMax: 9 } })
    expect(comeBack(since, { recursive: ['/a'] }).takeEvents()).toEqual(['created /a'])
    expect(later.stats.limitsExceeded.comparedNodesMax).toBe(1)
    expect(comeBack(since, { recursive: ['/a/1', '/a/2'] }).takeEvents()).toEqual(['created /a/1', 'created /a/2'])
  })

  it('are compared at a cost of the nodes that are there, however many names a watched path has', () => {
    const { harness, bob } = server()
    bob.create('/a')
    const { zelos, comeBack } = upgraded(harness)
    const deep = ['/a/'.repeat(150_000), '/'.repeat(300_000), `/b${'/c'.repeat(150_000)}`]
    let reads = 0
    const { store } = harness
    const { read } = store
    store.read = () => {
      reads++
      return read.call(store)
    }
    expect(comeBack(0, { persistent: deep, recursive: deep.map((path) => `${path}d`) }).takeEvents()).toHaveLength(6)
    expect(reads).toBeLessThan(40)
    expect(zelos.stats.missedCompared).toBe(1)
  })
})

// ── a connection that goes and comes back, and one that stays ───────────────────────────────────────────────────────────

const path = fc.constantFrom('/', '/a', '/b', '/a/a', '/a/b', '/b/a', '/a/a/a', '/ab')
const operation: fc.Arbitrary<UpdateOperation> = fc.oneof(
  fc.record({
    op: fc.constant('create' as const),
    path,
    data: fc.constant(null),
    acl: fc.constantFrom(OPEN, OPEN, OPEN, BOB_ONLY),
    flags: fc.constantFrom(0, 0, 1),
  }),
  fc.record({ op: fc.constant('delete' as const), path, version: fc.constantFrom(-1, -1, 0) }),
  fc.record({
    op: fc.constant('setData' as const),
    path,
    data: fc.constant(null),
    version: fc.constantFrom(-1, -1, 0),
  }),
)
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ write: fc.array(operation, { minLength: 1, maxLength: 3 }) }) },
  { weight: 2, arbitrary: fc.constant('go' as const) },
  { weight: 2, arbitrary: fc.constant('come back' as const) },
  { weight: 1, arbitrary: fc.constant('end of a session' as const) },
  { weight: 1, arbitrary: fc.constant('restart' as const) },
)

describe('a connection that goes and comes back', () => {
  it('hears the same events in the same order as one that stays, whatever becomes of the server', () => {
    const some = fc.uniqueArray(path, { maxLength: 3 })
    fc.assert(
      fc.property(some, some, fc.array(step, { maxLength: 40 }), (persistent, recursive, steps) => {
        let { harness, zelos } = server()
        let writer = harness.client().authenticate({ scheme: 'digest', id: 'bob:x' })
        const staying: TestClient[] = []
        let going: TestClient | undefined
        const heard: TestClient['events'][number][] = []
        let seen = zelos.lastZxid
        const watch = (client: TestClient) =>
          zelos.setWatches(client, { relativeZxid: seen, data: [], exist: [], child: [], persistent, recursive })
        const leave = () => {
          if (going === undefined) return
          heard.push(...going.events)
          zelos.removeSink(going)
          going = undefined
          seen = zelos.lastZxid
        }
        const comeBack = () => {
          if (going !== undefined) return
          going = new TestClient(zelos)
          watch(going)
        }
        const stay = () => {
          const client = new TestClient(zelos)
          zelos.setWatches(client, {
            relativeZxid: zelos.lastZxid,
            data: [],
            exist: [],
            child: [],
            persistent,
            recursive,
          })
          staying.push(client)
        }
        stay()
        comeBack()
        for (const one of steps) {
          if (one === 'restart') {
            leave()
            harness.close()
            harness = start({}, harness.store)
            zelos = harness.zelos
            stay()
            writer = harness.client().authenticate({ scheme: 'digest', id: 'bob:x' })
          } else if (one === 'go') leave()
          else if (one === 'come back') comeBack()
          else if (one === 'end of a session') {
            writer.close()
            writer = harness.client().authenticate({ scheme: 'digest', id: 'bob:x' })
          } else if (one.write.length === 1) writer.write(one.write[0] as UpdateOperation)
          else writer.multi(...one.write)
        }
        comeBack()
        leave()
        expect(heard).toEqual(staying.flatMap(({ events }) => events))
      }),
      { numRuns: 300 },
    )
  })
})
