// For tests: one Zelos server over a log that is applied at once, without engines. Time is moved by hand.

import type { DelosError } from '../base/delos-error.ts'
import type { Completion } from '../engine/engine.ts'
import type { Entry } from '../engine/entry.ts'
import type { LogPos } from '../log/position.ts'
import type { LocalStore, Row } from '../store/local-store.ts'
import { ManualTime } from '../store/manual-time.ts'
import { rangeOfPrefix } from '../store/sub-store.ts'
import type { ZelosLimits } from './limits.ts'
import type { OperationResult, Requester, SessionRecord, UpdateOperation, UpdateResult } from './requests.ts'
import { ZELOS_PREFIX } from './tree/key-space.ts'
import type { SessionOwner, WatchEventType, WatchSink } from './zelos.ts'
import { type ApplicatorOptions, ZelosApplicator } from './zelos-applicator.ts'
import { type UpdateLog, ZelosDatabase } from './zelos-database.ts'
import type { Acl, Identity, Zxid } from './znode.ts'

/** One entry of the log, kept so that another server can apply the same. */
export interface LoggedEntry {
  readonly entry: Entry
  readonly pos: LogPos
}

/** Applies each entry when it is submitted, or all together when `held` ends. */
export class LoopbackLog implements UpdateLog {
  readonly entries: LoggedEntry[] = []
  /** Set: every proposal is refused with it. */
  refuse: DelosError | undefined
  held = false
  private readonly store: LocalStore
  private readonly applicator: ZelosApplicator
  private waiting: { readonly entry: Entry; readonly completion: Completion<UpdateResult> }[] = []
  private next = 10

  constructor(store: LocalStore, applicator: ZelosApplicator) {
    this.store = store
    this.applicator = applicator
  }

  submit(entry: Entry, completion: Completion<UpdateResult>): void {
    if (this.refuse !== undefined) return completion.reject(this.refuse)
    this.waiting.push({ entry, completion })
    if (!this.held) this.release()
  }

  async sync(): Promise<void> {
    await Promise.resolve()
  }

  /** Applies what waits in one transaction. */
  release(): void {
    const batch = this.waiting
    this.waiting = []
    const positions = batch.map(() => this.next++ as LogPos)
    const tx = this.store.begin()
    const results = batch.map(({ entry }, i) => this.applicator.apply(tx, entry, positions[i] as LogPos))
    tx.commit()
    batch.forEach(({ entry }, i) => {
      this.entries.push({ entry, pos: positions[i] as LogPos })
      this.applicator.postApply(entry, positions[i] as LogPos, results[i] as UpdateResult)
    })
    batch.forEach(({ completion }, i) => {
      completion.resolve(results[i] as UpdateResult)
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
  readonly time?: ManualTime
}

/** Server, log and clients in one. */
export class ZelosHarness {
  readonly store: LocalStore
  readonly time: ManualTime
  readonly applicator: ZelosApplicator
  readonly log: LoopbackLog
  readonly zelos: ZelosDatabase

  constructor(store: LocalStore, options: HarnessOptions = {}) {
    this.store = store
    this.time = options.time ?? new ManualTime(queueMicrotask)
    this.applicator = new ZelosApplicator(options)
    this.log = new LoopbackLog(store, this.applicator)
    let drawn = 0
    this.zelos = new ZelosDatabase({
      runtime: {
        clock: this.time,
        timers: this.time,
        random: { uint32: () => drawn++, bytes: (length) => new Uint8Array(length).fill(drawn++) },
      },
      applicator: this.applicator,
      log: this.log,
      store,
      ...(options.limits === undefined ? {} : { limits: options.limits }),
    })
    this.zelos.startServing()
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
