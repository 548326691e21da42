// Every check of every update in ZooKeeper's order, and the arithmetic of stats.

import { describe, expect, it } from 'vitest'
import { type HarnessOptions, OPEN, type TestClient, ZelosHarness } from '../../test/support/zelos-harness.ts'
import { entryOf } from '../engine/entry.ts'
import type { LogPos } from '../log/position.ts'
import { ManualTime } from '../store/manual-time.ts'
import { openMemoryStore } from '../store/memory-store.ts'
import { UpdateEncoder } from './request-codec.ts'
import type { Update, UpdateOperation } from './requests.ts'
import { snapshotOf } from './tree/cached-node.ts'
import { nodeKey } from './tree/key-space.ts'
import { encodeNode } from './tree/node-codec.ts'
import { POSITION_EVERY, POSITIONS_KEPT, ZelosApplicator } from './zelos-applicator.ts'
import { type Acl, ZCODE, type ZNode } from './znode.ts'

function memoryStore(time = new ManualTime(queueMicrotask)) {
  const random = { uint32: () => 7, bytes: (length: number) => new Uint8Array(length) }
  return openMemoryStore({ runtime: { clock: time, timers: time, random } })
}

function server(options: HarnessOptions = {}): ZelosHarness {
  const time = new ManualTime(queueMicrotask)
  return new ZelosHarness(memoryStore(time), { ...options, time })
}

function node(harness: ZelosHarness, path: string): ZNode {
  return snapshotOf(harness.applicator.tree.read(harness.store.read(), path) as ZNode)
}

/** Changes a stored node behind the database, for states that take 2^31 updates to reach. */
function rewrite(harness: ZelosHarness, path: string, change: Partial<ZNode>): void {
  const tx = harness.store.begin()
  tx.put(nodeKey(path), encodeNode({ ...node(harness, path), ...change }))
  tx.commit()
  harness.applicator.forget()
}

const READ_ONLY: readonly Acl[] = [{ perms: 1, scheme: 'world', id: 'anyone' }]
const acl = (perms: number): readonly Acl[] => [{ perms, scheme: 'world', id: 'anyone' }]
const data = (text: string) => Buffer.from(text)

describe('a new store', () => {
  it('shows the nodes and stats of a fresh standalone ZooKeeper', () => {
    const harness = server()
    harness.client()
    const shown = (path: string) => {
      const { createdChildren, numChildren, aversion, pzxid, czxid, ctime, data } = node(harness, path)
      const cversion = createdChildren * 2 - numChildren
      return { cversion, numChildren, aversion, pzxid, czxid, ctime, length: data?.length }
    }
    const fresh = { aversion: 0, pzxid: 0, czxid: 0, ctime: 0, length: 0 }
    expect(shown('/')).toEqual({ ...fresh, cversion: -1, numChildren: 1 })
    expect(shown('/zookeeper')).toEqual({ ...fresh, cversion: -2, numChildren: 2 })
    expect(shown('/zookeeper/quota')).toEqual({ ...fresh, cversion: 0, numChildren: 0 })
    expect(shown('/zookeeper/config')).toEqual({ ...fresh, cversion: 0, numChildren: 0, aversion: -1 })
  })

  it('lets everybody read the configuration and nobody write it', () => {
    const harness = server()
    const alice = harness.client()
    expect(alice.setData('/zookeeper/config', null).err).toBe(ZCODE.NO_AUTH)
    expect(harness.zelos.getAcl(alice.requester, '/zookeeper/config')).toMatchObject({ acl: READ_ONLY })
  })
})

