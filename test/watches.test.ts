// Watches seen from outside: which change fires which, once, and on the wire before any reply that shows the change.

import { describe, expect, it } from 'vitest'
import { serverKind, type TestServer } from './support/server.ts'
import { delay } from './support/wait.ts'
import { type WatchFixture, watchFixture } from './support/watch-fixture.ts'
import { succeeded, type WatchEvent, ZkClient } from './support/zk-client.ts'
import { Err, EventType, Flags } from './support/zk-protocol.ts'

let server: TestServer
let watcher: ZkClient
let writer: ZkClient
let makeRoot: WatchFixture['makeRoot']
let fired: WatchFixture['fired']

watchFixture({ tickMs: 500 }, (fixture) => {
  ;({ fired, makeRoot, server, watcher, writer } = fixture)
})

const { created, deleted, dataChanged, childrenChanged } = EventType

describe('data watches', () => {
  it('getData: setData fires DataChanged, once', async () => {
    const path = await makeRoot()
    succeeded(await watcher.getData(path, true))
    succeeded(await writer.setData(path, '1'))
    succeeded(await writer.setData(path, '2'))
    expect(await fired()).toEqual([[dataChanged, path]])
  })

  it('getData: delete fires Deleted', async () => {
    const path = await makeRoot()
    succeeded(await watcher.getData(path, true))
    succeeded(await writer.delete(path))
    succeeded(await writer.create(path, ''))
    expect(await fired()).toEqual([[deleted, path]])
  })

  it('exists on an absent node: create fires Created', async () => {
    const path = await makeRoot()
    expect((await watcher.exists(`${path}/new`, true)).err).toBe(Err.noNode)
    succeeded(await writer.create(`${path}/new`, ''))
    succeeded(await writer.setData(`${path}/new`, '1'))
    expect(await fired()).toEqual([[created, `${path}/new`]])
  })

  it('exists on a present node: setData fires DataChanged, delete fires Deleted', async () => {
    const path = await makeRoot()
    succeeded(await watcher.exists(path, true))
    succeeded(await writer.setData(path, '1'))
    succeeded(await watcher.exists(path, true))
    succeeded(await writer.delete(path))
    expect(await fired()).toEqual([
      [dataChanged, path],
      [deleted, path],
    ])
  })

  it('a getData that fails leaves no watch', async () => {
    const path = await makeRoot()
    expect((await watcher.getData(`${path}/absent`, true)).err).toBe(Err.noNode)
    succeeded(await writer.create(`${path}/absent`, ''))
    expect(await fired()).toEqual([])
  })

  it('the same watch set twice fires once', async () => {
    const path = await makeRoot()
    succeeded(await watcher.getData(path, true))
    succeeded(await watcher.getData(path, true))
    succeeded(await watcher.exists(path, true))
    succeeded(await writer.setData(path, '1'))
    expect(await fired()).toEqual([[dataChanged, path]])
  })

  it('children and setACL do not fire it, nor does an update that fails', async () => {
    const path = await makeRoot()
    succeeded(await watcher.getData(path, true))
    succeeded(await writer.create(`${path}/child`, ''))
    succeeded(await writer.delete(`${path}/child`))
    succeeded(await writer.setAcl(path, [{ perms: 31, scheme: 'world', id: 'anyone' }]))
    expect((await writer.setData(path, '', 99)).err).toBe(Err.badVersion)
    expect((await writer.create(path, '')).err).toBe(Err.nodeExists)
    expect(await fired()).toEqual([])
  })

  it('setData fires also if the bytes stay the same', async () => {
    const path = await makeRoot()
    succeeded(await watcher.getData(path, true))
    succeeded(await writer.setData(path, '0'))
    expect(await fired()).toEqual([[dataChanged, path]])
  })
})

