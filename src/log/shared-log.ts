// The shared log as the engines see it: one durable total order of entries. The virtual log implements it.

import type { DelosError } from '../base/delos-error.ts'
import type { LogPos } from './position.ts'

export type AppendOutcome =
  | { readonly kind: 'appended'; readonly pos: LogPos }
  /** It may be in the log now or later, perhaps twice: the engines above drop duplicates. */
  | { readonly kind: 'indeterminate'; readonly cause: DelosError }
  /** It is definitely not in the log and never will be. */
  | { readonly kind: 'refused'; readonly cause: DelosError }

export interface LogEntry {
  readonly pos: LogPos
  readonly bytes: Uint8Array
  /** True if an operator voided this position: apply it as a no-op. */
  readonly voided: boolean
  /**
   * Entries from behind this position that an operator had applied in front of it, by every server: at this position, in the
   * same transaction. What is found at their own positions is the same entry again.
   */
  readonly repairs?: readonly LogEntry[]
}

export interface LogRead {
  /** Every entry in [from, next), ascending; positions may be sparse. */
  readonly entries: readonly LogEntry[]
  /** The cursor to go on from. Equals `from` if nothing is readable there yet. */
  readonly next: LogPos
  /** Set if the log was trimmed above `from`: the first readable position. Nothing was skipped silently. */
  readonly trimmedTo?: LogPos
}

export interface SharedLog {
  /** The largest entry; larger is refused with LIMIT_EXCEEDED. */
  readonly maxEntryBytes: number
  /** Appends one entry and retries across reconfigurations. `bytes` must not be changed afterwards. */
  append(bytes: Uint8Array): Promise<AppendOutcome>
  /** Linearizable: at or past every append acknowledged before the call. Rejects with TIMEOUT, IO_ERROR, CLOSED. */
  checkTail(): Promise<LogPos>
  /** Reads forward from `from` up to `to` (exclusive), about `maxBytes` a call, at least one entry if one is readable. */
  readNext(from: LogPos, to: LogPos, maxBytes: number): Promise<LogRead>
  /**
   * Entries below `to` are no longer needed by this server. An upper bound: retention may keep more. Rejects with TIMEOUT,
   * IO_ERROR, CLOSED; asking again, for the same or more, is always right.
   */
  prefixTrim(to: LogPos): Promise<void>
  /** Push: the tail known here moved to `tail`. Synchronous with its becoming visible. The returned function ends it. */
  onTailMoved(listener: (tail: LogPos) => void): () => void
  /** The highest tail known here without asking; a lower bound of the real one. */
  readonly knownTail: LogPos
  /** The oldest readable position, and a wall-clock time before which nothing is kept, if known. */
  oldest(): { readonly pos: LogPos; readonly wallMs: number | undefined }
  close(): Promise<void>
}
