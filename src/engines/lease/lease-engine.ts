// Lease: topmost. One server holds a lease through the log; while it does, what other servers propose is rejected with its address, so
// nothing that clients see changes except by an entry of the holder, and it answers linearizable reads from its own store without a
// round trip. Timers that fire meanwhile wait for the holder; control entries of the engines below pass always.
//
// In apply no time ends a lease: it is held until an entry names its epoch and releases or takes it. Not here: clocks (grant.ts),
// when to take and renew (lease-keeper.ts), the replicated state (lease-record.ts).

import { DelosError } from '../../base/delos-error.ts'
import type { Key } from '../../base/key.ts'
import type { Completion } from '../../engine/engine.ts'
import {
  decodeFlagChange,
  type EngineFlags,
  type FlagChange,
  type FlagOutcome,
  isFlagHeader,
} from '../../engine/engine-flags.ts'
import { type EngineContext, EngineLayer } from '../../engine/engine-layer.ts'
import { controlEntry, type Entry, type Header, RAISED_HEADERS, withHeader } from '../../engine/entry.ts'
import { type LeasedReads, LeaseHeld, type LeaseHolder } from '../../engine/leased-reads.ts'
import type { EngineFactory } from '../../engine/stack.ts'
import type { LogPos } from '../../log/position.ts'
import type { Timer } from '../../runtime/runtime.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { decodeLeaseHeader, encodeLeaseHeader, type LeaseHeader } from './lease-codec.ts'
import { LeaseKeeper, type LeaseKeeperOptions } from './lease-keeper.ts'
import { LeaseRecord } from './lease-record.ts'
import { Filtered, LeasedCompletion } from './leased-completion.ts'
import { OwnUpdates } from './own-updates.ts'
import { ShownTx } from './shown-tx.ts'

export const LEASE = 'lease'

export type LeaseOptions = LeaseKeeperOptions

export const LEASE_OPTIONS: LeaseOptions = { durationMs: 3_000, marginMs: 300, wants: false, address: '' }

/** How long a read waits for the holder to have seen an edit. */
const EDIT_SEEN_MS = 10_000
const RELEASE_MS = 500
/** Updates that wait until the lease is taken, which is one entry: so many, or so large. */
const LATER_MAX = 10_000
const LATER_BYTES_MAX = 64 * 1024 * 1024

export function leaseEngine(options: Partial<LeaseOptions> = {}): EngineFactory {
  return {
    name: LEASE,
    levelMax: 0,
    neighbours: { topmost: true },
    create: (context) => new LeaseEngine(context, { ...LEASE_OPTIONS, ...options }),
  }
}

/** What apply answers to what waits for the holder now, and to control entries that are no concern of the database. */
const HELD_BACK = Symbol('held back')

/** What apply of a `fire` answers when it let something through. */
class Raised {
  readonly entry: Entry
  readonly result: unknown

  constructor(entry: Entry, result: unknown) {
    this.entry = entry
    this.result = result
  }
}

export class LeaseEngine extends EngineLayer implements LeasedReads {
  override readonly providesReads: LeasedReads = this
  protected readonly record: LeaseRecord
  protected readonly keeper: LeaseKeeper
  private readonly own = new OwnUpdates()
  private readonly seen: (() => void)[] = []
  private caughtUp = false
  private position = 0 as LogPos
  private readonly reads = { leased: 0, other: 0 }
  private filtered = 0
  private readonly later = { count: 0, bytes: 0 }
  /** The header of the present epoch's updates. */
  private stamp: Uint8Array = new Uint8Array(0)
  private stampEpoch = 0

  constructor(context: EngineContext, options: LeaseOptions) {
    super(LEASE, context)
    const { clock, serverId, timers } = context
    this.record = new LeaseRecord(this.prefix)
    this.keeper = new LeaseKeeper({
      ...options,
      serverId,
      clock,
      timers,
      record: this.record,
      usableMs: this.usableMs(options),
      propose: (header, completion) => this.proposeControl(header, completion),
      applied: () => this.position,
      heldBack: (limit) => this.record.heldBack(context.read(), limit),
    })
  }

  /** Apart, so that a simulation can plant the bug. */
  protected usableMs({ durationMs, marginMs }: LeaseOptions): number {
    return durationMs - marginMs
  }

