// Both faces of a layer that changes nothing. Layers extend it and override what they are about.

import type { LogPos } from '../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../store/local-store.ts'
import type { Applicator, Completion, Engine } from './engine.ts'
import type { Entry } from './entry.ts'

/** Hands everything on, in both directions. Registers itself with the layer below. */
export abstract class PassThrough implements Engine<unknown>, Applicator<unknown> {
  protected below: Engine<unknown>
  /** Set by registerUpcall before anything is applied. */
  protected above!: Applicator<unknown>

  constructor(below: Engine<unknown>) {
    this.below = below
    below.registerUpcall(this)
  }

  /** From now on proposes to that layer. For layers between two others that come and go, and are told what goes up meanwhile. */
  standOn(below: Engine<unknown>): void {
    this.below = below
  }

  propose(entry: Entry, completion: Completion<unknown>): void {
    this.below.propose(entry, completion)
  }

  sync(): Promise<ReadTx> {
    return this.below.sync()
  }

  registerUpcall(applicator: Applicator<unknown>): void {
    this.above = applicator
  }

  setTrimPrefix(pos: LogPos): void {
    this.below.setTrimPrefix(pos)
  }

  apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): unknown {
    return this.above.apply(tx, entry, pos)
  }

  postApply(entry: Entry, pos: LogPos, result: unknown): void {
    this.above.postApply(entry, pos, result)
  }
}
