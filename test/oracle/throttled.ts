// Clients of servers that let one request at a time be under way, and answer throttledOp to what waits too long for its turn. Which
// requests these are is a race, so what is compared is what can be answered at all, and that the rest is as if nobody had been late.

import { ERR, errName } from '../../src/zookeeper/codec/error-codes.ts'
import type { SeededRandom } from '../support/seeded-random.ts'
import type { Coverage } from './coverage.ts'
import { OPEN } from './draws.ts'
import type { Seen, Side } from './side.ts'
import type { OpName, Request } from './steps.ts'

/** Requests that are late before the run ends, of all and of each operation. */
const REFUSED_MIN = 50
const REFUSED_MIN_EACH = 2
const BURSTS_MAX = 60
const SLOTS = 24
/** Of a multi that keeps others waiting: a millisecond or more. */
const LONG_OPERATIONS = 300
const ATTEMPTS_MAX = 200
/** Of each connection, behind a long one. */
const BURST_REQUESTS = 6

/** What a server does with requests of which some are late; of each operation the answers of those that are not. */
export interface Throttled {
  readonly refused: readonly string[]
  /** The replies of those that are late, without what says which they are. */
  readonly refusals: readonly string[]
  readonly answers: { readonly [op: string]: readonly string[] }
  /** What no server may do. */
  readonly wrong: readonly string[]
}

type Reply = Seen & { readonly kind: 'reply' }

/** One connection and the node that it has for itself. */
class Client {
  readonly slot: number
  readonly node: string
  /** What the answers say that there must be. */
  version = 0
  readonly children = new Set<string>()
  watches = false
  private names = 0

  constructor(slot: number) {
    this.slot = slot
    this.node = `$/c${slot}`
  }

  /** One of each operation whose answer depends on nothing but whether it is late. */
  requests(): Request[] {
    const { node } = this
    const child = (): string => `${node}/k${this.names++}`
    const creation = { data: 'x', acl: OPEN }
    const [none, watched, awaited] = [`${node}/none`, `${node}/watched`, `${node}/awaited`]
    return [
      { op: 'ping' },
      { op: 'create', path: child(), ...creation, flags: 1 },
      { op: 'create2', path: child(), ...creation, flags: 0 },
      { op: 'createContainer', path: child(), ...creation, flags: 4 },
      { op: 'createTTL', path: child(), ...creation, flags: 5, ttl: 1_000_000 },
      { op: 'delete', path: none, version: -1 },
      { op: 'setData', path: node, data: 'y', version: -1 },
      { op: 'setACL', path: node, acl: OPEN, version: -1 },
      this.long(),
      { op: 'exists', path: node, watch: false },
      { op: 'getData', path: node, watch: false },
      { op: 'getACL', path: node },
      { op: 'getChildren', path: node, watch: false },
      { op: 'getChildren2', path: node, watch: false },
      { op: 'getEphemerals', path: node },
      { op: 'getAllChildrenNumber', path: node },
      { op: 'multiRead', ops: [{ op: 'getData', path: node, watch: false }] },
      { op: 'whoAmI' },
      { op: 'sync', path: node },
      { op: 'addWatch', path: watched, mode: 0 },
      { op: 'checkWatches', path: none, type: 3 },
      { op: 'removeWatches', path: none, type: 3 },
      { op: 'setWatches', since: 'now', data: [], exist: [awaited], child: [] },
      { op: 'setWatches2', since: 'now', data: [], exist: [awaited], child: [], persistent: [], recursive: [] },
      { op: 'reconfig', joining: '', leaving: '', members: '', version: -1 },
    ]
  }

  /** While it is carried out others wait. */
  long(): Request {
    const one: Request = { op: 'setData', path: this.node, data: 'z', version: -1 }
    return { op: 'multi', ops: Array.from({ length: LONG_OPERATIONS }, () => one) }
  }
}

/** One server's part. */
class ThrottledRun {
  private readonly side: Side
  private readonly coverage: Coverage | undefined
  private readonly clients = Array.from({ length: SLOTS }, (_, slot) => new Client(slot))
  private readonly refused = new Map<OpName, number>()
  private readonly refusals = new Set<string>()
  private readonly answers = new Map<OpName, Set<string>>()
  private readonly wrong: string[] = []

  constructor(side: Side, coverage: Coverage | undefined) {
    this.side = side
    this.coverage = coverage
  }

  async run(random: SeededRandom): Promise<Throttled> {
    for (const { slot } of this.clients) await this.side.run({ do: 'open', slot, timeoutMs: 30_000, readOnly: false })
    await this.alone(0, { op: 'create', path: '$', data: '', acl: OPEN, flags: 0 })
    for (const { slot, node } of this.clients)
      await this.alone(slot, { op: 'create', path: node, data: '', acl: OPEN, flags: 0 })
    for (let bursts = 0; bursts < BURSTS_MAX && !this.isEnough; bursts++) await this.burst(random)
    for (const client of this.clients) await this.inspect(client)
    await this.end()
    const { answers, refusals, refused, wrong } = this
    return {
      refused: [...refused.keys()].sort(),
      refusals: [...refusals].sort(),
      answers: Object.fromEntries([...answers].map(([op, of]) => [op, [...of].sort()])),
      wrong,
    }
  }

