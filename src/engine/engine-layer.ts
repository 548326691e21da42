// What every engine between Base and the database has in common: both faces, passing through by default, its key range, and
// the replicated switch with its two phases. Not here: composition and neighbours (stack.ts).
//
// A subclass overrides propose (to add its header), applyEntry and afterCommit (to react to it). Its behaviour in apply
// depends on nothing but transaction, entry and `flagsInApply`.

import { DelosError } from '../base/delos-error.ts'
import type { Key } from '../base/key.ts'
import type { LogPos } from '../log/position.ts'
import type { Clock, Random, Timers } from '../runtime/runtime.ts'
import type { ReadTx, ReadWriteTx } from '../store/local-store.ts'
import { subStorePrefix } from '../store/sub-store.ts'
import type { ProposalCounts } from './bottom-engine.ts'
import type { CopySource } from './copy-source.ts'
import type { PositionedDigest } from './digest.ts'
import type { ContentEdited } from './edits.ts'
import type { Engine } from './engine.ts'
import {
  applyFlagChange,
  decodeFlagChange,
  type EngineFlags,
  encodeFlagChange,
  type FlagChange,
  type FlagOutcome,
  isFlagHeader,
  readFlags,
} from './engine-flags.ts'
import { controlEntry, type Entry, type Header, HeaderList } from './entry.ts'
import type { LeasedReads } from './leased-reads.ts'
import type { EngineLevels, Membership } from './membership.ts'
import { PassThrough } from './pass-through.ts'
import type { TimerService } from './timer-service.ts'

/** Somebody is told of a switch of `engine` that was applied. */
export type SwitchApplied = (engine: string, change: FlagChange, pos: LogPos, outcome: FlagOutcome) => void

/** What an engine is built with. Clock, timers and chance are for propose and background work only, never for apply. */
export interface EngineContext {
  /** The layer below. */
  readonly below: Engine<unknown>
  readonly serverId: string
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly membership: Membership
  /** Every engine of this stack, with the highest level this build knows: also what a must-understand header may name. */
  readonly levels: EngineLevels
  /** The largest entry that the log takes. */
  readonly maxEntryBytes: number
  /** The replicated timers of an engine below, if there is one. */
  readonly timerService: TimerService | undefined
  /** Everything below this position is applied and durable at this server. */
  durableCursor(): LogPos
  /** The committed state of this server; valid until the current synchronous section ends. Propose side only. */
  read(): ReadTx
  /** Do this server's entries come back? Propose side only. */
  proposals(): ProposalCounts
  /** The newest digest of this server's content. Propose side only. */
  lastDigest(): PositionedDigest | undefined
  /** Tells Base, all engines and the database that these rows were changed. In apply of an entry with EDIT_HEADER only. */
  readonly contentEdited?: ContentEdited | undefined
  /** Log and content as a whole, for an engine that copies them. Propose side only. */
  readonly source?: CopySource | undefined
  /** Told of each switch after its commit, those that are played again at a start included. */
  readonly switchApplied?: SwitchApplied | undefined
  /** Ends the database at this server: for an engine that finds it must not go on (its epoch was taken over). */
  stopDatabase(error: DelosError): void
}

/**
 * A middle engine. One instance per stack; `name` is its header's name and its key range.
 *
 * What every entry passes, those of the product write out: apply and postApply for an entry without their header, and propose. V8 keeps
 * what a call site has seen per function. One that all engines inherit has seen all of them, and is neither inlined nor
 * predicted, which costs a request that is alone about a microsecond a layer.
 */
export abstract class EngineLayer extends PassThrough {
  readonly name: string
  /** All keys of this engine start with it; own keys continue with anything but a zero byte. */
  readonly prefix: Key
  protected readonly context: EngineContext
  /** Set by the engine whose entries may change any range: see EDIT_HEADER. */
  readonly writesAnywhere: boolean = false
  /** Set by the engine that knows who the members are: then the engines above it ask it. */
  readonly providesMembership: Membership | undefined = undefined
  /** Set by the engine that answers reads by a lease: the topmost one. */
  readonly providesReads: LeasedReads | undefined = undefined
  /** Set by the engine that has replicated timers: then the layers above it get them. */
  readonly providesTimers: TimerService | undefined = undefined
  // As of the last commit (propose side), and as of the entry being applied, which may be ahead within one transaction.
  private committed: EngineFlags = { enabled: false, level: 0 }
  private applying: EngineFlags = this.committed

  constructor(name: string, context: EngineContext) {
    super(context.below)
    this.name = name
    this.prefix = subStorePrefix(name)
    this.context = context
  }

  /** Committed flags: what propose and background work go by. */
  get flags(): EngineFlags {
    return this.committed
  }

  /** Flags as of the entry being applied: what apply goes by. */
  get flagsInApply(): EngineFlags {
    return this.applying
  }

  /**
   * Called before anything is applied, with the committed state, and in apply when its own range was edited: read caches
   * here. Overriders call super.
   */
  load(tx: ReadTx): void {
    this.committed = readFlags(tx, this.name)
    this.applying = this.committed
    this.requireLevel(this.committed.level)
  }

  /**
   * Called in apply when an operator has edited these rows, of whatever range: what memory holds of the own one is read anew. A
   * layer may write its own range. Overriders call super.
   */
  edited(tx: ReadWriteTx, keys: readonly Key[], _pos: LogPos): void {
    if (keys.some((key) => key.startsWith(this.prefix))) this.load(tx)
  }

