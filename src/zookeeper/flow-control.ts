// When one connection may go on: read its next request, answer its oldest one, hand an update to the log. The one place where this is
// decided. What it is decided by is counted elsewhere (request-queue.ts, outgoing.ts, client-throttle.ts), and done by the connection.
//
//                                            the next is read      the oldest is answered    an update goes into the log
//   many requests are outstanding, or bytes  at half of the limit  yes                       yes
//   one waits for the throttle of all        when its turn comes   yes                       yes
//   10 ms of this turn went to answers       in a later turn       in a later turn *         if no read waits
//   the client leaves much unread            when it takes it      when it takes it *        if no read waits
//   a read waits that must see no update     yes                   yes                       when it is answered
//     behind it: it sets a watch, stands
//     behind a sync, is not done at once
//   reads wait that take long                yes                   yes                       when they are answered
//   it finishes                              never                 yes                       yes
//
//   * Now, if an update of it that is behind may be applied: the read would show it later.

import type { Connection } from '../runtime/network.ts'
import type { AnswerTurns, TurnTaker } from './answer-turns.ts'
import type { PendingRequest } from './pending-request.ts'
import type { RequestQueue } from './request-queue.ts'
import type { ServerContext } from './server-context.ts'

/** Of reads between two updates, which are answered in one piece if both are applied together, and so with those of others. */
const BETWEEN_US_MAX = 2_500
const NEVER_MS = Number.POSITIVE_INFINITY

export interface FlowParts {
  readonly server: Pick<ServerContext, 'limits' | 'nowMs' | 'stats' | 'turns'>
  readonly connection: Pick<Connection, 'pause' | 'resume'>
  readonly queue: RequestQueue
  readonly outgoing: { readonly congested: boolean }
  /** A request of it waits for its turn among those of all connections. */
  readonly throttle: { readonly isWaiting: boolean }
  /** Answers what can be, then reads what may be; may be called when there is nothing to do. */
  readonly goOn: () => void
}

export class FlowControl implements TurnTaker {
  readonly goOn: () => void
  /** When what is read now has come, ms of the monotonic clock. */
  readMs = 0
  private readonly server: FlowParts['server']
  private readonly connection: FlowParts['connection']
  private readonly queue: RequestQueue
  private readonly outgoing: FlowParts['outgoing']
  private readonly throttle: FlowParts['throttle']
  private readonly turns: AnswerTurns
  private readonly outstandingMax: number
  private readonly outstandingBytesMax: number
  private lastReplyMs = 0
  /** The socket is not read. */
  private isPaused = false
  private isFinishing = false
  private isAnswering = false
  /** Of the answers under way: when the first was written, and how long after it they may go on. */
  private answersFromMs = NEVER_MS
  private answersMs = 0

  constructor({ connection, goOn, outgoing, queue, server, throttle }: FlowParts) {
    this.goOn = goOn
    this.server = server
    this.connection = connection
    this.queue = queue
    this.outgoing = outgoing
    this.throttle = throttle
    this.turns = server.turns
    this.outstandingMax = server.limits.outstandingMax
    this.outstandingBytesMax = server.limits.outstandingBytesMax
  }

  /** A reply was written. */
  replied(nowMs: number): void {
    this.lastReplyMs = nowMs
    if (this.answersFromMs === NEVER_MS) this.answersFromMs = nowMs
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
    if (this.lastReplyMs - this.readMs > this.turns.shareMs) {
      this.turns.wait(this)
      return false
    }
    return !this.outgoing.congested && !this.throttle.isWaiting
  }

  /** What has come is read, as far as that may be. */
  hasRead(): void {
    this.turns.spent(this.lastReplyMs - this.readMs)
  }

  /** What its client sends is not seen for now. */
  get isHeldBack(): boolean {
    return this.isPaused && !this.isFinishing
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
    if (this.turns.isOver) {
      this.turns.wait(this)
      return false
    }
    this.isPaused = false
    this.arrived()
    return true
  }

  resume(): void {
    this.hasRead()
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
    this.answersFromMs = NEVER_MS
    this.answersMs = this.turns.isOver ? 0 : this.turns.shareMs
    return true
  }

  /** Asked before each answer. False: only of what was carried out already. Updates are answered in any turn, since it costs nothing. */
  mayAnswer({ inTurn }: PendingRequest): boolean {
    return this.queue.hasUpdatesInLog || (!(inTurn && this.isTurnOver) && !this.outgoing.congested)
  }

  endAnswers(): void {
    this.isAnswering = false
    if (this.isTurnOver && this.queue.length > 0) this.turns.wait(this)
    this.turns.spent(this.lastReplyMs - this.answersFromMs)
  }

  private get isTurnOver(): boolean {
    return this.answersMs === 0 || this.lastReplyMs - this.answersFromMs > this.answersMs
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
