// Ten thousand bad frames harm nobody but the connection that sent them: not a neighbour's latency, not the data, not
// the server's memory.

import { setPriority } from 'node:os'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type BadBytes, type BadRequest, badBytes, badOperation, damagedInside } from './support/bad-frames.ts'
import { FrameConnection } from './support/frame-connection.ts'
import { JuteWriter } from './support/jute.ts'
import { Neighbour } from './support/neighbour.ts'
import { SeededRandom } from './support/seeded-random.ts'
import { serverKind, TestServer } from './support/server.ts'
import { delay, eventually, within } from './support/wait.ts'
import { encodeConnectRequest, succeeded, ZkClient } from './support/zk-client.ts'
import { Op } from './support/zk-protocol.ts'

const FRAMES = 10_000
const INSIDE = 8_500
const LANES = 4
const TICK_MS = 200
const MEMORY_BYTES = 20 * 1024 * 1024
const SENDER_NICENESS = 10
const XID = 77
const XID_PING = -2

interface Counters {
  refused: number
  closed: number
  accepted: number
}

let server: TestServer
let observer: ZkClient
beforeAll(async () => {
  server = await TestServer.start({ tickMs: TICK_MS })
  observer = await ZkClient.connect(server.port, { timeoutMs: 20 * TICK_MS })
  succeeded(await observer.create('/bad', 'here'))
  succeeded(await observer.create('/neighbour', 'here'))
})
afterAll(() => server[Symbol.asyncDispose]())

async function openSession(): Promise<FrameConnection> {
  const connection = await FrameConnection.open(server.port)
  connection.writeFrame(encodeConnectRequest({ timeoutMs: 2 * TICK_MS }))
  if ((await connection.nextFrame()) === undefined) throw new Error('no handshake')
  return connection
}

/** Sends the request with a ping behind it: its answer, or the close, shows what became of it. */
async function sendRequest(connection: FrameConnection, request: BadRequest): Promise<keyof Counters> {
  connection.writeFrame(new JuteWriter().int(XID).int(request.op).raw(request.body).done())
  connection.writeFrame(new JuteWriter().int(XID_PING).int(Op.ping).done())
  let outcome: keyof Counters | undefined
  for (;;) {
    const frame = await connection.nextFrame()
    if (frame === undefined) return 'closed'
    const xid = frame.readInt32BE(0)
    if (xid === XID_PING && request.expect === 'closed')
      await within(connection.closed, 5000, `close after ${request.kind}`)
    else if (xid === XID_PING) return outcome ?? 'accepted'
    if (xid === XID) outcome = isRefusal(request.op, frame) ? 'refused' : 'accepted'
  }
}

/** An error in the header, or for a multi that its first result is an error record. */
function isRefusal(op: number, frame: Buffer): boolean {
  return frame.readInt32BE(12) !== 0 || (op === Op.multi && frame.length > 20 && frame.readInt32BE(16) === -1)
}

async function sendBytes(bad: BadBytes): Promise<void> {
  const connection = bad.inSession ? await openSession() : await FrameConnection.open(server.port)
  connection.write(bad.bytes)
  if (bad.abandon) connection.end()
  const closed = within(connection.closed, 15_000, `close after ${bad.kind}`)
  if (bad.abandon) await Promise.race([closed, delay(5)])
  else await closed
  connection.destroy()
  await connection.closed
}

async function sendBadFrames(random: SeededRandom, inside: number, outside: number): Promise<Counters> {
  const counters: Counters = { refused: 0, closed: 0, accepted: 0 }
  const todo: ('inside' | 'operation' | 'bytes')[] = []
  for (let i = 0; i < inside; i++) todo.push('inside')
  for (let i = 0; i < outside; i++) todo.push(i % 5 === 0 ? 'operation' : 'bytes')
  for (let i = todo.length - 1; i > 0; i--) {
    const j = random.below(i + 1)
    const swap = todo[i] as (typeof todo)[number]
    todo[i] = todo[j] as typeof swap
    todo[j] = swap
  }

  const lane = async (): Promise<void> => {
    let connection = await openSession()
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      if (next === 'bytes') {
        await sendBytes(badBytes(random))
        counters.closed++
        continue
      }
      if (connection.isClosed) connection = await openSession()
      const request = next === 'inside' ? damagedInside(random) : badOperation(random)
      const outcome = await sendRequest(connection, request)
      counters[outcome]++
      const allowed = { refused: ['refused', 'closed'], closed: ['closed'], any: ['refused', 'closed', 'accepted'] }[
        request.expect
      ]
      if (!allowed.includes(outcome))
        throw new Error(
          `${request.kind}, op ${request.op}: ${outcome}; body ${request.body.subarray(0, 200).toString('hex')}`,
        )
    }
    connection.destroy()
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  return counters
}

/** The sessions of broken connections have expired, nothing is under way any more. */
async function settled(): Promise<void> {
  await delay(6 * TICK_MS)
  succeeded(await observer.sync('/'))
}

it(`${FRAMES} bad frames, ${INSIDE} of them damaged inside, do no harm`, async () => {
  const random = SeededRandom.announced('bad frames')
  // The same load before the measurement, so that heap and code that grow in any new process are not taken for a leak.
  const warmUp = new Neighbour(server.port, '/neighbour')
  await sendBadFrames(random, INSIDE, FRAMES - INSIDE)
  await warmUp.end()
  await settled()
  const before = server.residentBytes()

  const neighbour = new Neighbour(server.port, '/neighbour')
  await delay(200)
  // Who sends bad frames has a processor of his own: here he must not take the server's or the neighbour's.
  setPriority(SENDER_NICENESS)
  const started = performance.now()
  const counters = await sendBadFrames(random, INSIDE, FRAMES - INSIDE)
  const seconds = (performance.now() - started) / 1000
  const report = await neighbour.end()
  await settled()
  const mib = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`
  console.log(
    `${seconds.toFixed(1)} s, ${JSON.stringify(counters)}, neighbour ${JSON.stringify(report)}, ${mib(before)} → ${mib(server.residentBytes())}`,
  )

  expect(report).toMatchObject({ failures: 0, unanswered: 0 })
  expect(succeeded(await observer.getData('/bad')).stat.numChildren).toBeLessThan(FRAMES)
  expect(succeeded(await observer.getData('/neighbour')).data).toHaveLength(4)
  // What follows a real ZooKeeper does not hold: collections and syncs take their time, and a JVM keeps what it may take.
  if (serverKind === 'zookeeper') return
  expect(report.over50).toBe(0)
  expect(report.operations).toBeGreaterThan(seconds * 200)
  // Collections come with work: a few reads go on until what is free has been given back.
  const within20MB = async (): Promise<true | undefined> => {
    succeeded(await observer.getData('/bad'))
    return server.residentBytes() - before < MEMORY_BYTES ? true : undefined
  }
  await eventually(within20MB, 20_000, 'memory within 20 MB of before')
})
