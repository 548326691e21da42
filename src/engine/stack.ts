// Composition of one database's engines from data: bottom to top, with a hook at every joint, and the face that a database
// sees. Not here: what any engine does.

import { assert } from '../base/assert.ts'
import { DelosError } from '../base/delos-error.ts'
import type { Key } from '../base/key.ts'
import type { LogPos } from '../log/position.ts'
import type { Clock, Random, Timers } from '../runtime/runtime.ts'
import type { ReadTx, ReadWriteTx } from '../store/local-store.ts'
import {
  type ApplyTimes,
  type BottomEngine,
  type BottomStatus,
  type StackState,
  type StopReport,
  stoppedError,
} from './bottom-engine.ts'
import { CheckedAbove, CheckedBelow } from './checked-tx.ts'
import type { CopySource } from './copy-source.ts'
import type { ContentEdited } from './edits.ts'
import type { Applicator, Completion, Engine } from './engine.ts'
import { type FlagChange, type FlagOutcome, flagsKey } from './engine-flags.ts'
import type { EngineContext, EngineLayer, SwitchApplied } from './engine-layer.ts'
import { type Entry, entryOf } from './entry.ts'
import type { LeasedReads } from './leased-reads.ts'
import { type EngineLevels, type Membership, SoloMembership } from './membership.ts'
import { type Neighbours, requireNeighbours } from './neighbours.ts'
import type { TimerService } from './timer-service.ts'

/** One line of a stack: how to make an engine, and what it demands of the others. */
export interface EngineFactory {
  readonly name: string
  /** The highest level whose behaviour this build knows. */
  readonly levelMax: number
  readonly neighbours: Neighbours
  create(context: EngineContext): EngineLayer
}

/** A layer that is put between two others: an Observer. It registers itself with `below`. */
export type WrapJoint = (
  below: Engine<unknown>,
  names: { readonly below: string; readonly above: string },
) => Engine<unknown>

export interface StackOptions {
  readonly serverId: string
  /** Base, over the log and store of this database. */
  readonly bottom: BottomEngine
  /** Bottom to top, without Base. */
  readonly engines: readonly EngineFactory[]
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  /** Name of the database, as the topmost joint calls what is above it. */
  readonly database: string
  /** Called for every joint: above Base, and above every engine. Unset: nothing in between. */
  readonly wrapJoint?: WrapJoint | undefined
  /** Names that are known besides the engines: layers that wrapJoint inserts and that leave headers. */
  readonly jointNames?: readonly string[]
  /** Who must have announced an engine. Default: a view of this server alone. */
  readonly membership?: ((levels: EngineLevels) => Membership) | undefined
  /** See EngineContext.source. */
  readonly source?: CopySource | undefined
  /** See EngineContext.switchApplied. */
  readonly switchApplied?: SwitchApplied | undefined
  /** Checks every engine's writes in apply. For tests: costs two objects per entry and engine. */
  readonly checked?: boolean
}

export interface EngineStatus {
  readonly name: string
  readonly enabled: boolean
  readonly level: number
  readonly levelMax: number
  /** See EngineLayer.details. */
  readonly details: Readonly<Record<string, string | number | boolean>>
}

export interface StackStatus extends BottomStatus {
  /** See EngineLayer.alarms; each begins with the engine's name. */
  readonly alarms: readonly string[]
  /** Bottom to top, without Base. */
  readonly engines: readonly EngineStatus[]
}

const ENABLE_MS = 10_000
const ENABLE_RETRY_MS = 50

/** The engines of one database at one server. */
export class Stack<R> {
  /** What the database's wrapper talks to: propose, sync, setTrimPrefix. */
  readonly engine: Engine<R>
  /** Resolves, once, if apply or the disk stopped the database. Never rejects. */
  readonly failed: Promise<StopReport>
  private readonly bottom: BottomEngine
  private readonly layers: readonly EngineLayer[]
  private readonly levels: EngineLevels
  private readonly stateListeners: ((state: StackState) => void)[] = []
  private readonly runtime: { readonly clock: Clock; readonly timers: Timers }
  private readonly solo: Membership
  private attached = false
  private database: Applicator<R> | undefined

  constructor(options: StackOptions) {
    this.bottom = options.bottom
    this.runtime = options
    const rules = new Map(options.engines.map((factory) => [factory.name, factory.neighbours]))
    requireNeighbours([options.bottom.name, ...options.engines.map((factory) => factory.name)], rules)
    const levels = new Map(options.engines.map((factory) => [factory.name, factory.levelMax]))
    for (const name of [options.bottom.name, ...(options.jointNames ?? [])]) levels.set(name, 0)
    this.levels = levels
    this.solo = options.membership?.(levels) ?? new SoloMembership(options.serverId, levels)
    const built = build(options, levels, this.solo, (tx, keys, pos) => this.contentEdited(tx, keys, pos))
    this.layers = built.layers
    this.engine = built.top as Engine<R>
    let fail: (report: StopReport) => void
    this.failed = new Promise((resolve) => {
      fail = resolve
    })
    this.bottom.onStateChange((state) => {
      const failure = this.bottom.status().failure
      if (state === 'stopped' && failure !== undefined) fail(failure)
      if (state === 'serving') for (const layer of this.layers) layer.serving()
      for (const listener of this.stateListeners) listener(state)
    })
  }

