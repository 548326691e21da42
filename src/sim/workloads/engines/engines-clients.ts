// The clients of one process: they propose in a pipeline, sync, arm and cancel timers, and switch engines and loglets, and hand every
// answer to the checkers. Not here: who dies when.

import { DelosError } from '../../../base/delos-error.ts'
import type { FlagChange } from '../../../engine/engine-flags.ts'
import { check } from '../../workload.ts'
import { ActorEnds, type Actors } from '../actors.ts'
import { encodeOperation } from '../stack/checking-database.ts'
import type { EnginesChecks } from './engines-checks.ts'
import type { ServerLife } from './engines-server.ts'
import { encodeTimed, type TimedResult, type TimerAction } from './timed-database.ts'

/** No answer takes longer, in virtual milliseconds, pauses apart. */
export const ANSWER_MS = 30_000
const KEYS = ['a', 'b', 'c', 'd']
const TIMERS = ['t0', 't1', 't2', 't3', 't4', 't5']

export interface ClientsOptions {
  readonly actors: Actors
  readonly life: ServerLife
  readonly server: string
  /** Which of the server's processes. */
  readonly number: number
  readonly checks: EnginesChecks
  /** True once clients have to leave the servers alone. */
  readonly isOver: () => boolean
  /** A call was answered. */
  readonly operated: () => void
}

export class EnginesClients {
  /** Calls that wait for an answer. */
  waiting = 0
  private readonly options: ClientsOptions

  constructor(options: ClientsOptions) {
    this.options = options
  }

  /** Begins with clients that end when the run says so. */
  start(): void {
    const { actors } = this.options
    const { random } = actors.world
    const proposers = random.pick([1, 2])
    const burst = random.pick([1, 4, 8])
    const idleMs = random.pick([100, 200, 400])
    for (let i = 0; i < proposers; i++) {
      this.repeat(async () => {
        // All of one burst leave in one turn: what is pipelined can be reordered.
        await Promise.all(Array.from({ length: random.integer(1, burst) }, () => this.propose()))
        await actors.pause(random.fraction() * idleMs)
      })
    }
    this.repeat(async () => {
      await this.sync()
      await actors.pause(random.fraction() * 300)
    })
    this.repeat(async () => {
      await actors.pause(random.fraction() * 300)
      if (random.chance(0.7)) await this.switchSome()
      else await this.extend()
    })
  }

  /** A few calls, one after the other. */
  async few(): Promise<void> {
    for (let i = 0; i < 3; i++) await this.propose()
    await this.sync()
  }

  async propose(): Promise<void> {
    const { actors, checks, life, number, server } = this.options
    const { counters, random, trace } = actors.world
    const ballast = random.chance(0.02) ? random.integer(1_000, 3_000) : random.below(40)
    const kind = random.chance(0.5) ? 'add' : 'set'
    const versionOff = random.chance(0.3) ? undefined : random.pick([0, 0, 0, 1])
    const record = checks.model.begin(kind, random.pick(KEYS), versionOff, ballast)
    const epoch = checks.epochOf(life.stack)
    checks.sessions.proposed(record.operation.id, { server, life: number, epoch })
    const bytes = encodeTimed(encodeOperation(record.operation), this.timerAction())
    await this.call('a proposal', life.stack.propose(bytes), {
      answered: (result) => {
        check('place' in result, 'an operation is answered as one')
        checks.model.acknowledged(record, result as Extract<TimedResult, { readonly place: number }>)
        trace.note('acknowledged', (result as Extract<TimedResult, { readonly place: number }>).place)
      },
      refused: (error) => {
        counters.bump(`proposal refused: ${error.code}`)
        if (error.code !== 'INDETERMINATE') checks.model.refused(record)
      },
    })
  }

  /** A linearizable read. */
  private async sync(): Promise<void> {
    const { actors, checks, life } = this.options
    const { floor } = checks.model
    const key = actors.world.random.pick(KEYS)
    // Looked at in the section that receives it: it is valid no longer.
    const read = life.stack.sync().then((tx) => {
      if (actors.life.alive) checks.model.read(floor, tx, key)
    })
    await this.call('a sync', read, {})
  }

  private async switchSome(): Promise<void> {
    const { actors, life } = this.options
    const { counters, random, trace } = actors.world
    const { engines } = life.stack.status()
    if (engines.length === 0) return
    const { levelMax, name } = random.pick(engines)
    const change: FlagChange =
      levelMax > 0 && random.chance(0.3)
        ? { kind: 'level', level: random.integer(0, levelMax) }
        : { kind: 'flag', enabled: random.chance(0.65) }
    const underLoad = this.waiting > 0
    await this.call('a switch', life.stack.change(name, change), {
      answered: ({ kind }) => {
        trace.note(kind, name)
        if (kind === 'refused') counters.bump('switch refused')
        else {
          counters.bump(change.kind === 'level' ? 'level raised' : change.enabled ? 'enabled' : 'disabled')
          if (underLoad) counters.bump('switch under load')
        }
      },
    })
  }

  private async extend(): Promise<void> {
    const { life } = this.options
    await this.call('extend', life.log.extend({ kind: 'memory', params: {} }), {})
  }

  private timerAction(): TimerAction {
    const { random } = this.options.actors.world
    if (!random.chance(0.25)) return { kind: 'none' }
    const id = random.pick(TIMERS)
    return random.chance(0.2) ? { kind: 'cancel', id } : { kind: 'arm', id, delayMs: random.integer(20, 600) }
  }

  private repeat(step: () => Promise<void>): void {
    const { actors, isOver, life } = this.options
    actors.repeat(async () => {
      await life.pause.over()
      if (isOver()) throw new ActorEnds()
      await step()
    })
  }

  private async call<T>(
    what: string,
    answer: Promise<T>,
    then: { readonly answered?: (answer: T) => void; readonly refused?: (error: DelosError) => void },
  ): Promise<void> {
    const { actors, operated } = this.options
    this.waiting++
    try {
      const value = await actors.answer(what, ANSWER_MS, answer)
      then.answered?.(value)
    } catch (error) {
      if (!(error instanceof DelosError)) throw error
      actors.world.counters.bump(`${what} refused`)
      actors.world.trace.note(what, error.code)
      then.refused?.(error)
      if (error.code === 'CLOSED' || error.code === 'STOPPED') throw new ActorEnds()
      if (error.code !== 'INDETERMINATE' && error.code !== 'CONFLICT' && !error.retryable) throw error
      await actors.pause(actors.world.random.fraction() * 20)
    } finally {
      this.waiting--
      operated()
    }
  }
}
