// Two hundred real clients that live badly, a server that is killed and stopped under them: what each of them saw is compared with
// what the log says afterwards. The simulator does the same in virtual time, and much more often.

import { connect } from 'node:net'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Counters } from '../src/sim/counters.ts'
import { SeededRandom as SimRandom } from '../src/sim/seeded-random.ts'
import { type ClientSurroundings, SessionClient } from '../src/sim/workloads/sessions/session-client.ts'
import { checkAnswers, checkEnd } from '../src/sim/workloads/sessions/tape-checker.ts'
import { checkWatches, type WatchVerdict } from '../src/sim/workloads/sessions/watch-checker.ts'
import type { Stream, WireConnection } from '../src/sim/workloads/sessions/wire-connection.ts'
import { logHistory } from './support/log-history.ts'
import { SeededRandom } from './support/seeded-random.ts'
import { serverKind, TestServer } from './support/server.ts'
import { delay } from './support/wait.ts'

const CLIENTS = 200
const TICK_MS = 300
const TIMEOUTS_MS = [1_500, 3_000, 6_000]
const ROUNDS = 4

/** A socket that lets its bytes lie once its client has vanished. */
function streamOf(port: number, receiver: WireConnection, gone: Set<() => void>): Promise<Stream | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.on('data', (chunk: Buffer) => receiver.data(chunk))
    socket.on('error', () => undefined)
    socket.on('close', () => {
      receiver.closed()
      resolve(undefined)
    })
    socket.once('connect', () =>
      resolve({
        write: (bytes) => socket.write(bytes),
        end: () => socket.end(),
        destroy: () => socket.resetAndDestroy(),
        vanish: () => {
          socket.removeAllListeners('data')
          socket.pause()
          gone.add(() => socket.destroy())
        },
      }),
    )
  })
}

/** The log is read with Delos' own code. */
it.skipIf(serverKind !== 'delos')(
  `${CLIENTS} clients keep their sessions, ephemeral nodes and watches as promised, through kills and stand-stills of the server`,
  async () => {
    const seed = SeededRandom.announced('sessions')
    const random = new SimRandom(seed.seed)
    await using server = await TestServer.start({ tickMs: TICK_MS, sessionTimeoutMaxMs: 10_000 })
    const counters = new Counters()
    const gone = new Set<() => void>()
    let life = 1
    const around: ClientSurroundings = {
      nowMs: () => performance.now(),
      sleep: delay,
      dial: (_, receiver) => streamOf(server.port, receiver, gone),
      life: () => life,
      operated: () => undefined,
      bump: counters.bump,
      floor: 0,
      phase: 'work',
      timeoutsMs: TIMEOUTS_MS,
    }
    const clients = Array.from({ length: CLIENTS }, (_, i) => new SessionClient(i, random.fork(`client ${i}`), around))
    const running = Promise.all(clients.map((client) => client.run()))
    // What a client finds is thrown below.
    running.catch(() => undefined)
    const stood: { fromMs: number; toMs: number }[] = []
    const servedFromMs = [performance.now()]
    const pass = (ms: number): Promise<unknown> => Promise.race([delay(ms), running])
    for (let round = 0; round < ROUNDS; round++) {
      await pass(1_500 + random.below(1_500))
      if (round % 2 === 0) {
        const fromMs = performance.now()
        server.pause()
        await pass(500 + random.below(2_500))
        server.resume()
        stood.push({ fromMs, toMs: performance.now() })
      } else {
        await server.kill()
        life++
        servedFromMs.push(performance.now())
        await server.restart()
      }
    }
    await pass(2_000)
    around.phase = 'stay'
    await pass(4_000)
    // Whoever is there stays, and whoever goes now without a word is gone with its session.
    const [staying, going] = [clients.filter((_, i) => i % 2 === 0), clients.filter((_, i) => i % 2 === 1)]
    const kept = new Map(staying.map((client) => [client, client.session]))
    for (const client of going) client.vanish()
    await pass(Math.max(...TIMEOUTS_MS) + 3_000)
    for (const [client, session] of kept) expect(client.session).toBe(session)
    around.phase = 'end'
    await running
    await server.stop()
    for (const close of gone) close()

    const history = await logHistory(join(server.dir, 'data'))
    const verdict: WatchVerdict = { events: 0, replays: 0 }
    const ended = { sessions: 0, expired: 0 }
    // Sessions end by the server's clock, whose times the log does not tell: what is judged here is who closed them.
    const times = { servedFromMs: [], stood: [], slackMs: Number.POSITIVE_INFINITY }
    for (const { tapes } of clients) {
      for (const tape of tapes) {
        checkAnswers(history, tape)
        for (const connection of tape.connections) {
          checkWatches(history, connection, verdict)
        }
        ended.sessions++
        if (checkEnd(history, tape, times)) ended.expired++
        const [told, heardMs] = [tape.toldGoneMs, lastHeardMs(tape.connections)]
        const stoodMs = stood.reduce((sum, one) => sum + overlap(one, heardMs, told ?? 0), 0)
        if (told !== undefined) expect(told - heardMs - stoodMs).toBeGreaterThan(tape.timeoutMs - 2 * TICK_MS)
      }
    }
    console.log(JSON.stringify({ ...Object.fromEntries(counters.entries()), ...verdict, ...ended }))
    for (const client of going) {
      const { session } = client
      if (session !== undefined)
        expect(history.ends.has(session.id), 'the session of who vanished has ended').toBe(true)
    }
    expect(verdict.events).toBeGreaterThan(1_000)
    expect(verdict.replays).toBeGreaterThan(0)
    expect(ended.expired).toBeGreaterThan(50)
  },
)

function lastHeardMs(connections: SessionClient['tapes'][number]['connections']): number {
  const sent = connections.flatMap((connection) => connection.sent.filter(({ reply }) => reply !== undefined))
  return Math.max(...connections.map(({ openedMs }) => openedMs), ...sent.map(({ sentMs }) => sentMs))
}

function overlap({ fromMs, toMs }: { fromMs: number; toMs: number }, from: number, to: number): number {
  return Math.max(0, Math.min(toMs, to) - Math.max(fromMs, from))
}
