// Waiting with an end: nothing in the log waits for ever.

import { Fifo } from '../base/fifo.ts'
import type { Clock, Timer, Timers } from '../runtime/runtime.ts'

/** One that waits. `late` is undefined once its work has ended. */
interface Wait {
  readonly endMs: number
  late: (() => void) | undefined
}

/**
 * Many waits of one length, with one timer for all: one for each, armed and cancelled, costs a request more than the rest of the
 * log does. The timer stays armed when nothing waits any more, at most for that length: whoever made it closes it.
 */
export class Deadlines {
  private readonly runtime: { readonly clock: Clock; readonly timers: Timers }
  private readonly limitMs: number
  /** In the order in which they began, and so of their ends. Those that have ended go when all before them have. */
  private readonly waits = new Fifo<Wait>()
  private timer: Timer | undefined

  constructor(runtime: { readonly clock: Clock; readonly timers: Timers }, limitMs: number) {
    this.runtime = runtime
    this.limitMs = limitMs
  }

  /** As `withDeadline`. */
  limit<T>(work: Promise<T>, late: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const wait: Wait = {
        endMs: this.runtime.clock.monotonicMs() + this.limitMs,
        late: () => {
          try {
            resolve(late())
          } catch (error) {
            reject(error)
          }
        },
      }
      this.dropEnded()
      this.waits.push(wait)
      if (this.timer === undefined) this.arm(this.limitMs)
      work.then(
        (value) => {
          wait.late = undefined
          resolve(value)
        },
        (error: unknown) => {
          wait.late = undefined
          reject(error)
        },
      )
    })
  }

  /** Nothing begins to wait any more. What still waits keeps its deadline. */
  close(): void {
    if (this.dropEnded() !== undefined) return
    this.timer?.cancel()
    this.timer = undefined
  }

  private arm(delayMs: number): void {
    this.timer = this.runtime.timers.after(delayMs, () => this.fire())
  }

  private fire(): void {
    const nowMs = this.runtime.clock.monotonicMs()
    let first = this.dropEnded()
    while (first !== undefined && first.endMs <= nowMs) {
      const { late } = first
      first.late = undefined
      late?.()
      first = this.dropEnded()
    }
    this.timer = undefined
    if (first !== undefined) this.arm(Math.max(1, first.endMs - nowMs))
  }

  /** The first one that has not ended. */
  private dropEnded(): Wait | undefined {
    const { waits } = this
    let first = waits.at(0)
    while (first !== undefined && first.late === undefined) {
      waits.shift()
      first = waits.at(0)
    }
    return first
  }
}

/** `work`, or what `late` gives once `limitMs` passed. The work itself goes on; its late failure is dropped. */
export function withDeadline<T>(timers: Timers, work: Promise<T>, limitMs: number, late: () => T): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = timers.after(limitMs, () => {
      try {
        resolve(late())
      } catch (error) {
        reject(error)
      }
    })
    work.then(
      (value) => {
        timer.cancel()
        resolve(value)
      },
      (error: unknown) => {
        timer.cancel()
        reject(error)
      },
    )
  })
}

export function sleep(timers: Timers, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    timers.after(delayMs, resolve)
  })
}

/** Waits for the end of all of it, then rejects with the first failure if there was one. */
export async function allEnded(work: readonly Promise<unknown>[]): Promise<void> {
  const endings = await Promise.allSettled(work)
  const failed = endings.find((ending) => ending.status === 'rejected')
  if (failed) throw failed.reason
}
