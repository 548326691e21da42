// Who hears of what: ZooKeeper's rules for one-shot watches.

import { describe, expect, it } from 'vitest'
import { type HarnessOptions, OPEN, Outcome, type TestClient, ZelosHarness } from '../../test/support/zelos-harness.ts'
import { ManualTime } from '../store/manual-time.ts'
import { openMemoryStore } from '../store/memory-store.ts'
import type { UpdateResult } from './requests.ts'
import { type Acl, ZCODE } from './znode.ts'

function server(options: HarnessOptions = {}) {
  const time = new ManualTime(queueMicrotask)
  const random = { uint32: () => 7, bytes: (length: number) => new Uint8Array(length) }
  const store = openMemoryStore({ runtime: { clock: time, timers: time, random } })
  const harness = new ZelosHarness(store, { ...options, time })
  const { zelos } = harness
  const watch = {
    data: (client: TestClient, path: string) => zelos.getData(client.requester, path, client),
    exists: (client: TestClient, path: string) => zelos.exists(client.requester, path, client),
    children: (client: TestClient, path: string) => zelos.getChildren(client.requester, path, client, 1 << 20),
  }
  return { harness, zelos, watch, alice: harness.client(), bob: harness.client() }
}

const BOB_ONLY: readonly Acl[] = [{ perms: 31, scheme: 'digest', id: 'bob:x' }]

