// Waiting with an end: nothing in the log waits for ever.

import type { Timers } from '../runtime/runtime.ts'

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
