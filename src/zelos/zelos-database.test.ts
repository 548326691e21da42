import { describe, expect, it } from 'vitest'
import { ManualTime } from '../store/manual-time.ts'
import { openMemoryStore } from '../store/memory-store.ts'
import { type HarnessOptions, ZelosHarness } from './zelos-harness.test-support.ts'
import { ZCODE } from './znode.ts'

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
})
