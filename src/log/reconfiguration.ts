// Changing the chain of a running log: extend and roll-forward, truncate, modify, and what operators do by hand. Any server
// may do any of it at any time; the compare-and-set of the metastore picks the winner.
//
// An attempt is: read the chain, create a successor with a fresh nonce, seal, learn the tail, compare-and-set on the version
// that was read. A loser destroys only what it created. A successor created before somebody else's edit can therefore never
// enter the chain after it, which is what makes the sweep of orphans safe.

import { DelosError } from '../base/delos-error.ts'
import { activeSegment, type Chain, type ChainSegment, chainNames } from './chain/chain.ts'
import {
  type Edited,
  extendChain,
  firstChain,
  modifyChain,
  repairInChain,
  type StoppedAt,
  touchChain,
  truncateChain,
  voidInChain,
} from './chain/chain-edits.ts'
import type { ChainRegister } from './chain-register.ts'
import { allEnded } from './deadline.ts'
import type { ResolvedLogOptions } from './log-options.ts'
import type { Loglet, LogletConfig, LogletRecipe } from './loglet.ts'
import type { LogletHandles } from './loglet-handles.ts'
import type { LogletOffset, LogPos } from './position.ts'

const ATTEMPTS_MAX = 20
const COMPARE_BYTES = 1024 * 1024

export type ExtendOutcome =
  /** The log goes on in a loglet of the recipe asked for. */
  | { readonly kind: 'extended'; readonly chain: Chain }
  /** Somebody else's reconfiguration won: look at the chain and ask again if it is not what you want. */
  | { readonly kind: 'superseded'; readonly chain: Chain }

export class Reconfiguration {
  private readonly register: ChainRegister
  private readonly handles: LogletHandles
  private readonly options: ResolvedLogOptions

  constructor(register: ChainRegister, handles: LogletHandles, options: ResolvedLogOptions) {
    this.register = register
    this.handles = handles
    this.options = options
  }

  /** A configuration that nobody ever used. */
  mint(recipe: LogletRecipe): LogletConfig {
    return { kind: recipe.kind, params: recipe.params, nonce: this.newIdentity() }
  }

  newIdentity(): string {
    return Buffer.from(this.options.random.bytes(12)).toString('hex')
  }

  /**
   * Writes the first chain of an empty metastore, or adopts the one that somebody else wrote first. Rejects with CORRUPT if a
   * loglet holds entries: it was in a chain, and that chain is lost.
   */
  async bootstrap(initial: LogletRecipe | undefined): Promise<void> {
    if (!initial) throw new DelosError('NOT_FOUND', 'the metastore holds no chain')
    const used = await this.handles.findUsed()
    // Entries come after the chain that names their loglet: if somebody else has just written it, it is there by now.
    if (used && (await this.register.refresh())) return
    if (used) throw lostChain(used)
    const config = await this.create(initial)
    try {
      const result = await this.register.compareAndSet(
        undefined,
        firstChain(config, this.newIdentity(), this.options.initialStart),
      )
      if (result === 'lost') await this.discard(config)
    } catch (error) {
      if (!isIndeterminate(error)) await this.discard(config)
      throw error
    } finally {
      this.handles.settle(config)
    }
  }

  /** Seals the active loglet and goes on in a new one. Once begun it runs to its end. */
  async extend(recipe: LogletRecipe): Promise<ExtendOutcome> {
    let chain = await this.fetch()
    const { nonce } = activeSegment(chain).config
    for (let attempt = 0; attempt < ATTEMPTS_MAX && activeSegment(chain).config.nonce === nonce; attempt++) {
      const base = chain
      const result = await this.attemptOrRollForward(base, recipe).catch((error) => this.lostIfMoved(base, error))
      if (result === 'won') return { kind: 'extended', chain: this.register.chain }
      chain = await this.fetch()
    }
    return { kind: 'superseded', chain }
  }

