// Requests with hostile values in every field of every operation, to a server in this process: each is answered once and in its
// turn, or its connection is closed for a reason that is counted, and nothing else changes. Failures come back by seed and path:
// DELOS_TEST_SEED=n, and DELOS_FUZZ_RUNS=n for more of it.

import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { encodeFrame, type HostileFrame, hostileFrame } from '../../test/support/hostile-requests.ts'
import type { TestSocket } from '../../test/support/test-socket.ts'
import { ZelosHarness } from '../../test/support/zelos-harness.ts'
import { checkZelos } from '../../test/support/zelos-invariants.ts'
import { getData, type WireClient, ZooKeeperHarness } from '../../test/support/zookeeper-harness.ts'
import { ManualTime } from '../store/manual-time.ts'
import { openMemoryStore } from '../store/memory-store.ts'
import { readConnectResponse, readReplyBody, writeConnectRequest } from './codec/client-messages.ts'
import { JuteReader } from './codec/jute-reader.ts'
import { JuteWriter } from './codec/jute-writer.ts'
import { OP, opName } from './codec/opcodes.ts'
import type { WireRequest } from './codec/wire-requests.ts'

const RUNS = Number(process.env.DELOS_FUZZ_RUNS ?? 250)
const SEED = Number(process.env.DELOS_TEST_SEED ?? 20)
const CONNECTIONS = 3

type Step =
  | { readonly do: 'send'; readonly to: number; readonly frames: readonly HostileFrame[]; readonly cut: number }
  | { readonly do: 'hold' | 'release' }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'drop' | 'comeBack'; readonly to: number }

const to = fc.nat(CONNECTIONS - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      to,
      frames: fc.array(hostileFrame, { minLength: 1, maxLength: 8 }),
      cut: fc.nat(5_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('hold' as const, 'release' as const, 'release' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(10, 3_000, 12_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('drop' as const, 'comeBack' as const), to }) },
)

/** Answered on arrival, before what waits. */
const OUT_OF_TURN: ReadonlySet<number> = new Set([OP.auth, OP.sasl])
const EVENT_BYTES_MIN = 28

/** What one connection was asked, and whether all of it is answered as it must be. */
class Hostile {
  /** Operations that were answered. */
  readonly opsAnswered = new Set<number>()
  private readonly hash = createHash('sha256')
  session: { readonly id: bigint; readonly password: Uint8Array } | undefined
  replies = 0
  private hasLeft = false
  private readonly socket: TestSocket
  private expected: HostileFrame[] = []
  private parsed = 0
  private rest: Buffer = Buffer.alloc(0)
  private shaken = false

  constructor(socket: TestSocket, session?: Hostile['session']) {
    this.socket = socket
    const writer = new JuteWriter()
    const { id = 0n, password = new Uint8Array(16) } = session ?? {}
    writeConnectRequest(writer, { lastZxidSeen: 0, timeoutMs: 10_000, sessionId: id, password, readOnly: false })
    socket.send(writer.take())
  }

  get isClosed(): boolean {
    return this.hasLeft || this.socket.isClosed
  }

  send(frames: readonly HostileFrame[], cut: number): void {
    if (this.isClosed) return
    this.expected.push(...frames)
    const bytes = Buffer.concat(frames.map(encodeFrame))
    this.socket.send(bytes.subarray(0, cut))
    if (cut < bytes.length) this.socket.send(bytes.subarray(cut))
  }

  /** Reads what came. Throws if it is not what must come. */
  take(): void {
    const fresh = this.socket.received.slice(this.parsed)
    this.parsed += fresh.length
    for (const chunk of fresh) this.hash.update(chunk)
    this.rest = Buffer.concat([this.rest, ...fresh])
    while (this.rest.length >= 4 && this.rest.length >= 4 + this.rest.readInt32BE(0)) {
      const end = 4 + this.rest.readInt32BE(0)
      this.frame(this.rest.subarray(4, end))
      this.rest = this.rest.subarray(end)
    }
  }

  /** The peer has seen the end, and goes. */
  leave(): void {
    this.hasLeft = true
    if (!this.socket.destroyed) this.socket.close()
  }

