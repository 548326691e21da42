// What a connection and its parts use of the server around them. An interface, so that they can be read, and made, without
// the server that makes them.

import type { Connection } from '../runtime/network.ts'
import type { Zelos } from '../zelos/zelos.ts'
import type { AccessControl } from './access-control.ts'
import type { AnswerTurns } from './answer-turns.ts'
import type { ClientLimits, NodeRules } from './server-options.ts'
import type { CloseReason, ServerStats } from './server-stats.ts'
import type { ThrottledLog } from './throttled-log.ts'

/** What a server does to its connections. */
export interface ServedConnection {
  readonly hasSession: boolean
  /** Closes at once. */
  abandon(reason: CloseReason): void
}

export interface Flushable {
  /** Sends what was written in this turn of the event loop. */
  flush(): void
}

/** A request whose reply was late. */
export interface SlowRequest {
  readonly op: number
  readonly xid: number
  readonly arrivedMs: number
  readonly latencyMs: number
}

export interface ServerContext {
  readonly zelos: Zelos
  readonly log: ThrottledLog
  readonly limits: ClientLimits
  readonly nodes: NodeRules
  readonly stats: ServerStats
  /** Who is let in, and how fast. */
  readonly access: AccessControl
  /** Whose answers go on when. */
  readonly turns: AnswerTurns
  /** Bytes that all connections have not taken; each accounts for its own. */
  unsentBytes: number
  /** A reply that took as long is logged; Infinity = never. */
  readonly slowMs: number
  /** Every read of this connection sees all that had completed anywhere when it was asked for. */
  readsLinearizably(connection: Connection): boolean
  /** The session timeout that a client gets who asks for this one. */
  negotiateTimeout(askedMs: number): number
  /** Monotonic. */
  nowMs(): number
  /** The answer to a four-letter word; undefined if these four bytes are none. `tail`: what came behind them. */
  answerWord(firstInt32: number, tail: Uint8Array): string | undefined
  /** Calls `flush` at the end of this turn of the event loop. */
  flushSoon(outgoing: Flushable): void
  /** Runs `action` in a later turn of the event loop. */
  soon(action: () => void): void
  /** Destroys a connection that was ended but whose peer does not go away. */
  closeLater(connection: ServedConnection): void
  /** The connection is gone. */
  forget(connection: ServedConnection): void
  /** `fields` names the client. */
  logSlow(request: SlowRequest, fields: object): void
  /** A reply was written that its client may not take. */
  logOversize(op: number, bytes: number, fields: object): void
  /** A bug was met: with its stack. */
  logBug(thrown: unknown, fields: object): void
}
