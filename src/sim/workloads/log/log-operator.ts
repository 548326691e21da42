// Whoever reconfigures a running log: extends, trims, moves segments, voids positions, ends by force, sweeps. At random, all the
// time, and the process may die in the middle of each.

import { DelosError } from '../../../base/delos-error.ts'
import { activeSegment } from '../../../log/chain/chain.ts'
import type { Loglet, LogletConfig } from '../../../log/loglet.ts'
import type { LogPos } from '../../../log/position.ts'
import type { VirtualLog } from '../../../log/virtual-log.ts'
import type { Life } from '../../life.ts'
import type { Simulation } from '../../simulation.ts'
import { ActorEnds, type Actors } from '../actors.ts'
import type { LogClients } from './log-clients.ts'
import type { LogModel } from './log-model.ts'
import type { SegmentEnds, WatchedLogletProvider } from './watched-loglets.ts'

/** No reconfiguration takes longer, in virtual milliseconds, lost races included. */
const LIMIT_MS = 20_000
/** Entries that trimming leaves, at least. */
const KEPT = 30

/** What one life of an operator may do, with weights. */
export type Edits = Readonly<Record<'extend' | 'trim' | 'modify' | 'void' | 'forceEnd' | 'sweep', number>>

/** A segment that is being ended by force: a crash leaves open whether it was. */
export interface ForcedEnd {
  /** Of the loglet that was open. */
  readonly nonce: string
  readonly end: LogPos
}

export interface OperatorOptions {
  readonly actors: Actors
  readonly log: VirtualLog
  readonly model: LogModel
  readonly clients: LogClients
  readonly ends: SegmentEnds
  readonly provider: WatchedLogletProvider
  readonly edits: Edits
  /** Mean pause between two, virtual milliseconds. */
  readonly pauseMs: number
  /** Called as each begins: the moment to plan a death in the middle of it. */
  readonly begins: () => void
  readonly operated: () => void
  /** Shared by all operators of a log: a sweep may take a copy that the chain does not name yet for an orphan. */
  readonly copying: Copying
  /** Makes a loglet with the same entries at the same offsets; false if the original was trimmed meanwhile. */
  readonly copy: (from: Loglet, config: LogletConfig, length: number) => Promise<boolean>
  readonly force?: Force
}

/** Who moves a segment or sweeps now. */
export interface Copying {
  by: Life | undefined
}

/** What happens around a forced end. */
export interface Force {
  /** Called before the end is forced. */
  readonly forcing: (end: ForcedEnd) => void
  /** Called after it: everything at or past `end` is given up, and whoever has seen some of it has to start anew. */
  readonly forced: (end: LogPos, seen: boolean) => void
  /** Called when it may have happened: nobody may use the log before a new start has told. */
  readonly unsure: () => void
}

export class LogOperator {
  private readonly options: OperatorOptions
  private readonly world: Simulation
  private busy = false

  constructor(options: OperatorOptions) {
    this.options = options
    this.world = options.actors.world
  }

  /** True in the middle of an edit. */
  get isBusy(): boolean {
    return this.busy
  }

  start(): void {
    this.options.actors.repeat(() => this.edit())
  }

  private async edit(): Promise<void> {
    const { actors, ends, log, operated, pauseMs } = this.options
    await actors.pause(this.world.random.fraction() * 2 * pauseMs)
    const edit = this.pick()
    this.world.trace.note('edit', edit)
    this.options.begins()
    this.busy = true
    try {
      await this[edit]()
      operated()
    } catch (error) {
      if (!(error instanceof DelosError)) throw error
      this.world.counters.bump(`${edit} failed: ${error.code}`)
      if (error.code === 'CLOSED') throw new ActorEnds()
      if (!error.retryable && error.code !== 'INDETERMINATE') throw error
    } finally {
      this.busy = false
    }
    ends.see(log.chain)
  }