  /** Throws unless everything that it asked has its answer. */
  checkAnswered(): void {
    if (!this.isClosed) expect(this.expected.map(describeFrame), 'requests without a reply').toEqual([])
  }

  /** Of all bytes that came. */
  get digest(): string {
    return this.hash.copy().digest('hex')
  }

  private frame(frame: Buffer): void {
    const reader = new JuteReader(1 << 28).reset(frame, 0, frame.length)
    if (!this.shaken) {
      this.shaken = true
      const { sessionId: id, password, timeoutMs } = readConnectResponse(reader)
      if (timeoutMs > 0) this.session = { id, password: Buffer.from(password ?? []) }
      return
    }
    if (isEvent(frame)) return
    const [number, , err] = [reader.int32(), reader.int64(), reader.int32()]
    const request = this.asked(number)
    this.replies++
    this.opsAnswered.add(request.op)
    // Of SASL also a failure has a token: none.
    if (err === 0 || (request.op === OP.sasl && reader.remaining > 0))
      readReplyBody(request.op as WireRequest['op'], reader)
    expect(reader.remaining, `bytes after the reply to ${describeFrame(request)}`).toBe(0)
  }

  private asked(number: number): HostileFrame {
    const [first] = this.expected
    const at =
      first?.xid === number ? 0 : this.expected.findIndex((one) => OUT_OF_TURN.has(one.op) && one.xid === number)
    const [request] = at < 0 ? [] : this.expected.splice(at, 1)
    if (request === undefined) throw new Error(`a reply with xid ${number}, while the next is ${describeFrame(first)}`)
    return request
  }
}

function isEvent(frame: Buffer): boolean {
  if (frame.readInt32BE(0) !== -1 || frame.length < EVENT_BYTES_MIN || frame.readInt32BE(12) !== 0) return false
  const [type, state, length] = [frame.readInt32BE(16), frame.readInt32BE(20), frame.readInt32BE(24)]
  return type >= 1 && type <= 4 && state === 3 && length === frame.length - EVENT_BYTES_MIN
}

function describeFrame(frame: HostileFrame | undefined): string {
  if (frame === undefined) return 'none'
  return `${opName(frame.op)} ${frame.op}, xid ${frame.xid}, ${frame.body.length} bytes ${frame.body.subarray(0, 60).toString('hex')}`
}

const ACLS = [
  { perms: 31, scheme: 'auth', id: '' },
  { perms: 1, scheme: 'world', id: 'anyone' },
]
const QUOTA = '/zookeeper/quota/q'
const PASS_MS = 50

/** A server, the connections that attack it, and one that only wants to be left alone. */
class World {
  private readonly harness: ZooKeeperHarness
  private readonly neighbour: WireClient
  private readonly hostile: Hostile[]
  private readonly all: Hostile[] = []
  private readonly calm: string

  private constructor(harness: ZooKeeperHarness) {
    this.harness = harness
    const neighbour = harness.client({ timeoutMs: 40_000 })
    this.neighbour = neighbour
    neighbour.ask({ op: OP.auth, scheme: 'digest', credential: Buffer.from('neighbour:secret') })
    neighbour.create('/guard', '', 0, ACLS)
    neighbour.create('/guard/neighbour', 'calm', 0, ACLS)
    neighbour.create('/q')
    neighbour.create(QUOTA, '', 0, ACLS)
    neighbour.create(`${QUOTA}/zookeeper_limits`, 'count=3,bytes=20', 0, ACLS)
    neighbour.create(`${QUOTA}/zookeeper_stats`, 'count=0,bytes=0', 0, ACLS)
    neighbour.ask(getData('/guard/neighbour', true))
    neighbour.ask({ op: OP.addWatch, path: '/guard', mode: 1 })
    this.calm = this.look()
    this.hostile = Array.from({ length: CONNECTIONS }, () => this.opened())
  }

  static async start(): Promise<World> {
    const harness = await ZooKeeperHarness.start()
    await harness.zelos.store.digest()
    return new World(harness)
  }

  async run(steps: readonly Step[]): Promise<void> {
    for (const one of steps) {
      this.step(one)
      await this.told()
      expect(this.look(), 'what the neighbour sees').toBe(this.calm)
    }
    this.harness.release()
    await this.told()
    for (const hostile of this.hostile) hostile.checkAnswered()
  }