  /** Completes the reconfiguration that somebody began by sealing the active loglet of `chain`. */
  async rollForward(chain: Chain): Promise<void> {
    let successor: LogletRecipe | undefined
    try {
      const active = await this.handles.open(activeSegment(chain).config)
      successor = (await active.checkTail()).successor
    } catch (error) {
      await this.lostIfMoved(chain, error)
    }
    if (!successor) return
    this.options.onEvent('roll-forward')
    await this.attempt(chain, successor).catch((error: unknown) => this.lostIfMoved(chain, error))
  }

  /** Drops segments that lie wholly below `upTo` from the chain, then destroys their loglets, which must be trimmed. */
  async truncate(upTo: LogPos): Promise<void> {
    const dropped = await this.editAndCompare((chain, edit) => truncateChain(chain, upTo, edit))
    if (!dropped) return
    this.options.onEvent('truncated')
    await allEnded(dropped.map(({ config }) => this.handles.destroy(config)))
  }

  /**
   * Replaces the loglet of the sealed segment that starts at `start` by `config`, which must exist and hold a copy: it is
   * compared entry by entry first. Rejects with MISMATCH if it serves anything else, CONFLICT if the chain is against it.
   * Until it is in the chain another server's sweep would take the copy for an orphan: let none run meanwhile.
   */
  async modify(start: LogPos, config: LogletConfig): Promise<void> {
    this.handles.hold(config)
    try {
      await this.replaceLoglet(start, config)
    } finally {
      this.handles.settle(config)
    }
  }

  private async replaceLoglet(start: LogPos, config: LogletConfig): Promise<void> {
    const segment = (await this.fetch()).segments.find((candidate) => candidate.start === start)
    if (segment?.end === undefined) throw new DelosError('CONFLICT', `no sealed segment starts at ${start}`)
    const length = (segment.end - start) as LogletOffset
    await compareLoglets(await this.handles.open(segment.config), await this.handles.open(config), length)
    const replaced = await this.editAndCompare((chain, edit) =>
      sameLogletAt(chain, segment)
        ? modifyChain(chain, start, config, edit)
        : { kind: 'rejected', reason: `the segment at ${start} was changed by somebody else` },
    )
    if (!replaced) throw new DelosError('CONFLICT', `the segment at ${start} can't be modified`)
    this.options.onEvent('modified')
    await this.discard(segment.config)
  }

  /**
   * Voids a position: every server that has not passed it yet applies it as a no-op. The caller knows that none has; see StoppedAt.
   * `note` is an entry behind it that is applied in front of it.
   */
  async voidPosition(pos: LogPos, stopped?: StoppedAt, note?: LogPos): Promise<void> {
    await this.editOrRefuse((chain, edit) => voidInChain(chain, pos, edit, stopped, note))
    this.options.onEvent('voided')
  }

  /** Every server that has not passed that position yet applies the entry at `entry`, which lies behind it, first. As with voids. */
  async repairPosition(stopped: StoppedAt, entry: LogPos): Promise<void> {
    await this.editOrRefuse((chain, edit) => repairInChain(chain, stopped, entry, edit))
    this.options.onEvent('repaired')
  }

  private async editOrRefuse(edit: (chain: Chain, identity: string) => Edited): Promise<void> {
    let reason = ''
    const done = await this.editAndCompare((chain, identity) => {
      const edited = edit(chain, identity)
      if (edited.kind === 'rejected') reason = edited.reason
      return edited
    })
    if (!done) throw new DelosError('CONFLICT', reason)
  }

  /**
   * Leaves an active loglet that can no longer be sealed: the segment that starts at `start` ends at `end` without asking
   * it. Entries at or past `end` are gone, acknowledged or not, so the caller makes sure that the engine is fenced (nobody
   * can append to it) and names the highest durable cursor of any server.
   */
  async forceEnd(
    start: LogPos,
    end: LogPos,
    recipe: LogletRecipe,
    proof: { readonly fenced: true; readonly durableCursor: LogPos },
  ): Promise<void> {
    const chain = await this.fetch()
    const active = activeSegment(chain)
    if (!proof.fenced) throw new DelosError('INVALID_ARGUMENT', 'the engine of the segment must be fenced first')
    if (active.start !== start)
      throw new DelosError('CONFLICT', `the open segment starts at ${active.start}, not ${start}`)
    if (end < proof.durableCursor) {
      throw new DelosError('INVALID_ARGUMENT', `end ${end} is below the durable cursor ${proof.durableCursor}`)
    }
    const result = await this.enterChain(chain, end, await this.create(recipe))
    if (result === 'lost') throw new DelosError('CONFLICT', 'somebody else changed the chain first')
    this.options.onEvent('forced end')
  }

