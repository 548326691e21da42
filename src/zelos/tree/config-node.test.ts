// /zookeeper/config: what servers announce, what clients see and hear of it.

import { describe, expect, it } from 'vitest'
import { type HarnessOptions, ZelosHarness } from '../../../test/support/zelos-harness.ts'
import { ManualTime } from '../../store/manual-time.ts'
import { openMemoryStore } from '../../store/memory-store.ts'
import type { Announcement } from './config-node.ts'

const address = (host: string): string => `${host}:0:0:participant;${host}:2181`

function server(member: HarnessOptions['member'] = () => undefined, store = newStore()) {
  const harness = new ZelosHarness(store, { time: new ManualTime(queueMicrotask), member })
  const { zelos } = harness
  const client = harness.client()
  const node = () => {
    const found = zelos.getData(client.requester, '/zookeeper/config', undefined)
    if (typeof found === 'number') throw new Error(`${found}`)
    return found
  }
  return { harness, zelos, client, node, text: () => Buffer.from(node().data ?? []).toString() }
}

function newStore() {
  const time = new ManualTime(queueMicrotask)
  const random = { uint32: () => 7, bytes: (length: number) => new Uint8Array(length) }
  return openMemoryStore({ runtime: { clock: time, timers: time, random } })
}

describe('a server that knows its address', () => {
  it('announces it once, as the zxid of the change says', () => {
    const { harness, node, text } = server(() => ({ server: 'x', address: address('10.0.0.1'), members: ['x'] }))
    const { mzxid, version } = node()
    expect(text()).toBe(`server.1=10.0.0.1:0:0:participant;10.0.0.1:2181\nversion=${mzxid.toString(16)}`)
    expect(version).toBe(1)
    const { length } = harness.log.entries
    harness.pass(5_000)
    expect([node().version, harness.log.entries.length]).toEqual([1, length])
  })

  it('tells clients that watch when it has another one, and after a restart nothing new', () => {
    let host = '10.0.0.1'
    const member = () => ({ server: 'x', address: address(host), members: ['x'] })
    const { harness, zelos, client, node, text } = server(member)
    zelos.getData(client.requester, '/zookeeper/config', client)
    zelos.addWatch(client, '/zookeeper/config', 'persistent')
    host = '10.0.0.2'
    harness.pass(1_100)
    expect(text()).toContain('server.1=10.0.0.2:0:0')
    expect(client.takeEvents()).toEqual(['dataChanged /zookeeper/config'])
    const { mzxid } = node()
    harness.close()
    const again = server(member, harness.store as ReturnType<typeof newStore>)
    again.harness.pass(2_000)
    expect([again.text(), again.node().mzxid]).toEqual([text(), mzxid])
  })

  it('keeps its number while others come and go', () => {
    let next: Announcement = { server: 'x', address: address('a'), members: ['x'] }
    const { harness, text } = server(() => next)
    const announce = (announcement: Announcement): string[] => {
      next = announcement
      harness.pass(1_100)
      return text().split('\n').slice(0, -1)
    }
    announce({ server: 'y', address: address('b'), members: ['x', 'y'] })
    const three = announce({ server: 'z', address: address('c'), members: ['x', 'y', 'z'] })
    expect(three).toEqual(['a', 'b', 'c'].map((host, i) => `server.${i + 1}=${address(host)}`))
    expect(announce({ server: 'z', address: address('c'), members: ['y', 'z'] })).toEqual(three.slice(1))
    expect(announce({ server: 'w', address: address('d'), members: ['w', 'y', 'z'] })).toEqual([
      `server.1=${address('d')}`,
      ...three.slice(1),
    ])
  })
})

describe('without an address', () => {
  it('the node is empty and nothing is logged, as with a standalone ZooKeeper', () => {
    const { harness, text, node } = server(() => ({ server: 'x', address: '', members: ['x'] }))
    const { length } = harness.log.entries
    harness.pass(3_000)
    expect([text(), node().version, harness.log.entries.length]).toEqual(['', 0, length])
  })

  it('what was announced before goes', () => {
    let host = '10.0.0.1'
    const { harness, text } = server(() => ({ server: 'x', address: host && address(host), members: ['x'] }))
    host = ''
    harness.pass(1_100)
    expect(text()).toBe('')
  })
})
