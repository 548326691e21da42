// The largest requests that a client may send hold nobody else up: what others ask meanwhile is answered soon.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { FrameConnection } from './support/frame-connection.ts'
import { JuteWriter } from './support/jute.ts'
import { Neighbour } from './support/neighbour.ts'
import { TestServer } from './support/server.ts'
import { delay, eventually } from './support/wait.ts'
import type { MultiOp } from './support/zk-bodies.ts'
import { encodeConnectRequest, succeeded, ZkClient } from './support/zk-client.ts'
import { Op } from './support/zk-protocol.ts'

/** A piece takes some 50 ms at most, more on a slow machine. That others keep it busy is left out, where the system tells. */
const NEIGHBOUR_MS_MAX = 150
const SESSION_MS = 30_000
const MULTI_OPERATIONS = 5_000
const CHILDREN = 150_000
const LISTED_AT_ONCE = 4_900
const LISTS = 500
const LISTERS = 10
const EPHEMERALS = 30_000
/** Servers see within a second that there are so many ephemeral nodes that sessions must end in pieces. */
const SEEN_MS = 1_500
const MISSED = 80_000
const XID_SET_WATCHES = -8
const XID_EVENT = -1
const EPHEMERAL = 1

let server: TestServer
let client: ZkClient
beforeAll(async () => {
  server = await TestServer.start()
  client = await ZkClient.connect(server.port, { timeoutMs: SESSION_MS })
  succeeded(await client.create('/neighbour', 'here'))
  await fill(client, '/many', CHILDREN, 0)
})
afterAll(() => server[Symbol.asyncDispose]())

async function fill(owner: ZkClient, parent: string, count: number, flags: number): Promise<void> {
  succeeded(await owner.create(parent))
  for (let from = 0; from < count; from += 2_500) {
    succeeded(await owner.multi(creates(parent, from, Math.min(from + 2_500, count), flags)))
  }
}

function creates(parent: string, from: number, to: number, flags = 0): MultiOp[] {
  return Array.from({ length: to - from }, (_, at) => ({
    op: 'create',
    path: `${parent}/${from + at}`,
    data: '',
    flags,
  }))
}

/** Its process may take long to start on a busy machine; before that it would notice nothing. */
async function neighbourAtWork(): Promise<Neighbour> {
  const version = async (): Promise<number> => succeeded(await client.exists('/neighbour')).version
  const before = await version()
  const neighbour = new Neighbour(server.port, '/neighbour', server.pid)
  await eventually(async () => (await version()) > before || undefined, 10_000, 'a neighbour at work')
  return neighbour
}

async function besideNeighbour<R>(act: () => Promise<R>): Promise<R> {
  const neighbour = await neighbourAtWork()
  const started = performance.now()
  const result = await act()
  const ms = performance.now() - started
  const report = await neighbour.end()
  console.log(`${expect.getState().currentTestName}: ${ms.toFixed(0)} ms, ${JSON.stringify(report)}`)
  expect(report).toMatchObject({ failures: 0, unanswered: 0 })
  expect(report.worstMs).toBeLessThan(NEIGHBOUR_MS_MAX)
  return result
}

it('what is left out hides no server that stands still', async () => {
  const neighbour = await neighbourAtWork()
  server.pause()
  await delay(2 * NEIGHBOUR_MS_MAX)
  server.resume()
  await delay(50)
  const { worstMs } = await neighbour.end()
  expect(worstMs).toBeGreaterThan(NEIGHBOUR_MS_MAX)
})

it('a multi of as many operations as it may have', async () => {
  succeeded(await client.create('/multi'))
  const operations = creates('/multi', 0, MULTI_OPERATIONS)
  const results = succeeded(await besideNeighbour(() => client.multi(operations)))
  expect(results).toHaveLength(MULTI_OPERATIONS)
})

it('a list of very many children', async () => {
  const names = succeeded(await besideNeighbour(() => client.getChildren('/many')))
  expect(names).toHaveLength(CHILDREN)
})