describe('create', () => {
  it('gives a node its zxid three times, the time of its proposer, and counts at the parent', () => {
    const harness = server()
    const alice = harness.client()
    harness.time.advance(1234)
    const created = alice.create('/a', { data: data('x') })
    expect(created).toMatchObject({ err: 0, zxid: 2, path: '/a' })
    expect(created.node).toMatchObject({
      czxid: 2,
      mzxid: 2,
      pzxid: 2,
      ctime: 1234,
      mtime: 1234,
      version: 0,
      createdChildren: 0,
      aversion: 0,
      ephemeralOwner: 0,
      numChildren: 0,
    })
    expect(node(harness, '/')).toMatchObject({ createdChildren: 1, numChildren: 2, pzxid: 2, mzxid: 0, version: 0 })
  })

  it('keeps null and empty data apart', () => {
    const harness = server()
    const alice = harness.client()
    alice.create('/null')
    alice.create('/empty', { data: data('') })
    expect(node(harness, '/null').data).toBeNull()
    expect(node(harness, '/empty').data).toHaveLength(0)
  })

  it('checks in the order session, path, list, parent, CREATE, whole path, existence, ephemeral parent', () => {
    const harness = server()
    const alice = harness.client()
    const bad: readonly Acl[] = []
    alice.create('/locked', { acl: acl(31 & ~4) })
    alice.create('/eph', { flags: 1 })
    const err = (path: string, list = OPEN) => alice.create(path, { acl: list }).err
    expect(err('noslash', bad)).toBe(ZCODE.BAD_ARGUMENTS)
    expect(err('/a\x00', bad)).toBe(ZCODE.BAD_ARGUMENTS)
    expect(err('/missing/x', bad)).toBe(ZCODE.INVALID_ACL)
    expect(err('/missing/..')).toBe(ZCODE.NO_NODE)
    expect(err('missing/x')).toBe(ZCODE.NO_NODE)
    expect(err('/a/')).toBe(ZCODE.NO_NODE)
    expect(err('/locked/..')).toBe(ZCODE.NO_AUTH)
    expect(err('/locked/')).toBe(ZCODE.NO_AUTH)
    expect(err('/..')).toBe(ZCODE.BAD_ARGUMENTS)
    expect(err('//')).toBe(ZCODE.BAD_ARGUMENTS)
    expect(err('/eph/')).toBe(ZCODE.BAD_ARGUMENTS)
    expect(err('/eph')).toBe(ZCODE.NODE_EXISTS)
    expect(err('/')).toBe(ZCODE.NODE_EXISTS)
    expect(err('/eph/x')).toBe(ZCODE.NO_CHILDREN_FOR_EPHEMERALS)
    alice.close()
    expect(err('noslash', bad)).toBe(ZCODE.SESSION_EXPIRED)
  })

  it('numbers sequential nodes by the creates of the parent, which deletes do not lower', () => {
    const harness = server()
    const alice = harness.client()
    alice.create('/q')
    expect(alice.create('/q/n-', { flags: 2 }).path).toBe('/q/n-0000000000')
    expect(alice.create('/q/plain').err).toBe(0)
    alice.delete('/q/plain')
    expect(alice.create('/q/n-', { flags: 3 })).toMatchObject({ path: '/q/n-0000000002' })
    expect(alice.create('/q/', { flags: 2 }).path).toBe('/q/0000000003')
    expect(node(harness, '/q')).toMatchObject({ createdChildren: 4, numChildren: 3 })
  })

  it('lets the sequence overflow into negative numbers, as a signed int does', () => {
    const harness = server()
    const alice = harness.client()
    alice.create('/q')
    rewrite(harness, '/q', { createdChildren: 2 ** 31 - 1 })
    expect(alice.create('/q/n-', { flags: 2 }).path).toBe('/q/n-2147483647')
    expect(alice.create('/q/n-', { flags: 2 }).path).toBe('/q/n--2147483648')
    expect(alice.create('/q/n-', { flags: 2 }).path).toBe('/q/n--2147483647')
  })
})

describe('delete', () => {
  it('checks in the order session, path, parent, DELETE on the parent, node, version, children', () => {
    const harness = server()
    const alice = harness.client()
    alice.create('/p')
    alice.create('/p/c')
    alice.create('/locked', { acl: acl(31 & ~8) })
    expect(alice.delete('noslash').err).toBe(ZCODE.BAD_ARGUMENTS)
    expect(alice.delete('/p\x00').err).toBe(ZCODE.BAD_ARGUMENTS)
    for (const path of ['/', '/zookeeper', '/zookeeper/quota', '/zookeeper/config']) {
      expect(alice.delete(path).err).toBe(ZCODE.BAD_ARGUMENTS)
    }
    expect(alice.delete('/missing/x').err).toBe(ZCODE.NO_NODE)
    expect(alice.delete('/locked/missing').err).toBe(ZCODE.NO_AUTH)
    expect(alice.delete('/missing', 7).err).toBe(ZCODE.NO_NODE)
    expect(alice.delete('/p/').err).toBe(ZCODE.NO_NODE)
    expect(alice.delete('/p', 7).err).toBe(ZCODE.BAD_VERSION)
    expect(alice.delete('/p').err).toBe(ZCODE.NOT_EMPTY)
    alice.close()
    expect(alice.delete('noslash').err).toBe(ZCODE.SESSION_EXPIRED)
  })

  it('needs DELETE on the parent alone, and moves its pzxid, not its create count', () => {
    const harness = server()
    const alice = harness.client()
    alice.create('/p')
    alice.create('/p/c', { acl: READ_ONLY })
    const before = node(harness, '/p')
    const { zxid, err } = alice.delete('/p/c', 0)
    expect(err).toBe(0)
    expect(node(harness, '/p')).toEqual({ ...before, pzxid: zxid, numChildren: 0 })
  })
})