  /** Destroys loglets that the chain does not name and never will. */
  async sweepOrphans(): Promise<void> {
    const existing = await this.handles.list()
    const isOrphan = (config: LogletConfig) =>
      !chainNames(this.register.chain, config.nonce) && !this.handles.isHeld(config)
    const base = await this.fetch()
    const orphans = existing.filter(isOrphan)
    if (orphans.length === 0) return
    // Whoever created one of them read the chain before this edit, so its compare-and-set fails.
    const touched = touchChain(base, this.newIdentity())
    if (touched.kind === 'rejected' || (await this.register.compareAndSet(base, touched.chain)) === 'lost') return
    // Looked at again: a copy among them may have entered the chain here meanwhile.
    for (const config of orphans) {
      if (!isOrphan(config)) continue
      await this.handles.destroy(config)
      this.options.onEvent('orphan destroyed')
    }
  }

  // If the loglet was sealed with another intention before, that one is completed.
  private async attemptOrRollForward(chain: Chain, recipe: LogletRecipe): Promise<'won' | 'lost'> {
    const result = await this.attempt(chain, recipe)
    if (result === 'won' || result === 'lost') return result
    await this.rollForwardTo(chain, result, recipe)
    return 'lost'
  }

  /** One attempt on `chain`; a recipe if the loglet was sealed with that intention instead of `recipe`. */
  private async attempt(chain: Chain, recipe: LogletRecipe): Promise<'won' | 'lost' | LogletRecipe> {
    const config = await this.create(recipe)
    let end: LogPos
    try {
      const sealed = await this.seal(chain, recipe)
      if (!sameRecipe(sealed.successor, recipe)) {
        await this.discard(config)
        return sealed.successor
      }
      end = sealed.end
    } catch (error) {
      await this.discard(config)
      throw error
    }
    return this.enterChain(chain, end, config)
  }

  // A loglet that goes away amid an attempt was replaced by somebody else's.
  private async lostIfMoved(chain: Chain, error: unknown): Promise<'lost'> {
    const fresh = await this.fetch()
    if (activeSegment(fresh).config.nonce === activeSegment(chain).config.nonce) throw error
    this.options.onEvent('lost race')
    return 'lost'
  }

  // An intention that can't be carried out (its engine is gone) must not hold the log for ever: then `recipe` takes its place.
  private async rollForwardTo(chain: Chain, intention: LogletRecipe, recipe: LogletRecipe): Promise<void> {
    this.options.onEvent('roll-forward')
    const { end } = await this.seal(chain, intention)
    const config = await this.create(intention).catch(() => this.create(recipe))
    await this.enterChain(chain, end, config)
  }

  private async seal(chain: Chain, recipe: LogletRecipe): Promise<{ end: LogPos; successor: LogletRecipe }> {
    const { start, config } = activeSegment(chain)
    const { tail, successor } = await (await this.handles.open(config)).seal(recipe)
    return { end: (start + tail) as LogPos, successor: successor ?? recipe }
  }

  private async create(recipe: LogletRecipe): Promise<LogletConfig> {
    const config = this.mint(recipe)
    try {
      await this.handles.create(config)
    } catch (error) {
      // It may exist in part. An attempt that fails again and again must not fill what it could not create on.
      await this.discard(config)
      throw error
    }
    return config
  }

  // What can't be removed now is an orphan: the sweep meets it. The failure that led here is the one to tell.
  private async discard(config: LogletConfig): Promise<void> {
    await this.handles.destroy(config).catch(() => this.handles.settle(config))
  }

