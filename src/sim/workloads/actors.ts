// The concurrent parts of one life of a simulated process: they start together, end with it, and report what they find. What
// they do is elsewhere.

import { DelosError } from '../../base/delos-error.ts'
import { withDeadline } from '../../log/deadline.ts'
import type { Life } from '../life.ts'
import type { Simulation } from '../simulation.ts'
import { CheckFailure } from '../workload.ts'

/** Thrown inside an actor to end it quietly: its process is dead, or it has nothing left to do. */
export class ActorEnds extends Error {
  override readonly name = 'ActorEnds'
}

export interface ActorsOptions {
  readonly world: Simulation
  readonly life: Life
  /** An operating failure that ended an actor: whether it was to be expected is the owner's to judge. May throw. */
  readonly trouble: (error: DelosError) => void
}

/** All actors of one life. */
export class Actors {
  readonly world: Simulation
  readonly life: Life
  /** Rejects with the first broken promise of the product; resolves when the life ends. */
  readonly ended: Promise<void>
  private readonly trouble: (error: DelosError) => void
  private fail!: (error: unknown) => void

  constructor({ world, life, trouble }: ActorsOptions) {
    this.world = world
    this.life = life
    this.trouble = trouble
    this.ended = new Promise((resolve, reject) => {
      this.fail = reject
      life.onEnd(resolve)
    })
    // Whoever awaits it may come late.
    this.ended.catch(() => undefined)
  }

  /** Calls `step` again and again until the life ends or it throws. */
  repeat(step: () => Promise<void>): void {
    this.start(async () => {
      while (this.life.alive) await step()
    })
  }

  /** Calls `body` once. */
  start(body: () => Promise<void>): void {
    body().catch((thrown: unknown) => this.thrown(thrown))
  }

  /** Runs a callback of the product that must not throw: what it throws fails the run. */
  guard(body: () => void): void {
    try {
      if (this.life.alive) body()
    } catch (thrown) {
      this.thrown(thrown)
    }
  }

  /** The answer to a call of the product, at most `limitMs` of virtual time later. Throws ActorEnds if the process died meanwhile. */
  async answer<T>(what: string, limitMs: number, call: Promise<T>): Promise<T> {
    const { life, world } = this
    try {
      return await withDeadline(world.timers, call, limitMs, () => {
        throw new CheckFailure(`${what} has not ended after ${limitMs} ms`)
      })
    } finally {
      // A dead process is told nothing; what was thrown is dropped for this.
      if (!life.alive) this.stop()
    }
  }

  /** Waits; throws ActorEnds if the process died meanwhile. */
  async pause(ms: number): Promise<void> {
    await this.world.sleep(ms)
    if (!this.life.alive) this.stop()
  }

  /** `call`, again after a pause for as long as there is no room on the disk. */
  async withRoom<T>(call: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await call()
      } catch (error) {
        if (!(error instanceof DelosError && error.code === 'DISK_FULL')) throw error
        await this.pause(20)
      }
    }
  }

  private stop(): never {
    throw new ActorEnds()
  }

  private thrown(thrown: unknown): void {
    if (!this.life.alive || thrown instanceof ActorEnds) return
    try {
      if (!(thrown instanceof DelosError)) throw thrown
      this.trouble(thrown)
    } catch (failure) {
      this.fail(failure)
    }
  }
}

/** Lets calls through, and can be shut for who needs to be alone. */
export class Gate {
  private inside = 0
  private shut: { readonly opened: Promise<void>; readonly open: () => void } | undefined
  private empty: (() => void) | undefined

  /** `call` while the gate is open. */
  async pass<T>(call: () => Promise<T>): Promise<T> {
    while (this.shut) await this.shut.opened
    this.inside++
    try {
      return await call()
    } finally {
      this.inside--
      if (this.inside === 0) this.empty?.()
    }
  }

  /** `call` while nobody else is inside. One at a time. */
  async alone<T>(call: () => Promise<T>): Promise<T> {
    while (this.shut) await this.shut.opened
    let open = (): void => undefined
    const opened = new Promise<void>((resolve) => {
      open = resolve
    })
    this.shut = { opened, open }
    try {
      if (this.inside > 0) {
        await new Promise<void>((resolve) => {
          this.empty = resolve
        })
      }
      return await call()
    } finally {
      this.empty = undefined
      this.shut = undefined
      open()
    }
  }
}
