// Clients of a Zelos database without a wire: each has a session, comes back with it after the server died, falls silent until it
// expires, closes it, and meanwhile creates, changes and deletes nodes.

import { DelosError } from '../../../base/delos-error.ts'
import type { Applicator, Completion } from '../../../engine/engine.ts'
import type { TimerService } from '../../../engine/timer-service.ts'
import { timeEngine } from '../../../engines/time/time-engine.ts'
import type { ReadTx } from '../../../store/local-store.ts'
import type { Requester, SessionRecord, UpdateOperation, UpdateResult } from '../../../zelos/requests.ts'
import type { SessionOwner } from '../../../zelos/zelos.ts'
import { ZelosApplicator } from '../../../zelos/zelos-applicator.ts'
import { ZelosDatabase } from '../../../zelos/zelos-database.ts'
import { PERM, ZCODE } from '../../../zelos/znode.ts'
import type { Simulation } from '../../simulation.ts'
import { check } from '../../workload.ts'
import { ActorEnds } from '../actors.ts'
import { ANSWER_MS, type Application, type Client } from '../stack/stack-run.ts'
import type { StackLife } from '../stack/stack-server.ts'
import { ZelosHistory } from './zelos-history.ts'

const OPEN = [{ perms: PERM.ALL, scheme: 'world', id: 'anyone' }]
const ADDRESS = '10.0.0.1'
const TICK_MS = 20
const NAMES = ['a', 'b', 'c', 'd']
/** A silent session is gone after this, in virtual milliseconds, also if the first votes for its end met void positions. */
const EXPIRY_MS = 20_000

/** A client, in all lives of the server. */
interface Person {
  session: SessionRecord | undefined
  readonly timeoutMs: number
  /** Virtual time of its last sign of life, and the longest silence before that since it connected. */
  touchedMs: number
  silentMs: number
  /** It was told that its session is gone. */
  gone: boolean
  /** Its connection. */
  owner: SessionOwner | undefined
}

export class ZelosClients implements Application<UpdateResult> {
  readonly database = 'zelos'
  readonly engines = [timeEngine({ tickMs: TICK_MS })]
  private readonly world: Simulation
  private readonly history: ZelosHistory
  private readonly people: Person[]
  private own!: ZelosApplicator
  private zelos!: ZelosDatabase
  private texts = 0

  constructor(world: Simulation) {
    this.world = world
    const { counters, random } = world
    this.history = new ZelosHistory((update, { err, results }) => {
      const failed = results?.find((one) => one.err !== ZCODE.OK)
      counters.bump(err === ZCODE.OK ? update.kind : `${update.kind}: ${err}`)
      if (failed) counters.bump(`multi: ${failed.err}`)
    })
    this.people = Array.from({ length: random.integer(2, 8) }, () => ({
      session: undefined,
      timeoutMs: random.pick([100, 300, 1_000]),
      touchedMs: 0,
      silentMs: 0,
      gone: false,
      owner: undefined,
    }))
  }

  applicator(own: boolean, timers: TimerService | undefined): Applicator<UpdateResult> {
    const zelos = new ZelosApplicator({ cacheNodesMax: this.world.random.pick([2, 1_000]) })
    zelos.useTimers(timers as TimerService)
    if (own) this.own = zelos
    return {
      apply: (tx, entry, pos) => zelos.apply(tx, entry, pos),
      postApply: (entry, pos, result) => {
        this.history.note(entry.payload as Uint8Array, pos, result)
        zelos.postApply(entry, pos, result)
      },
    }
  }

  opened({ runtime, stack }: StackLife<UpdateResult>): void {
    const { timerService } = stack
    this.zelos = new ZelosDatabase({ runtime, applicator: this.own, log: stack, store: stack, timerService })
  }

  closing(): void {
    this.zelos.close()
  }

  content(store: ReadTx): void {
    this.history.content(store)
  }