describe('a watch', () => {
  it('fires once', () => {
    const { watch, alice, bob } = server()
    bob.create('/a')
    watch.data(alice, '/a')
    bob.setData('/a', null)
    bob.setData('/a', null)
    expect(alice.takeEvents()).toEqual(['dataChanged /a'])
    watch.data(alice, '/a')
    watch.data(alice, '/a')
    bob.setData('/a', null)
    expect(alice.takeEvents()).toEqual(['dataChanged /a'])
  })

  it('for data hears of data and of the end of the node, not of children or its access list', () => {
    const { watch, alice, bob } = server()
    bob.create('/a')
    watch.data(alice, '/a')
    bob.create('/a/b')
    bob.delete('/a/b')
    bob.setAcl('/a', OPEN)
    expect(alice.takeEvents()).toEqual([])
    bob.delete('/a')
    expect(alice.takeEvents()).toEqual(['deleted /a'])
  })

  it('for existence hears of creation, change and deletion', () => {
    const { watch, alice, bob } = server()
    expect(watch.exists(alice, '/a')).toBe(ZCODE.NO_NODE)
    bob.create('/a')
    expect(alice.takeEvents()).toEqual(['created /a'])
    watch.exists(alice, '/a')
    bob.setData('/a', null)
    watch.exists(alice, '/a')
    bob.delete('/a')
    expect(alice.takeEvents()).toEqual(['dataChanged /a', 'deleted /a'])
  })

  it('for children hears of creation and deletion below, not of data or grandchildren, and of the end of the node', () => {
    const { watch, alice, bob } = server()
    bob.create('/a')
    watch.children(alice, '/a')
    bob.setData('/a', null)
    expect(alice.takeEvents()).toEqual([])
    bob.create('/a/b')
    watch.children(alice, '/a')
    bob.create('/a/b/c')
    bob.setData('/a/b', null)
    bob.delete('/a/b/c')
    expect(alice.takeEvents()).toEqual(['childrenChanged /a'])
    bob.delete('/a/b')
    watch.children(alice, '/a')
    bob.delete('/a')
    expect(alice.takeEvents()).toEqual(['childrenChanged /a', 'deleted /a'])
  })

  it('of the root hears of its children', () => {
    const { watch, alice, bob } = server()
    watch.children(alice, '/')
    bob.create('/a')
    expect(alice.takeEvents()).toEqual(['childrenChanged /'])
  })

  it('for data and for children of one node gives one event when it is deleted', () => {
    const { watch, alice, bob } = server()
    bob.create('/a')
    watch.data(alice, '/a')
    watch.exists(alice, '/a')
    watch.children(alice, '/a')
    bob.delete('/a')
    expect(alice.takeEvents()).toEqual(['deleted /a'])
  })

  it('carries the zxid of the change, in the order of the changes', () => {
    const { watch, alice, bob } = server()
    watch.exists(alice, '/a')
    watch.children(alice, '/')
    const { zxid } = bob.create('/a')
    expect(alice.events).toEqual([
      { type: 'created', path: '/a', zxid },
      { type: 'childrenChanged', path: '/', zxid },
    ])
  })

  it('is not set by a read that fails, except by exists', () => {
    const { zelos, watch, alice, bob } = server()
    bob.authenticate({ scheme: 'digest', id: 'bob:x' }).create('/a', { acl: BOB_ONLY })
    expect([watch.data(alice, '/missing'), watch.children(alice, '/missing')]).toEqual([-101, -101])
    expect([watch.data(alice, '/a'), watch.children(alice, '/a'), watch.exists(alice, '/a')]).toEqual([
      -102, -102, -102,
    ])
    expect(zelos.stats).toMatchObject({ watchCount: 0, watchPathCount: 0 })
  })

  it('is not told of a node that it may not read', () => {
    const { watch, alice, bob } = server()
    bob.authenticate({ scheme: 'digest', id: 'bob:x' })
    watch.exists(alice, '/secret')
    watch.exists(bob, '/secret')
    bob.create('/secret', { acl: BOB_ONLY })
    expect(alice.takeEvents()).toEqual([])
    expect(bob.takeEvents()).toEqual(['created /secret'])
    bob.create('/open')
    watch.children(alice, '/open')
    bob.setAcl('/open', BOB_ONLY)
    bob.create('/open/child')
    expect(alice.takeEvents()).toEqual([])
  })

  it('hears nothing of an update that was refused', () => {
    const { watch, alice, bob } = server()
    bob.create('/a')
    watch.data(alice, '/a')
    watch.children(alice, '/')
    bob.setData('/a', null, 7)
    bob.multi({ op: 'setData', path: '/a', data: null, version: -1 }, { op: 'delete', path: '/missing', version: -1 })
    expect(alice.takeEvents()).toEqual([])
  })

  it('hears of the operations of a multi in their order', () => {
    const { watch, alice, bob } = server()
    bob.create('/a')
    watch.data(alice, '/a')
    watch.exists(alice, '/b')
    watch.children(alice, '/')
    bob.multi(
      { op: 'create', path: '/b', data: null, acl: OPEN, flags: 0 },
      { op: 'delete', path: '/b', version: -1 },
      { op: 'setData', path: '/a', data: null, version: -1 },
    )
    expect(alice.takeEvents()).toEqual(['created /b', 'childrenChanged /', 'dataChanged /a'])
  })

  it('hears of ephemeral nodes when their session ends', () => {
    const { watch, alice, bob } = server()
    bob.create('/e', { flags: 1 })
    watch.data(alice, '/e')
    watch.children(alice, '/')
    const { zxid } = bob.close()
    expect(alice.events).toEqual([
      { type: 'deleted', path: '/e', zxid },
      { type: 'childrenChanged', path: '/', zxid },
    ])
  })

  it('fires before any completion of the same commit', () => {
    const { harness, zelos, watch, alice, bob } = server()
    watch.exists(alice, '/b')
    harness.log.held = true
    const seen: string[][] = []
    for (const path of ['/a', '/b']) {
      zelos.write(
        bob.requester,
        { op: 'create', path, data: null, acl: OPEN, flags: 0 },
        {
          resolve: () => seen.push(alice.takeEvents()),
          reject: (error) => expect.fail(error.message),
        },
      )
    }
    harness.log.release()
    expect(seen).toEqual([['created /b'], []])
  })

  it('goes with its connection', () => {
    const { zelos, watch, alice, bob } = server()
    bob.create('/a')
    watch.data(alice, '/a')
    watch.children(alice, '/a')
    watch.data(bob, '/a')
    expect(zelos.stats).toMatchObject({ watchCount: 3, watchPathCount: 2 })
    zelos.removeSink(alice)
    expect(zelos.stats).toMatchObject({ watchCount: 1, watchPathCount: 1 })
    bob.setData('/a', null)
    expect(alice.takeEvents()).toEqual([])
    expect(zelos.stats).toMatchObject({ watchCount: 0, watchPathCount: 0 })
  })
})

