// A small engine for the workload: counts in its range what passes while it is enabled, and leaves a mark in the entry. Level 1
// counts double. Not here: engines of the product.

import { ByteReader } from '../../../base/byte-reader.ts'
import { ByteWriter } from '../../../base/byte-writer.ts'
import type { Completion } from '../../../engine/engine.ts'
import { OWN_KINDS_FROM } from '../../../engine/engine-flags.ts'
import { type EngineContext, EngineLayer } from '../../../engine/engine-layer.ts'
import { type Entry, type Header, withHeader } from '../../../engine/entry.ts'
import type { EngineFactory } from '../../../engine/stack.ts'
import type { LogPos } from '../../../log/position.ts'
import type { ReadWriteTx } from '../../../store/local-store.ts'

const MARK = new Uint8Array([OWN_KINDS_FROM])

/** Ways to break the contract of engines. */
export type TallyFault = 'writes elsewhere' | 'writes while disabled' | 'forgets content when disabled'

/** Several stand in one stack under different names. */
export function tallyEngine(name: string, fault?: TallyFault): EngineFactory {
  return { name, levelMax: 2, neighbours: {}, create: (context) => new TallyEngine(name, context, fault) }
}

class TallyEngine extends EngineLayer {
  private readonly fault: TallyFault | undefined

  constructor(name: string, context: EngineContext, fault: TallyFault | undefined) {
    super(name, context)
    this.fault = fault
  }

  override propose(entry: Entry, completion: Completion<unknown>): void {
    if (!this.flags.enabled) this.below.propose(entry, completion)
    else this.below.propose(withHeader(this.scrambled(entry), this.name, MARK), completion)
  }

  protected override applyEntry(tx: ReadWriteTx, entry: Entry, pos: LogPos, own: Header | undefined): unknown {
    const { enabled } = this.flagsInApply
    if (this.fault === 'writes elsewhere') tx.put('elsewhere', MARK)
    if (own !== undefined && (enabled || this.fault === 'writes while disabled')) this.count(tx)
    return this.above.apply(tx, this.plain(entry, own, enabled), pos)
  }

  protected override afterCommit(entry: Entry, pos: LogPos, result: unknown, own: Header | undefined): void {
    this.above.postApply(this.plain(entry, own, true), pos, result)
  }

  // This fault needs content: what is enabled here turns the bytes around.
  private scrambled(entry: Entry): Entry {
    if (this.fault !== 'forgets content when disabled') return entry
    return { ...entry, payload: entry.payload?.toReversed() }
  }

  private plain(entry: Entry, own: Header | undefined, understood: boolean): Entry {
    return own !== undefined && understood ? this.scrambled(entry) : entry
  }

  private count(tx: ReadWriteTx): void {
    const key = `${this.prefix}count`
    const stored = tx.get(key)
    const before = stored === undefined ? 0 : new ByteReader(stored).varint()
    const writer = new ByteWriter(8)
    writer.varint(before + (this.flagsInApply.level > 0 ? 2 : 1))
    tx.put(key, writer.take())
  }
}
