// The sessions as this server knows them: which connection owns which, and when silence ends one. What a session *is* is
// decided by updates (session-records.ts); this table only proposes them and follows what was applied.

import type { DelosError } from '../../base/delos-error.ts'
import type { Completion } from '../../engine/engine.ts'
import type { SessionRecord, Update, UpdateResult } from '../requests.ts'
import type { SessionOwner, ZelosSessions } from '../zelos.ts'
import type { SessionChange } from '../zelos-applicator.ts'
import type { SessionId } from '../znode.ts'
import type { SessionExpiry } from './session-expiry.ts'

/** What the table needs of the database around it. */
export interface SessionTableHost {
  /** Hands an update to the log. */
  propose(update: Update, completion: Completion<UpdateResult>): void
  /** The error if one more session is too many. */
  checkRoom(): DelosError | undefined
  newPassword(): Uint8Array
  /** As far as this server knows. */
  isPassword(id: SessionId, password: Uint8Array): boolean
  sessionCount(): number
}

interface KnownSession {
  readonly timeoutMs: number
  readonly ownerEpoch: number
  readonly renewedAt: number
  owner: SessionOwner | undefined
}

export class SessionTable implements ZelosSessions {
  private readonly host: SessionTableHost
  private readonly expiry: SessionExpiry
  private readonly known = new Map<SessionId, KnownSession>()

  constructor(host: SessionTableHost, expiry: SessionExpiry) {
    this.host = host
    this.expiry = expiry
  }

  get count(): number {
    return this.host.sessionCount()
  }

  /** Starts to follow sessions that were there before: each has its full timeout. */
  load(sessions: readonly SessionRecord[]): void {
    for (const session of sessions) if (!this.known.has(session.id)) this.follow(session)
  }

  create(timeoutMs: number, address: string, owner: SessionOwner, completion: Completion<SessionRecord>): void {
    const full = this.host.checkRoom()
    if (full !== undefined) return completion.reject(full)
    this.host.propose(
      { kind: 'createSession', password: this.host.newPassword(), timeoutMs, address },
      {
        resolve: (result) => {
          const session = result.session as SessionRecord
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
    // A sign of life already now, whatever the log takes, but only of who knows the password.
    if (this.host.isPassword(session, password)) this.touch(session)
    this.host.propose(
      { kind: 'moveSession', session, password, timeoutMs, address },
      {
        resolve: (result) => {
          const lost = result.session === undefined ? undefined : this.own(result.session, owner)
          completion.resolve(result.session)
          if (lost !== undefined) owner.sessionEnded(lost)
        },
        reject: (error) => this.refused(error, completion),
      },
    )
  }

  touch(id: SessionId): void {
    this.expiry.touch(id)
  }

  detach(id: SessionId, owner: SessionOwner): void {
    const session = this.known.get(id)
    if (session?.owner === owner) session.owner = undefined
  }

  /** The stopwatch of a session has run out. */
  expired(id: SessionId): void {
    const session = this.known.get(id)
    if (session === undefined) return
    const again = () => this.watchAgain(id)
    this.host.propose(
      { kind: 'expireSession', session: id, heardAt: session.renewedAt },
      {
        resolve: again,
        reject: () => {
          // As long as the log refuses updates, no client can show life by coming back.
          this.expiry.restartAll()
          again()
        },
      },
    )
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
      default:
        this.ended(change.id, change.kind)
    }
  }

  private follow(session: SessionRecord): void {
    const { id, timeoutMs, ownerEpoch, renewedAt } = session
    this.known.set(id, { timeoutMs, ownerEpoch, renewedAt, owner: undefined })
    this.expiry.start(id, timeoutMs)
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
    this.known.delete(id)
    this.expiry.stop(id)
    owner?.sessionEnded(reason)
  }

  private watchAgain(id: SessionId): void {
    const session = this.known.get(id)
    if (session !== undefined) this.expiry.start(id, session.timeoutMs)
  }

  private refused<R>(error: DelosError, completion: Completion<R>): void {
    this.expiry.restartAll()
    completion.reject(error)
  }
}