describe('a watch that stays', () => {
  it('persistent hears of every change of the node and its list of children, and stays when the node goes', () => {
    const { zelos, alice, bob } = server()
    zelos.addWatch(alice, '/a', 'persistent')
    for (let round = 0; round < 2; round++) {
      bob.create('/a')
      bob.setData('/a', null)
      bob.create('/a/b')
      bob.setData('/a/b', null)
      bob.create('/a/b/c')
      bob.delete('/a/b/c')
      bob.delete('/a/b')
      bob.delete('/a')
      expect(alice.takeEvents()).toEqual([
        'created /a',
        'dataChanged /a',
        'childrenChanged /a',
        'childrenChanged /a',
        'deleted /a',
      ])
    }
  })

  it('recursive hears of the node and all below it, never of children, and not of its neighbours', () => {
    const { zelos, alice, bob } = server()
    zelos.addWatch(alice, '/a', 'recursive')
    for (const path of ['/a', '/ab', '/a/b', '/a/b/c', '/b']) bob.create(path)
    bob.setData('/a/b/c', null)
    bob.setData('/ab', null)
    bob.setData('/', null)
    bob.delete('/a/b/c')
    bob.delete('/a/b')
    bob.delete('/a')
    expect(alice.takeEvents()).toEqual([
      'created /a',
      'created /a/b',
      'created /a/b/c',
      'dataChanged /a/b/c',
      'deleted /a/b/c',
      'deleted /a/b',
      'deleted /a',
    ])
  })

  it('recursive of the root hears of everything', () => {
    const { zelos, alice, bob } = server()
    zelos.addWatch(alice, '/', 'recursive')
    bob.setData('/', null)
    bob.create('/a')
    bob.create('/a/b')
    expect(alice.takeEvents()).toEqual(['dataChanged /', 'created /a', 'created /a/b'])
  })

  it('gives one event a change, however many watches of the connection see it', () => {
    const { zelos, watch, alice, bob } = server()
    bob.create('/a')
    zelos.addWatch(alice, '/', 'recursive')
    zelos.addWatch(alice, '/a', 'recursive')
    zelos.addWatch(alice, '/a', 'persistent')
    watch.data(alice, '/a')
    watch.children(alice, '/a')
    bob.setData('/a', null)
    bob.create('/a/b')
    bob.delete('/a/b')
    bob.delete('/a')
    expect(alice.takeEvents()).toEqual([
      'dataChanged /a',
      'created /a/b',
      'childrenChanged /a',
      'deleted /a/b',
      'childrenChanged /a',
      'deleted /a',
    ])
  })

  it('is told only of what it may read, asked at the time of the change', () => {
    const { zelos, alice, bob } = server()
    bob.authenticate({ scheme: 'digest', id: 'bob:x' })
    zelos.addWatch(alice, '/', 'recursive')
    zelos.addWatch(alice, '/a', 'persistent')
    bob.create('/a')
    bob.create('/a/secret', { acl: BOB_ONLY })
    bob.setData('/a/secret', null)
    bob.create('/a/secret/open')
    bob.setAcl('/a', BOB_ONLY)
    bob.create('/a/unseen', { acl: BOB_ONLY })
    expect(alice.takeEvents()).toEqual(['created /a', 'childrenChanged /a', 'created /a/secret/open'])
    bob.setAcl('/a', OPEN)
    bob.setData('/a', null)
    expect(alice.takeEvents()).toEqual(['dataChanged /a'])
  })

  it('is found and removed by its kind, and leaves the others of the path', () => {
    const { zelos, watch, alice, bob } = server()
    bob.create('/a')
    const kinds = ['children', 'data', 'persistent', 'recursive'] as const
    const set = () => {
      watch.data(alice, '/a')
      watch.children(alice, '/a')
      zelos.addWatch(alice, '/a', 'persistent')
      zelos.addWatch(alice, '/a', 'recursive')
    }
    const present = () => kinds.filter((kind) => zelos.hasWatch(alice, '/a', kind))
    for (const kind of kinds) {
      expect(zelos.removeWatches(alice, '/a', kind)).toBe(false)
      set()
      expect(present()).toEqual(kinds)
      expect(zelos.removeWatches(alice, '/a', kind)).toBe(true)
      expect(zelos.removeWatches(alice, '/a', kind)).toBe(false)
      expect(present()).toEqual(kinds.filter((other) => other !== kind))
      expect(zelos.hasWatch(alice, '/a', 'any')).toBe(true)
      expect(zelos.removeWatches(alice, '/a', 'any')).toBe(true)
      expect(zelos.removeWatches(alice, '/a', 'any')).toBe(false)
      expect(zelos.hasWatch(alice, '/a', 'any')).toBe(false)
      expect(zelos.stats).toMatchObject({ watchCount: 0, watchPathCount: 0 })
    }
    bob.setData('/a', null)
    expect(alice.takeEvents()).toEqual([])
  })

  it('outlives the one-shot watch of the same path, which is gone when it has fired', () => {
    const { zelos, watch, alice, bob } = server()
    bob.create('/a')
    watch.data(alice, '/a')
    zelos.addWatch(alice, '/a', 'persistent')
    expect(zelos.hasWatch(alice, '/a', 'data')).toBe(true)
    bob.setData('/a', null)
    expect(zelos.hasWatch(alice, '/a', 'data')).toBe(false)
    watch.data(alice, '/a')
    expect(zelos.hasWatch(alice, '/a', 'data')).toBe(true)
    zelos.removeWatches(alice, '/a', 'persistent')
    bob.setData('/a', null)
    bob.setData('/a', null)
    expect(alice.takeEvents()).toEqual(['dataChanged /a', 'dataChanged /a'])
    expect(zelos.stats.watchCount).toBe(0)
  })

  it('counts once a table, as one watch whatever its modes, and goes with its connection', () => {
    const { zelos, watch, alice, bob } = server({ limits: { watchesPerConnectionMax: 3 } })
    bob.create('/a')
    zelos.addWatch(alice, '/a', 'persistent')
    expect(zelos.stats.watchCount).toBe(2)
    watch.data(alice, '/a')
    zelos.addWatch(alice, '/a', 'recursive')
    expect(zelos.stats.watchCount).toBe(2)
    expect(() => zelos.addWatch(alice, '/b', 'persistent')).toThrow(/watchesPerConnectionMax is 3, this would be 4/)
    expect(zelos.stats.watchCount).toBe(2)
    zelos.addWatch(bob, '/a', 'recursive')
    zelos.removeSink(alice)
    expect(zelos.stats).toMatchObject({ watchCount: 1, watchPathCount: 1 })
    bob.create('/a/b')
    expect([alice.takeEvents(), bob.takeEvents()]).toEqual([[], ['created /a/b']])
    zelos.removeSink(bob)
    bob.delete('/a/b')
    expect(bob.takeEvents()).toEqual([])
  })
})

