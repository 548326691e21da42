// Until when the connections of each session were told what their lasting watches were to hear. A client that comes and goes
// without ever getting to set its watches again was told nothing meanwhile, although its session was never silent.

import type { WatchSink } from './zelos.ts'
import type { SessionId } from './znode.ts'

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

  /** Of what was applied until then, a connection of the session was told. */
  of(session: SessionId, nowMs: number): number {
    const told = this.sessions.get(session)
    return told === undefined || told.sinks.size > 0 ? nowMs : told.untilMs
  }
}
