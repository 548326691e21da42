// The sessions as this server knows them: which connection owns which, and which show life. What a session *is*, and that it is
// over, is decided by updates (session-records.ts); this table only proposes them and follows what was applied.

import { DelosError } from '../../base/delos-error.ts'
import type { Completion } from '../../engine/engine.ts'
import type { TimerId, TimerService } from '../../engine/timer-service.ts'
import type { SessionRecord, Update, UpdateResult } from '../requests.ts'
import type { SessionOwner, ZelosSessions } from '../zelos.ts'
import type { SessionChange } from '../zelos-applicator.ts'
import { type SessionId, ZCODE } from '../znode.ts'
import { isEnding, sessionTimer } from './session-records.ts'
import type { RenewableSession, SessionRenewals } from './session-renewals.ts'

/** What the table needs of the database around it. */
export interface SessionTableHost {
  /** Hands an update to the log. */
  propose(update: Update, completion: Completion<UpdateResult>): void
  /** The error if one more session is too many. */
  checkRoom(): DelosError | undefined
  /** The same where apply refused it: updates of other servers came before. */
  noRoom(): DelosError
  newPassword(): Uint8Array
  /** As far as this server knows. */
  isPassword(id: SessionId, password: Uint8Array): boolean
  sessionCount(): number
  /** A client is back at its session, here. */
  cameBack(id: SessionId): void
}

interface KnownSession extends RenewableSession {
  readonly timer: TimerId
  owner: SessionOwner | undefined
  /** Since when it is known here, or without a connection here. */
  leftMs: number
}

export class SessionTable implements ZelosSessions {
  private readonly host: SessionTableHost
  private readonly timers: TimerService | undefined
  private readonly renewals: SessionRenewals
  private readonly known = new Map<SessionId, KnownSession>()
  /** Sessions that ran out, since the start. */
  expired = 0
  /** Clients that came back to their session, since the start. */
  reattached = 0

  constructor(host: SessionTableHost, timers: TimerService | undefined, renewals: SessionRenewals) {
    this.host = host
    this.timers = timers
    this.renewals = renewals
  }

  /** For reports: id, timeout, and since when nobody here owns it. */
  *all(): Iterable<{ readonly id: SessionId; readonly timeoutMs: number; readonly leftMs: number }> {
    for (const [id, { timeoutMs, leftMs }] of this.known) yield { id, timeoutMs, leftMs }
  }

  get count(): number {
    return this.host.sessionCount()
  }

  /** Starts to follow sessions that were there before. */
  load(sessions: readonly SessionRecord[]): void {
    for (const session of sessions) if (!this.known.has(session.id) && !isEnding(session)) this.follow(session)
  }

  create(timeoutMs: number, address: string, owner: SessionOwner, completion: Completion<SessionRecord>): void {
    const full = this.host.checkRoom()
    if (full !== undefined) return completion.reject(full)
    this.host.propose(
      { kind: 'createSession', password: this.host.newPassword(), timeoutMs, address },
      {
        resolve: (result) => {
          const { session } = result
          if (session === undefined) return completion.reject(this.host.noRoom())
          const lost = this.own(session, owner)
          completion.resolve(session)
          if (lost !== undefined) owner.sessionEnded(lost)
        },
        reject: (error) => this.refused(error, completion),
      },
    )
  }

  reattach(
    session: SessionId,
    password: Uint8Array,
    timeoutMs: number,
    address: string,
    owner: SessionOwner,
    completion: Completion<SessionRecord | undefined>,
  ): void {
    if (!Number.isSafeInteger(session) || session <= 0) return completion.resolve(undefined)
    this.reattached++
    // A sign of life already now, whatever the log takes, but only of who knows the password.
    if (this.host.isPassword(session, password)) this.touch(session)
    this.host.propose(
      { kind: 'moveSession', session, password, timeoutMs, address },
      {
        resolve: (result) => {
          // Told that it is over, its client would come back with another session, and meet nodes of this one.
          if (result.err === ZCODE.SESSION_MOVED) return completion.reject(stillEnding(session))
          const lost = result.session === undefined ? undefined : this.own(result.session, owner)
          if (result.session !== undefined && lost === undefined) this.host.cameBack(session)
          completion.resolve(result.session)
          if (lost !== undefined) owner.sessionEnded(lost)
        },
        reject: (error) => this.refused(error, completion),
      },
    )
  }

  touch(id: SessionId): void {
    const session = this.known.get(id)
    if (session === undefined) return
    this.timers?.restart(session.timer)
    // A sign of life of one whose connection is elsewhere, or not there yet, says nothing to the other servers.
    if (session.owner !== undefined) this.renewals.show(session)
  }

  find(id: SessionId, password: Uint8Array): SessionRecord | undefined {
    const session = this.known.get(id)
    if (session === undefined || !this.host.isPassword(id, password)) return undefined
    const { timeoutMs, ownerEpoch } = session
    return { id, password: Uint8Array.from(password), timeoutMs, ownerEpoch, renewedAt: 0 }
  }

  detach(id: SessionId, owner: SessionOwner): void {
    const session = this.known.get(id)
    if (session?.owner !== owner) return
    session.owner = undefined
    session.leftMs = this.renewals.nowMs()
  }

  /** Follows what was applied, after its watch events. */
  sessionChanged(change: SessionChange): void {
    switch (change.kind) {
      case 'created':
        this.follow(change.session)
        break
      case 'moved': {
        const owner = this.known.get(change.session.id)?.owner
        this.follow(change.session)
        owner?.sessionEnded('moved')
        break
      }
      case 'ending':
        this.ended(change.id, change.reason)
        break
      case 'over':
        break
      default:
        this.ended(change.id, change.kind)
    }
  }

  private follow(session: SessionRecord): void {
    const { id, timeoutMs, ownerEpoch } = session
    this.forget(id)
    this.known.set(id, {
      session: id,
      ownerEpoch,
      timeoutMs,
      timer: sessionTimer(id),
      owner: undefined,
      renewedMs: this.renewals.nowMs(),
      leftMs: this.renewals.nowMs(),
      shown: false,
      ended: false,
    })
  }

  private forget(id: SessionId): void {
    const session = this.known.get(id)
    if (session !== undefined) session.ended = true
    this.known.delete(id)
  }

  /** Why the owner has lost the session already: later entries of the same batch were applied before its completion. */
  private own({ id, ownerEpoch }: SessionRecord, owner: SessionOwner): 'expired' | 'moved' | undefined {
    const session = this.known.get(id)
    if (session === undefined) return 'expired'
    if (session.ownerEpoch !== ownerEpoch) return 'moved'
    session.owner = owner
    return undefined
  }

  private ended(id: SessionId, reason: 'closed' | 'expired'): void {
    const owner = this.known.get(id)?.owner
    if (reason === 'expired') this.expired++
    this.forget(id)
    owner?.sessionEnded(reason)
  }

  private refused<R>(error: DelosError, completion: Completion<R>): void {
    // As long as the log refuses updates, no client can show life by coming back.
    this.timers?.restartAll()
    completion.reject(error)
  }
}

function stillEnding(id: SessionId): DelosError {
  return new DelosError('CONFLICT', `session ${id} is being ended: not all of its ephemeral nodes are gone`)
}
