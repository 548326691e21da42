// When one connection may go on: read its next request, answer its oldest one, hand an update to the log. The one place where this is
// decided. What it is decided by is counted elsewhere (request-queue.ts, outgoing.ts, client-throttle.ts), and done by the connection.
//
//                                            the next is read      the oldest is answered    an update goes into the log
//   many requests are outstanding, or bytes  at half of the limit  yes                       yes
//   one waits for the throttle of all        when its turn comes   yes                       yes
//   10 ms went to answers of it              in the next turn      in the next turn *        if no read waits
//   the client leaves much unread            when it takes it      when it takes it *        if no read waits
//   a read waits that must see no update     yes                   yes                       when it is answered
//     behind it: it sets a watch, stands
//     behind a sync, is not done at once
//   reads wait that take long                yes                   yes                       when they are answered
//   it finishes                              never                 yes                       yes
//
//   * Now, if an update of it that is behind may be applied: the read would show it later.

import type { Connection } from '../runtime/network.ts'
import type { RequestQueue } from './request-queue.ts'
import type { ServerContext } from './server-context.ts'

/** What one connection asks for is answered so long before others have their turns. */
const TURN_MS = 10
/** Of reads between two updates, which are answered in one piece if both are applied together. */
const BETWEEN_US_MAX = 5_000
const NEVER_MS = Number.POSITIVE_INFINITY

export interface FlowParts {
  readonly server: Pick<ServerContext, 'limits' | 'nowMs' | 'soon' | 'stats'>
  readonly connection: Pick<Connection, 'pause' | 'resume'>
  readonly queue: RequestQueue
  readonly outgoing: { readonly congested: boolean }
  /** A request of it waits for its turn among those of all connections. */
  readonly throttle: { readonly isWaiting: boolean }
  /** What goes on in a later turn: both may be called when there is nothing to do. */
  readonly read: () => void
  readonly answer: () => void
}

export class FlowControl {
  /** When what is read now has come, ms of the monotonic clock. */
  readMs = 0
  private readonly server: FlowParts['server']
  private readonly connection: FlowParts['connection']
  private readonly queue: RequestQueue
  private readonly outgoing: FlowParts['outgoing']
  private readonly throttle: FlowParts['throttle']
  private readonly read: () => void
  private readonly answer: () => void
  private readonly outstandingMax: number
  private readonly outstandingBytesMax: number
  private lastReplyMs = 0
  /** The socket is not read. */
  private isPaused = false
  private isFinishing = false
  private isAnswering = false
  /** Of the answers under way. */
  private answersUntilMs = NEVER_MS

  constructor({ answer, connection, outgoing, queue, read, server, throttle }: FlowParts) {
    this.server = server
    this.connection = connection
    this.queue = queue
    this.outgoing = outgoing
    this.throttle = throttle
    this.read = read
    this.answer = answer
    this.outstandingMax = server.limits.outstandingMax
    this.outstandingBytesMax = server.limits.outstandingBytesMax
  }

  /** A reply was written. */
  replied(nowMs: number): void {
    this.lastReplyMs = nowMs
    if (this.answersUntilMs === NEVER_MS) this.answersUntilMs = nowMs + TURN_MS
  }

  // ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Bytes have come. */
  arrived(): void {
    this.readMs = this.server.nowMs()
  }

  /** Asked behind each request. False: the next one is not read before `mayReadAgain`. */
  mayReadNext(): boolean {
    const { queue, server } = this
    if (queue.length >= this.outstandingMax) {
      server.stats.limitHit('outstandingMax')
      return false
    }
    if (queue.bytes >= this.outstandingBytesMax) {
      server.stats.limitHit('outstandingBytesMax')
      return false
    }
    if (this.lastReplyMs - this.readMs > TURN_MS) {
      server.soon(this.read)
      return false
    }
    return !this.outgoing.congested && !this.throttle.isWaiting
  }

  /** Nothing more comes from the socket. */
  pause(): void {
    if (this.isPaused) return
    this.isPaused = true
    this.connection.pause()
  }

  /** True if it was paused and may read what has come meanwhile; then `resume`, unless that made it pause again. */
  mayReadAgain(): boolean {
    if (!this.isPaused || this.isFinishing) return false
    const { outstandingBytesMax, outstandingMax, queue } = this
    if (this.throttle.isWaiting || this.outgoing.congested) return false
    if (queue.length > outstandingMax / 2 || queue.bytes > outstandingBytesMax / 2) return false
    this.isPaused = false
    this.arrived()
    return true
  }

  resume(): void {
    if (!this.isPaused) this.connection.resume()
  }

  /** Nothing is read any more. */
  finish(): void {
    this.isFinishing = true
    this.pause()
  }

  // ── answering ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** False if answers are under way already. Else `endAnswers` must follow. */
  beginAnswers(): boolean {
    if (this.isAnswering) return false
    this.isAnswering = true
    this.answersUntilMs = NEVER_MS
    return true
  }

  /** Asked before each answer. False: only of what was carried out already. */
  mayAnswer(): boolean {
    return this.queue.hasUpdatesInLog || (!this.isTurnOver && !this.outgoing.congested)
  }

  endAnswers(): void {
    this.isAnswering = false
    if (this.isTurnOver) this.server.soon(this.answer)
    this.answersUntilMs = NEVER_MS
  }

  private get isTurnOver(): boolean {
    return this.lastReplyMs > this.answersUntilMs
  }

  // ── the log ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * False while an update must be held, since it might be applied together with those before a read that waits. Most reads don't
   * mind: they are answered as of the update before them. Nor may one overtake another that is held: the updates of a session are
   * applied in their order.
   */
  get mayLog(): boolean {
    const { queue } = this
    if (queue.held > 0 || queue.barriers > 0 || queue.readsUs > BETWEEN_US_MAX) return false
    return queue.reads === 0 || (queue.syncs === 0 && queue.peek()?.settled !== true)
  }
}