  /** Called once when this server has caught up: background work may begin. */
  serving(): void {
    // Most engines have no background work.
  }

  /** Ends background work and rejects what waits here. The layers above have stopped, the layer below has not. */
  async stop(): Promise<void> {
    // Most engines hold nothing.
  }

  /** What an operator must look at now; one sentence each, at most 16. Shown in status, metrics and log. */
  alarms(): readonly string[] {
    return []
  }

  /** What this engine says of itself in `delos stack`: few, flat, JSON. */
  details(): Readonly<Record<string, string | number | boolean>> {
    return {}
  }

  /** Asks for a switch through the log. Resolves with what apply decided, the same on all servers. */
  proposeChange(change: FlagChange): Promise<FlagOutcome> {
    const missing = this.missingFor(change)
    // An entry that changes nothing is not made: it would stop the servers whose stack lacks the engine.
    if (missing.length > 0) {
      const flags = this.committed
      const isOff = change.kind === 'flag' && !change.enabled
      return Promise.resolve(isOff ? { kind: 'switched', flags } : { kind: 'refused', flags, missing })
    }
    return new Promise((resolve, reject: (error: DelosError) => void) => {
      // Must-understand: a server without this engine would not write the flags and so diverge; it must stop instead.
      this.below.propose(controlEntry(this.name, encodeFlagChange(change), true), {
        resolve: (result) => resolve(result as FlagOutcome),
        reject,
      })
    })
  }

  override apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): unknown {
    if (entry.headers.size === 0) return this.applyEntry(tx, entry, pos, undefined)
    const own = entry.headers.get(this.name)
    if (own !== undefined && isFlagHeader(own.bytes)) return this.applySwitch(tx, own, pos)
    return this.applyEntry(tx, entry, pos, own)
  }

  override postApply(entry: Entry, pos: LogPos, result: unknown): void {
    if (entry.headers.size === 0) {
      this.afterCommit(entry, pos, result, undefined)
      return
    }
    const own = entry.headers.get(this.name)
    if (own !== undefined && isFlagHeader(own.bytes)) {
      const outcome = result as FlagOutcome
      this.committed = outcome.flags
      this.switched(this.committed)
      this.context.switchApplied?.(this.name, decodeFlagChange(own.bytes), pos, outcome)
      return
    }
    this.afterCommit(entry, pos, result, own)
  }

  /** Apply of everything but the switch. `own` is this engine's header. The default passes the entry up. */
  protected applyEntry(tx: ReadWriteTx, entry: Entry, pos: LogPos, _own: Header | undefined): unknown {
    return this.above.apply(tx, entry, pos)
  }

  /** postApply of everything but the switch: an entry that applyEntry passed up is passed up here too. */
  protected afterCommit(entry: Entry, pos: LogPos, result: unknown, _own: Header | undefined): void {
    this.above.postApply(entry, pos, result)
  }

  /** In apply of a switch that was accepted: content that begins or ends with it. Deterministic; may write the own range if enabled. */
  protected applySwitched(_tx: ReadWriteTx, _flags: EngineFlags, _pos: LogPos): void {
    // Most engines begin with the next entry.
  }

  /** After the commit of a switch. */
  protected switched(_flags: EngineFlags): void {
    // Most engines look at the flags when they propose.
  }

  private applySwitch(tx: ReadWriteTx, own: Header, pos: LogPos): FlagOutcome {
    const change = decodeFlagChange(own.bytes)
    const { membership } = this.context
    // A view of several servers decides for all of them, this one included. A view of one, or of none, knows nothing of others
    // that accept: there each server would answer for itself, and their contents part.
    if (change.kind === 'level' && membership.members(tx).length <= 1) this.requireLevel(change.level)
    const outcome = applyFlagChange(tx, this.name, this.applying, change, membership)
    if (outcome.kind === 'switched') this.requireLevel(outcome.flags.level)
    this.applying = outcome.flags
    if (outcome.kind === 'switched') this.applySwitched(tx, outcome.flags, pos)
    return outcome
  }

  private missingFor(change: FlagChange): readonly string[] {
    if (change.kind === 'flag' && !change.enabled && this.committed.enabled) return []
    const { membership, serverId } = this.context
    const level = change.kind === 'flag' ? this.committed.level : change.level
    return level > this.levelKnown ? [serverId] : membership.missing(this.context.read(), this.name, level)
  }

  // A build that does not know how to behave at a level must stop before the entry that asks for it.
  private requireLevel(level: number): void {
    if (level <= this.levelKnown) return
    const message = `engine ${this.name} is at level ${level}, this build knows level ${this.levelKnown}`
    throw new DelosError('UNSUPPORTED', message)
  }

  private get levelKnown(): number {
    return this.context.levels.get(this.name) ?? 0
  }
}

/** Refuses an entry (a part of a batch) that carries a header which this stack lacks and must understand. */
export function refuseUnknownHeaders(entry: Entry, known: EngineLevels): void {
  for (let at = HeaderList.of(entry.headers); at.lesser !== undefined; at = at.lesser) {
    if (at.header.mustUnderstand && !known.has(at.name)) throw unknownHeader(at.name)
  }
}

/** Why a database stops before an entry with such a header. */
export function unknownHeader(name: string): DelosError {
  return new DelosError('UNSUPPORTED', `the entry needs engine ${name}, which this server's stack does not have`)
}
