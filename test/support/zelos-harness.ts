// For tests: one Zelos server over a log that is applied at once, with no other engine than Time. Time is moved by hand.

import type { DelosError } from '../../src/base/delos-error.ts'
import type { Applicator, Completion, Engine } from '../../src/engine/engine.ts'
import type { Entry } from '../../src/engine/entry.ts'
import { type TimeEngine, timeEngine } from '../../src/engines/time/time-engine.ts'
import type { LogPos } from '../../src/log/position.ts'
import type { LocalStore, ReadTx, Row } from '../../src/store/local-store.ts'
import { ManualTime } from '../../src/store/manual-time.ts'
import { rangeOfPrefix } from '../../src/store/sub-store.ts'
import type { ZelosLimits } from '../../src/zelos/limits.ts'
import type {
  OperationResult,
  Requester,
  SessionRecord,
  UpdateOperation,
  UpdateResult,
} from '../../src/zelos/requests.ts'
import type { OptionalScheme } from '../../src/zelos/tree/acl-schemes.ts'
import type { Announcement } from '../../src/zelos/tree/config-node.ts'
import { ZELOS_PREFIX } from '../../src/zelos/tree/key-space.ts'
import type { QuotaNotice } from '../../src/zelos/tree/quotas.ts'
import type { SessionOwner, WatchEventType, WatchSink } from '../../src/zelos/zelos.ts'
import { type ApplicatorOptions, ZelosApplicator } from '../../src/zelos/zelos-applicator.ts'
import { ZelosDatabase } from '../../src/zelos/zelos-database.ts'
import type { Acl, Identity, Zxid } from '../../src/zelos/znode.ts'

/** One entry of the log, kept so that another server can apply the same. */
export interface LoggedEntry {
  readonly entry: Entry
  readonly pos: LogPos
}

/** The bottom of a stack: applies each entry when it is proposed, or all together when `held` ends. */
export class LoopbackLog implements Engine<unknown> {
  readonly entries: LoggedEntry[] = []
  /** Set: every proposal is refused with it. */
  refuse: DelosError | undefined
  held = false
  answered = 0
  private readonly store: LocalStore
  private above!: Applicator<unknown>
  private waiting: { readonly entry: Entry; readonly completion: Completion<unknown> }[] = []
  private next: number

  constructor(store: LocalStore, next: number) {
    this.store = store
    this.next = next
  }

  get waitingCount(): number {
    return this.waiting.length
  }

  registerUpcall(applicator: Applicator<unknown>): void {
    this.above = applicator
  }

  propose(entry: Entry, completion: Completion<unknown>): void {
    if (this.refuse !== undefined) return completion.reject(this.refuse)
    this.waiting.push({ entry, completion })
    if (!this.held) this.release()
  }

  async sync(): Promise<ReadTx> {
    await Promise.resolve()
    return this.store.read()
  }

  setTrimPrefix(): void {
    // Keeps everything.
  }

  /** Applies what waits in one transaction. */
  release(): void {
    const { above } = this
    const batch = this.waiting
    this.waiting = []
    const positions = batch.map(() => this.next++ as LogPos)
    const tx = this.store.begin()
    const results = batch.map(({ entry }, i) => above.apply(tx, entry, positions[i] as LogPos))
    tx.commit()
    batch.forEach(({ entry }, i) => {
      this.entries.push({ entry, pos: positions[i] as LogPos })
      above.postApply(entry, positions[i] as LogPos, results[i])
    })
    batch.forEach(({ completion }, i) => {
      this.answered++
      completion.resolve(results[i])
    })
  }
}

/** Collects the one outcome of a call. */
export class Outcome<R> implements Completion<R> {
  result: R | undefined
  error: DelosError | undefined
  settled = false

  resolve(result: R): void {
    this.result = result
    this.settled = true
  }

  reject(error: DelosError): void {
    this.error = error
    this.settled = true
  }

  /** The result; throws the error, or if there is neither. */
  get value(): R {
    if (this.error !== undefined) throw this.error
    if (!this.settled) throw new Error('not settled')
    return this.result as R
  }
}

/** A connection: owns a session, notes what it is told. */
export class TestClient implements WatchSink, SessionOwner {
  requester: Requester = { session: 0, ownerEpoch: 0, address: '127.0.0.1', identities: [] }
  readonly events: { readonly type: WatchEventType; readonly path: string; readonly zxid: Zxid }[] = []
  ended: 'expired' | 'closed' | 'moved' | undefined
  private readonly zelos: ZelosDatabase

  constructor(zelos: ZelosDatabase) {
    this.zelos = zelos
  }

  watchFired(type: WatchEventType, path: string, zxid: Zxid): void {
    this.events.push({ type, path, zxid })
  }

  sessionEnded(reason: 'expired' | 'closed' | 'moved'): void {
    this.ended = reason
  }

  /** Events as `type path`, and forgets them. */
  takeEvents(): string[] {
    return this.events.splice(0).map((event) => `${event.type} ${event.path}`)
  }

  open(timeoutMs = 10_000): SessionRecord {
    const outcome = new Outcome<SessionRecord>()
    this.zelos.sessions.create(timeoutMs, this.requester.address, this, outcome)
    this.use(outcome.value)
    return outcome.value
  }

  reattach(session: SessionRecord, timeoutMs = session.timeoutMs): SessionRecord | undefined {
    const outcome = new Outcome<SessionRecord | undefined>()
    this.zelos.sessions.reattach(session.id, session.password, timeoutMs, this.requester.address, this, outcome)
    if (outcome.value !== undefined) this.use(outcome.value)
    return outcome.value
  }

