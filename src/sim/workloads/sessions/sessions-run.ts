// A ZooKeeper server in front of Zelos on a simulated machine, with 200 clients at the other end of a simulated network, while its
// processes live, die, stand still and cannot be reached. Collects the evidence; the checkers judge it at the end.

import { DelosError } from '../../../base/delos-error.ts'
import { withDeadline } from '../../../log/deadline.ts'
import type { UpdateResult } from '../../../zelos/requests.ts'
import { ZelosApplicator } from '../../../zelos/zelos-applicator.ts'
import { ZelosDatabase } from '../../../zelos/zelos-database.ts'
import { ZooKeeperServer } from '../../../zookeeper/zookeeper-server.ts'
import { CALM } from '../../faults.ts'
import { Life } from '../../life.ts'
import type { SimHost } from '../../network/sim-network.ts'
import { withSessionBug } from '../../planted-session.ts'
import { sessionTimers } from '../../planted-standstill.ts'
import type { Simulation } from '../../simulation.ts'
import { check } from '../../workload.ts'
import { ActorEnds, Actors } from '../actors.ts'
import { type StackLife, StackServer } from '../stack/stack-server.ts'
import { ZelosHistory } from '../zelos/zelos-history.ts'
import { type ClientSurroundings, SessionClient } from './session-client.ts'
import type { SessionTape } from './tape.ts'
import { checkAnswers, checkEnd, type ServerTimes } from './tape-checker.ts'
import { TreeHistory } from './tree-history.ts'
import { checkWatches, type WatchVerdict } from './watch-checker.ts'
import type { Stream, WireConnection } from './wire-connection.ts'

export const CLIENTS = 200

const LIVES = 6
const SERVER = 'server'
const PORT = 2181
const HOSTS = 10
const TICK_MS = 50
const TIMEOUTS_MS = [800, 1_500, 3_000]
/** A session whose client is gone is gone too after this. */
const EXPIRY_MS = 10_000
/** A connection whose client has gone without a word is gone so long after its session. */
const LINGER_MS = 6_000
const DIAL_MS = 400
const START_MS = 20_000
/** Everybody fits in: what a full server does is other workloads'. */
const ROOM = {
  base: { proposalsMax: 10_000, proposalDeadlineMs: 20_000, syncDeadlineMs: 20_000 },
  waitingCountMax: 10_000,
}

/** One process of the server, from the moment that it takes clients. */
interface Served {
  readonly life: StackLife<UpdateResult>
  readonly zelos: ZelosDatabase
  readonly server: ZooKeeperServer
}

export class SessionsRun {
  private readonly world: Simulation
  private readonly operations: number
  private readonly machine: StackServer<UpdateResult>
  private readonly tree = new TreeHistory()
  private readonly history: ZelosHistory
  private readonly clients: SessionClient[]
  private readonly around: ClientSurroundings
  private readonly hosts: SimHost[]
  private readonly served: Served[] = []
  private readonly servedFromMs: number[] = []
  private readonly stood: { readonly fromMs: number; readonly toMs: number }[] = []
  private readonly failed: Promise<never>
  private fail!: (error: unknown) => void
  private done = 0

  constructor(world: Simulation, operations: number) {
    this.world = world
    this.operations = operations
    const { counters, random } = world
    this.machine = new StackServer(world, SERVER, 'zelos', [sessionTimers(world.planted, { tickMs: TICK_MS })], ROOM)
    this.history = new ZelosHistory((update, expected) => {
      counters.bump(expected.err === 0 ? update.kind : `${update.kind}: ${expected.err}`)
      this.tree.note(update, expected, this.history.model, world.queue.nowMs)
    })
    this.hosts = Array.from({ length: HOSTS }, (_, i) => world.network.host(`clients-${i}`, new Life()))
    this.around = {
      nowMs: () => world.queue.nowMs,
      sleep: (ms) => world.sleep(ms),
      dial: (client, receiver) => this.dial(client, receiver),
      life: () => this.served.length,
      operated: () => void this.done++,
      bump: counters.bump,
      floor: 0,
      phase: 'work',
      timeoutsMs: TIMEOUTS_MS,
    }
    this.clients = Array.from(
      { length: CLIENTS },
      (_, i) => new SessionClient(i, random.fork(`client ${i}`), this.around),
    )
    this.failed = new Promise((_, reject) => {
      this.fail = reject
    })
    this.failed.catch(ignore)
  }

