// The contract between the layers of a stack ("Log-structured Protocols in Delos", SOSP 2021, section 3). Every engine is an
// Engine to the layer above and an Applicator to the layer below.
//
//        database wrapper ── propose, sync ──▶ ┌────────┐ ◀── registerUpcall ── database applicator
//                                              │ engine │ ── apply, postApply ──▶
//        (the same one layer down) ◀── propose └────────┘ ◀── apply, postApply (the same one layer down)
//
// Two halves. *apply* gets transaction, entry and position, nothing else: it is synchronous and deterministic. *propose* and
// background work get injected clock, timers and chance.
//
// A result travels without a promise per layer: whoever proposes hands down a Completion, each layer hands down the same
// one or its own, and Base calls it once after commit and postApply.

import type { DelosError } from '../base/delos-error.ts'
import type { Key } from '../base/key.ts'
import type { LogPos } from '../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../store/local-store.ts'
import type { Entry } from './entry.ts'

/** Where the outcome of one proposal goes. Exactly one of the two is called, once, in a synchronous section of its own or of commit. */
export interface Completion<R> {
  /** What apply of this very entry returned on this server. */
  resolve(result: R): void
  /**
   * INDETERMINATE: it may have been, or may yet be, applied. Every other code: it definitely was not and will not be
   * (OVERLOADED, LIMIT_EXCEEDED, DISK_FULL, CLOSED, NOT_READY, STOPPED before it was appended).
   */
  reject(error: DelosError): void
}

/** The lower face of a stack: what the layer above calls. */
export interface Engine<R> {
  /**
   * Hands an entry down towards the log. The entry belongs to the engine afterwards. Never throws; a refusal goes to
   * `completion.reject`, possibly before propose returns.
   */
  propose(entry: Entry, completion: Completion<R>): void
  /**
   * A read point that covers everything completed before the call (linearizable). The ReadTx is valid until the
   * synchronous section that receives it ends. Never waits for unfinished proposals. Rejects with TIMEOUT, STOPPED, CLOSED.
   */
  sync(): Promise<ReadTx>
  /** Called before anything else; again only by whoever was registered, to put another in its place (an Observer that steps aside). */
  registerUpcall(applicator: Applicator<R>): void
  /** The layer above no longer needs the log below `pos`. Only grows. */
  setTrimPrefix(pos: LogPos): void
}

/** The upper face of a stack: what the layer below calls. */
export interface Applicator<R> {
  /**
   * Deterministic function of transaction content, entry and position. A rejection (node exists, bad version) is a
   * returned value; an exception stops the database. An entry without payload is never passed to a database.
   */
  apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): R
  /** After the commit, in log order, in the same synchronous section: soft state, watches. Must not throw. */
  postApply(entry: Entry, pos: LogPos, result: R): void
  /**
   * Called in apply: an operator has changed these rows of its range, whatever they mean. What memory holds of them is read anew.
   * A database that keeps nothing of the store in memory needs none.
   */
  edited?(tx: ReadTx, keys: readonly Key[]): void
}
