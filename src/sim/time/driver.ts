// Runs virtual events one after the other and, after each, all promise reactions that it caused, before the next.
//
// How reactions are drained exactly: Node runs the whole nextTick and microtask queue between two setImmediate callbacks
// of one batch (documented since Node 11), so each event gets a setImmediate callback of its own, and they are queued
// in batches to spare a turn of the real event loop for each. Measured, with an async function of two awaits as the event:
// one turn an event 1.2 µs, batches of 256 0.3 µs, the undocumented process._tickCallback 0.24 µs.
//
// Exact as long as nothing in the simulation waits for the real world (files, worker threads, real timers).

import type { Trace } from '../trace.ts'
import type { EventQueue } from './event-queue.ts'

// Taken at load: a test that fakes the global ones must not stop the simulation.
const nextTurn = setImmediate
const BATCH = 256

/** When to give up on a run that does not end. */
export interface DriverLimits {
  readonly eventsMax: number
  readonly virtualMsMax: number
}

const LIMITS: DriverLimits = { eventsMax: 50_000_000, virtualMsMax: 30 * 24 * 3_600_000 }

/** The run can't end: nothing is left to happen, or a limit was reached. */
export class SimulationStuck extends Error {
  override readonly name = 'SimulationStuck'
}

type Settled<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown }

/**
 * Calls `body` and runs events until its promise settles; what else is scheduled then does not happen. Rejects with what
 * `body` or an event threw, or with SimulationStuck.
 */
export function drive<T>(
  queue: EventQueue,
  trace: Trace,
  body: () => Promise<T>,
  limits: Partial<DriverLimits> = {},
): Promise<T> {
  const { eventsMax, virtualMsMax } = { ...LIMITS, ...limits }
  return new Promise<T>((resolve, reject) => {
    let settled: Settled<T> | undefined
    let started = false
    let finished = false
    let events = 0
    let waiting = 0

    const finish = (outcome: Settled<T>): void => {
      finished = true
      if (outcome.ok) resolve(outcome.value)
      else reject(outcome.error)
    }
    const fail = (error: unknown): void => finish({ ok: false, error })

    const start = (): void => {
      started = true
      body().then(
        (value) => {
          settled = { ok: true, value }
        },
        (error: unknown) => {
          settled = { ok: false, error }
        },
      )
    }

    const step = (): void => {
      waiting--
      if (finished) return
      try {
        if (!started) start()
        else if (settled !== undefined) finish(settled)
        else if (!queue.runNext()) fail(new SimulationStuck('nothing is left to happen, and the run has not ended'))
        else {
          trace.number(queue.nowMs)
          if (++events >= eventsMax) fail(new SimulationStuck(`not ended after ${events} events`))
          if (queue.nowMs > virtualMsMax) fail(new SimulationStuck(`not ended after ${queue.nowMs} virtual ms`))
        }
      } catch (error) {
        fail(error)
      }
      if (waiting === 0 && !finished) more()
    }
    const more = (): void => {
      waiting = BATCH
      for (let i = 0; i < BATCH; i++) nextTurn(step)
    }
    more()
  })
}

/**
 * Runs events as soon as they are scheduled, one each turn of the real event loop, until the returned function is called:
 * for tests that only want a disk in memory and don't mind in which order their own promises settle. What they throw is
 * an uncaught exception.
 */
export function driveFreely(queue: EventQueue): () => void {
  let armed = false
  const arm = (): void => {
    if (armed) return
    armed = true
    nextTurn(step)
  }
  const step = (): void => {
    armed = false
    queue.runNext()
    if (queue.size > 0 && queue.onScheduled !== undefined) arm()
  }
  queue.onScheduled = arm
  if (queue.size > 0) arm()
  return () => {
    queue.onScheduled = undefined
  }
}
