// SessionOrder: must stand above ViewTracking, where present, and below Batching. Applies the proposals of one server in the
// order in which propose was called, each once, although the log reorders, repeats or loses; with any number in flight.
//
// An epoch is the position of an `open` entry of a server; applying it closes the server's former epoch. A proposal carries
// (epoch, sequence number), and apply passes up only the next number of an open epoch. What it drops, the origin proposes
// again. Here: what apply decides, and the glue; sequencer.ts has the propose half, epoch-table.ts the replicated state.

import type { Completion } from '../../engine/engine.ts'
import { type EngineFlags, isFlagHeader } from '../../engine/engine-flags.ts'
import { type EngineContext, EngineLayer } from '../../engine/engine-layer.ts'
import type { Entry, Header } from '../../engine/entry.ts'
import type { EngineFactory } from '../../engine/stack.ts'
import type { LogPos } from '../../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { CLOSED, EpochTable, Filtered } from './epoch-table.ts'
import { type OpenHeader, readOrderHeader, type SequenceHeader } from './order-codec.ts'
import { SESSION_ORDER_LIMITS, type SessionOrderLimits } from './order-limits.ts'
import { Sequencer } from './sequencer.ts'

export const SESSION_ORDER = 'session-order'

export type SessionOrderOptions = Partial<SessionOrderLimits>

export function sessionOrderEngine(options: SessionOrderOptions = {}): EngineFactory {
  return {
    name: SESSION_ORDER,
    levelMax: 0,
    neighbours: { notBelow: ['view-tracking'] },
    create: (context) => new SessionOrderEngine(context, { ...SESSION_ORDER_LIMITS, ...options }),
  }
}

export class SessionOrderEngine extends EngineLayer {
  protected readonly epochs: EpochTable
  protected readonly sequencer: Sequencer
  private readonly life: number
  private served = false
  /** As of the entry being applied, before it: to know a switch from a repetition. */
  private wasEnabled = false
  /** What was read last: an entry alone in its transaction is read once for apply and postApply. */
  private lastOwn: Header | undefined
  private lastRead: OpenHeader | SequenceHeader | undefined
  private readonly filtered = { duplicate: 0, early: 0, closed: 0 }

  constructor(context: EngineContext, limits: SessionOrderLimits) {
    super(SESSION_ORDER, context)
    this.epochs = new EpochTable(this.prefix)
    this.life = context.random.uint32() * 0x1_0000 + (context.random.uint32() >>> 16)
    this.sequencer = new Sequencer({
      ...limits,
      name: SESSION_ORDER,
      propose: (entry, completion) => this.below.propose(entry, completion),
      serverId: context.serverId,
      life: this.life,
      timers: context.timers,
      storedEpoch: () => this.epochs.find(context.read(), context.serverId)?.epoch ?? 0,
      stopDatabase: (error) => context.stopDatabase(error),
    })
  }

  override propose(entry: Entry, completion: Completion<unknown>): void {
    this.sequencer.propose(entry, completion)
  }

  override load(tx: ReadTx): void {
    super.load(tx)
    this.wasEnabled = this.flags.enabled
    this.epochs.forget()
  }

  override serving(): void {
    this.served = true
    if (this.flags.enabled) this.begin()
  }

  override async stop(): Promise<void> {
    this.sequencer.stop()
  }

  override details(): Readonly<Record<string, string | number | boolean>> {
    const { counts, epoch, queue, state } = this.sequencer
    return {
      state,
      epoch,
      outstanding: queue.length,
      outstandingBytes: queue.bytes,
      epochsOpened: counts.epochs,
      reproposed: counts.reproposed,
      filteredDuplicate: this.filtered.duplicate,
      filteredEarly: this.filtered.early,
      filteredClosed: this.filtered.closed,
    }
  }

  /** A new life of this server begins to give out numbers. */
  protected begin(): void {
    this.sequencer.begin()
  }

  override apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): unknown {
    const own = entry.headers.get(SESSION_ORDER)
    if (own === undefined) return this.above.apply(tx, entry, pos)
    return isFlagHeader(own.bytes) ? super.apply(tx, entry, pos) : this.applyOrdered(tx, entry, pos, own)
  }

  override postApply(entry: Entry, pos: LogPos, result: unknown): void {
    const own = entry.headers.get(SESSION_ORDER)
    if (own === undefined) this.above.postApply(entry, pos, result)
    else if (isFlagHeader(own.bytes)) super.postApply(entry, pos, result)
    else this.afterOrdered(entry, pos, result, own)
  }

  private applyOrdered(tx: ReadWriteTx, entry: Entry, pos: LogPos, own: Header): unknown {
    const header = this.read(own)
    const { enabled } = this.flagsInApply
    if (header.kind === 'open') return enabled && this.epochs.open(tx, pos, header.serverId, header.replaces)
    // Disabling closes every epoch, and the rows go when it is enabled again: whatever has a number was dropped everywhere,
    // and its origin proposes it without one.
    const reason = enabled ? this.epochs.accept(tx, header.epoch, header.sequence, pos) : CLOSED
    return reason ?? this.above.apply(tx, entry, pos)
  }

  private afterOrdered(entry: Entry, pos: LogPos, result: unknown, own: Header): void {
    const header = this.read(own)
    if (header.kind === 'open') {
      if (result !== true || header.serverId !== this.context.serverId) return
      if (header.life === this.life) this.sequencer.opened(pos)
      else this.sequencer.takenOver(pos)
      return
    }
    const mine = header.epoch === this.sequencer.epoch
    if (result instanceof Filtered) {
      this.filtered[result.kind]++
      if (mine) this.sequencer.dropped(header.sequence, result.kind)
      return
    }
    this.above.postApply(entry, pos, result)
    if (mine) this.sequencer.accepted(header.sequence, result)
  }

  private read(own: Header): OpenHeader | SequenceHeader {
    if (own !== this.lastOwn) {
      this.lastRead = readOrderHeader(own.bytes)
      this.lastOwn = own
    }
    return this.lastRead as OpenHeader | SequenceHeader
  }

  protected override applySwitched(tx: ReadWriteTx, flags: EngineFlags): void {
    if (flags.enabled && !this.wasEnabled) this.epochs.clear(tx)
    this.wasEnabled = flags.enabled
  }

  protected override switched(flags: EngineFlags): void {
    if (!flags.enabled) this.sequencer.disabled()
    else if (this.served) this.begin()
  }
}
