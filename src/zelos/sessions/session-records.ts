// Sessions as replicated state: created, moved, renewed and ended by updates, checked by every write, and their timers. Decided
// from records alone, never from what this server knows of connections.

import type { Key } from '../../base/key.ts'
import type { TimerId, TimerService } from '../../engine/timer-service.ts'
import type { KeyRange, ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { UpdateEncoder } from '../request-codec.ts'
import type { Requester, SessionRecord, SessionRenewal, Update } from '../requests.ts'
import type { ApplyState } from '../tree/apply-state.ts'
import { sessionKey, sessionOfKey, sessionRange } from '../tree/key-space.ts'
import type { CacheLimits, StagedCache } from '../tree/staged-cache.ts'
import { timedSessionsMax } from '../tree/timer-room.ts'
import { type SessionId, ZCODE, type ZCode } from '../znode.ts'
import { decodeSession, encodeSession, type StoredSession } from './session-codec.ts'

const SESSION_BYTES = 250
const FIRST_OWNER_EPOCH = 1
/** Nobody's any more: it is ending, in pieces. */
const ENDING_EPOCH = 0

type Terms = Extract<Update, { kind: 'createSession' }>
type Move = Extract<Update, { kind: 'moveSession' }>

export class SessionRecords {
  private readonly state: ApplyState
  private readonly sessions: StagedCache<SessionId, StoredSession>
  private readonly encoder = new UpdateEncoder()
  private timers: TimerService | undefined

  constructor(state: ApplyState, limits: CacheLimits) {
    this.state = state
    this.sessions = state.cache(limits, () => SESSION_BYTES)
  }

  /** Sessions end by these timers, as the service is enabled; without it they never do. */
  useTimers(timers: TimerService): void {
    this.timers = timers
  }

  /** Records of what may need a timer. */
  allToArm(): KeyRange {
    return sessionRange()
  }

  /** A session from there, as it is stored, has its full timeout again: timers were switched on. */
  armAnew(tx: ReadWriteTx, key: Key, record: Uint8Array): void {
    const session = decodeSession(sessionOfKey(key), record)
    if (!isEnding(session)) this.arm(tx, session)
  }

  /** A session as `reader` sees it. */
  session(reader: ReadTx, id: SessionId): StoredSession | undefined {
    const known = this.sessions.get(id)
    if (known !== undefined) return known ?? undefined
    const record = id > 0 && Number.isSafeInteger(id) ? reader.get(sessionKey(id)) : undefined
    if (record === undefined) return undefined
    const session = decodeSession(id, record)
    this.sessions.admit(id, session)
    return session
  }

  /** All sessions, by id. */
  all(reader: ReadTx): StoredSession[] {
    const sessions: StoredSession[] = []
    for (const [key, record] of reader.scan(sessionRange())) sessions.push(decodeSession(sessionOfKey(key), record))
    return sessions
  }

  /**
   * May this requester write? An ended session is answered SESSION_EXPIRED, as by an ensemble, also if it never was; one
   * whose owner has changed SESSION_MOVED, and so is one that is ending.
   */
  check(requester: Requester): ZCode {
    const session = this.session(this.state.tx, requester.session)
    if (session === undefined) return ZCODE.SESSION_EXPIRED
    return session.ownerEpoch === requester.ownerEpoch ? ZCODE.OK : ZCODE.SESSION_MOVED
  }

  /** Undefined if there are so many that one more could not end. */
  create(id: SessionId, terms: Terms, pos: number): SessionRecord | undefined {
    const { timers } = this
    if (timers !== undefined && this.state.counters.sessions >= timedSessionsMax(timers.timersMax)) return undefined
    const { password, timeoutMs, address } = terms
    this.state.counters.sessions++
    return this.write({
      id,
      password: new Uint8Array(password),
      timeoutMs,
      ownerEpoch: FIRST_OWNER_EPOCH,
      renewedAt: pos,
      address,
    })
  }

  /** Undefined if there is no such session, it is ending, or the password is not its. */
  move(move: Move, pos: number): SessionRecord | undefined {
    const session = this.session(this.state.tx, move.session)
    if (session === undefined || isEnding(session) || !isEqual(session.password, move.password)) return undefined
    const { timeoutMs, address } = move
    return this.write({ ...session, timeoutMs, address, ownerEpoch: session.ownerEpoch + 1, renewedAt: pos })
  }

  /** Its client shows life at the server that owns it: the full timeout again. */
  renew({ session: id, ownerEpoch }: SessionRenewal, pos: number): void {
    const session = this.session(this.state.tx, id)
    if (session?.ownerEpoch === ownerEpoch) this.write({ ...session, renewedAt: pos })
  }

  /** Nobody may use it any more, but it is there: its ephemeral nodes go in several updates. */
  beginEnd(session: StoredSession): void {
    const { id } = session
    const ending = { ...session, ownerEpoch: ENDING_EPOCH }
    this.state.tx.put(sessionKey(id), encodeSession(ending))
    this.sessions.stage(id, ending)
    this.timers?.cancel(this.state.tx, sessionTimer(id))
  }

  /** Its ephemeral nodes are removed by the caller, in the same update. */
  end(id: SessionId): void {
    this.state.tx.delete(sessionKey(id))
    this.state.counters.sessions--
    this.sessions.stage(id, null)
    this.timers?.cancel(this.state.tx, sessionTimer(id))
  }

  private write(session: StoredSession): StoredSession {
    this.state.tx.put(sessionKey(session.id), encodeSession(session))
    this.sessions.stage(session.id, session)
    this.arm(this.state.tx, session)
    return session
  }

  /** What fires names the arming: a later sign of life makes it void, whatever the order of things below. */
  private arm(tx: ReadWriteTx, { id, renewedAt, timeoutMs }: StoredSession): void {
    const { timers } = this
    if (!timers?.enabledInApply) return
    const expiry = this.encoder.encode({ kind: 'expireSession', session: id, heardAt: renewedAt }, 0)
    timers.arm(tx, sessionTimer(id), timeoutMs, expiry)
  }
}

/** It is over as soon as the last of its ephemeral nodes is removed; nothing changes that. */
export function isEnding({ ownerEpoch }: SessionRecord): boolean {
  return ownerEpoch === ENDING_EPOCH
}

/** The timer that ends a session. */
export function sessionTimer(id: SessionId): TimerId {
  return sessionKey(id)
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0
}
