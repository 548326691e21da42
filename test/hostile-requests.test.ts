// Hostile values in every field of every operation, to the server as a process: every request is answered or its connection closed,
// the process stays, and a neighbour sees nothing of it. What each reply must be is shown in src/zookeeper/hostile-requests.

import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { FrameConnection, fourLetterWord } from './support/frame-connection.ts'
import { encodeFrame, type HostileFrame, hostileFrame } from './support/hostile-requests.ts'
import { JuteWriter } from './support/jute.ts'
import { TestServer } from './support/server.ts'
import { encodeConnectRequest, succeeded, ZkClient } from './support/zk-client.ts'
import { Op } from './support/zk-protocol.ts'

const FRAMES = 3_000
const TOGETHER = 4
const LANES = 4
const SEED = Number(process.env.DELOS_TEST_SEED ?? 7)
const SESSION_MS = 30_000
/** No hostile frame has it. */
const XID_LAST = 2_000

let server: TestServer
beforeAll(async () => {
  server = await TestServer.start()
})
afterAll(() => server[Symbol.asyncDispose]())

async function openSession(): Promise<FrameConnection> {
  const connection = await FrameConnection.open(server.port)
  connection.writeFrame(encodeConnectRequest({ timeoutMs: SESSION_MS }))
  if ((await connection.nextFrame()) === undefined) throw new Error('no handshake')
  return connection
}

/** Sends them in one write, then waits until the one behind them is answered, or the end: how many were answered. */
async function answered(connection: FrameConnection, frames: readonly HostileFrame[]): Promise<number> {
  const last = new JuteWriter().int(XID_LAST).int(Op.exists).string('/').bool(false).done()
  connection.write(Buffer.concat(frames.map(encodeFrame)))
  connection.writeFrame(last)
  const xids = new Set(frames.map(({ xid }) => xid))
  for (let count = 0; ; ) {
    const frame = await connection.nextFrame()
    if (frame === undefined) return count
    const xid = frame.readInt32BE(0)
    if (xid === XID_LAST) return count
    if (xids.has(xid)) count++
    else if (xid !== -1) throw new Error(`a reply with xid ${xid}`)
  }
}

it('a process answers or closes, whatever is asked, and its other clients see nothing of it', async () => {
  const neighbour = await ZkClient.connect(server.port, { timeoutMs: SESSION_MS })
  const acl = [{ perms: 1, scheme: 'world', id: 'anyone' }]
  succeeded(await neighbour.create('/guard', 'calm', 0, acl))
  const calm = succeeded(await neighbour.getData('/guard'))

  const frames = fc.sample(hostileFrame, { seed: SEED, numRuns: FRAMES })
  let replies = 0
  const lane = async (): Promise<void> => {
    let connection = await openSession()
    while (frames.length > 0) {
      if (connection.isClosed) connection = await openSession()
      const count = await answered(connection, frames.splice(0, TOGETHER))
      replies += count
    }
    connection.destroy()
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  console.log(`${replies} replies, seed ${SEED}`)

  expect(replies).toBeGreaterThan(FRAMES / 2)
  expect(succeeded(await neighbour.getData('/guard'))).toEqual(calm)
  expect(await fourLetterWord(server.port, 'ruok')).toBe('imok')
  expect(server.isRunning).toBe(true)
  await neighbour.close()
})