  private get isEnough(): boolean {
    const counts = [...this.refused.values()]
    const each = this.clients[0]?.requests().filter(({ op }) => op !== 'ping') ?? []
    const sum = counts.reduce((all, count) => all + count, 0)
    return sum >= REFUSED_MIN && each.every(({ op }) => (this.refused.get(op) ?? 0) >= REFUSED_MIN_EACH)
  }

  /** All connections ask at once: something long, then this and that. */
  private async burst(random: SeededRandom): Promise<void> {
    const asks = this.clients.map((client) => {
      const requests = Array.from({ length: BURST_REQUESTS }, () => random.pick(client.requests()))
      return { slot: client.slot, requests: [client.long(), ...requests] }
    })
    this.take(await this.side.run({ do: 'burst', asks }))
  }

  /** Connections live on, each request is answered once there are no others, and what was refused has done nothing. */
  private async inspect(client: Client): Promise<void> {
    const { slot, node } = client
    if (slot === 0) for (const request of client.requests()) await this.alone(slot, request)
    const data = await this.alone(slot, { op: 'getData', path: node, watch: false })
    const { stat } = (data?.fields ?? {}) as { stat?: { version: number } }
    if (stat?.version !== client.version) this.wrong.push(`${node} has version ${stat?.version}, not ${client.version}`)
    const names = await this.alone(slot, { op: 'getChildren', path: node, watch: false })
    const shown = (names?.fields as { children?: string[] } | undefined)?.children ?? []
    if (`${shown}` !== `${[...client.children].sort()}`) this.wrong.push(`${node} has children ${shown}`)
    const watch = await this.side.run({ do: 'ask', slot, requests: [{ op: 'ping' }] })
    this.take(watch)
    const watched = await this.alone(slot, { op: 'removeWatches', path: `${node}/watched`, type: 3 }, false)
    if ((watched?.err === 0) !== client.watches) this.wrong.push(`a watch of ${node}: ${watched?.err}`)
  }

  /** A session ends however late it is asked to. */
  private async end(): Promise<void> {
    const asks = this.clients.map((client) => {
      return { slot: client.slot, requests: [client.long(), { op: 'closeSession' } as const] }
    })
    this.take(await this.side.run({ do: 'burst', asks }))
  }

  /** Again if it was late: a machine may stand still. */
  private async alone(slot: number, request: Request, isCounted = true): Promise<Reply | undefined> {
    for (let attempts = 0; attempts < ATTEMPTS_MAX; attempts++) {
      const seen = await this.side.run({ do: 'ask', slot, requests: [request] })
      const reply = seen.get(slot)?.find((one) => one.kind === 'reply')
      if (isCounted || reply?.err === ERR.throttledOp) this.take(seen)
      if (reply?.err !== ERR.throttledOp) return reply
    }
    this.wrong.push(`${request.op} is always late`)
    return undefined
  }

  private take(bySlot: ReadonlyMap<number, readonly Seen[]>): void {
    this.coverage?.add(bySlot)
    for (const [slot, all] of bySlot) {
      for (const one of all) {
        const client = this.clients[slot] as Client
        if (one.kind === 'reply') this.reply(client, one)
        else if (one.kind !== 'closed' && one.kind !== 'session') this.wrong.push(`${slot}: ${one.kind}`)
      }
      const isEnded = all.some((one) => one.kind === 'reply' && one.request.op === 'closeSession')
      if (!isEnded && all.some(({ kind }) => kind === 'closed')) this.wrong.push(`${slot}: closed`)
    }
  }

  private reply(client: Client, reply: Reply): void {
    const { request, err, fields } = reply
    if (err === ERR.throttledOp) {
      this.refused.set(request.op, (this.refused.get(request.op) ?? 0) + 1)
      this.refusals.add(JSON.stringify({ fields, hasZxid: reply.zxid > 0n, isSpecial: reply.xid < 0 }))
      return
    }
    const answers = this.answers.get(request.op) ?? new Set()
    this.answers.set(request.op, answers.add(errName(err)))
    if (err !== ERR.ok) return
    if (request.op === 'setData') client.version++
    if (request.op === 'multi') client.version += LONG_OPERATIONS
    if (request.op === 'addWatch') client.watches = true
    if (request.op.startsWith('create') && 'path' in request && request.path.startsWith(`${client.node}/`))
      client.children.add(request.path.slice(client.node.length + 1))
    const { stat } = fields as { stat?: { version: number } }
    if (request.op === 'setData' && stat?.version !== client.version) this.wrong.push(`version ${stat?.version}`)
  }
}

/** What the server does that `side` asks; `coverage` counts what it answers. */
export function runThrottled(side: Side, random: SeededRandom, coverage?: Coverage): Promise<Throttled> {
  side.hasBarriers = false
  return new ThrottledRun(side, coverage).run(random)
}
