// A hundred thousand connection attempts, most of them rude, and clients that fall silent without a word: nothing of them stays,
// and a neighbour notices nothing.

import { readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setPriority } from 'node:os'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fourLetterWord } from './support/frame-connection.ts'
import { Neighbour } from './support/neighbour.ts'
import { SeededRandom } from './support/seeded-random.ts'
import { freePort, serverKind, TestServer } from './support/server.ts'
import { delay, eventually } from './support/wait.ts'
import { encodeConnectRequest, succeeded, ZkClient } from './support/zk-client.ts'

const ATTEMPTS = 100_000
const WARM_UP = 15_000
const LANES = 250
const ADDRESSES = 40
const SILENT = 60
const TICK_MS = 200
const MEMORY_BYTES = 80 * 1024 * 1024
const FILES = 20
const NICENESS = 10

interface Outcomes {
  reset: number
  garbage: number
  silent: number
  session: number
  failed: number
}

/** Metrics and the count of open files are Delos' own. */
describe.skipIf(serverKind !== 'delos')('connections', () => {
  let server: TestServer
  let metricsPort: number
  let observer: ZkClient
  beforeAll(async () => {
    metricsPort = await freePort()
    server = await TestServer.start({ tickMs: TICK_MS, flags: ['--metrics-port', String(metricsPort)] })
    observer = await ZkClient.connect(server.port, { timeoutMs: 20 * TICK_MS })
    succeeded(await observer.create('/neighbour', 'here'))
  })
  afterAll(() => server[Symbol.asyncDispose]())

  const openFiles = (): number => readdirSync(`/proc/${server.pid}/fd`).length

  async function aliveConnections(): Promise<number> {
    const word = await fourLetterWord(server.port, 'mntr')
    return Number(/^zk_num_alive_connections\t(\d+)$/m.exec(word)?.[1])
  }

  async function closed(reason: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
    const line = new RegExp(`^delos_zookeeper_closed_connections_total\\{reason="${reason}"\\} (\\d+)$`, 'm')
    return Number(line.exec(text)?.[1])
  }

  /** From many addresses, so that there are ports for all. Undefined if it does not come about. */
  function open(random: SeededRandom): Promise<Socket | undefined> {
    const localAddress = `127.0.0.${2 + random.below(ADDRESSES)}`
    const socket = connect({ port: server.port, host: '127.0.0.1', localAddress, noDelay: true })
    return new Promise((resolve) => {
      socket.once('connect', () => resolve(socket))
      socket.on('error', () => resolve(undefined))
    })
  }

  const ended = (socket: Socket): Promise<void> =>
    new Promise((resolve) => {
      socket.once('close', () => resolve())
      socket.resume()
    })

  const CONNECT = Buffer.concat([Buffer.of(0, 0, 0, 45), encodeConnectRequest({ timeoutMs: 2 * TICK_MS })])

  async function attempt(random: SeededRandom, outcomes: Outcomes): Promise<void> {
    const socket = await open(random)
    if (socket === undefined) {
      outcomes.failed++
      return
    }
    const choice = random.below(100)
    if (choice < 55) outcomes.reset++
    else if (choice < 75) {
      outcomes.garbage++
      const gone = ended(socket)
      // A length that none has: closed at once, or a word of four letters that is none.
      socket.write(Buffer.concat([Buffer.of(0x70 + random.below(16)), random.bytes(random.between(3, 60))]))
      await gone
    } else if (choice < 90) {
      outcomes.silent++
      await delay(random.below(20))
    } else {
      outcomes.session++
      const answered = new Promise((resolve) => {
        socket.once('data', resolve)
        socket.once('close', resolve)
      })
      socket.write(CONNECT)
      await answered
    }
    socket.resetAndDestroy()
  }

  async function attempts(random: SeededRandom, count: number): Promise<Outcomes> {
    const outcomes: Outcomes = { reset: 0, garbage: 0, silent: 0, session: 0, failed: 0 }
    let left = count
    const lane = async (): Promise<void> => {
      while (left-- > 0) await attempt(random, outcomes)
    }
    await Promise.all(Array.from({ length: LANES }, lane))
    return outcomes
  }

  /** Only those of this test are left, and nobody's session. */
  const quiet = (connections: number): Promise<true> =>
    eventually(
      async () => ((await aliveConnections()) <= connections ? true : undefined),
      20_000,
      'the end of all other connections',
    )

  it(`${ATTEMPTS} attempts leave no memory, no file and no session behind, and a neighbour notices nothing`, async () => {
    const random = SeededRandom.announced('connections')
    // What falls silent before it has a session is closed meanwhile.
    const mute = await Promise.all(Array.from({ length: SILENT }, () => open(random)))
    expect(mute).not.toContain(undefined)
    await attempts(random, WARM_UP)
    await quiet(2 + SILENT)
    const [memory, files] = [server.residentBytes(), openFiles()]

    const neighbour = new Neighbour(server.port, '/neighbour')
    await delay(200)
    // Who attempts has a processor of his own: here he must not take the server's or the neighbour's.
    setPriority(NICENESS)
    const started = performance.now()
    const outcomes = await attempts(random, ATTEMPTS)
    const seconds = (performance.now() - started) / 1000
    const report = await neighbour.end()
    console.log(`${seconds.toFixed(1)} s, ${JSON.stringify(outcomes)}, neighbour ${JSON.stringify(report)}`)
    expect(outcomes.failed).toBe(0)
    expect(report).toMatchObject({ failures: 0, unanswered: 0 })
    expect(report.operations).toBeGreaterThan(seconds * 100)

    await eventually(async () => ((await closed('handshake-timeout')) >= SILENT ? true : undefined), 15_000, 'closes')
    for (const socket of mute) socket?.destroy()
    await quiet(2)
    // The sessions of those who went have run out.
    const sessions = async (): Promise<true | undefined> => {
      const word = await fourLetterWord(server.port, 'mntr')
      return Number(/^zk_global_sessions\t(\d+)$/m.exec(word)?.[1]) <= 2 ? true : undefined
    }
    await eventually(sessions, 20_000, 'the end of their sessions')
    expect(openFiles() - files).toBeLessThan(FILES)
    const fits = async (): Promise<true | undefined> => {
      succeeded(await observer.getData('/neighbour'))
      return server.residentBytes() - memory < MEMORY_BYTES ? true : undefined
    }
    await eventually(fits, 20_000, `memory within ${MEMORY_BYTES} bytes of before`)
  })

  it('clients that fall silent with a session, and read nothing more, are closed with it, and counted', async () => {
    const random = SeededRandom.announced('silent clients')
    const before = await closed('session-ended')
    const sockets = await Promise.all(Array.from({ length: SILENT }, () => open(random)))
    for (const socket of sockets) {
      socket?.pause()
      socket?.write(CONNECT)
    }
    expect(await aliveConnections()).toBeGreaterThanOrEqual(SILENT)
    const all = async (): Promise<true | undefined> =>
      (await closed('session-ended')) - before >= SILENT ? true : undefined
    await eventually(all, 15_000, 'the end of the silent ones')
    await quiet(2)
    for (const socket of sockets) socket?.destroy()
    expect((await observer.exists('/neighbour')).err).toBe(0)
  })
})
