// The contract of a loglet: one simple, fault-tolerant log that can be sealed. It elects no leader and never reconfigures
// itself; the virtual log chains loglets and swaps them (Delos, OSDI 2020, section 3).
//
//      trim point            next                tail = first unwritten offset
//  ────────┬──────────────────┬──────────────────┬───────────────
//  trimmed │      readable    │   not yet read   │  appends go here
//
// Rules, checked by loglet.conformance.ts on every implementation:
//  1. An acknowledged append is durable, at one offset, and visible to every later checkTail and read.
//  2. Order rule: append = write, then look at the seal, then acknowledge; checkTail = read the tail, then look at the
//     seal. The seal check is never linearized before what it protects.
//  3. After any answer `sealed` with tail t, no append is ever acknowledged at or past t. Such an entry may physically
//     exist: the chain clips readers.
//  4. The address space may be sparse. A reader's cursor is `next`, never "last entry + 1".
//  5. Readers and tail see only what is durable.
//  6. seal, checkTail, readNext, prefixTrim are idempotent. Seal is one-way; the first successor recipe wins.

import type { DelosError } from '../base/delos-error.ts'
import type { LogletOffset } from './position.ts'

/** How to make a loglet: which provider, with which parameters. Small; stored in the chain as JSON. */
export interface LogletRecipe {
  readonly kind: string
  readonly params: Readonly<Record<string, string | number | boolean>>
}

/** A recipe with an identity. The nonce is minted per attempt: a sealed name is never used again. */
export interface LogletConfig extends LogletRecipe {
  readonly nonce: string
}

export type LogletAppendOutcome =
  | { readonly kind: 'appended'; readonly offset: LogletOffset }
  /** Not acknowledged, never will be; it may physically exist at or past the sealed tail. */
  | { readonly kind: 'sealed' }
  /** It may be in the log, now or later. */
  | { readonly kind: 'indeterminate'; readonly cause: DelosError }
  /** It is definitely not in the log (no disk space, entry too large, closed). */
  | { readonly kind: 'refused'; readonly cause: DelosError }

export interface LogletTail {
  /** First unwritten offset. */
  readonly tail: LogletOffset
  readonly sealed: boolean
  /** Set once sealed: the recipe that the sealer intended for the successor. */
  readonly successor?: LogletRecipe
}

export interface LogletEntry {
  readonly offset: LogletOffset
  /** Valid for as long as the reader keeps it; never changed by the loglet. */
  readonly bytes: Uint8Array
}

export interface LogletRead {
  /** Every entry in [from, next), ascending. */
  readonly entries: readonly LogletEntry[]
  /** The range [from, next) is complete, also where it holds no entry. Equals `from` if nothing is readable there yet. */
  readonly next: LogletOffset
  /** Set if part of the range was trimmed: the first readable offset. `next` is then at least this. */
  readonly trimmedTo?: LogletOffset
}

/** A coarse mark for retention: everything below `offset` was appended before `wallMs`, and takes `bytesBelow` from the start of the readable part. */
export interface LogletMark {
  readonly offset: LogletOffset
  readonly wallMs: number
  readonly bytesBelow: number
}

export interface Loglet {
  /** The largest entry that append takes. */
  readonly maxEntryBytes: number
  /** Appends in call order where the implementation has one writer. `bytes` must not be changed afterwards. */
  append(bytes: Uint8Array): Promise<LogletAppendOutcome>
  checkTail(): Promise<LogletTail>
  /**
   * Reads forward from `from`, up to `to` (exclusive) or a size of the implementation's choosing (at most `maxBytes`, but
   * at least one entry if one is readable). Rejects with CORRUPT, IO_ERROR, CLOSED.
   */
  readNext(from: LogletOffset, to: LogletOffset, maxBytes: number): Promise<LogletRead>
  /** Entries below `to` are no longer needed. May free less than asked, and later. */
  prefixTrim(to: LogletOffset): Promise<void>
  /** Seals; resolves with the sealed tail and the successor recipe that won. */
  seal(successor: LogletRecipe): Promise<LogletTail>
  /**
   * Calls `listener` with every new tail that became visible (durable), and once more when the loglet is found sealed.
   * Synchronous with the tail's becoming visible; may skip intermediate tails. The returned function ends it.
   */
  onTailMoved(listener: (tail: LogletOffset) => void): () => void
  /** Marks for retention by age and size, ascending; empty if the implementation keeps none. */
  marks(): readonly LogletMark[]
  /** First readable offset. */
  readonly trimPoint: LogletOffset
  /** Stops background work; waiting appends answer `indeterminate` or `refused`, never hang. Idempotent. */
  close(): Promise<void>
}

/** Makes and finds loglets of one kind. */
export interface LogletProvider {
  readonly kind: string
  /** Creates an empty, open, durable loglet. Fails with CONFLICT if that identity exists. */
  create(config: LogletConfig): Promise<Loglet>
  /** Opens an existing one. NOT_FOUND if it is not there (the caller refetches the chain). */
  open(config: LogletConfig): Promise<Loglet>
  /** Removes one for good; no error if it is not there. Only for losers of a race, orphans and trimmed segments. */
  destroy(config: LogletConfig): Promise<void>
  /** Identities that exist here, so that orphans can be swept. */
  list(): Promise<readonly LogletConfig[]>
}