  use(session: SessionRecord): void {
    this.requester = { ...this.requester, session: session.id, ownerEpoch: session.ownerEpoch }
  }

  authenticate(...identities: Identity[]): this {
    this.requester = { ...this.requester, identities }
    return this
  }

  write(operation: UpdateOperation): UpdateResult {
    const outcome = new Outcome<UpdateResult>()
    this.zelos.write(this.requester, operation, outcome)
    return outcome.value
  }

  create(path: string, options: { data?: Uint8Array | null; acl?: readonly Acl[]; flags?: number } = {}): UpdateResult {
    const { data = null, acl = OPEN, flags = 0 } = options
    return this.write({ op: 'create', path, data, acl, flags })
  }

  delete(path: string, version = -1): UpdateResult {
    return this.write({ op: 'delete', path, version })
  }

  setData(path: string, data: Uint8Array | null, version = -1): UpdateResult {
    return this.write({ op: 'setData', path, data, version })
  }

  setAcl(path: string, acl: readonly Acl[], version = -1): UpdateResult {
    return this.write({ op: 'setAcl', path, acl, version })
  }

  multi(...operations: UpdateOperation[]): readonly OperationResult[] {
    const outcome = new Outcome<UpdateResult>()
    this.zelos.multi(this.requester, operations, outcome)
    return outcome.value.results ?? [{ err: outcome.value.err }]
  }

  close(): UpdateResult {
    const outcome = new Outcome<UpdateResult>()
    this.zelos.closeSession(this.requester, outcome)
    return outcome.value
  }
}

export const OPEN: readonly Acl[] = [{ perms: 31, scheme: 'world', id: 'anyone' }]

export interface HarnessOptions extends ApplicatorOptions {
  readonly limits?: Partial<ZelosLimits>
  readonly aclSchemes?: readonly OptionalScheme[]
  readonly enforceQuotas?: boolean
  readonly onQuotaExceeded?: (notice: QuotaNotice) => void
  readonly time?: ManualTime
  /** What the server announces in /zookeeper/config. */
  readonly member?: () => Announcement | undefined
  /** Of the view; more than one: sessions are renewed through the log. Default 1. */
  readonly members?: readonly string[]
  /** False: a stack without replicated timers. */
  readonly timers?: boolean
}

const FIRST_POSITION = 10

/** Server, log and clients in one: Zelos on Time on a loopback. */
export class ZelosHarness {
  readonly store: LocalStore
  readonly time: ManualTime
  readonly applicator: ZelosApplicator
  readonly log: LoopbackLog
  readonly engine: Engine<UpdateResult>
  readonly timer: TimeEngine
  readonly zelos: ZelosDatabase

  constructor(store: LocalStore, options: HarnessOptions = {}) {
    const { members = ['alone'], timers = true, time = new ManualTime(queueMicrotask) } = options
    this.store = store
    this.time = time
    this.applicator = new ZelosApplicator(options)
    let drawn = 0
    const random = { uint32: () => drawn++, bytes: (length: number) => new Uint8Array(length).fill(drawn++) }
    const isNew = store.read().get('time\x00\x00') === undefined
    // The first of all is the switch; another life goes on somewhere behind the one before it.
    this.log = new LoopbackLog(store, isNew ? FIRST_POSITION - Number(timers) : 1000 * FIRST_POSITION)
    this.timer = timeEngine().create({
      below: this.log,
      serverId: 'alone',
      clock: time,
      timers: time,
      random,
      membership: { missing: () => [], members: () => members },
      levels: new Map([['time', 0]]),
      maxEntryBytes: 1 << 20,
      timerService: undefined,
      durableCursor: () => 0 as LogPos,
      read: () => store.read(),
      proposals: () => ({ waiting: this.log.waitingCount, answered: this.log.answered }),
      lastDigest: () => undefined,
      stopDatabase: (error) => {
        throw error
      },
    }) as TimeEngine
    this.timer.registerUpcall(this.applicator as Applicator<unknown>)
    this.engine = this.timer as Engine<UpdateResult>
    this.applicator.useTimers(this.timer)
    this.timer.load(store.read())
    this.timer.serving()
    if (isNew && timers) void this.timer.proposeChange({ kind: 'flag', enabled: true })
    this.zelos = new ZelosDatabase({
      runtime: { clock: time, timers: time, random },
      applicator: this.applicator,
      log: { submit: (entry, completion) => this.engine.propose(entry, completion), sync: () => this.engine.sync() },
      store,
      timerService: this.timer,
      memberCount: () => members.length,
      ...(options.limits === undefined ? {} : { limits: options.limits }),
      ...(options.aclSchemes !== undefined && { aclSchemes: options.aclSchemes }),
      ...(options.member !== undefined && { member: options.member }),
      ...(options.enforceQuotas !== undefined && { enforceQuotas: options.enforceQuotas }),
      ...(options.onQuotaExceeded !== undefined && { onQuotaExceeded: options.onQuotaExceeded }),
    })
    this.zelos.startServing()
  }

  /** The process ends. */
  close(): void {
    this.zelos.close()
    void this.timer.stop()
  }

  /** A connection with a session of its own. */
  client(timeoutMs = 10_000): TestClient {
    const client = new TestClient(this.zelos)
    client.open(timeoutMs)
    return client
  }

  /** Lets time pass in steps that no timer takes for a standstill. */
  pass(ms: number, between: () => void = () => undefined): void {
    for (let left = ms; left > 0; left -= 50) {
      this.time.advance(Math.min(50, left))
      between()
    }
  }

  /** All that Zelos has stored. */
  content(): Row[] {
    return [...this.store.read().scan(rangeOfPrefix(ZELOS_PREFIX))]
  }
}
