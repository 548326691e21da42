// Digests of the replicated content at one position, the same for all servers: a control entry asks for one, Base takes it
// exactly there, and an engine compares what the servers got. Not here: the hash (store/), the comparison (ViewTracking).

import type { LogPos } from '../log/position.ts'
import type { StoreDigest } from '../store/local-store.ts'
import { controlEntry, type Entry } from './entry.ts'

/** Header of the control entry that asks every server to take a digest of its content right after that entry. */
export const DIGEST_HEADER = 'digest'

/** Ranges that may differ from server to server and are left out. */
export const RANGES_WITHOUT_DIGEST: ReadonlySet<string> = new Set(['base'])

/** What one server's store held behind `position` (the position of the control entry, it included). */
export interface PositionedDigest {
  readonly position: LogPos
  readonly ranges: StoreDigest
}

/** The control entry. A server that does not know it ignores it. */
export function digestRequest(): Entry {
  return controlEntry(DIGEST_HEADER, new Uint8Array(0))
}