  async serve(client: Client<UpdateResult>, load: 'heavy' | 'light'): Promise<void> {
    this.zelos.startServing()
    const { actors } = client
    if (load === 'light') {
      for (const person of this.people) for (let i = 0; i < 3; i++) await this.act(client, person)
      await this.sync(client)
      await this.expire(client)
      return
    }
    for (const person of this.people) {
      // It may have lost its session while the server was away, or the answer that told of it.
      person.gone = true
      actors.repeat(async () => {
        if (client.isQuiet()) await actors.pause(20)
        else await this.act(client, person)
      })
    }
    actors.repeat(async () => {
      await this.sync(client)
      await actors.pause(this.world.random.fraction() * 20)
    })
  }

  private async act(client: Client<UpdateResult>, person: Person): Promise<void> {
    const { random } = this.world
    if (person.session === undefined || person.gone) await this.connect(client, person)
    else {
      const choice = random.fraction()
      if (choice < 0.02) await this.close(client, person)
      // Perhaps long enough to lose the session.
      else if (choice < 0.04) await client.actors.pause(random.fraction() * 2 * person.timeoutMs)
      else await this.update(client, person)
    }
    if (random.chance(0.3)) await client.actors.pause(random.fraction() * 10)
  }

  private async connect(client: Client<UpdateResult>, person: Person): Promise<void> {
    const { zelos } = this
    const { sessions } = zelos
    // Of a session that this person has given up nothing is expected any more.
    const owner = {
      sessionEnded: (reason: string) => {
        if (person.owner === owner) this.ended(client, person, reason)
      },
    }
    const { session, timeoutMs } = person
    this.touch(person)
    person.silentMs = 0
    person.owner = owner
    person.gone = false
    const record = await this.call<SessionRecord | undefined>(client, (completion) => {
      if (session === undefined) sessions.create(timeoutMs, ADDRESS, owner, completion)
      else sessions.reattach(session.id, session.password, timeoutMs, ADDRESS, owner, completion)
    })
    if (record === 'failed') person.gone = true
    else person.session = record
  }

  private async update(client: Client<UpdateResult>, person: Person): Promise<void> {
    const operations = this.operations()
    const [single] = operations
    const record = this.history.begin(operations, person.session?.id ?? 0)
    this.touch(person)
    const result = await this.call<UpdateResult>(client, (completion) => {
      if (operations.length === 1 && single && single.op !== 'check') {
        this.zelos.write(requesterOf(person), single, completion)
      } else this.zelos.multi(requesterOf(person), operations, completion)
    })
    if (result === 'failed') return
    this.history.acknowledged(record, result)
    this.world.trace.note('zxid', result.zxid)
    if (result.err === ZCODE.SESSION_EXPIRED) person.session = undefined
    if (result.err === ZCODE.SESSION_MOVED) person.gone = true
  }

  private async close(client: Client<UpdateResult>, person: Person): Promise<void> {
    const record = this.history.begin([], person.session?.id ?? 0)
    const closing = requesterOf(person)
    person.session = undefined
    const result = await this.call<UpdateResult>(client, (completion) => this.zelos.closeSession(closing, completion))
    if (result !== 'failed') this.history.acknowledged(record, result)
  }

  private async sync(client: Client<UpdateResult>): Promise<void> {
    const asked = this.history.floor
    const path = this.path()
    await this.call<number>(client, ({ reject, resolve }) =>
      this.zelos.sync({
        // Looked at in the section of the answer.
        resolve: (zxid) => {
          client.actors.guard(() => {
            this.history.read(asked, zxid, path, this.zelos.getData(NOBODY, path, undefined))
          })
          resolve(zxid)
        },
        reject,
      }),
    )
  }