  private pick(): keyof Edits {
    const entries = Object.entries(this.options.edits) as [keyof Edits, number][]
    let left = this.world.random.fraction() * entries.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [name, weight] of entries) {
      left -= weight
      if (left < 0) return name
    }
    return 'extend'
  }

  private async extend(): Promise<void> {
    const { actors, log, provider } = this.options
    const { random } = this.world
    const one = (): Promise<unknown> => log.extend({ kind: provider.kind, params: { generation: random.below(3) } })
    const calls = random.chance(0.2) ? [one(), one()] : [one()]
    await actors.answer('extend', LIMIT_MS, Promise.all(calls))
  }

  private async trim(): Promise<void> {
    const { actors, log, model } = this.options
    const oldest = log.oldest().pos
    const to = Math.max(oldest, model.floor - KEPT - this.world.random.below(60))
    model.askTrim(to)
    await actors.answer('prefixTrim', LIMIT_MS, log.prefixTrim(to as LogPos))
    model.oldest(log.oldest().pos)
  }

  /** Copies a sealed segment to a loglet of its own and moves the segment there. */
  private async modify(): Promise<void> {
    const { actors, copy, log, model, provider } = this.options
    const sealed = log.chain.segments.filter(({ end }) => end !== undefined)
    if (sealed.length === 0) return
    const { start, end, config } = this.world.random.pick(sealed)
    const from = provider.loglets.get(config.nonce)
    if (end === undefined || from === undefined) return
    await this.alone(async () => {
      const moved: LogletConfig = { ...config, nonce: `copy${this.world.random.uint32()}` }
      try {
        if (!(await actors.answer('a copy', LIMIT_MS, copy(from, moved, end - start)))) return
        await actors.answer('modify', LIMIT_MS, log.modify(start, moved))
      } catch (error) {
        if (!isOvertaken(error, start < model.trimAsked)) throw error
      }
    })
  }

  private async void(): Promise<void> {
    const { actors, log, model } = this.options
    const pos = this.world.random.integer(log.oldest().pos, model.floor + 5) as LogPos
    model.askVoid(pos)
    try {
      await actors.answer('voidPosition', LIMIT_MS, log.voidPosition(pos))
    } catch (error) {
      // Trimmed, voided before, or too many.
      if (!(error instanceof DelosError && error.code === 'CONFLICT')) throw error
    }
  }

  /** Ends the open segment without asking its loglet, nearly always at its tail, with nobody using it. */
  private forceEnd(): Promise<void> {
    return this.options.clients.gate.alone(async () => {
      const { actors, ends, force, log, provider } = this.options
      const { random } = this.world
      const tail = await actors.answer('a tail check', LIMIT_MS, log.checkTail())
      const { start, config } = activeSegment(log.chain)
      const end = Math.max(start, random.chance(0.7) ? tail : tail - random.below(4)) as LogPos
      // Whoever was answered `indeterminate` might still get in behind the tail that was read: that is fenced off by the end.
      ends.giveUp(config.nonce)
      force?.forcing({ nonce: config.nonce, end })
      const proof = { fenced: true, durableCursor: end } as const
      const recipe = { kind: provider.kind, params: { generation: 0 } }
      try {
        await actors.answer('forceEnd', LIMIT_MS, log.forceEnd(start, end, recipe, proof))
        force?.forced(end, end < tail)
      } catch (error) {
        // It may have happened, and the fence must hold until that is known.
        if (error instanceof DelosError && error.code === 'INDETERMINATE') force?.unsure()
        throw error
      }
    })
  }

  private async sweep(): Promise<void> {
    const { actors, log } = this.options
    await this.alone(() => actors.answer('sweepOrphans', LIMIT_MS, log.sweepOrphans()))
  }

  /** `call`, or nothing if somebody copies or sweeps already. */
  private async alone(call: () => Promise<void>): Promise<void> {
    const { actors, copying } = this.options
    if (copying.by?.alive) return
    copying.by = actors.life
    try {
      await call()
    } finally {
      if (copying.by === actors.life) copying.by = undefined
    }
  }
}

// Somebody dropped the segment meanwhile, or moved it, or trimmed the one and not yet the other.
function isOvertaken(error: unknown, trimmed: boolean): boolean {
  if (!(error instanceof DelosError)) return false
  return ['CONFLICT', 'NOT_FOUND', 'CLOSED'].includes(error.code) || (trimmed && error.code === 'MISMATCH')
}
