// The checker of strict serializability: transactions in the order of the log, each with the outcome that the state before it
// gives, whoever applies it; and what was acknowledged before one began comes before it. What an outcome is, a subclass knows.

import { check } from '../../workload.ts'

/** One transaction as it was proposed. */
export interface Proposed {
  readonly token: string
  /** Positions up to this one were acknowledged before it began. */
  readonly floor: number
}

/** What becomes of a transaction. `state`: after it; undefined if it changes nothing. */
export interface Verdict<S> {
  readonly outcome: string
  readonly state: S | undefined
}

export abstract class SerialHistory<S, T extends Proposed> {
  /** As of each moment: after a transaction that changed something, or anything else that `move` was told of. */
  readonly states: S[]
  /** Positions up to this one were acknowledged. */
  floor = 0
  /** Of the newest state. */
  position = 0
  private readonly transactions = new Map<string, T>()
  private readonly committedAt = new Map<string, number>()
  /** By place in the log. */
  private readonly outcomes = new Map<string, string>()

  constructor(initial: S) {
    this.states = [initial]
  }

  begin(transaction: T): void {
    this.transactions.set(transaction.token, transaction)
  }

  /** Of the newest moment. */
  get state(): S {
    return this.states[this.states.length - 1] as S
  }

  /** A server has applied it at this place of the log, for the first time or again. */
  applied(place: string, token: string, outcome: string, position: number, wallMs = 0): void {
    if (!this.isFirst(place, `${token} ${outcome} ${position}`)) return
    const transaction = this.transactions.get(token)
    check(transaction !== undefined, `${token} was applied and never proposed`)
    const before = this.committedAt.get(token)
    const { outcome: expected, state } =
      before === undefined ? this.evaluate(transaction, this.state, wallMs) : { outcome: 'repeated', state: undefined }
    check(outcome === expected, `transaction ${token} at ${place} was ${outcome} instead of ${expected}`)
    if (outcome === 'repeated') check(position === before, `${token} was repeated at ${position}`)
    if (outcome !== 'committed') return
    check(
      position > transaction.floor || state === undefined,
      `${token} is at ${position}, before what was there already`,
    )
    this.committedAt.set(token, position)
    const expectedAt = this.position + (state === undefined ? 0 : 1)
    check(position === expectedAt, `${token} is at ${position} instead of ${expectedAt}`)
    if (state !== undefined) this.move(state, position)
  }

  /** Somebody was told of it. */
  acknowledged(position: number): void {
    check(position <= this.position, `position ${position} was given out, and ${this.position} are applied`)
    if (position > this.floor) this.floor = position
  }

  /** False if this place of the log is known already; throws if it was something else. */
  protected isFirst(place: string, now: string): boolean {
    const known = this.outcomes.get(place)
    check(known === undefined || known === now, `at ${place} was ${known}, and now ${now}`)
    this.outcomes.set(place, now)
    return known === undefined
  }

  /** The next moment. */
  protected move(state: S, position: number): void {
    this.states.push(state)
    this.position = position
  }

  protected abstract evaluate(transaction: T, before: S, wallMs: number): Verdict<S>
}
