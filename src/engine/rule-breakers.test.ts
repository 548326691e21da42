// The suite against engines that break one rule each: it must find every one of them.

import { describe, expect, it } from 'vitest'
import { openEngineServer } from '../../test/support/engine-harness.ts'
import { batchingEngine } from '../engines/batching-engine.ts'
import type { LogPos } from '../log/position.ts'
import type { ReadWriteTx } from '../store/local-store.ts'
import { engineConformance } from './engine.conformance.ts'
import type { Completion } from './engine.ts'
import { EngineLayer } from './engine-layer.ts'
import { type Entry, type Header, withHeader } from './entry.ts'
import type { EngineFactory } from './stack.ts'

const REVERSED = new Uint8Array([16])

/** Reverses the bytes of payloads on their way down, and back on their way up; counts nothing. The subclasses break it. */
class Reversing extends EngineLayer {
  override propose(entry: Entry, completion: Completion<unknown>): void {
    if (!this.flags.enabled || entry.payload === undefined) this.below.propose(entry, completion)
    else this.below.propose(withHeader(reversed(entry), this.name, REVERSED, true), completion)
  }

  protected override applyEntry(tx: ReadWriteTx, entry: Entry, pos: LogPos, own: Header | undefined): unknown {
    return this.above.apply(tx, own === undefined ? entry : reversed(entry), pos)
  }

  protected override afterCommit(entry: Entry, pos: LogPos, result: unknown, own: Header | undefined): void {
    this.above.postApply(own === undefined ? entry : reversed(entry), pos, result)
  }
}

function reversed(entry: Entry): Entry {
  return { ...entry, payload: Buffer.from(entry.payload as Uint8Array).reverse() }
}

class UnderstandsOnlyWhileEnabled extends Reversing {
  protected override applyEntry(tx: ReadWriteTx, entry: Entry, pos: LogPos, own: Header | undefined): unknown {
    return super.applyEntry(tx, entry, pos, this.flagsInApply.enabled ? own : undefined)
  }
}

/** What propose goes by is ahead of, or behind, the entry being applied. */
class GoesByTheCommittedFlag extends Reversing {
  protected override applyEntry(tx: ReadWriteTx, entry: Entry, pos: LogPos, own: Header | undefined): unknown {
    return super.applyEntry(tx, entry, pos, this.flags.enabled ? own : undefined)
  }
}

class WritesWhileDisabled extends Reversing {
  protected override applyEntry(tx: ReadWriteTx, entry: Entry, pos: LogPos, own: Header | undefined): unknown {
    tx.put(`${this.prefix}seen`, new Uint8Array(1))
    return super.applyEntry(tx, entry, pos, own)
  }
}

class WritesElsewhere extends Reversing {
  protected override applyEntry(tx: ReadWriteTx, entry: Entry, pos: LogPos, own: Header | undefined): unknown {
    if (this.flagsInApply.enabled) tx.put('conformance-probe\x00x', new Uint8Array(1))
    return super.applyEntry(tx, entry, pos, own)
  }
}

class RemembersInMemory extends Reversing {
  private seen = 0
  protected override applyEntry(tx: ReadWriteTx, entry: Entry, pos: LogPos, own: Header | undefined): unknown {
    this.seen++
    if (this.flagsInApply.enabled) tx.put(`${this.prefix}seen`, Buffer.from(String(this.seen)))
    return super.applyEntry(tx, entry, pos, own)
  }
}

class ForgetsPostApply extends Reversing {
  protected override afterCommit(entry: Entry, pos: LogPos, result: unknown, own: Header | undefined): void {
    if (own === undefined) super.afterCommit(entry, pos, result, own)
  }
}

class Reorders extends Reversing {
  private held: (() => void) | undefined
  override propose(entry: Entry, completion: Completion<unknown>): void {
    const go = () => this.below.propose(entry, completion)
    if (!this.flags.enabled) return go()
    if (this.held === undefined) {
      this.held = go
      queueMicrotask(() => {
        this.held?.()
        this.held = undefined
      })
    } else go()
  }
}