describe('child watches', () => {
  it('create and delete of a child fire ChildrenChanged, once', async () => {
    const path = await makeRoot()
    succeeded(await watcher.getChildren(path, true))
    succeeded(await writer.create(`${path}/a`, ''))
    succeeded(await writer.create(`${path}/b`, ''))
    expect(await fired()).toEqual([[childrenChanged, path]])
    succeeded(await watcher.getChildren2(path, true))
    succeeded(await writer.delete(`${path}/a`))
    expect(await fired()).toEqual([[childrenChanged, path]])
  })

  it('data of the node, data of a child and grandchildren do not fire it', async () => {
    const path = await makeRoot()
    succeeded(await writer.create(`${path}/a`, ''))
    succeeded(await watcher.getChildren(path, true))
    succeeded(await writer.setData(path, '1'))
    succeeded(await writer.setData(`${path}/a`, '1'))
    succeeded(await writer.create(`${path}/a/x`, ''))
    expect(await fired()).toEqual([])
  })

  it('delete of the node itself fires Deleted, and only one with a data watch on it too', async () => {
    const path = await makeRoot()
    succeeded(await watcher.getChildren(path, true))
    succeeded(await watcher.getData(path, true))
    succeeded(await watcher.exists(path, true))
    succeeded(await writer.delete(path))
    expect(await fired()).toEqual([[deleted, path]])
  })

  it('create of a child fires Created for its exist watch and ChildrenChanged for the parent', async () => {
    const path = await makeRoot()
    expect((await watcher.exists(`${path}/a`, true)).err).toBe(Err.noNode)
    succeeded(await watcher.getChildren(path, true))
    succeeded(await writer.create(`${path}/a`, ''))
    expect(await fired()).toEqual([
      [created, `${path}/a`],
      [childrenChanged, path],
    ])
  })

  it('delete of a child fires Deleted for its own watch and ChildrenChanged for the parent', async () => {
    const path = await makeRoot()
    succeeded(await writer.create(`${path}/a`, ''))
    succeeded(await watcher.getData(`${path}/a`, true))
    succeeded(await watcher.getChildren(path, true))
    succeeded(await writer.delete(`${path}/a`))
    expect(await fired()).toEqual([
      [deleted, `${path}/a`],
      [childrenChanged, path],
    ])
  })
})

describe('delivery', () => {
  it('an event has state SyncConnected and the header zxid of its version', async () => {
    const path = await makeRoot()
    succeeded(await watcher.getData(path, true))
    const changed = await writer.setData(path, '1')
    const event = await watcher.nextEvent()
    expect(event.state).toBe(3)
    // Since 3.9 the header carries the zxid of the change (ZOOKEEPER-4655).
    expect(event.zxid).toBe(serverKind === 'delos' ? changed.zxid : -1n)
  })

  it("is on the wire before any reply that shows another session's change", async () => {
    const path = await makeRoot()
    for (let round = 1; round <= 100; round++) {
      const event = new Promise<WatchEvent>((resolve) => {
        watcher.onEvent = resolve
      })
      succeeded(await watcher.getData(path, true))
      const change = writer.setData(path, String(round))
      for (;;) {
        const read = await watcher.getData(path)
        if (succeeded(read).stat.version < round) continue
        expect((await event).seq).toBeLessThan(read.seq)
        break
      }
      succeeded(await change)
    }
    watcher.onEvent = undefined
    watcher.events.length = 0
  })

  it('is on the wire before the reply to the own request that made the change', async () => {
    const path = await makeRoot()
    succeeded(await watcher.getData(path, true))
    const reply = await watcher.setData(path, '1')
    expect((await watcher.nextEvent()).seq).toBeLessThan(reply.seq)
  })

  it('events of one session come in the order of the changes', async () => {
    const path = await makeRoot()
    const names = Array.from({ length: 100 }, (_, i) => `${path}/n${i}`)
    for (const name of names) expect((await watcher.exists(name, true)).err).toBe(Err.noNode)
    await Promise.all(names.map((name) => writer.create(name, '')))
    expect(await fired()).toEqual(names.map((name) => [created, name]))
  })

  it('every session that watches is told, the one that made the change included', async () => {
    const path = await makeRoot()
    for (const client of [watcher, writer]) succeeded(await client.getData(path, true))
    succeeded(await writer.setData(path, '1'))
    expect(await fired(watcher)).toEqual([[dataChanged, path]])
    expect(await fired(writer)).toEqual([[dataChanged, path]])
  })

  it('the operations of a multi fire like single ones, those of a failed multi do not', async () => {
    const path = await makeRoot()
    succeeded(await watcher.getData(path, true))
    succeeded(await watcher.getChildren(path, true))
    const failed = succeeded(
      await writer.multi([
        { op: 'setData', path, data: '1' },
        { op: 'create', path: `${path}/a` },
        { op: 'check', path, version: 99 },
      ]),
    )
    expect(failed.map(({ err }) => err)).toEqual([0, 0, Err.badVersion])
    expect(await fired()).toEqual([])
    succeeded(
      await writer.multi([
        { op: 'setData', path, data: '1' },
        { op: 'create', path: `${path}/a` },
      ]),
    )
    expect(await fired()).toEqual([
      [dataChanged, path],
      [childrenChanged, path],
    ])
  })

  it('the end of a session fires the watches on its ephemerals', async () => {
    const path = await makeRoot()
    await using owner = await ZkClient.connect(server.port)
    succeeded(await owner.create(`${path}/e`, '', Flags.ephemeral))
    succeeded(await watcher.exists(`${path}/e`, true))
    succeeded(await watcher.getChildren(path, true))
    await owner.close()
    expect(await fired()).toEqual([
      [deleted, `${path}/e`],
      [childrenChanged, path],
    ])
  })

  it('watches go with their connection, also if the session goes on', async () => {
    const path = await makeRoot()
    const before = await ZkClient.connect(server.port)
    succeeded(await before.getData(path, true))
    before.drop()
    await using after = await ZkClient.connect(server.port, { session: before.session })
    succeeded(await writer.setData(path, '1'))
    await delay(50)
    expect(await fired(after)).toEqual([])
    await after.close()
  })
})