describe('setData', () => {
  it('checks in the order session, path, node, WRITE, version', () => {
    const harness = server()
    const alice = harness.client()
    alice.create('/locked', { acl: READ_ONLY })
    alice.create('/a')
    expect(alice.setData('', null).err).toBe(ZCODE.BAD_ARGUMENTS)
    expect(alice.setData('/a/', null).err).toBe(ZCODE.BAD_ARGUMENTS)
    expect(alice.setData('/missing', null).err).toBe(ZCODE.NO_NODE)
    expect(alice.setData('/locked', null, 7).err).toBe(ZCODE.NO_AUTH)
    expect(alice.setData('/a', null, 7).err).toBe(ZCODE.BAD_VERSION)
    expect(alice.setData('/a', data('1'), 0)).toMatchObject({ err: 0, node: { version: 1 } })
    alice.close()
    expect(alice.setData('', null).err).toBe(ZCODE.SESSION_EXPIRED)
  })

  it('changes data, version, mzxid and mtime, and nothing else', () => {
    const harness = server()
    const alice = harness.client()
    alice.create('/a', { data: data('old') })
    const before = node(harness, '/a')
    harness.time.advance(500)
    const { zxid, node: after } = alice.setData('/a', data('new'))
    expect(after).toEqual({ ...before, data: data('new'), version: 1, mzxid: zxid, mtime: 500 })
    expect(node(harness, '/a')).toEqual(after)
  })

  it('lets the version overflow, and leaves out -1, which means any version', () => {
    const harness = server()
    const alice = harness.client()
    alice.create('/a')
    rewrite(harness, '/a', { version: 2 ** 31 - 1 })
    expect(alice.setData('/a', null).node?.version).toBe(-(2 ** 31))
    rewrite(harness, '/a', { version: -2 })
    expect(alice.setData('/a', null, -2).node?.version).toBe(0)
  })

  it('keeps large data apart from the node, in both directions', () => {
    const harness = server()
    const alice = harness.client()
    const small = data('small')
    const large = Buffer.alloc(10_000, 7)
    const rows = () => harness.content().length
    alice.create('/a', { data: small })
    const before = rows()
    for (const [bytes, extra] of [
      [large, 1],
      [Buffer.alloc(9000, 1), 1],
      [small, 0],
      [large, 1],
      [null, 0],
    ] as const) {
      alice.setData('/a', bytes)
      harness.applicator.forget()
      expect(node(harness, '/a').data).toEqual(bytes)
      expect(rows()).toBe(before + extra)
    }
    alice.setData('/a', large)
    alice.create('/a/child')
    harness.applicator.forget()
    expect(node(harness, '/a')).toMatchObject({ data: large, numChildren: 1 })
    alice.delete('/a/child')
    alice.delete('/a')
    expect(rows()).toBe(before - 1)
  })
})

describe('setACL', () => {
  it('checks in the order session, path, list, node, ADMIN, version of the list', () => {
    const harness = server()
    const alice = harness.client()
    alice.create('/locked', { acl: acl(31 & ~16) })
    alice.create('/a')
    expect(alice.setAcl('/a/', []).err).toBe(ZCODE.BAD_ARGUMENTS)
    expect(alice.setAcl('/missing', []).err).toBe(ZCODE.INVALID_ACL)
    expect(alice.setAcl('/missing', OPEN).err).toBe(ZCODE.NO_NODE)
    expect(alice.setAcl('/locked', OPEN, 7).err).toBe(ZCODE.NO_AUTH)
    alice.setData('/a', null)
    expect(alice.setAcl('/a', OPEN, 1).err).toBe(ZCODE.BAD_VERSION)
    expect(alice.setAcl('/a', OPEN, 0)).toMatchObject({ err: 0, node: { aversion: 1, version: 1 } })
    alice.close()
    expect(alice.setAcl('/a/', []).err).toBe(ZCODE.SESSION_EXPIRED)
  })

  it('leaves mzxid, mtime and version alone', () => {
    const harness = server()
    const alice = harness.client()
    alice.create('/a')
    const before = node(harness, '/a')
    const { node: after } = alice.setAcl('/a', READ_ONLY)
    expect(after).toEqual({ ...before, aversion: 1, aclId: (after as ZNode).aclId })
  })

  it('stores a list once for all nodes, and drops it with the last of them', () => {
    const harness = server()
    const alice = harness.client().authenticate({ scheme: 'digest', id: 'alice:hash' })
    const rows = () => harness.content().length
    const before = rows()
    alice.create('/a', { acl: [{ perms: 31, scheme: 'auth', id: '' }] })
    alice.create('/b', { acl: [{ perms: 31, scheme: 'digest', id: 'alice:hash' }] })
    expect(node(harness, '/a').aclId).toBe(node(harness, '/b').aclId)
    expect(rows()).toBe(before + 2 + 2)
    alice.setAcl('/a', OPEN)
    alice.setAcl('/b', [{ perms: 31, scheme: 'digest', id: 'alice:hash' }])
    expect(rows()).toBe(before + 2 + 2)
    alice.delete('/b')
    expect(rows()).toBe(before + 1)
  })
})