describe('watches set again after a reconnect', () => {
  it('fire at once if their change was missed, and are set if not', () => {
    const { zelos, alice, bob } = server()
    for (const path of ['/same', '/changed', '/parent', '/gone', '/still']) bob.create(path)
    const relativeZxid = zelos.lastZxid
    bob.setData('/changed', null)
    bob.create('/parent/new')
    bob.delete('/gone')
    bob.create('/appeared')
    zelos.setWatches(alice, {
      relativeZxid,
      data: ['/same', '/changed', '/gone'],
      exist: ['/missing', '/appeared'],
      child: ['/still', '/parent', '/gone'],
    })
    expect(alice.takeEvents()).toEqual([
      'dataChanged /changed',
      'deleted /gone',
      'created /appeared',
      'childrenChanged /parent',
      'deleted /gone',
    ])
    bob.setData('/same', null)
    bob.create('/missing')
    bob.create('/still/child')
    bob.setData('/changed', null)
    expect(alice.takeEvents()).toEqual(['dataChanged /same', 'created /missing', 'childrenChanged /still'])
  })

  it('tell nobody of a node that they may not read', () => {
    const { zelos, alice, bob } = server()
    bob.authenticate({ scheme: 'digest', id: 'bob:x' }).create('/a', { acl: BOB_ONLY })
    zelos.setWatches(alice, { relativeZxid: 0, data: ['/a'], exist: ['/a'], child: ['/a'] })
    expect(alice.takeEvents()).toEqual([])
  })
})