  /** Throws CheckFailure. */
  async run(): Promise<void> {
    for (const client of this.clients) client.run().catch(this.fail)
    for (let life = 0; life < LIVES; life++) await this.live(Math.ceil((this.operations * (life + 1)) / LIVES))
    this.world.faults = CALM
    await this.last()
    this.judge()
  }

  /** One process: serves until `until` requests were answered, and dies in the middle of something. */
  private async live(until: number): Promise<void> {
    const { random } = this.world
    const actors = this.boot()
    if (random.chance(0.15)) this.dieWithin(60)
    actors.start(async () => {
      const { life } = await this.serve(actors)
      actors.repeat(() => this.disturb(actors, life))
      while (this.done < until) await actors.pause(20)
      if (random.chance(0.3)) await this.end(actors)
      this.dieWithin(20)
    })
    await actors.ended
  }

  private async last(): Promise<void> {
    const actors = this.boot()
    actors.start(async () => {
      const served = await this.serve(actors)
      await actors.pause(3_000)
      await this.finale(actors, served)
      this.machine.die('kill')
    })
    await actors.ended
  }

  private boot(): Actors {
    const { life } = this.machine.machine.boot()
    const actors = new Actors({
      world: this.world,
      life,
      trouble: (error) => {
        throw error
      },
    })
    actors.start(() => this.failed)
    return actors
  }

  private async serve(actors: Actors): Promise<Served> {
    const { queue } = this.world
    const applicator = new ZelosApplicator()
    let zelos: ZelosDatabase | undefined
    const starting = this.machine.start(
      (timers) => {
        if (timers !== undefined) applicator.useTimers(timers)
        return {
          apply: (tx, entry, pos) => applicator.apply(tx, entry, pos),
          postApply: (entry, pos, result) => {
            this.history.note(entry.payload as Uint8Array, pos, result)
            applicator.postApply(entry, pos, result)
          },
        }
      },
      ({ runtime, stack }) => {
        const { timerService } = stack
        zelos = new ZelosDatabase({ runtime, applicator, log: stack, store: stack, timerService })
        this.servedFromMs.push(queue.nowMs)
      },
    )
    const life = await actors.answer('the start', START_MS, starting).catch((error: unknown) => {
      // Its first proposals may meet the end of a loglet: a server ends then, and is started again.
      if (!(error instanceof DelosError && (error.retryable || error.code === 'INDETERMINATE'))) throw error
      this.dieWithin(20)
      throw new ActorEnds()
    })
    this.history.content(life.store.read())
    this.world.counters.bump('contents compared')
    return this.listen(life, zelos as ZelosDatabase)
  }

  private async listen(life: StackLife<UpdateResult>, zelos: ZelosDatabase): Promise<Served> {
    const { planted } = this.world
    const { clock, network, random, timers } = life.runtime
    zelos.startServing()
    const options = {
      host: SERVER,
      port: PORT,
      tickMs: TICK_MS,
      sessionTimeoutMaxMs: 10_000,
      slowMs: 0,
      logger: { debug: ignore, info: ignore, warn: ignore, error: ignore },
      productVersion: 'simulated',
      dataDir: 'data',
    }
    const server = new ZooKeeperServer(
      { clock, timers, network, random },
      withSessionBug(planted, zelos, timers),
      options,
    )
    const served = { life, zelos, server }
    this.served.push(served)
    await server.listen()
    return served
  }

  private async end(actors: Actors): Promise<void> {
    const { life, server, zelos } = this.served.at(-1) as Served
    this.world.counters.bump('clean end')
    await actors.answer('close', START_MS, server.close(1_000))
    zelos.close()
    await actors.answer('close', START_MS, life.close())
  }