describe('multi', () => {
  const create = (path: string): UpdateOperation => ({ op: 'create', path, data: null, acl: OPEN, flags: 0 })

  it('shows earlier operations to later ones, all with one zxid', () => {
    const harness = server()
    const alice = harness.client()
    const results = alice.multi(
      create('/a'),
      { ...create('/a/n-'), flags: 2 } as UpdateOperation,
      { op: 'setData', path: '/a', data: data('x'), version: 0 },
      { op: 'check', path: '/a', version: 1 },
      { op: 'delete', path: '/a/n-0000000000', version: -1 },
      { op: 'setAcl', path: '/a', acl: READ_ONLY, version: 0 },
    )
    expect(results.map(({ err, path }) => [err, path])).toEqual([
      [0, '/a'],
      [0, '/a/n-0000000000'],
      [0, undefined],
      [0, undefined],
      [0, undefined],
      [0, undefined],
    ])
    expect(node(harness, '/a')).toMatchObject({ czxid: 2, mzxid: 2, pzxid: 2, version: 1, aversion: 1 })
    expect(harness.zelos.lastZxid).toBe(2)
  })

  it('that fails changes nothing but the zxid, and tells which operation it was', () => {
    const harness = server()
    const alice = harness.client()
    alice.create('/a', { acl: READ_ONLY })
    node(harness, '/a') // From now on in the cache, which the statistics tell of.
    const before = harness.content().filter(([key]) => !key.endsWith('x'))
    const { stats } = harness.zelos
    const results = alice.multi(
      create('/b'),
      create('/c'),
      { op: 'delete', path: '/b', version: -1 },
      { op: 'setData', path: '/a', data: null, version: -1 },
      create('/d'),
      create('/b'),
    )
    const { RUNTIME_INCONSISTENCY } = ZCODE
    expect(results).toEqual(
      [0, 0, 0, ZCODE.NO_AUTH, RUNTIME_INCONSISTENCY, RUNTIME_INCONSISTENCY].map((err) => ({ err })),
    )
    expect(harness.content().filter(([key]) => !key.endsWith('x'))).toEqual(before)
    expect(harness.zelos.stats).toEqual(stats)
    expect(harness.zelos.lastZxid).toBe(3)
    expect(alice.create('/b').err).toBe(0)
  })

  it('checks the version and READ of what it only checks', () => {
    const harness = server()
    const alice = harness.client()
    alice.create('/hidden', { acl: acl(2) })
    const check = (path: string, version: number) => alice.multi({ op: 'check', path, version })[0]?.err
    expect(check('/a/', 0)).toBe(ZCODE.BAD_ARGUMENTS)
    expect(check('/missing', 0)).toBe(ZCODE.NO_NODE)
    expect(check('/hidden', 0)).toBe(ZCODE.NO_AUTH)
    expect(check('/', 1)).toBe(ZCODE.BAD_VERSION)
    expect(check('/', -1)).toBe(0)
  })

  it('without operations succeeds, and of an ended session is not looked at', () => {
    const harness = server()
    const alice = harness.client()
    expect(alice.multi()).toEqual([])
    alice.close()
    expect(alice.multi(create('/a'), create('/b'))).toEqual([{ err: ZCODE.SESSION_EXPIRED }])
  })
})