describe('limits', () => {
  const exceeded = (code: string) => expect.objectContaining({ code })

  it('the characters of watched paths are bounded, at a connection and at the server, and free again when the watch has gone', () => {
    const limits = { watchCharsPerConnectionMax: 10, watchCharsMax: 15 }
    const { zelos, alice, bob } = server({ limits })
    const watch = (client: TestClient, path: string) => () => zelos.addWatch(client, path, 'recursive')
    watch(alice, '/12345678')()
    expect(watch(alice, '/x')).toThrow(/watchCharsPerConnectionMax is 10, this would be 11/)
    expect(watch(bob, '/123456')).toThrow(/watchCharsMax is 15, this would be 16/)
    alice.create('/12345678')
    zelos.removeWatches(alice, '/12345678', 'any')
    watch(bob, '/12345678')()
    zelos.removeSink(bob)
    for (let round = 0; round < 5; round++) {
      zelos.getData(alice.requester, '/12345678', alice)
      alice.setData('/12345678', null)
    }
    expect(zelos.stats).toMatchObject({
      watchCount: 0,
      limitsExceeded: { watchCharsPerConnectionMax: 1, watchCharsMax: 1 },
    })
  })

  it('of watches hold per connection and for all, and are counted', () => {
    const { zelos, watch, alice, bob } = server({ limits: { watchesPerConnectionMax: 2, watchesMax: 3 } })
    watch.exists(alice, '/a')
    watch.exists(alice, '/b')
    expect(() => watch.exists(alice, '/c')).toThrow(exceeded('LIMIT_EXCEEDED'))
    expect(watch.exists(alice, '/b')).toBe(ZCODE.NO_NODE)
    watch.exists(bob, '/a')
    expect(() => watch.exists(bob, '/b')).toThrow(/watchesMax is 3, this would be 4/)
    expect(zelos.stats).toMatchObject({ watchCount: 3, limitsExceeded: { watchesPerConnectionMax: 1, watchesMax: 1 } })
    zelos.removeSink(alice)
    expect(watch.exists(bob, '/b')).toBe(ZCODE.NO_NODE)
  })

  it('of a multi hold for its operations and its bytes', () => {
    const { zelos, alice } = server({ limits: { multiOperationsMax: 2, updateBytesMax: 300 } })
    const check = { op: 'check', path: '/', version: -1 } as const
    expect(alice.multi(check, check)).toHaveLength(2)
    expect(() => alice.multi(check, check, check)).toThrow(exceeded('LIMIT_EXCEEDED'))
    const set = (bytes: number) => () => alice.setData('/', Buffer.alloc(bytes))
    const overhead = 10 + 2 + 1 + 9 + 2 + 2 + 4 + 2
    expect(set(300 - overhead)).not.toThrow()
    expect(set(301 - overhead)).toThrow(/updateBytesMax is 300, this would be 301/)
    expect(zelos.stats.limitsExceeded).toMatchObject({ multiOperationsMax: 1, updateBytesMax: 1 })
  })

  it('of an access list hold for its characters, also inside a multi', () => {
    const { alice } = server({ limits: { aclCharsMax: 20 } })
    const acl = (id: string): Acl[] => [{ perms: 31, scheme: 'digest', id }]
    expect(alice.create('/a', { acl: acl('a:345678901234') }).err).toBe(0)
    expect(() => alice.create('/b', { acl: acl('a:3456789012345') })).toThrow(exceeded('LIMIT_EXCEEDED'))
    const list = acl('a:3456789012345')
    expect(() => alice.multi({ op: 'setAcl', path: '/a', acl: list, version: -1 })).toThrow(exceeded('LIMIT_EXCEEDED'))
  })

  it('of sessions hold, and give room again', () => {
    const { harness, zelos, alice } = server({ limits: { sessionsMax: 3 } })
    harness.client()
    expect(() => harness.client()).toThrow(exceeded('LIMIT_EXCEEDED'))
    alice.close()
    harness.client()
    expect(zelos.stats).toMatchObject({ sessionCount: 3, limitsExceeded: { sessionsMax: 1 } })
  })

  it('of updates in flight hold by count and by bytes, and give room again', () => {
    const { harness, zelos, alice } = server({ limits: { pendingUpdatesMax: 2, pendingBytesMax: 1000 } })
    harness.log.held = true
    const set = (bytes: number) => {
      const outcome = new Outcome<UpdateResult>()
      zelos.write(alice.requester, { op: 'setData', path: '/', data: Buffer.alloc(bytes), version: -1 }, outcome)
      return outcome.error?.code
    }
    expect([set(100), set(1000), set(100), set(1)]).toEqual([undefined, 'OVERLOADED', undefined, 'OVERLOADED'])
    expect(zelos.stats).toMatchObject({
      pendingUpdates: 2,
      limitsExceeded: { pendingUpdatesMax: 1, pendingBytesMax: 1 },
    })
    harness.log.release()
    expect(zelos.stats).toMatchObject({ pendingUpdates: 0, pendingBytes: 0 })
    expect(set(100)).toBeUndefined()
  })

  it('of a list of children hold for the bytes of the names', () => {
    const { zelos, alice } = server()
    alice.create('/p')
    for (const name of ['a', 'bc', 'ä']) alice.create(`/p/${name}`)
    const list = (bytes: number) => zelos.getChildren(alice.requester, '/p', undefined, bytes)
    expect(list(1 + 2 + 2 + 3 * 4)).toMatchObject({ children: ['a', 'bc', 'ä'] })
    expect(() => list(1 + 2 + 2 + 3 * 4 - 1)).toThrow(exceeded('LIMIT_EXCEEDED'))
  })
})