  /** All that was sent to anybody, and all that is stored. */
  get trace(): string {
    const rows = this.harness.zelos.content().map(([key, value]) => `${key}=${Buffer.from(value).toString('latin1')}`)
    const stored = createHash('sha256').update(rows.join('\n')).digest('hex')
    return [...this.all.map((one) => one.digest), stored].join()
  }

  get replies(): number {
    return this.all.reduce((sum, one) => sum + one.replies, 0)
  }

  get opsAnswered(): ReadonlySet<number> {
    return new Set(this.all.flatMap((one) => [...one.opsAnswered]))
  }

  /** Ends it, and throws if anything is not as it must be. */
  async check(): Promise<void> {
    const { server, zelos, logged } = this.harness
    checkZelos(zelos.content(), ['/q'])
    expect(await zelos.store.digest(), 'the digest of a server that applies the same log').toEqual(
      await this.replayed(),
    )
    for (const hostile of this.all) hostile.leave()
    const { closes, connectionsAccepted } = server.stats
    const closed = Object.values(closes).reduce((sum, count) => sum + count, 0)
    expect(closed, 'connections that were closed for a reason').toBe(connectionsAccepted - 1)
    expect({ internal: closes.internal, database: closes.database }).toEqual({ internal: 0, database: 0 })
    expect(logged.filter(({ line }) => line.startsWith('error'))).toEqual([])
  }

  /** The same entries one by one at a server that never had a client. */
  private async replayed(): Promise<unknown> {
    const random = { uint32: () => 7, bytes: (length: number) => new Uint8Array(length) }
    const time = new ManualTime(queueMicrotask)
    const other = new ZelosHarness(openMemoryStore({ runtime: { clock: time, timers: time, random } }))
    const applied = other.log.entries.length
    for (const { entry, pos } of this.harness.zelos.log.entries.slice(applied)) {
      const tx = other.store.begin()
      const result = other.timer.apply(tx, entry, pos)
      tx.commit()
      other.timer.postApply(entry, pos, result)
    }
    return other.store.digest()
  }

  private step(one: Step): void {
    switch (one.do) {
      case 'send': {
        if (this.hostile[one.to]?.isClosed === true) this.hostile[one.to] = this.opened()
        return this.hostile[one.to]?.send(one.frames, one.cut)
      }
      case 'hold':
        return this.harness.hold()
      case 'release':
        return this.harness.release()
      case 'pass':
        for (let left = one.ms; left > 0; left -= PASS_MS) this.harness.pass(Math.min(left, PASS_MS))
        return
      case 'drop':
        return this.hostile[one.to]?.leave()
      case 'comeBack':
        this.hostile[one.to] = this.opened(this.hostile[one.to]?.session)
    }
  }

  private opened(session?: Hostile['session']): Hostile {
    const hostile = new Hostile(this.harness.socket(), session)
    this.all.push(hostile)
    this.harness.turn()
    return hostile
  }

  private async told(): Promise<void> {
    await this.harness.settle()
    for (const hostile of this.all) hostile.take()
  }

  /** As a string. The neighbour is told nothing that it did not ask for. */
  private look(): string {
    const { body } = this.neighbour.ask(getData('/guard/neighbour'))
    return JSON.stringify(body, (_, value) => (typeof value === 'bigint' ? String(value) : value))
  }
}

async function play(steps: readonly Step[]): Promise<World> {
  const world = await World.start()
  await world.run(steps)
  return world
}

it('whatever is asked, each request is answered once and in its turn, or its connection is closed', async () => {
  const answered = new Set<number>()
  let replies = 0
  const property = fc.asyncProperty(fc.array(step, { maxLength: 30, size: 'max' }), async (steps) => {
    const world = await play(steps)
    for (const op of world.opsAnswered) answered.add(op)
    replies += world.replies
    const { trace } = world
    await world.check()
    expect((await play(steps)).trace, 'the same steps once more').toBe(trace)
  })
  await fc.assert(property, { numRuns: RUNS, seed: SEED })
  console.log(`${replies} replies to ${answered.size} operations, seed ${SEED}`)
  if (RUNS >= 100) expect(Object.values(OP).filter((op) => !answered.has(op))).toEqual([])
})
