// Watches that stay, seen from outside: addWatch, checkWatches, removeWatches, setWatches2, and what a client that comes back is
// told. What is ZooKeeper's too also runs against one.

import { describe, expect, it } from 'vitest'
import { serverKind, type TestServer } from './support/server.ts'
import { type WatchFixture, watchFixture } from './support/watch-fixture.ts'
import { succeeded, ZkClient } from './support/zk-client.ts'
import { Err, EventType, WatcherType, WatchMode } from './support/zk-protocol.ts'

let server: TestServer
let watcher: ZkClient
let writer: ZkClient
let makeRoot: WatchFixture['makeRoot']
let fired: WatchFixture['fired']

watchFixture({}, (fixture) => {
  ;({ fired, makeRoot, server, watcher, writer } = fixture)
})

const { created, deleted, dataChanged, childrenChanged } = EventType

describe('addWatch', () => {
  it('persistent: every change of the node and its children is told, before any reply that shows it', async () => {
    const path = await makeRoot()
    expect(succeeded(await watcher.addWatch(path, WatchMode.persistent))).toBe(0)
    const replies = [
      await watcher.setData(path, '1'),
      await watcher.create(`${path}/a`),
      await watcher.setData(`${path}/a`, '1'),
      await watcher.delete(`${path}/a`),
      await watcher.delete(path),
      await watcher.create(path),
    ]
    const events = watcher.events.splice(0)
    expect(events.map(({ type }) => type)).toEqual([dataChanged, childrenChanged, childrenChanged, deleted, created])
    const shown = [0, 1, 3, 4, 5].map((index) => replies[index])
    events.forEach((event, i) => {
      expect(event.seq).toBeLessThan(shown[i]?.seq as number)
      if (serverKind === 'delos') expect(event.zxid).toBe(shown[i]?.zxid)
    })
  })

  it('recursive: the node and all below it, without its list of children', async () => {
    const path = await makeRoot()
    succeeded(await watcher.addWatch(path, WatchMode.recursive))
    for (const name of ['/a', '/a/b', 'x']) succeeded(await writer.create(path + name))
    succeeded(await writer.setData(`${path}/a/b`, '1'))
    succeeded(await writer.delete(`${path}/a/b`))
    succeeded(await writer.setData(path, '1'))
    expect(await fired()).toEqual([
      [created, `${path}/a`],
      [created, `${path}/a/b`],
      [dataChanged, `${path}/a/b`],
      [deleted, `${path}/a/b`],
      [dataChanged, path],
    ])
  })

  it('of a node that is not there hears of its creation; of another mode it is malformed', async () => {
    const path = await makeRoot()
    succeeded(await watcher.addWatch(`${path}/later`, WatchMode.persistent))
    succeeded(await writer.create(`${path}/later`))
    expect(await fired()).toEqual([[created, `${path}/later`]])
    expect((await watcher.addWatch(path, 2)).err).toBe(Err.marshalling)
  })
})

describe('checkWatches and removeWatches', () => {
  it('find a watch by its type, and remove it', async () => {
    const path = await makeRoot()
    const types = [WatcherType.data, WatcherType.children]
    const present = async () => {
      const replies = await Promise.all([...types, WatcherType.any].map((type) => watcher.checkWatches(path, type)))
      return replies.map(({ err }) => err === Err.ok)
    }
    expect(await present()).toEqual([false, false, false])
    succeeded(await watcher.getData(path, true))
    succeeded(await watcher.getChildren(path, true))
    expect(await present()).toEqual([true, true, true])
    succeeded(await watcher.removeWatches(path, WatcherType.data))
    expect(await present()).toEqual([false, true, true])
    expect((await watcher.removeWatches(path, WatcherType.data)).err).toBe(Err.noWatcher)
    succeeded(await writer.setData(path, '1'))
    succeeded(await writer.create(`${path}/a`))
    expect(await fired()).toEqual([[childrenChanged, path]])
    expect(await present()).toEqual([false, false, false])
    for (const mode of [WatchMode.persistent, WatchMode.recursive]) {
      succeeded(await watcher.addWatch(path, mode))
      succeeded(await watcher.removeWatches(path, WatcherType.any))
      expect(await present()).toEqual([false, false, false])
    }
    expect((await watcher.checkWatches(path, 6)).err).toBe(Err.marshalling)
    expect((await watcher.removeWatches(path, 0)).err).toBe(Err.marshalling)
  })

  it.runIf(serverKind === 'delos')(
    'know persistent and recursive ones by types of their own, as since 3.9',
    async () => {
      const path = await makeRoot()
      const { data, children, persistent, recursive } = WatcherType
      const err = async (type: number) => (await watcher.checkWatches(path, type)).err
      succeeded(await watcher.addWatch(path, WatchMode.persistent))
      expect([await err(data), await err(children), await err(persistent), await err(recursive)]).toEqual([
        Err.noWatcher,
        Err.noWatcher,
        Err.ok,
        Err.noWatcher,
      ])
      succeeded(await watcher.addWatch(path, WatchMode.recursive))
      succeeded(await watcher.removeWatches(path, persistent))
      expect([await err(persistent), await err(recursive)]).toEqual([Err.noWatcher, Err.ok])
      succeeded(await writer.setData(path, '1'))
      expect(await fired()).toEqual([[dataChanged, path]])
      succeeded(await watcher.removeWatches(path, recursive))
      succeeded(await writer.setData(path, '2'))
      expect(await fired()).toEqual([])
    },
  )
})