  /** A silent session ends in time, and its ephemeral nodes with it. */
  private async expire(client: Client<UpdateResult>): Promise<void> {
    const person: Person = {
      session: undefined,
      timeoutMs: 200,
      touchedMs: 0,
      silentMs: 0,
      gone: false,
      owner: undefined,
    }
    await this.connect(client, person)
    const path = `/ephemeral${this.texts++}`
    const created = await this.call<UpdateResult>(client, (completion) =>
      this.zelos.write(requesterOf(person), { op: 'create', path, data: null, acl: OPEN, flags: 1 }, completion),
    )
    // A void position may have taken the session or the node.
    if (created === 'failed' || person.session === undefined) return
    check(created.err === ZCODE.OK, `a living session can't create: ${created.err}`)
    const endMs = this.world.queue.nowMs + EXPIRY_MS
    while (!person.gone) {
      check(this.world.queue.nowMs < endMs, `a session is not expired ${EXPIRY_MS} ms after its last sign of life`)
      await client.actors.pause(TICK_MS)
    }
    check(this.zelos.exists(NOBODY, path, undefined) === ZCODE.NO_NODE, 'an ephemeral node outlives its session')
  }

  private ended(client: Client<UpdateResult>, person: Person, reason: string): void {
    client.actors.guard(() => {
      person.gone = true
      this.world.counters.bump(`session ${reason}`)
      if (reason !== 'expired') return
      // It may have shown life again after it was given up, while that was on its way through the log.
      this.noteSilence(person)
      // Clocks run a little fast or slow.
      const { silentMs, timeoutMs } = person
      check(silentMs > timeoutMs * 0.99, `a session of ${timeoutMs} ms expired, silent for no more than ${silentMs} ms`)
    })
  }

  private touch(person: Person): void {
    this.noteSilence(person)
    if (person.session) this.zelos.sessions.touch(person.session.id)
  }

  private noteSilence(person: Person): void {
    const { nowMs } = this.world.queue
    person.silentMs = Math.max(person.silentMs, nowMs - person.touchedMs)
    person.touchedMs = nowMs
  }

  /** The answer to a call, or `failed` if it may succeed later, or nobody knows. */
  private async call<T>(
    client: Client<UpdateResult>,
    call: (completion: Completion<T>) => void,
  ): Promise<T | 'failed'> {
    const { actors, operated } = client
    const answer = new Promise<T>((resolve, reject) => call({ resolve, reject }))
    try {
      return await actors.answer('a request', ANSWER_MS, answer)
    } catch (error) {
      if (!(error instanceof DelosError)) throw error
      this.world.counters.bump(`request refused: ${error.code}`)
      if (error.code === 'CLOSED') throw new ActorEnds()
      if (error.code !== 'INDETERMINATE' && !error.retryable) throw error
      await actors.pause(this.world.random.fraction() * 10)
      return 'failed'
    } finally {
      operated()
    }
  }

  private operations(): UpdateOperation[] {
    const { random } = this.world
    const count = random.chance(0.2) ? random.integer(1, 4) : 1
    return Array.from({ length: count }, () => this.operation(count > 1))
  }

  private operation(inMulti: boolean): UpdateOperation {
    const { random } = this.world
    const path = this.path()
    const version = random.pick([-1, -1, 0, 1])
    const data = Buffer.from(`${this.texts++}`.padEnd(random.chance(0.02) ? 2_500 : random.below(60), '.'))
    const kind = random.below(inMulti ? 11 : 10)
    if (kind < 5) return { op: 'create', path, data, acl: OPEN, flags: random.pick([0, 0, 1, 2, 3]) }
    if (kind < 7) return { op: 'delete', path, version }
    if (kind < 10) return { op: 'setData', path, data, version }
    return { op: 'check', path, version }
  }

  private path(): string {
    const { random } = this.world
    const top = `/${random.pick(NAMES)}`
    return random.chance(0.6) ? top : `${top}/${random.pick(NAMES)}`
  }
}

const NOBODY: Requester = { session: 0, ownerEpoch: 0, address: ADDRESS, identities: [] }

function requesterOf({ session }: Person): Requester {
  return { session: session?.id ?? 0, ownerEpoch: session?.ownerEpoch ?? 0, address: ADDRESS, identities: [] }
}