  // With INDETERMINATE the new loglet may be in the chain: it stays, and the sweep removes it if it is not.
  private async enterChain(chain: Chain, end: LogPos, config: LogletConfig): Promise<'won' | 'lost'> {
    const edited = extendChain(chain, end, config, this.newIdentity())
    if (edited.kind === 'rejected') {
      await this.discard(config)
      throw new DelosError('INVALID_ARGUMENT', edited.reason)
    }
    try {
      const result = await this.register.compareAndSet(chain, edited.chain)
      if (result === 'lost') {
        this.options.onEvent('lost race')
        await this.discard(config)
        return result
      }
    } catch (error) {
      if (!isIndeterminate(error)) await this.discard(config)
      throw error
    } finally {
      this.handles.settle(config)
    }
    this.options.onEvent('extended')
    const before = activeSegment(chain)
    if (end === before.start) await this.handles.destroy(before.config)
    return 'won'
  }

  /** Makes an edit, again on the winner's chain after a lost race; resolves with what it removed, undefined if rejected. */
  private async editAndCompare(
    edit: (chain: Chain, identity: string) => Edited,
  ): Promise<readonly ChainSegment[] | undefined> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const base = await this.fetch()
      const edited = edit(base, this.newIdentity())
      if (edited.kind === 'rejected') return undefined
      if ((await this.register.compareAndSet(base, edited.chain)) === 'won') {
        return base.segments.filter((segment) => !edited.chain.segments.some((s) => sameLoglet(s, segment)))
      }
      this.options.onEvent('lost race')
    }
    throw new DelosError('OVERLOADED', `the chain was changed by others ${ATTEMPTS_MAX} times in a row`)
  }

  private async fetch(): Promise<Chain> {
    const chain = await this.register.refresh()
    if (!chain) throw new DelosError('NOT_FOUND', 'the metastore holds no chain')
    return chain
  }
}

function lostChain({ kind, nonce }: LogletConfig): DelosError {
  const message =
    `the metastore holds no chain, but the ${kind} loglet ${nonce} holds entries: what named it is lost. ` +
    'Restore the register of the metastore; nothing was changed'
  return new DelosError('CORRUPT', message)
}

function isIndeterminate(error: unknown): boolean {
  return error instanceof DelosError && error.code === 'INDETERMINATE'
}

function sameLoglet(a: ChainSegment, b: ChainSegment): boolean {
  return a.config.nonce === b.config.nonce
}

function sameLogletAt(chain: Chain, segment: ChainSegment): boolean {
  return chain.segments.some((other) => other.start === segment.start && sameLoglet(other, segment))
}

/** Recipes are equal if kind and every parameter are, in any order. */
export function sameRecipe(a: LogletRecipe, b: LogletRecipe): boolean {
  const names = Object.keys(a.params)
  if (a.kind !== b.kind || names.length !== Object.keys(b.params).length) return false
  return names.every((name) => a.params[name] === b.params[name])
}

/** Rejects with MISMATCH unless both serve the same entries of [trim point of `a`, length). */
async function compareLoglets(a: Loglet, b: Loglet, length: LogletOffset): Promise<void> {
  let at = a.trimPoint
  while (at < length) {
    const read = await a.readNext(at, length, COMPARE_BYTES)
    const next = read.next
    if (next === at) throw new DelosError('MISMATCH', `the sealed loglet serves nothing at offset ${at}`)
    // What was trimmed meanwhile is nobody's concern.
    const copied = await readAll(b, read.trimmedTo ?? at, next)
    const equal = copied.length === read.entries.length && read.entries.every((entry, i) => isEqual(entry, copied[i]))
    if (!equal) throw new DelosError('MISMATCH', `the copy differs in offsets ${at} to ${next}`)
    at = next
  }
}

type LogletEntries = Awaited<ReturnType<Loglet['readNext']>>['entries']

function isEqual(a: LogletEntries[number], b: LogletEntries[number] | undefined): boolean {
  return b !== undefined && a.offset === b.offset && Buffer.compare(a.bytes, b.bytes) === 0
}

async function readAll(loglet: Loglet, from: LogletOffset, to: LogletOffset): Promise<LogletEntries[number][]> {
  const entries: LogletEntries[number][] = []
  let at = from
  while (at < to) {
    const read = await loglet.readNext(at, to, COMPARE_BYTES)
    if (read.next === at || read.trimmedTo !== undefined) break
    entries.push(...read.entries)
    at = read.next
  }
  return entries
}