  private dieWithin(ms: number): void {
    const { random, timers } = this.world
    const { life } = this.machine.machine.runtime
    timers.after(random.fraction() * ms, () => {
      if (life.alive) this.machine.die(random.chance(0.5) ? 'kill' : 'crash')
    })
  }

  /** Everything that was recorded, once the world has come to rest. Throws CheckFailure. */
  private judge(): void {
    const { bump } = this.world.counters
    const times: ServerTimes = { servedFromMs: this.servedFromMs, stood: this.stood, slackMs: 2.5 * TICK_MS }
    const verdict: WatchVerdict = { events: 0, replays: 0 }
    for (const { tapes } of this.clients) {
      for (const tape of tapes) {
        checkAnswers(this.tree, tape)
        for (const connection of tape.connections) {
          checkWatches(this.tree, connection, verdict)
        }
        if (checkEnd(this.tree, tape, times)) bump('ran out')
      }
    }
    bump('told what it missed', verdict.replays)
    bump('events judged', verdict.events)
  }

  /** The server stands still, or cannot be reached by some. */
  private async disturb(actors: Actors, life: StackLife<UpdateResult>): Promise<void> {
    const { counters, network, queue, random } = this.world
    await actors.pause(300 + random.fraction() * 1_200)
    if (random.chance(0.3)) {
      const host = `clients-${random.below(HOSTS)}`
      counters.bump('cut off')
      network.cut(host, SERVER)
      this.world.timers.after(random.fraction() * 4_000, () => network.heal(host, SERVER))
      return
    }
    const fromMs = queue.nowMs
    counters.bump('stood still')
    life.runtime.life.standStill()
    await this.world.sleep(random.fraction() * random.pick([300, 1_500, 5_000]))
    life.runtime.life.goOn()
    this.stood.push({ fromMs, toMs: queue.nowMs })
    await actors.pause(0)
  }

  private async dial(client: number, receiver: WireConnection): Promise<Stream | undefined> {
    const host = this.hosts[client % HOSTS] as SimHost
    const connecting = host.connect(SERVER, PORT, () => receiver)
    try {
      return await withDeadline(this.world.timers, connecting, DIAL_MS, () => {
        throw new Error('nobody answers')
      })
    } catch {
      // Nobody listens, or nobody answers: the client tries again. What connects later is of no use.
      connecting.then((late) => late.destroy()).catch(ignore)
      return undefined
    }
  }

  /** Half of the clients go without a word, half stay and only ping: whose sessions end is known then. */
  private async finale(actors: Actors, { life, server }: Served): Promise<void> {
    const { around, clients, world } = this
    around.phase = 'stay'
    for (let i = 0; i < HOSTS; i++) world.network.heal(`clients-${i}`, SERVER)
    await actors.pause(6_000)
    const staying = clients.filter((client, i) => i % 2 === 0 && client.session !== undefined && client.isConnected)
    check(staying.length > CLIENTS / 4, `only ${staying.length} clients have come back`)
    const kept = new Map(staying.map((client) => [client, client.session as SessionTape]))
    for (const client of clients) if (!kept.has(client)) client.vanish()
    const endMs = world.queue.nowMs + EXPIRY_MS
    const others = (): SessionTape[] =>
      clients.flatMap(({ tapes }) => tapes).filter((tape) => ![...kept.values()].includes(tape))
    await actors.pause(Math.max(...TIMEOUTS_MS))
    while (others().some(({ id }) => !this.tree.ends.has(id)) && world.queue.nowMs < endMs) await actors.pause(200)
    const left = others().filter(({ id }) => !this.tree.ends.has(id))
    check(left.length === 0, `${left.length} sessions are still there, long after their clients have gone`)
    for (const tape of kept.values())
      check(!this.tree.ends.has(tape.id), 'a session has ended, and its client is there')
    await actors.pause(LINGER_MS)
    check(
      server.connections.size <= kept.size,
      `${server.connections.size} connections, ${kept.size} clients: half-open ones are still there`,
    )
    world.counters.bump('sessions kept', kept.size)
    this.history.content(life.store.read())
  }
}

function ignore(): void {
  // Nobody reads the log of a simulated server.
}
