// An engine for tests of what engines have in common: numbers the proposals that pass while it is enabled, and keeps their
// count in its range. Level 1 counts double.

import type { Completion } from '../../src/engine/engine.ts'
import { OWN_KINDS_FROM } from '../../src/engine/engine-flags.ts'
import { type EngineContext, EngineLayer } from '../../src/engine/engine-layer.ts'
import { type Entry, type Header, withHeader } from '../../src/engine/entry.ts'
import type { Neighbours } from '../../src/engine/neighbours.ts'
import type { EngineFactory } from '../../src/engine/stack.ts'
import type { LogPos } from '../../src/log/position.ts'
import type { ReadTx, ReadWriteTx } from '../../src/store/local-store.ts'

export interface CountingOptions {
  readonly name?: string
  readonly levelMax?: number
  readonly neighbours?: Neighbours
  /** Breaks the contract in that way. */
  readonly fault?: 'writes elsewhere' | 'writes while disabled'
}

export function countingEngine(options: CountingOptions = {}): EngineFactory {
  const name = options.name ?? 'counting'
  return {
    name,
    levelMax: options.levelMax ?? 1,
    neighbours: options.neighbours ?? {},
    create: (context) => new CountingEngine(name, context, options.fault),
  }
}

/** What the engine has counted, as of `tx`. */
export function countOf(tx: ReadTx, name = 'counting'): number {
  const stored = tx.get(`${name}\x00count`)
  return stored === undefined ? 0 : Buffer.from(stored).readUInt32BE()
}

class CountingEngine extends EngineLayer {
  private readonly fault: CountingOptions['fault']

  constructor(name: string, context: EngineContext, fault: CountingOptions['fault']) {
    super(name, context)
    this.fault = fault
  }

  override propose(entry: Entry, completion: Completion<unknown>): void {
    this.below.propose(withHeader(entry, this.name, new Uint8Array([OWN_KINDS_FROM])), completion)
  }

  protected override applyEntry(tx: ReadWriteTx, entry: Entry, pos: LogPos, own: Header | undefined): unknown {
    const { enabled, level } = this.flagsInApply
    if (this.fault === 'writes elsewhere') tx.put('elsewhere', Buffer.alloc(0))
    if (own !== undefined && (enabled || this.fault === 'writes while disabled')) {
      const count = Buffer.alloc(4)
      count.writeUInt32BE(countOf(tx, this.name) + (level > 0 ? 2 : 1))
      tx.put(`${this.prefix}count`, count)
    }
    return this.above.apply(tx, entry, pos)
  }
}