it('lists in one write, each as long as is answered at once; and the same between two updates', async () => {
  await fill(client, '/list', LISTED_AT_ONCE, 0)
  const connection = await FrameConnection.open(server.port)
  connection.writeFrame(encodeConnectRequest({ timeoutMs: SESSION_MS }))
  await connection.nextFrame()
  const framed = (body: Buffer): Buffer => new JuteWriter().int(body.length).raw(body).done()
  const list = framed(new JuteWriter().int(1).int(Op.getChildren).string('/list').bool(false).done())
  const update = framed(new JuteWriter().int(1).int(Op.setData).string('/list').buffer(Buffer.from('x')).int(-1).done())
  const lists = Array.from({ length: LISTS }, () => list)
  for (const frames of [lists, [update, ...lists, update]]) {
    await besideNeighbour(async () => {
      connection.write(Buffer.concat(frames))
      for (let left = frames.length; left > 0; left--) await connection.nextFrame()
    })
  }
  connection.destroy()
})

// Turns are measured by the clock: where the server gets half of a processor, each does half as much, and a change needs several.
it('lists for many connections at once', { retry: 2 }, async () => {
  const body = new JuteWriter().int(1).int(Op.getChildren).string('/list').bool(false).done()
  const frame = new JuteWriter().int(body.length).raw(body).done()
  const connections = await Promise.all(Array.from({ length: LISTERS }, () => FrameConnection.open(server.port)))
  for (const connection of connections) {
    connection.writeFrame(encodeConnectRequest({ timeoutMs: SESSION_MS }))
    await connection.nextFrame()
  }
  await besideNeighbour(() =>
    Promise.all(
      connections.map(async (connection) => {
        connection.write(Buffer.concat(Array.from({ length: LISTS / LISTERS }, () => frame)))
        for (let left = LISTS / LISTERS; left > 0; left--) await connection.nextFrame()
      }),
    ),
  )
  for (const connection of connections) connection.destroy()
})

it('watches that are set again, as many as a frame holds', async () => {
  const paths = Array.from({ length: 90_000 }, (_, at) => `/${at}`)
  const connection = await FrameConnection.open(server.port)
  connection.writeFrame(encodeConnectRequest({ timeoutMs: SESSION_MS }))
  await connection.nextFrame()
  const frame = new JuteWriter()
    .int(XID_SET_WATCHES)
    .int(Op.setWatches)
    .long(0n)
    .strings([])
    .strings(paths)
    .strings([])
    .done()
  const err = await besideNeighbour(async () => {
    connection.writeFrame(frame)
    const reply = await connection.nextFrame()
    return reply?.readInt32BE(12)
  })
  expect(err).toBe(0)
  await besideNeighbour(async () => {
    connection.destroy()
    await delay(200)
  })
})

it('events that a watch which is set again has missed, nearly as many as are kept', async () => {
  const { stat } = succeeded(await client.create2('/missed'))
  const one: MultiOp = { op: 'setData', path: '/missed', data: '' }
  for (let from = 0; from < MISSED; from += 2_500)
    succeeded(await client.multi(Array.from({ length: 2_500 }, () => one)))
  const connection = await FrameConnection.open(server.port)
  connection.writeFrame(encodeConnectRequest({ timeoutMs: SESSION_MS }))
  await connection.nextFrame()
  const none: string[] = []
  const frame = new JuteWriter().int(XID_SET_WATCHES).int(Op.setWatches2).long(stat.czxid)
  for (const paths of [none, none, none, none, ['/']]) frame.strings(paths)
  const events = await besideNeighbour(async () => {
    connection.writeFrame(frame.done())
    for (let before = 0; ; before++) {
      const next = await connection.nextFrame()
      if (next?.readInt32BE(0) !== XID_EVENT) return next?.readInt32BE(12) === 0 ? before : 'an error'
    }
  })
  connection.destroy()
  // The neighbour changes its node all the while.
  expect(events).toBeGreaterThanOrEqual(MISSED)
})

it('the end of a session with very many ephemeral nodes, which is answered when all are gone', async () => {
  const owner = await ZkClient.connect(server.port, { timeoutMs: SESSION_MS })
  await fill(owner, '/short', EPHEMERALS, EPHEMERAL)
  await delay(SEEN_MS)
  await besideNeighbour(() => owner.close())
  expect(succeeded(await client.getChildren2('/short')).children).toEqual([])
})
