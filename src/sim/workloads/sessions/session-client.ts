// A ZooKeeper client that lives badly: it works, falls silent, loses its connection in every way there is, comes back to its
// session and its watches, or too late. Everything goes on its tapes; it judges nothing but the order of replies.

import { OP } from '../../../zookeeper/codec/opcodes.ts'
import { EVENT_TYPE } from '../../../zookeeper/codec/watch-codes.ts'
import type { SetWatchesRequest, WireRequest } from '../../../zookeeper/codec/wire-requests.ts'
import type { SeededRandom } from '../../seeded-random.ts'
import { drawRequest } from './request-draws.ts'
import type { EventFrame, ReplyFrame, SessionTape } from './tape.ts'
import { type Leaving, type Stream, WireConnection } from './wire-connection.ts'

/** What is around the clients; one for all. */
export interface ClientSurroundings {
  nowMs(): number
  sleep(ms: number): Promise<void>
  /** Connects; undefined if nobody listens, or nobody answers in time. */
  dial(client: number, receiver: WireConnection): Promise<Stream | undefined>
  /** Of the process of the server that accepts now. */
  life(): number
  /** A request was answered. */
  operated(): void
  readonly bump: (counter: string) => void
  /** The greatest zxid that any client has seen. */
  floor: number
  /** `work`: live badly. `stay`: come back, and only ping. `end`: nothing more. */
  phase: 'work' | 'stay' | 'end'
  readonly timeoutsMs: readonly number[]
}

const NO_PASSWORD = new Uint8Array(16)
const NO_NODE = -101
/** Of a timeout: a client that hears nothing for so long looks for another connection. */
const PATIENCE = 2 / 3

export class SessionClient {
  readonly tapes: SessionTape[] = []
  private readonly index: number
  private readonly random: SeededRandom
  private readonly around: ClientSurroundings
  private readonly timeoutMs: number
  /** Of its replies, as real clients count: events don't. */
  private lastZxid = 0
  private seen = 0
  private readonly watches = {
    data: new Set<string>(),
    exist: new Set<string>(),
    child: new Set<string>(),
    persistent: new Set<string>(),
    recursive: new Set<string>(),
  }
  private readonly deleted = new Set<string>()
  private gone = false
  private wire: WireConnection | undefined

  constructor(index: number, random: SeededRandom, around: ClientSurroundings) {
    this.index = index
    this.random = random
    this.around = around
    this.timeoutMs = random.pick(around.timeoutsMs)
  }

  /** Its present session, unless that is over as far as it knows. */
  get session(): SessionTape | undefined {
    const session = this.tapes.at(-1)
    return session === undefined || session.closing || session.toldGoneMs !== undefined ? undefined : session
  }

  get isConnected(): boolean {
    return this.wire?.isOpen === true
  }

  /** Lives until the phase `end`. Rejects with CheckFailure. */
  async run(): Promise<void> {
    const { around, random } = this
    await around.sleep(random.fraction() * 500)
    while (around.phase !== 'end' && !this.gone) {
      await this.connectOnce()
    }
  }

  /** It is gone without a word, with everything that it would have done. */
  vanish(): void {
    this.gone = true
    this.wire?.leave('vanish')
  }

  private async connectOnce(): Promise<void> {
    const { around, random } = this
    const wire = new WireConnection(
      {
        nowMs: () => around.nowMs(),
        life: () => around.life(),
        floor: () => around.floor,
        event: (event) => this.heard(event),
        reply: (reply) => this.answered(reply),
      },
      this.seen,
    )
    this.wire = wire
    const stream = await around.dial(this.index, wire)
    if (stream === undefined) return around.sleep(20 + random.fraction() * 150)
    const watchdog = this.watch(wire)
    if (await this.shakeHands(wire, stream)) await this.live(wire)
    wire.leave('destroy')
    await watchdog
  }

  private async shakeHands(wire: WireConnection, stream: Stream): Promise<boolean> {
    const { around, session, timeoutMs } = this
    const answer = await wire.connect(stream, {
      lastZxidSeen: this.lastZxid,
      timeoutMs,
      sessionId: session?.id ?? 0n,
      password: session?.password ?? NO_PASSWORD,
      readOnly: false,
    })
    if (answer === undefined) return false
    if (answer.timeoutMs === 0) {
      if (session !== undefined) session.toldGoneMs = around.nowMs()
      around.bump('told that its session is gone')
      this.forget()
      return false
    }
    if (session !== undefined) {
      around.bump('came back')
      session.connections.push(wire.tape)
      return true
    }
    this.forget()
    const { password, sessionId: id } = answer
    const [closing, toldGoneMs] = [false, undefined]
    this.tapes.push({
      id,
      timeoutMs: answer.timeoutMs,
      password: Uint8Array.from(password ?? NO_PASSWORD),
      connections: [wire.tape],
      closing,
      toldGoneMs,
    })
    return true
  }