  /**
   * Registers the database. Call it once, before start. A database that reads its own history from the log says
   * `keepsLog` and calls setTrimPrefix itself; any other needs nothing below its durable cursor.
   */
  attach(applicator: Applicator<R>, options: { readonly keepsLog?: boolean } = {}): void {
    assert(!this.attached, 'a stack has one database')
    this.attached = true
    this.database = applicator
    this.engine.registerUpcall(new PayloadsOnly(applicator))
    if (options.keepsLog !== true) this.engine.setTrimPrefix(Number.MAX_SAFE_INTEGER as LogPos)
  }

  private contentEdited(tx: ReadWriteTx, keys: readonly Key[], pos: LogPos): void {
    this.bottom.edited?.(tx, keys, pos)
    for (const layer of this.layers) layer.edited(tx, keys, pos)
    this.database?.edited?.(tx, keys)
  }

  /** Loads the engines' state and begins to play the log. Resolves once the tail is known; see `whenServing`. */
  async start(): Promise<void> {
    assert(this.attached, 'attach a database before start')
    for (const layer of this.layers) layer.load(this.bottom.read())
    await this.bottom.start(this.levels)
  }

  /** Resolves when this server has caught up with the tail that it saw at start. Rejects STOPPED (cause: report) or CLOSED. */
  whenServing(): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): boolean => {
        const { state, failure } = this.bottom.status()
        if (state === 'serving') resolve()
        else if (state === 'closed') reject(new DelosError('CLOSED', 'the stack was closed before it had caught up'))
        else if (state === 'stopped') reject(stoppedError(failure))
        else return false
        return true
      }
      if (!look()) this.stateListeners.push(() => void look())
    })
  }

  /** The hot path: no promise. See Engine.propose. */
  submit(entry: Entry, completion: Completion<R>): void {
    this.engine.propose(entry, completion)
  }

  /** For small databases: resolves with what apply returned; rejects with DelosError. */
  propose(entry: Entry | Uint8Array): Promise<R> {
    return new Promise((resolve, reject) => {
      this.engine.propose(entry instanceof Uint8Array ? entryOf(entry) : entry, { resolve, reject })
    })
  }

  /** See Engine.sync. */
  sync(): Promise<ReadTx> {
    return this.engine.sync()
  }

  /** The committed state of this server, possibly behind the log. Valid until the current synchronous section ends. */
  read(): ReadTx {
    return this.bottom.read()
  }

  /** The replicated timers for the database, if this stack has them. */
  get timerService(): TimerService | undefined {
    return this.layers.findLast((layer) => layer.providesTimers !== undefined)?.providesTimers
  }

  /** Linearizable reads without asking the log, if this stack has them. */
  get leasedReads(): LeasedReads | undefined {
    return this.layers.at(-1)?.providesReads
  }

  /** Who the members are, as the topmost engine that knows says. */
  get membership(): Membership {
    return this.layers.findLast((layer) => layer.providesMembership !== undefined)?.providesMembership ?? this.solo
  }

  /** One engine of this stack, for what it offers to operators. */
  layer(name: string): EngineLayer | undefined {
    return this.layers.find((candidate) => candidate.name === name)
  }

  /** Asks for a switch of one engine through the log. NOT_FOUND if this stack lacks it. */
  async change(engine: string, change: FlagChange): Promise<FlagOutcome> {
    const layer = this.layer(engine)
    if (layer === undefined) throw new DelosError('NOT_FOUND', `no engine ${engine} in this stack`)
    return await layer.proposeChange(change)
  }

  /** Engines that nobody has ever switched, bottom to top, as far as this server knows. */
  newEngines(): readonly string[] {
    return this.layers.filter((layer) => this.isNew(layer)).map((layer) => layer.name)
  }

  private isNew(layer: EngineLayer): boolean {
    return this.bottom.read().get(flagsKey(layer.name)) === undefined
  }

  /**
   * Enables engines, bottom to top, through the log: all, those named, or the `new` ones, which nobody has ever switched, since
   * what an operator has disabled stays so, at every server. Members may still be joining, so a refusal is tried again for
   * ten seconds; then CONFLICT, once all were tried.
   */
  async enable(which: 'all' | 'new' | readonly string[] = 'all'): Promise<void> {
    const { clock, timers } = this.runtime
    const wanted = (layer: EngineLayer): boolean => {
      if (which === 'new') return this.isNew(layer)
      return !layer.flags.enabled && (which === 'all' || which.includes(layer.name))
    }
    const deadlineMs = clock.monotonicMs() + ENABLE_MS
    const refused: string[] = []
    for (const layer of this.layers) {
      while (wanted(layer)) {
        const outcome = await layer.proposeChange({ kind: 'flag', enabled: true })
        if (outcome.kind === 'switched') break
        if (clock.monotonicMs() >= deadlineMs) {
          refused.push(`engine ${layer.name} is not known to ${outcome.missing.join(', ')}`)
          break
        }
        await new Promise<void>((resolve) => timers.after(ENABLE_RETRY_MS, resolve))
        const { failure, state } = this.bottom.status()
        if (state === 'closed') throw new DelosError('CLOSED', 'the stack was closed before its engines were enabled')
        if (state === 'stopped') throw stoppedError(failure)
      }
    }
    if (refused.length > 0) throw new DelosError('CONFLICT', refused.join('; '))
  }

  /** Times of the proposal whose completion is being called. */
  get lastTimes(): ApplyTimes {
    return this.bottom.lastTimes
  }

  /** Called with every state after the call. */
  onStateChange(listener: (state: StackState) => void): void {
    this.stateListeners.push(listener)
  }

  status(): StackStatus {
    const engines = this.layers.map((layer) => ({
      name: layer.name,
      enabled: layer.flags.enabled,
      level: layer.flags.level,
      levelMax: this.levels.get(layer.name) ?? 0,
      details: layer.details(),
    }))
    const alarms = this.layers.flatMap((layer) => layer.alarms().map((alarm) => `${layer.name}: ${alarm}`))
    return { ...this.bottom.status(), alarms, engines }
  }

  /** Stops top to bottom; what waits is rejected; what was applied is durable when it resolves. Idempotent. */
  async stop(): Promise<void> {
    for (const layer of this.layers.toReversed()) await layer.stop()
    await this.bottom.stop()
  }
}