describe('setWatches2', () => {
  it('sets one-shot watches as setWatches does, and those that stay', async () => {
    const path = await makeRoot()
    for (const name of ['same', 'changed']) succeeded(await writer.create(`${path}/${name}`))
    const seen = (await watcher.sync('/')).zxid
    succeeded(await writer.setData(`${path}/changed`, '1'))
    await using client = await ZkClient.connect(server.port)
    const watches = { data: [`${path}/same`, `${path}/changed`], persistent: [`${path}/p`], recursive: [`${path}/r`] }
    succeeded(await client.setWatches2(seen, watches))
    expect(await fired(client)).toEqual([[dataChanged, `${path}/changed`]])
    for (let round = 0; round < 2; round++) {
      for (const name of ['p', 'r', 'r/x']) succeeded(await writer.create(`${path}/${name}`))
      succeeded(await writer.setData(`${path}/same`, '1'))
      for (const name of ['r/x', 'r', 'p']) succeeded(await writer.delete(`${path}/${name}`))
      const events = await fired(client)
      expect(events.filter(([, at]) => at === `${path}/same`)).toHaveLength(1 - round)
      expect(events.filter(([, at]) => at !== `${path}/same`)).toEqual([
        [created, `${path}/p`],
        [created, `${path}/r`],
        [created, `${path}/r/x`],
        [deleted, `${path}/r/x`],
        [deleted, `${path}/r`],
        [deleted, `${path}/p`],
      ])
    }
  })

  it.runIf(serverKind === 'delos')(
    'tells a client that comes back all that it missed, in order, before the reply and with the zxids of the changes',
    async () => {
      const path = await makeRoot()
      const before = await ZkClient.connect(server.port)
      succeeded(await before.addWatch(path, WatchMode.persistent))
      succeeded(await before.addWatch(`${path}/r`, WatchMode.recursive))
      const seen = (await before.sync('/')).zxid
      before.drop()
      await before.closed
      const zxids: bigint[] = []
      for (let i = 0; i < 50; i++) {
        const change = i % 5 === 4 ? writer.delete(`${path}/r`) : undefined
        const reply = await (change ?? (i % 5 === 0 ? writer.create(`${path}/r`) : writer.setData(`${path}/r`, `${i}`)))
        expect(reply.err).toBe(Err.ok)
        zxids.push(reply.zxid)
      }
      await using after = await ZkClient.connect(server.port, { session: before.session })
      const reply = await after.setWatches2(seen, { persistent: [path], recursive: [`${path}/r`] })
      expect(reply.err).toBe(Err.ok)
      for (const event of after.events) expect(event.seq).toBeLessThan(reply.seq)
      expect(after.events.filter(({ path: at }) => at === `${path}/r`).map(({ zxid }) => zxid)).toEqual(zxids)
      expect(after.events.filter(({ path: at }) => at === path)).toHaveLength(20)
      after.events.length = 0
      succeeded(await writer.create(`${path}/r`))
      expect(await fired(after)).toEqual([
        [created, `${path}/r`],
        [childrenChanged, path],
      ])
      await after.close()
    },
  )
})
