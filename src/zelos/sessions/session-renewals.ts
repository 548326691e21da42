// Keeps sessions alive at the other servers: theirs is a stopwatch of their own for each session, and they don't see its client.
// Sessions that showed life here are renewed through the log, many in one update. Alone, a server needs none of this.

import type { DelosError } from '../../base/delos-error.ts'
import type { Completion } from '../../engine/engine.ts'
import type { Clock, Timer, Timers } from '../../runtime/runtime.ts'
import type { SessionRenewal, Update, UpdateResult } from '../requests.ts'

/** A session as the renewals see it. */
export interface RenewableSession extends SessionRenewal {
  readonly timeoutMs: number
  /** This server's monotonic clock when its last arming in the log was seen or asked for. */
  renewedMs: number
  /** Has shown life since it was last renewed. */
  shown: boolean
  /** It is gone, or another server's: nothing to renew. */
  ended: boolean
}

export interface SessionRenewalsParts {
  readonly clock: Clock
  readonly timers: Timers
  /** More than this server: asked about four times a second. */
  readonly isNeeded: () => boolean
  readonly propose: (update: Update, completion: Completion<UpdateResult>) => void
}

const TICK_MS = 250
/** Of a timeout: a renewal may be lost twice before a stopwatch elsewhere has run, and a session ends that much later at most. */
const AFTER_SHARE = 1 / 3
/** Sessions in one update, and updates between propose and result. */
const SESSIONS_PER_UPDATE_MAX = 200
const UPDATES_MAX = 64

export class SessionRenewals {
  private readonly parts: SessionRenewalsParts
  private timer: Timer | undefined
  private needed = false
  private inFlight = 0
  /** Have shown life. */
  private shown: RenewableSession[] = []

  constructor(parts: SessionRenewalsParts) {
    this.parts = parts
  }

  start(): void {
    if (this.timer !== undefined) return
    this.needed = this.parts.isNeeded()
    this.schedule()
  }

  stop(): void {
    this.timer?.cancel()
    this.timer = undefined
    this.needed = false
    this.shown = []
  }

  /** A sign of life of a client that this server holds. Cheap. */
  show(session: RenewableSession): void {
    if (!this.needed || session.shown) return
    session.shown = true
    this.shown.push(session)
  }

  /** Monotonic, for `renewedMs`. */
  nowMs(): number {
    return this.parts.clock.monotonicMs()
  }

  private schedule(): void {
    this.timer = this.parts.timers.after(TICK_MS, () => this.tick())
  }

  private tick(): void {
    this.schedule()
    const needed = this.parts.isNeeded()
    if (!needed && this.needed) this.forget()
    this.needed = needed
    if (needed) this.renew()
  }

  /** Whoever shows life when others join is renewed with its next sign of life. */
  private forget(): void {
    for (const session of this.shown) session.shown = false
    this.shown = []
  }

  private renew(): void {
    const nowMs = this.nowMs()
    const later: RenewableSession[] = []
    let now: RenewableSession[] = []
    for (const session of this.shown) {
      if (session.ended) continue
      const isDue = nowMs + TICK_MS >= session.renewedMs + session.timeoutMs * AFTER_SHARE
      if (!isDue || this.inFlight >= UPDATES_MAX) {
        later.push(session)
        continue
      }
      now.push(session)
      if (now.length < SESSIONS_PER_UPDATE_MAX) continue
      this.propose(now, nowMs)
      now = []
    }
    this.shown = later
    if (now.length > 0) this.propose(now, nowMs)
  }

  private propose(sessions: readonly RenewableSession[], nowMs: number): void {
    for (const session of sessions) {
      session.shown = false
      session.renewedMs = nowMs
    }
    this.inFlight++
    const renewals = sessions.map(({ session, ownerEpoch }) => ({ session, ownerEpoch }))
    this.parts.propose(
      { kind: 'renewSessions', sessions: renewals },
      {
        resolve: () => {
          this.inFlight--
        },
        reject: (_error: DelosError) => {
          this.inFlight--
          // Whatever came of it: with the next tick.
          for (const session of sessions) {
            session.renewedMs = Number.NEGATIVE_INFINITY
            this.show(session)
          }
        },
      },
    )
  }
}