function build(
  options: StackOptions,
  levels: EngineLevels,
  solo: Membership,
  contentEdited: ContentEdited,
): { layers: EngineLayer[]; top: Engine<unknown> } {
  const { bottom } = options
  const names = [options.bottom.name, ...options.engines.map((factory) => factory.name), options.database]
  // Engines below the one that knows the members ask it too: by the time anything is applied, all are built.
  const layers: EngineLayer[] = []
  const providers = (): Membership =>
    layers.findLast((layer) => layer.providesMembership !== undefined)?.providesMembership ?? solo
  const membership: Membership = {
    missing: (tx, engine, level) => providers().missing(tx, engine, level),
    members: (tx) => providers().members(tx),
  }
  const joint = (below: Engine<unknown>, at: number): Engine<unknown> =>
    options.wrapJoint?.(below, { below: names[at] as string, above: names[at + 1] as string }) ?? below
  let top = joint(bottom, 0)
  for (const [i, factory] of options.engines.entries()) {
    const checkedBelow = options.checked === true ? new CheckedBelow(top) : undefined
    const layer = factory.create({
      below: checkedBelow ?? top,
      serverId: options.serverId,
      clock: options.clock,
      timers: options.timers,
      random: options.random,
      membership,
      levels,
      maxEntryBytes: bottom.maxEntryBytes,
      timerService: layers.findLast((below) => below.providesTimers !== undefined)?.providesTimers,
      durableCursor: () => bottom.durableCursor,
      read: () => bottom.read(),
      proposals: () => bottom.proposals,
      lastDigest: () => bottom.lastDigest,
      contentEdited,
      source: options.source,
      switchApplied: options.switchApplied,
      stopDatabase: (error) => bottom.stopWith(error),
    })
    assert(layer.name === factory.name, `factory ${factory.name} made an engine named ${layer.name}`)
    layers.push(layer)
    if (checkedBelow !== undefined) checkedBelow.engine = layer
    top = joint(checkedBelow === undefined ? layer : new CheckedAbove(layer), i + 1)
  }
  return { layers, top }
}

/** Keeps entries without payload, which belong to engines, from the database. */
class PayloadsOnly<R> implements Applicator<R> {
  private readonly database: Applicator<R>

  constructor(database: Applicator<R>) {
    this.database = database
  }

  apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): R {
    // The engine that proposed a control entry expects no result of the database.
    return entry.payload === undefined ? (undefined as R) : this.database.apply(tx, entry, pos)
  }

  postApply(entry: Entry, pos: LogPos, result: R): void {
    if (entry.payload !== undefined) this.database.postApply(entry, pos, result)
  }
}
