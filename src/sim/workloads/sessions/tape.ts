// What one ZooKeeper client sent and received, connection by connection, as plain data: the evidence that checkers judge. Nothing
// here depends on how it came about, a simulated network or real sockets.

import type { ReplyBody } from '../../../zookeeper/codec/client-messages.ts'
import type { WireRequest } from '../../../zookeeper/codec/wire-requests.ts'

/** A request as it was sent. */
export interface SentRequest {
  readonly request: WireRequest
  readonly sentMs: number
  /** The greatest zxid that its client had seen, events included. */
  readonly seen: number
  /** The greatest zxid that any client had seen. */
  readonly floor: number
  /** Undefined: the connection was lost before. */
  reply: ReplyFrame | undefined
}

export interface ReplyFrame {
  readonly kind: 'reply'
  readonly to: SentRequest
  readonly zxid: number
  readonly err: number
  readonly body: ReplyBody
}

export interface EventFrame {
  readonly kind: 'event'
  /** As in EVENT_TYPE. */
  readonly type: number
  readonly path: string
  readonly zxid: number
}

export type Frame = ReplyFrame | EventFrame

/** One connection of a session, from its handshake on. */
export interface ConnectionTape {
  /** Which process of the server shook hands, counted from 1. */
  life: number
  readonly openedMs: number
  /** In order. */
  readonly sent: SentRequest[]
  readonly received: Frame[]
}

/** One session, in the order of its connections. */
export interface SessionTape {
  readonly id: bigint
  readonly timeoutMs: number
  readonly password: Uint8Array
  readonly connections: ConnectionTape[]
  /** It sent closeSession, whatever came of it. */
  closing: boolean
  /** When it was told that its session is gone. */
  toldGoneMs: number | undefined
}