  // ── reads ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  get holder(): LeaseHolder | undefined {
    const { address, held, serverId } = this.record.state
    return held ? { serverId, address } : undefined
  }

  tryRead<T>(use: (tx: ReadTx) => T): { readonly value: T } | undefined {
    return this.own.count > 0 ? undefined : this.leased(use)
  }

  /** All updates that were under way when it was asked for have ended. */
  protected leased<T>(use: (tx: ReadTx) => T): { readonly value: T } | undefined {
    if (this.keeper.epoch === 0) return undefined
    const value = use(this.context.read())
    // After the read: a process that stood still in between has read what was true then, or says nothing.
    if (!this.keeper.isUsable) return undefined
    this.reads.leased++
    return { value }
  }

  async read<T>(use: (tx: ReadTx) => T): Promise<T> {
    if (this.keeper.isUsable) await this.own.settled()
    const leased = this.leased(use)
    if (leased !== undefined) return leased.value
    this.reads.other++
    return use(await this.sync())
  }

  /** While another server holds the lease, an edit that it may not have seen yet must not be shown here before. */
  override sync(): Promise<ReadTx> {
    const synced = this.below.sync()
    return this.record.state.held || this.flags.enabled ? this.shownSync(synced) : synced
  }

  private async shownSync(synced: Promise<ReadTx>): Promise<ReadTx> {
    await synced
    // More may have been applied by the time that this goes on.
    while (this.isHidden) await this.editSeen()
    return new ShownTx(this.context.read(), () => this.isHidden)
  }

  private get isHidden(): boolean {
    const { edited, held, serverId } = this.record.state
    return held && edited > 0 && serverId !== this.context.serverId && !this.keeper.isOver
  }

  private editSeen(): Promise<void> {
    const { clock, timers } = this.context
    const endMs = clock.monotonicMs() + EDIT_SEEN_MS
    return new Promise((resolve, reject) => {
      let timer: Timer | undefined
      const look = (): void => {
        timer?.cancel()
        const at = this.seen.indexOf(look)
        if (at >= 0) this.seen.splice(at, 1)
        if (!this.isHidden) resolve()
        else if (clock.monotonicMs() >= endMs)
          reject(new DelosError('TIMEOUT', 'the holder of the lease has not seen an edit yet'))
        else {
          this.seen.push(look)
          timer = timers.after(100, look)
        }
      }
      look()
    })
  }

  // ── propose ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  override propose(entry: Entry, completion: Completion<unknown>): void {
    // Behind the entry that takes it, and without its epoch, this server would filter its own update.
    if (this.keeper.taking === undefined) this.proposeNow(entry, completion)
    else this.proposeLater(entry, completion, this.keeper.taking)
  }

  private proposeLater(entry: Entry, completion: Completion<unknown>, taken: Promise<unknown>): void {
    const { later } = this
    const bytes = entry.payload?.length ?? 0
    if (later.count >= LATER_MAX || later.bytes + bytes > LATER_BYTES_MAX) {
      const message = `${later.count} updates of ${later.bytes} bytes wait until the lease is taken`
      completion.reject(
        new DelosError('OVERLOADED', `${message}, at most ${LATER_MAX} and ${LATER_BYTES_MAX} bytes may`),
      )
      return
    }
    later.count++
    later.bytes += bytes
    // Promise reactions keep their order.
    void taken.then(() => {
      later.count--
      later.bytes -= bytes
      this.proposeNow(entry, completion)
    })
  }

  private proposeNow(entry: Entry, completion: Completion<unknown>): void {
    const { context, keeper, record } = this
    const { address, held, serverId } = record.state
    const { epoch } = keeper
    if (held && epoch === 0) {
      const isOwn = serverId === context.serverId
      completion.reject(
        isOwn
          ? new DelosError('NOT_READY', 'the lease of this server\u2019s former life is still held')
          : new LeaseHeld({ serverId, address }),
      )
      return
    }
    if (epoch === 0) {
      this.below.propose(entry, new LeasedCompletion(completion))
      return
    }
    if (epoch !== this.stampEpoch) {
      this.stampEpoch = epoch
      this.stamp = encodeLeaseHeader({ kind: 'update', epoch })
    }
    const stamped = withHeader(entry, LEASE, this.stamp, true)
    this.below.propose(stamped, this.ownCompletion(completion, epoch))
  }

  /** Of an update of the holder: reads by the lease wait for it, or end with it. */
  private ownCompletion(completion: Completion<unknown>, epoch: number): Completion<unknown> {
    const number = this.own.begin()
    return new LeasedCompletion(completion, (indeterminate) => {
      if (indeterminate) this.keeper.spoil(epoch)
      this.own.end(number)
    })
  }

  /** Something that an engine below raised waits for whoever may let it through. */
  get isHoldingBack(): boolean {
    return this.record.heldBackCount > 0
  }

  /** Ends the lease, also that of another server once it is silent for its whole duration. Not taken again before `serving`. */
  async end(): Promise<void> {
    if (this.record.state.held && this.keeper.epoch === 0) await this.keeper.take()
    await this.keeper.release()
  }

  private proposeControl(header: LeaseHeader, completion: Completion<unknown>): void {
    const entry = controlEntry(LEASE, encodeLeaseHeader(header), true)
    // What it lets through is seen where it is applied, like an update.
    const visible = header.kind === 'fire' && header.epoch !== 0
    this.below.propose(entry, visible ? this.ownCompletion(completion, header.epoch) : completion)
  }

  // ── apply ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  override load(tx: ReadTx): void {
    super.load(tx)
    this.record.load(tx)
  }

  override apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): unknown {
    this.position = (pos + 1) as LogPos
    const own = entry.headers.size === 0 ? undefined : entry.headers.get(LEASE)
    if (own !== undefined && switchesOff(own) && this.isInUse) {
      // The holder would go on to read by a lease that holds nobody back any more.
      const { serverId } = this.record.state
      return { kind: 'refused', flags: this.flagsInApply, missing: [serverId] } satisfies FlagOutcome
    }
    return super.apply(tx, entry, pos)
  }

  protected override applyEntry(tx: ReadWriteTx, entry: Entry, pos: LogPos, own: Header | undefined): unknown {
    const header = own === undefined ? undefined : decodeLeaseHeader(own.bytes)
    if (header !== undefined && header.kind !== 'update') {
      return this.flagsInApply.enabled && this.admits(header) ? this.applyControl(tx, header, entry, pos) : undefined
    }
    const { held } = this.record.state
    if (!held || entry.payload === undefined) return this.above.apply(tx, entry, pos)
    return this.applyHeld(tx, entry, pos, header?.epoch ?? 0)
  }

  /** Control entries are never filtered, whoever holds the lease: or nobody could take it over. Apart, for simulations. */
  protected admits(_header: LeaseHeader): boolean {
    return true
  }

  private applyHeld(tx: ReadWriteTx, entry: Entry, pos: LogPos, epoch: number): unknown {
    const { address, epoch: now, serverId } = this.record.state
    if (epoch === now) return this.above.apply(tx, entry, pos)
    if (entry.headers !== RAISED_HEADERS) return new Filtered({ serverId, address })
    this.record.holdBack(tx, pos, entry.index, entry.payload as Uint8Array)
    return HELD_BACK
  }

  private applyControl(
    tx: ReadWriteTx,
    header: Exclude<LeaseHeader, { kind: 'update' }>,
    entry: Entry,
    pos: LogPos,
  ): unknown {
    const { record } = this
    switch (header.kind) {
      case 'take':
        return record.take(tx, header, pos) ? pos : false
      case 'renew':
        return record.renew(tx, header.epoch, header.applied, pos)
      case 'release':
        return record.release(tx, header.epoch)
      default: {
        const payload = record.takeHeldBack(tx, header.epoch, header)
        if (payload === undefined) return undefined
        const raised = { headers: RAISED_HEADERS, payload, index: entry.index }
        return new Raised(raised, this.above.apply(tx, raised, pos))
      }
    }
  }

  override edited(tx: ReadWriteTx, keys: readonly Key[], pos: LogPos): void {
    super.edited(tx, keys, pos)
    this.position = (pos + 1) as LogPos
    this.record.edited(tx, pos)
  }

  protected override afterCommit(entry: Entry, pos: LogPos, result: unknown, own: Header | undefined): void {
    const header = own === undefined ? undefined : decodeLeaseHeader(own.bytes)
    if (header === undefined || header.kind === 'update') {
      if (result instanceof Filtered) this.filtered++
      else if (result !== HELD_BACK) this.above.postApply(entry, pos, result)
    } else if (result instanceof Raised) this.above.postApply(result.entry, pos, result.result)
    else if (header.kind !== 'fire' && result !== false && result !== undefined) this.keeper.heard()
    for (const look of [...this.seen]) look()
  }

  // ── life ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

  override serving(): void {
    this.caughtUp = true
    if (this.flags.enabled) this.keeper.start()
  }

  override async stop(): Promise<void> {
    const { timers } = this.context
    const released = this.keeper.release()
    this.keeper.pause()
    let timer: Timer | undefined
    const late = new Promise<void>((resolve) => {
      timer = timers.after(RELEASE_MS, resolve)
    })
    await Promise.race([released, late])
    timer?.cancel()
  }

  protected override switched({ enabled }: EngineFlags): void {
    if (enabled && this.caughtUp) this.keeper.start()
    else if (!enabled) this.keeper.pause()
  }

  /** A lease that is held is given up first; that of another server only once it is silent for its whole duration. */
  override async proposeChange(change: FlagChange): Promise<FlagOutcome> {
    if (change.kind === 'flag' && !change.enabled && this.record.state.held) await this.end()
    const outcome = await super.proposeChange(change)
    // Somebody else was faster, or something waits still.
    if (outcome.flags.enabled && this.caughtUp && outcome.kind === 'refused') this.keeper.start()
    return outcome
  }

  private get isInUse(): boolean {
    return this.record.state.held || this.record.heldBackCount > 0
  }

  override details(): Readonly<Record<string, string | number | boolean>> {
    const { address, epoch, held, serverId } = this.record.state
    const { counts } = this.keeper
    return {
      holder: held ? serverId : '',
      address: held ? address : '',
      epoch,
      held: this.keeper.epoch !== 0,
      readsLeased: this.reads.leased,
      readsOther: this.reads.other,
      filtered: this.filtered,
      heldBack: this.record.heldBackCount,
      ...counts,
    }
  }
}

function switchesOff({ bytes }: Header): boolean {
  if (!isFlagHeader(bytes)) return false
  const change = decodeFlagChange(bytes)
  return change.kind === 'flag' && !change.enabled
}
