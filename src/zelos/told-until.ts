// Until when the connections of each session were told what their lasting watches were to hear. A client that comes and goes
// without ever getting to set its watches again was told nothing meanwhile, although its session was never silent.

import type { WatchSink } from './zelos.ts'
import type { SessionId } from './znode.ts'

/**
 * A client that only listens does not know what zxid it has seen: replies count, events don't. What happened so long before it
 * came back, it was told. One timeout until it sees that nothing comes any more, one until its session ends, one to spare.
 */
const AWAY_TIMEOUTS = 3
const AWAY_MS_MIN = 60_000

interface Told {
  /** Connections with lasting watches. */
  readonly sinks: Set<WatchSink>
  /** When the last of them went; before the first: when the client came back to this server. */
  untilMs: number
}

/** An entry for each session that came back here, or has had lasting watches; they go with their session. */
export class ToldUntil {
  private readonly sessions = new Map<SessionId, Told>()

  /** The client of a session has come back. */
  cameBack(session: SessionId, nowMs: number): void {
    if (!this.sessions.has(session)) this.sessions.set(session, { sinks: new Set(), untilMs: nowMs })
  }

  /** A connection has a lasting watch from here on. */
  watches(sink: WatchSink, nowMs: number): void {
    const { session } = sink.requester
    if (session === 0) return
    this.cameBack(session, nowMs)
    this.sessions.get(session)?.sinks.add(sink)
  }

  /** A connection is gone. */
  left(sink: WatchSink, nowMs: number): void {
    const told = this.sessions.get(sink.requester.session)
    if (told?.sinks.delete(sink)) told.untilMs = nowMs
  }

  ended(session: SessionId): void {
    this.sessions.delete(session)
  }

  /**
   * Of what was applied until then, a connection of the session was told for sure: a client finds out that a connection is gone
   * before its session would be.
   */
  surelyOf(session: SessionId, timeoutMs: number, nowMs: number): number {
    const told = this.sessions.get(session)
    const untilMs = told === undefined || told.sinks.size > 0 ? nowMs : told.untilMs
    return untilMs - Math.max(AWAY_MS_MIN, AWAY_TIMEOUTS * timeoutMs)
  }
}
