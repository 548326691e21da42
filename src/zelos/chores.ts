// What a serving server proposes by itself when its store shows that something is to be done: announcing itself, going on with a
// count or with the end of a session. Looks once a second, at a few rows, and soon again when something was done: others have
// their turns in between.

import type { Completion } from '../engine/engine.ts'
import type { Timer, Timers } from '../runtime/runtime.ts'
import type { Update, UpdateResult } from './requests.ts'

const LOOK_MS = 1_000
const NEXT_MS = 5

export interface ChoresContext {
  readonly timers: Pick<Timers, 'after'>
  /** The next that is to be done; undefined for nothing. */
  readonly next: () => Update | undefined
  propose(update: Update, completion: Completion<UpdateResult>): void
}

export class Chores {
  private readonly context: ChoresContext
  private timer: Timer | undefined
  private isRunning = false
  /** A proposal is under way. */
  private isBusy = false

  constructor(context: ChoresContext) {
    this.context = context
  }

  start(): void {
    if (this.isRunning) return
    this.isRunning = true
    this.look()
  }

  stop(): void {
    this.isRunning = false
    this.timer?.cancel()
  }

  /** There is something to be done: looks soon. */
  hurry(): void {
    if (!this.isBusy) this.lookIn(NEXT_MS)
  }

  private readonly look = (): void => {
    const { context } = this
    if (!this.isRunning) return
    const update = this.next()
    if (update === undefined) return this.lookIn(LOOK_MS)
    // What is refused is tried again.
    this.isBusy = true
    context.propose(update, { resolve: () => this.done(NEXT_MS), reject: () => this.done(LOOK_MS) })
  }

  private done(nextMs: number): void {
    this.isBusy = false
    this.lookIn(nextMs)
  }

  // What can't be read now is looked at again: it must not end the process, and stops the database when apply meets it.
  private next(): Update | undefined {
    try {
      return this.context.next()
    } catch {
      return undefined
    }
  }

  private lookIn(ms: number): void {
    this.timer?.cancel() // Of a run before this one, whose proposal came back.
    if (this.isRunning) this.timer = this.context.timers.after(ms, this.look)
  }
}