describe('setWatches', () => {
  /** A fresh connection sets the watches relative to the zxid and reports what fires at once, before the reply. */
  async function reconnected(
    relativeZxid: bigint,
    watches: { data?: string[]; exist?: string[]; child?: string[] },
  ): Promise<ZkClient> {
    const client = await ZkClient.connect(server.port)
    const reply = await client.setWatches(relativeZxid, watches)
    expect(reply.err).toBe(Err.ok)
    for (const event of client.events) expect(event.seq).toBeLessThan(reply.seq)
    return client
  }

  it('data: fires at once for a node that changed or went, and stays for one that did not change', async () => {
    const path = await makeRoot()
    for (const name of ['same', 'changed', 'gone']) succeeded(await writer.create(`${path}/${name}`, ''))
    const seen = (await watcher.sync('/')).zxid
    succeeded(await writer.setData(`${path}/changed`, '1'))
    succeeded(await writer.delete(`${path}/gone`))
    await using client = await reconnected(seen, { data: [`${path}/same`, `${path}/changed`, `${path}/gone`] })
    expect(await fired(client)).toEqual([
      [dataChanged, `${path}/changed`],
      [deleted, `${path}/gone`],
    ])
    for (const name of ['same', 'changed']) succeeded(await writer.setData(`${path}/${name}`, '2'))
    expect(await fired(client)).toEqual([[dataChanged, `${path}/same`]])
  })

  it('exist: fires Created at once for a node that is there, and stays for one that is not', async () => {
    const path = await makeRoot()
    const seen = (await watcher.sync('/')).zxid
    succeeded(await writer.create(`${path}/came`, ''))
    await using client = await reconnected(seen, { exist: [`${path}/came`, `${path}/absent`] })
    expect(await fired(client)).toEqual([[created, `${path}/came`]])
    succeeded(await writer.create(`${path}/absent`, ''))
    expect(await fired(client)).toEqual([[created, `${path}/absent`]])
  })

  it('child: fires at once where children came or went or the node did, and stays elsewhere', async () => {
    const path = await makeRoot()
    for (const name of ['same', 'grown', 'shrunk', 'gone']) succeeded(await writer.create(`${path}/${name}`, ''))
    succeeded(await writer.create(`${path}/shrunk/child`, ''))
    const seen = (await watcher.sync('/')).zxid
    succeeded(await writer.create(`${path}/grown/child`, ''))
    succeeded(await writer.delete(`${path}/shrunk/child`))
    succeeded(await writer.delete(`${path}/gone`))
    succeeded(await writer.setData(`${path}/same`, 'data is not children'))
    const child = ['same', 'grown', 'shrunk', 'gone'].map((name) => `${path}/${name}`)
    await using client = await reconnected(seen, { child })
    expect(await fired(client)).toEqual([
      [childrenChanged, `${path}/grown`],
      [childrenChanged, `${path}/shrunk`],
      [deleted, `${path}/gone`],
    ])
    succeeded(await writer.create(`${path}/same/child`, ''))
    expect(await fired(client)).toEqual([[childrenChanged, `${path}/same`]])
  })

  it('a watch that fired at once is not left behind', async () => {
    const path = await makeRoot()
    const seen = (await watcher.sync('/')).zxid
    succeeded(await writer.setData(path, '1'))
    await using client = await reconnected(seen, { data: [path] })
    expect(await fired(client)).toEqual([[dataChanged, path]])
    succeeded(await writer.setData(path, '2'))
    expect(await fired(client)).toEqual([])
  })

  it('a thousand watches in one request all work', async () => {
    const path = await makeRoot()
    const names = Array.from({ length: 1000 }, (_, i) => `${path}/n${i}`)
    await using client = await reconnected((await watcher.sync('/')).zxid, { exist: names })
    await Promise.all(names.map((name) => writer.create(name, '')))
    expect(await fired(client)).toHaveLength(1000)
  })
})
