// Containers, TTL nodes, quotas and the reads of several nodes, as bytes on the wire. Verified against a real ZooKeeper with
// DELOS_TEST_PEER=zookeeper.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type JuteReader, JuteWriter } from './support/jute.ts'
import { TestServer } from './support/server.ts'
import { eventually } from './support/wait.ts'
import { type Reply, succeeded, ZkClient } from './support/zk-client.ts'
import { Err, openAcl } from './support/zk-protocol.ts'

const OP = { createContainer: 19, createTtl: 21, multiRead: 22, getEphemerals: 103, descendants: 104, whoAmI: 107 }
const CREATE = 1
const CREATE2 = 15
const MULTI = 14
const TTL_MAX = 0xffffffffffn

let server: TestServer
let client: ZkClient

beforeAll(async () => {
  server = await TestServer.start({ enforceQuota: true })
  client = await ZkClient.connect(server.port, { timeoutMs: 20_000 })
})
afterAll(() => server[Symbol.asyncDispose]())

function createBody(path: string, flags: number, ttl?: bigint): Buffer {
  const writer = new JuteWriter().string(path).buffer(Buffer.alloc(0)).acls(openAcl).int(flags)
  return ttl === undefined ? writer.done() : writer.long(ttl).done()
}

function timed(op: number, path: string, flags: number, ttl?: bigint) {
  return client.request(op, createBody(path, flags, ttl), (reader) => ({ path: reader.string(), stat: reader.stat() }))
}

const ask = <T>(op: number, body: JuteWriter, decode: (reader: JuteReader) => T): Promise<Reply<T>> =>
  client.request(op, body.done(), decode)

/** `type:err` of each result of a multi, and whether a stat follows. */
async function multi(...operations: readonly [op: number, body: Buffer][]): Promise<string[]> {
  const writer = new JuteWriter()
  for (const [op, body] of operations) writer.int(op).bool(false).int(-1).raw(body)
  const reply = await ask(MULTI, writer.int(-1).bool(true).int(-1), (reader) => {
    const results: string[] = []
    for (;;) {
      const type = reader.int()
      const done = reader.bool()
      const err = reader.int()
      if (done) return results
      if (type === -1) reader.int()
      else reader.string()
      if (type === CREATE2) reader.stat()
      results.push(`${type}:${err}`)
    }
  })
  return reply.err === Err.ok ? (reply.value as string[]) : [`err ${reply.err}`]
}

describe('containers and TTL nodes', () => {
  it.each([
    ['createTTL', OP.createTtl, 5, 60_000n, Err.ok],
    ['createTTL, sequential', OP.createTtl, 6, 60_000n, Err.ok],
    ['createTTL of the longest time', OP.createTtl, 5, TTL_MAX, Err.ok],
    ['createTTL of a longer time', OP.createTtl, 5, TTL_MAX + 1n, Err.badArguments],
    ['createTTL of no time', OP.createTtl, 5, 0n, Err.badArguments],
    ['createTTL of a negative time', OP.createTtl, 5, -1n, Err.badArguments],
    ['createTTL with the flags of another node', OP.createTtl, 0, 5n, Err.badArguments],
    ['createTTL with an unknown mode', OP.createTtl, 7, 5n, Err.badArguments],
    ['createContainer', OP.createContainer, 4, undefined, Err.ok],
    ['createContainer with the flags of another node', OP.createContainer, 0, undefined, Err.ok],
    ['createContainer with the flags of a TTL node', OP.createContainer, 5, undefined, Err.badArguments],
    ['create2 with the flags of a container', CREATE2, 4, undefined, Err.ok],
    ['create2 with the flags of a TTL node', CREATE2, 6, undefined, Err.badArguments],
  ])('%s', async (name, op, flags, ttl, err) => {
    const path = `/${name.replaceAll(' ', '-')}`
    const reply = await timed(op, path, flags, ttl)
    expect(reply.err).toBe(err)
    if (err === Err.ok) expect(reply.value).toMatchObject({ stat: { ephemeralOwner: 0n, version: 0, numChildren: 0 } })
  })

  it('go in the end, never with children', async () => {
    const before = Date.now()
    succeeded(await timed(OP.createTtl, '/ttl', 5, 300n))
    succeeded(await timed(OP.createTtl, '/ttl-full', 5, 300n))
    succeeded(await client.create('/ttl-full/x', ''))
    const gone = async () => ((await client.exists('/ttl')).err === Err.noNode ? true : undefined)
    // A real ZooKeeper looks for such nodes once a minute.
    await eventually(gone, 70_000, 'end of /ttl')
    expect(Date.now() - before).toBeGreaterThanOrEqual(300)
    expect((await client.exists('/ttl-full')).err).toBe(Err.ok)
  }, 80_000)

  it('are made in a multi by their flags', async () => {
    expect(
      await multi(
        [CREATE, createBody('/m1', 4)],
        [CREATE2, createBody('/m2', 0)],
        [OP.createTtl, createBody('/m3', 5, 60_000n)],
        [OP.createTtl, createBody('/m4', 0, 60_000n)],
        [OP.createContainer, createBody('/m5', 0)],
        [OP.createContainer, createBody('/m6', 4)],
      ),
    ).toEqual(['15:0', '1:0', '15:0', '1:0', '1:0', '15:0'])
    expect(await multi([CREATE, createBody('/n1', 0)], [OP.createTtl, createBody('/n2', 5, 0n)])).toEqual([
      '-1:0',
      `-1:${Err.badArguments}`,
    ])
    expect(await multi([CREATE, createBody('/n3', 5)])).toEqual([`err ${Err.marshalling}`])
  })
})

