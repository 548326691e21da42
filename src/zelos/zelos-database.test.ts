import { describe, expect, it } from 'vitest'
import { type HarnessOptions, ZelosHarness } from '../../test/support/zelos-harness.ts'
import { ManualTime } from '../store/manual-time.ts'
import { openMemoryStore } from '../store/memory-store.ts'
import { COUNTERS_KEY } from './tree/key-space.ts'
import { ZCODE, type ZNode } from './znode.ts'

function server(options: HarnessOptions = {}): ZelosHarness {
  const time = new ManualTime(queueMicrotask)
  const random = { uint32: () => 7, bytes: (length: number) => new Uint8Array(length) }
  return new ZelosHarness(openMemoryStore({ runtime: { clock: time, timers: time, random } }), { ...options, time })
}

describe('a Zelos database', () => {
  it('creates, reads, changes and deletes a node', () => {
    const harness = server()
    const alice = harness.client()
    expect(alice.create('/a', { data: Buffer.from('one') })).toMatchObject({ err: 0, path: '/a' })
    expect(harness.zelos.getData(alice.requester, '/a', undefined)).toMatchObject({ version: 0, czxid: 2, mzxid: 2 })
    expect(alice.setData('/a', Buffer.from('two'))).toMatchObject({ err: 0, node: { version: 1, mzxid: 3 } })
    expect(harness.zelos.getChildren(alice.requester, '/', undefined, 1000)).toMatchObject({
      children: ['a', 'zookeeper'],
    })
    expect(alice.delete('/a')).toEqual({ zxid: 4, err: 0 })
    expect(harness.zelos.getData(alice.requester, '/a', undefined)).toBe(ZCODE.NO_NODE)
  })

  it('refuses a store that another version of it wrote', () => {
    const { store } = server()
    const tx = store.begin()
    tx.put(COUNTERS_KEY, Buffer.from('01', 'hex'))
    tx.commit()
    expect(() => new ZelosHarness(store)).toThrow('the records of zelos have format 1, this version reads 2')
  })

  it('knows its root also by the empty path, for reads', () => {
    const harness = server()
    const { requester } = harness.client()
    expect(harness.zelos.getData(requester, '', undefined)).toMatchObject({ numChildren: 1 })
    expect(harness.zelos.getChildren(requester, '', undefined, 1000)).toMatchObject({ children: ['zookeeper'] })
  })

  it('does not validate the paths of reads, but for a zero character in exists', () => {
    const harness = server()
    const { requester } = harness.client()
    expect(harness.zelos.getData(requester, 'a//b/', undefined)).toBe(ZCODE.NO_NODE)
    expect(harness.zelos.getData(requester, '/\0', undefined)).toBe(ZCODE.NO_NODE)
    expect(harness.zelos.exists(requester, '/\0', undefined)).toBe(ZCODE.BAD_ARGUMENTS)
  })

  it('shows an access list to who may read or administer, and the hashes only to the latter', () => {
    const harness = server()
    const alice = harness.client().authenticate({ scheme: 'digest', id: 'alice:hash' })
    const bob = harness.client()
    const own = { perms: 31, scheme: 'digest', id: 'alice:hash' }
    const all = { perms: 1, scheme: 'world', id: 'anyone' }
    alice.create('/shared', { acl: [own, all] })
    alice.create('/own', { acl: [own] })
    alice.create('/admin', { acl: [{ ...own, perms: 16 }] })
    expect(harness.zelos.getAcl(alice.requester, '/shared')).toMatchObject({ acl: [own, all] })
    expect(harness.zelos.getAcl(bob.requester, '/shared')).toMatchObject({ acl: [{ ...own, id: 'alice:x' }, all] })
    expect(harness.zelos.getAcl(bob.requester, '/own')).toBe(ZCODE.NO_AUTH)
    expect(harness.zelos.getAcl(alice.requester, '/admin')).toMatchObject({ acl: [{ ...own, perms: 16 }] })
    expect(harness.zelos.getAcl(alice.requester, '/missing')).toBe(ZCODE.NO_NODE)
  })

  it('answers a sync with the last zxid', async () => {
    const harness = server()
    const alice = harness.client()
    alice.create('/a')
    const zxid = await new Promise((resolve, reject) => harness.zelos.sync({ resolve, reject }))
    expect(zxid).toBe(2)
  })

  it('counts nodes, ephemeral nodes, sessions and bytes', () => {
    const harness = server()
    const alice = harness.client()
    const before = harness.zelos.stats
    alice.create('/a', { data: Buffer.alloc(100) })
    alice.create('/b', { flags: 1 })
    alice.setData('/a', Buffer.alloc(10))
    expect(harness.zelos.stats).toMatchObject({
      nodeCount: before.nodeCount + 2,
      ephemeralCount: 1,
      sessionCount: 1,
      approximateDataBytes: before.approximateDataBytes + 2 + 10 + 2,
    })
    alice.close()
    expect(harness.zelos.stats).toMatchObject({ nodeCount: before.nodeCount + 1, ephemeralCount: 0, sessionCount: 0 })
  })

  it('keeps no log batch alive: what it stores lies in buffers of its own', () => {
    const harness = server()
    const alice = harness.client()
    const batch = Buffer.allocUnsafeSlow(1 << 20)
    alice.create('/a', { data: batch.subarray(0, 100) })
    alice.setData('/a', batch.subarray(0, 200))
    alice.create('/large', { data: batch.subarray(0, 50_000) })
    for (const path of ['/a', '/large']) {
      const node = harness.zelos.getData(alice.requester, path, undefined) as ZNode
      expect((node.data as Uint8Array).buffer.byteLength).toBeLessThan(100_000)
    }
  })
})