class KeepsTheResult extends Reversing {
  protected override applyEntry(tx: ReadWriteTx, entry: Entry, pos: LogPos, own: Header | undefined): unknown {
    const result = super.applyEntry(tx, entry, pos, own)
    return this.flagsInApply.enabled ? undefined : result
  }
}

const PLAIN = new Uint8Array([17])

/** At level 1 payloads stay as they are, and what an entry holds is read by its header. */
class PlainAtLevel1 extends Reversing {
  override propose(entry: Entry, completion: Completion<unknown>): void {
    if (!this.flags.enabled || this.flags.level === 0 || entry.payload === undefined) super.propose(entry, completion)
    else this.below.propose(withHeader(entry, this.name, PLAIN, true), completion)
  }

  protected override applyEntry(tx: ReadWriteTx, entry: Entry, pos: LogPos, own: Header | undefined): unknown {
    if (this.flagsInApply.enabled) tx.put(`${this.prefix}level`, new Uint8Array([this.flagsInApply.level]))
    return super.applyEntry(tx, entry, pos, isPlain(own) ? undefined : own)
  }

  protected override afterCommit(entry: Entry, pos: LogPos, result: unknown, own: Header | undefined): void {
    super.afterCommit(entry, pos, result, isPlain(own) ? undefined : own)
  }
}

function isPlain(own: Header | undefined): boolean {
  return own?.bytes[0] === PLAIN[0]
}

/** After the raise it takes what was written before for what it writes now. */
class MisreadsOldContent extends PlainAtLevel1 {
  protected override applyEntry(tx: ReadWriteTx, entry: Entry, pos: LogPos, own: Header | undefined): unknown {
    return super.applyEntry(tx, entry, pos, this.flagsInApply.level > 0 ? undefined : own)
  }
}

/** What its build can do it does, raised or not. */
class ActsByItsBuild extends PlainAtLevel1 {
  protected override applyEntry(tx: ReadWriteTx, entry: Entry, pos: LogPos, own: Header | undefined): unknown {
    const level = this.context.levels.get(this.name) ?? 0
    if (this.flagsInApply.enabled) tx.put(`${this.prefix}build`, new Uint8Array([level]))
    return super.applyEntry(tx, entry, pos, own)
  }
}

function factoryOf(Layer: typeof Reversing): EngineFactory {
  const name = 'reversing'
  return { name, levelMax: 1, neighbours: {}, create: (context) => new Layer(name, context) }
}

/** Runs the suite, and answers the first failure of each of its tests. */
async function failuresOf(Layer: typeof Reversing): Promise<string[]> {
  const bodies: [name: string, body: () => Promise<void> | void][] = []
  const framework = {
    describe: (_name: string, body: () => void) => body(),
    it: (name: string, body: () => Promise<void> | void) => bodies.push([name, body]),
    expect,
  }
  const others = [batchingEngine({ batchCountMax: 5 })]
  engineConformance('a liar', framework, { factory: factoryOf(Layer), others, open: openEngineServer, programs: 12 })
  const failures: string[] = []
  for (const [name, body] of bodies) {
    try {
      await body()
    } catch (error) {
      failures.push(`${name}: ${(error as Error).message}`)
    }
  }
  return failures
}

describe('the conformance suite of engines', () => {
  it('passes an engine that keeps the rules', async () => {
    expect(await failuresOf(Reversing)).toEqual([])
    expect(await failuresOf(PlainAtLevel1)).toEqual([])
  })

  it.each([
    ['does not understand content while it is disabled', UnderstandsOnlyWhileEnabled],
    ['goes in apply by the flag of propose', GoesByTheCommittedFlag],
    ['writes before it is enabled', WritesWhileDisabled],
    ['writes outside its range', WritesElsewhere],
    ['writes what it remembers of earlier entries', RemembersInMemory],
    ['does not pass up postApply', ForgetsPostApply],
    ['changes the order', Reorders],
    ['returns another result', KeepsTheResult],
    ['misreads content of a lower level once the level is raised', MisreadsOldContent],
    ['acts by the level of its build, not by the replicated one', ActsByItsBuild],
  ])('catches one that %s', async (_what, Layer) => {
    expect(await failuresOf(Layer)).not.toEqual([])
  })
})