describe('reads of several nodes', () => {
  it('multiRead answers each by itself', async () => {
    succeeded(await client.create('/r', 'data'))
    succeeded(await client.create('/r/a', ''))
    const body = (...reads: readonly [op: number, path: string][]) => {
      const writer = new JuteWriter()
      for (const [op, path] of reads) writer.int(op).bool(false).int(-1).string(path).bool(true)
      return writer.int(-1).bool(true).int(-1)
    }
    const reply = await ask(OP.multiRead, body([4, '/r'], [8, '/r'], [4, '/none']), (reader) => [
      [reader.int(), reader.bool(), reader.int(), reader.buffer()?.toString(), reader.stat().numChildren],
      [reader.int(), reader.bool(), reader.int(), reader.strings()],
      [reader.int(), reader.bool(), reader.int(), reader.int()],
      [reader.int(), reader.bool(), reader.int()],
    ])
    expect(reply.value).toEqual([
      [4, false, 0, 'data', 1],
      [8, false, 0, ['a']],
      [-1, false, Err.noNode, Err.noNode],
      [-1, true, -1],
    ])
    expect((await ask(OP.multiRead, body([3, '/r']), () => 0)).err).toBe(Err.marshalling)
    expect((await ask(OP.multiRead, body(), (reader) => [reader.int(), reader.bool(), reader.int()])).value).toEqual([
      -1,
      true,
      -1,
    ])
  })

  it('getEphemerals, getAllChildrenNumber, whoAmI', async () => {
    succeeded(await client.create('/r/e', '', 1))
    succeeded(await client.create('/r/ee', '', 1))
    const ephemerals = (prefix: string | null) =>
      ask(OP.getEphemerals, new JuteWriter().string(prefix), (reader) => reader.strings().sort())
    expect((await ephemerals('/r/e')).value).toEqual(['/r/e', '/r/ee'])
    for (const all of ['', '/', null]) expect((await ephemerals(all)).value).toEqual(['/r/e', '/r/ee'])
    expect((await ephemerals('/x')).value).toEqual([])
    const count = (path: string) => ask(OP.descendants, new JuteWriter().string(path), (reader) => reader.int())
    expect((await count('/r')).value).toBe(3)
    expect((await count('/r/a')).value).toBe(0)
    expect((await count('/none')).err).toBe(Err.noNode)
    const all = (await count('/')).value as number
    expect((await count('')).value).toBe(all + 1)
    succeeded(await client.auth('digest', 'ann:secret'))
    const identities = await ask(OP.whoAmI, new JuteWriter(), (reader) =>
      Array.from({ length: reader.int() }, () => `${reader.string()}:${reader.string()}`).sort(),
    )
    expect(identities.value).toEqual(['digest:ann', 'ip:127.0.0.1'])
  })

  it('the node of the configuration may be read by all and written by nobody', async () => {
    const config = await client.getData('/zookeeper/config')
    expect(config.value).toMatchObject({ stat: { version: 0, aversion: -1 } })
    expect((await client.getAcl('/zookeeper/config')).value).toMatchObject({
      acl: [{ perms: 1, scheme: 'world', id: 'anyone' }],
    })
    expect((await client.setData('/zookeeper/config', 'x')).err).toBe(Err.noAuth)
  })
})

describe('a quota', () => {
  const limits = '/zookeeper/quota/q/zookeeper_limits'
  const stats = async () => (await client.getData('/zookeeper/quota/q/zookeeper_stats')).value

  it('is kept in its nodes, and enforced if asked', async () => {
    succeeded(await client.create('/q', '12345'))
    succeeded(await client.create('/q/a', '12'))
    succeeded(await client.create('/zookeeper/quota/q', ''))
    succeeded(await client.create(limits, 'count=2,bytes=-1;byteHardLimit=10;countHardLimit=3'))
    succeeded(await client.create('/zookeeper/quota/q/zookeeper_stats', 'count=0,bytes=0'))
    expect((await stats())?.data?.toString()).toBe('count=2,bytes=7')
    expect((await client.setData('/q/a', '123456', 9)).err).toBe(Err.quotaExceeded)
    expect((await client.setData('/q/a', '12345', 9)).err).toBe(Err.badVersion)
    succeeded(await client.setData('/q/a', '12345'))
    expect((await client.create('/q/b', 'x')).err).toBe(Err.quotaExceeded)
    succeeded(await client.create('/q/b', ''))
    expect((await client.create('/q/b', '')).err).toBe(Err.nodeExists)
    expect((await client.create('/q/c', '')).err).toBe(Err.quotaExceeded)
    expect(await stats()).toMatchObject({ data: Buffer.from('count=3,bytes=10'), stat: { version: 0 } })
    succeeded(await client.delete('/q/a'))
    expect((await stats())?.data?.toString()).toBe('count=2,bytes=5')
    succeeded(await client.delete(limits))
    succeeded(await client.create('/q/c', 'more than enough'))
    expect((await stats())?.data?.toString()).toBe('count=2,bytes=5')
  })
})
