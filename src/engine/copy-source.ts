// What an engine needs that copies log and content elsewhere: both as a whole, past what apply shows it entry by entry. Propose
// side only. The composition provides it; a stack in a test may have none.

import type { LogPos } from '../log/position.ts'
import type { LogEntry, LogRead } from '../log/shared-log.ts'
import type { Identity } from '../store/identity.ts'
import type { StoreView } from '../store/local-store.ts'

export interface CopySource {
  readonly database: string
  readonly identity: Identity
  /** The history that this one was restored from, up to and with the entry at that position. */
  readonly restored?: { readonly historyId: string; readonly position: LogPos } | undefined
  /** As SharedLog.readNext. */
  readNext(from: LogPos, to: LogPos, maxBytes: number): Promise<LogRead>
  /** When an entry was proposed, by the clock of who did; 0 if it does not say. */
  wallMsOf(entry: LogEntry): number
  /** A view of the whole content, and the first position that is not applied in it. The caller closes it. */
  openView(deadlineMs: number): Promise<{ readonly view: StoreView; readonly cursor: LogPos }>
  /** A digest to be filled with the rows of a view. */
  newDigest(): RowDigest
}

/** See StoreDigest. */
export interface RowDigest {
  add(key: string, value: Uint8Array): void
  read(): ReadonlyMap<string, string>
}
