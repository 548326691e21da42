// What a connection that is held back must not lose by it.

import { expect, it } from 'vitest'
import { create, getData, setData, ZooKeeperHarness } from '../../test/support/zookeeper-harness.ts'
import type { TurnTaker } from './answer-turns.ts'
import { OP } from './codec/opcodes.ts'

const SESSION_MS = 4_000
/** Of a turn; longer ones would be a standstill, which is nobody's silence. */
const STEP_MS = 40
const STEPS = 5
const READS = 1_000

it('a session lives on while its requests wait for their turns, however long they do', async () => {
  const harness = await ZooKeeperHarness.start()
  const client = harness.client({ timeoutMs: SESSION_MS })
  client.create('/a')
  const { time, server } = harness
  let replyMs = 0
  const base = time.monotonicMs.bind(time)
  time.monotonicMs = () => base() + replyMs++
  harness.hold()
  client.send(setData('/a', '1'), ...Array.from({ length: READS - 1 }, () => getData('/a', true)))
  expect(client.socket.paused).toBe(true)
  let turns = 0
  // What others are answered in each turn.
  const others: TurnTaker = {
    goOn: () => {
      turns++
      client.send({ op: OP.ping })
      for (let step = 0; step < STEPS; step++) time.advance(STEP_MS)
      if (server.outstanding > 0) server.turns.wait(others)
    },
  }
  server.turns.wait(others)
  harness.release()
  expect(client.socket.isClosed).toBe(false)
  expect(turns * STEPS * STEP_MS).toBeGreaterThan(3 * SESSION_MS)
  expect(client.take().filter((one) => one.kind === 'reply' && one.err === 0)).toHaveLength(READS + turns)
  harness.pass(SESSION_MS / 2)
  expect(client.ask(create('/b')).err).toBe(0)
})

it('a bug that a request meets which waited for the throttle closes its connection, and others go on', async () => {
  const harness = await ZooKeeperHarness.start({ access: { requestThrottle: { requestsMax: 1 } } })
  const [first, faulty, next] = [harness.client(), harness.client(), harness.client()]
  first.create('/a')
  harness.hold()
  first.send(setData('/a', '1'))
  faulty.send({ op: OP.getChildren, path: '/a', watch: false })
  next.send(getData('/a'))
  harness.zelos.zelos.walks.isLong = () => {
    throw new Error('a disk that failed')
  }
  harness.release()
  expect(faulty.socket.destroyed).toBe(true)
  expect([first.takeBriefly(), next.takeBriefly()]).toEqual([['2:0'], ['1:0']])
})