  /** Lets go of a connection that is silent for too long. */
  private async watch(wire: WireConnection): Promise<void> {
    const { around, timeoutMs } = this
    const startMs = around.nowMs()
    let shaken = false
    while (wire.isOpen) {
      await around.sleep(timeoutMs / 5)
      shaken ||= wire.tape.sent.length > 0
      const sinceMs = shaken ? wire.waitingSinceMs : startMs
      if (sinceMs === undefined || around.nowMs() - sinceMs < timeoutMs * (shaken ? PATIENCE : 3)) continue
      around.bump('lost patience')
      wire.leave('destroy')
    }
  }

  /** From the handshake to the end of the connection. */
  private async live(wire: WireConnection): Promise<void> {
    const { around, random } = this
    const again = this.setAgain()
    if (again !== undefined) {
      around.bump('set watches again')
      void wire.send(again)
    }
    for (let turns = random.integer(1, 40); wire.isOpen && (turns > 0 || around.phase === 'stay'); turns--) {
      if (around.phase === 'end' || this.gone) return
      if (around.phase === 'stay') await this.rest(wire)
      else await this.turn(wire)
    }
    await this.leave(wire)
  }

  private async turn(wire: WireConnection): Promise<void> {
    const { around, random, timeoutMs } = this
    const requests = Array.from({ length: random.pick([1, 1, 1, 2, 3, 6]) }, () =>
      drawRequest(random, this.index, this.deleted),
    )
    const replies = wire.send(...requests)
    // In the middle of what it asked.
    if (random.chance(0.02)) return wire.leave(random.pick<Leaving>(['destroy', 'end', 'vanish']))
    await Promise.all(replies)
    const choice = random.fraction()
    if (choice < 0.02) {
      around.bump('paused')
      await this.away(random.fraction() * 1.6 * timeoutMs)
    } else {
      // Thinks, and pings meanwhile.
      for (let rests = random.below(4); rests > 0 && wire.isOpen; rests--) await this.rest(wire)
    }
  }

  private async rest(wire: WireConnection): Promise<void> {
    void wire.send({ op: OP.ping })
    await this.around.sleep((0.1 + 0.2 * this.random.fraction()) * this.timeoutMs)
  }

  /** Goes away, and comes back sooner or later. */
  private async leave(wire: WireConnection): Promise<void> {
    const { around, random, session, timeoutMs } = this
    if (around.phase !== 'work') return
    const how = random.fraction()
    if (wire.isOpen && how < 0.1 && session !== undefined) {
      session.closing = true
      around.bump('closed')
      await Promise.all(wire.send({ op: OP.closeSession }))
      this.forget()
    } else if (how < 0.4) wire.leave('destroy')
    else if (how < 0.6) wire.leave('end')
    else if (how < 0.8) {
      around.bump('vanished')
      wire.leave('vanish')
    }
    if (random.chance(0.5)) await this.away(random.fraction() * random.pick([0.3, 1, 2]) * timeoutMs)
  }

  /** So long at most: where all come back, nobody is away. */
  private async away(ms: number): Promise<void> {
    const { around } = this
    const untilMs = around.nowMs() + ms
    for (let leftMs = ms; leftMs > 0 && around.phase === 'work'; leftMs = untilMs - around.nowMs()) {
      await around.sleep(Math.min(leftMs, 250))
    }
  }

  private setAgain(): SetWatchesRequest | undefined {
    const { child, data, exist, persistent, recursive } = this.watches
    if (data.size + exist.size + child.size + persistent.size + recursive.size === 0) return undefined
    return {
      op: persistent.size + recursive.size === 0 ? OP.setWatches : OP.setWatches2,
      relativeZxid: this.lastZxid,
      dataWatches: [...data],
      existWatches: [...exist],
      childWatches: [...child],
      persistentWatches: [...persistent],
      persistentRecursiveWatches: [...recursive],
    }
  }

  private heard({ path, type, zxid }: EventFrame): void {
    const { child, data, exist } = this.watches
    this.see(zxid)
    this.around.bump('event')
    if (type !== EVENT_TYPE.nodeChildrenChanged) {
      data.delete(path)
      exist.delete(path)
    }
    if (type === EVENT_TYPE.nodeChildrenChanged || type === EVENT_TYPE.nodeDeleted) child.delete(path)
  }

  private answered(reply: ReplyFrame): void {
    const { zxid } = reply
    if (zxid > 0) this.lastZxid = zxid
    this.see(zxid)
    this.around.operated()
    this.remember(reply.to.request, reply.err)
  }

  private remember(request: WireRequest, err: number): void {
    const { child, data, exist, persistent, recursive } = this.watches
    if (request.op === OP.addWatch && err === 0) (request.mode === 0 ? persistent : recursive).add(request.path)
    if (!('watch' in request && request.watch)) return
    if (request.op === OP.getChildren || request.op === OP.getChildren2) {
      if (err === 0) child.add(request.path)
    } else if (err === 0) data.add(request.path)
    else if (request.op === OP.exists && err === NO_NODE) exist.add(request.path)
  }

  private see(zxid: number): void {
    if (zxid > this.seen) this.seen = zxid
    if (zxid > this.around.floor) this.around.floor = zxid
  }

  /** A new session knows nothing of the old one. */
  private forget(): void {
    for (const paths of Object.values(this.watches)) paths.clear()
    this.deleted.clear()
  }
}
