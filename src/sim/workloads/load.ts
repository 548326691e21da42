// The load of one seed: its actors, how much of it is done, and the first promise that was found broken. What the actors do, and how
// much is enough, is elsewhere.

import type { Simulation } from '../simulation.ts'
import { check } from '../workload.ts'

/** A load that takes longer has got stuck, in virtual milliseconds. */
const LOAD_MS_MAX = 120_000

export class Load {
  /** Nobody dies any more, actors stop. */
  over = false
  /** Calls that have ended, and processes that have. */
  done = 0
  ends = 0
  /** Call with a broken promise of the product. */
  fail!: (error: unknown) => void
  /** Rejects with the first one; never resolves. */
  readonly broken = new Promise<never>((_, reject) => {
    this.fail = reject
  })
  private readonly world: Simulation

  constructor(world: Simulation) {
    this.world = world
  }

  /** What it throws is a broken promise. */
  async actor(body: () => Promise<void>): Promise<void> {
    try {
      await body()
    } catch (error) {
      this.fail(error)
    }
  }

  /** An actor that makes a step every so often, on average, until the load is over. */
  repeat(step: () => Promise<void>, everyMs: number): Promise<void> {
    return this.actor(async () => {
      while (!this.over) {
        await this.world.sleep(this.world.random.fraction() * 2 * everyMs)
        if (!this.over) await step()
      }
    })
  }

  /** Waits until so much is done, and not before this moment; `look` is called again and again meanwhile. */
  async until(
    done: number,
    ends: number,
    lookMs: number,
    look: () => unknown = () => undefined,
    endMs = 0,
  ): Promise<void> {
    const { queue } = this.world
    while (this.done < done || this.ends < ends || queue.nowMs < endMs) {
      await this.world.sleep(lookMs)
      await look()
      check(queue.nowMs < LOAD_MS_MAX, `the load does not end: ${this.done} calls, ${this.ends} ends`)
    }
  }
}