describe('the zxid', () => {
  it('counts every update request, refused ones included', () => {
    const harness = server()
    const alice = harness.client()
    expect(alice.delete('/missing')).toEqual({ zxid: 2, err: ZCODE.NO_NODE })
    expect(alice.create('/a').zxid).toBe(3)
    expect(alice.close().zxid).toBe(4)
    expect(harness.zelos.lastZxid).toBe(4)
  })

  it('does not wrap at 2^32', () => {
    const harness = server()
    const alice = harness.client()
    const tx = harness.store.begin()
    const [key, record] = harness.content().find(([one]) => one.endsWith('x')) as [string, Uint8Array]
    const counters = Buffer.from(record)
    counters.writeUInt32BE(0xffff_ffff, 5)
    tx.put(key, counters)
    tx.commit()
    harness.applicator.forget()
    expect(alice.create('/a')).toMatchObject({ zxid: 2 ** 32, node: { czxid: 2 ** 32 } })
    expect(alice.create('/b')).toMatchObject({ zxid: 2 ** 32 + 1 })
  })

  it('of every thousandth update leads to its log position, the newest ten thousand of them', () => {
    const harness = server()
    const alice = harness.client()
    for (let i = 0; i < POSITION_EVERY; i++) alice.delete('/missing')
    const { applicator, store } = harness
    expect(applicator.positionOf(store.read(), POSITION_EVERY)).toBe(10 + POSITION_EVERY - 1)
    expect(applicator.positionOf(store.read(), POSITION_EVERY - 1)).toBeUndefined()
    const positions = () => harness.content().filter(([key]) => key.startsWith('zelos\x00z')).length
    skipTo(harness, (POSITIONS_KEPT + 1) * POSITION_EVERY - 1)
    alice.delete('/missing')
    expect(positions()).toBe(1)
    expect(applicator.positionOf(store.read(), POSITION_EVERY)).toBeUndefined()
  })
})

/** Sets the zxid as if so many updates had been applied. */
function skipTo(harness: ZelosHarness, zxid: number): void {
  const [key, record] = harness.content().find(([one]) => one.endsWith('\x00x')) as [string, Uint8Array]
  const counters = Buffer.from(record)
  counters.writeUInt32BE(zxid, 5)
  const tx = harness.store.begin()
  tx.put(key, counters)
  tx.commit()
  harness.applicator.forget()
}

describe('a transaction', () => {
  const encoder = new UpdateEncoder()
  const session: Update = { kind: 'createSession', password: new Uint8Array(16), timeoutMs: 1000, address: '' }
  const requester = { session: 1, ownerEpoch: 1, address: '', identities: [] }
  const update = (operation: UpdateOperation) => entryOf(encoder.encode({ kind: 'write', requester, operation }, 5))
  const created = update({ op: 'create', path: '/a', data: null, acl: OPEN, flags: 0 })

  it('that is dropped leaves nothing behind in memory', () => {
    const store = memoryStore()
    const applicator = new ZelosApplicator()
    const first = entryOf(encoder.encode(session, 5))
    for (const commit of [false, true]) {
      const tx = store.begin()
      const opened = applicator.apply(tx, first, 1 as LogPos)
      expect(opened).toMatchObject({ zxid: 1 })
      const result = applicator.apply(tx, created, 2 as LogPos)
      expect(result).toMatchObject({ zxid: 2, err: 0, path: '/a' })
      if (!commit) {
        tx.abort()
        continue
      }
      tx.commit()
      applicator.postApply(first, 1 as LogPos, opened)
      applicator.postApply(created, 2 as LogPos, result)
    }
    expect(applicator.counters(store.read())).toMatchObject({ zxid: 2, nodes: 5, sessions: 1 })
    expect(applicator.tree.read(store.read(), '/')).toMatchObject({ createdChildren: 1 })
  })

  it('of many entries shows each the ones before it, and readers only the whole', () => {
    const harness = server()
    const alice: TestClient = harness.client()
    harness.log.held = true
    const pending = ['/a', '/a/b', '/a/b/c'].map((path) => {
      const results: number[] = []
      harness.zelos.write(
        alice.requester,
        { op: 'create', path, data: null, acl: OPEN, flags: 0 },
        { resolve: (result) => results.push(result.err), reject: (error) => expect.fail(error.message) },
      )
      return results
    })
    expect(harness.zelos.stats.pendingUpdates).toBe(3)
    expect(harness.zelos.exists(alice.requester, '/a', undefined)).toBe(ZCODE.NO_NODE)
    harness.log.release()
    expect(pending).toEqual([[0], [0], [0]])
    expect(harness.zelos.exists(alice.requester, '/a/b/c', undefined)).toMatchObject({ czxid: 4 })
    expect(harness.zelos.stats.pendingUpdates).toBe(0)
  })
})
