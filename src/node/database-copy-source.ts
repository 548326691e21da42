// Joins log, store and identity of one database to what engines that copy them need.

import { keyToBytes } from '../base/key.ts'
import type { CopySource, RowDigest } from '../engine/copy-source.ts'
import { decodeEntry } from '../engine/entry-codec.ts'
import { loadCursor } from '../engines/base-engine/cursor.ts'
import { BASE, readStamp } from '../engines/base-engine/proposal-stamp.ts'
import type { LogEntry, SharedLog } from '../log/shared-log.ts'
import { createContentDigest } from '../store/content-digest.ts'
import type { Identity } from '../store/identity.ts'
import type { LocalStore } from '../store/local-store.ts'
import { createRowHasher } from '../store/row-hash.ts'

export interface CopySourceParts {
  readonly database: string
  readonly identity: Identity
  readonly restored: CopySource['restored']
  readonly log: SharedLog
  readonly store: LocalStore
}

export function copySource({ database, identity, log, restored, store }: CopySourceParts): CopySource {
  return {
    database,
    identity,
    restored,
    readNext: (from, to, maxBytes) => log.readNext(from, to, maxBytes),
    wallMsOf,
    openView: async (deadlineMs) => {
      const view = await store.openView({ deadlineMs })
      return { view, cursor: loadCursor(view) }
    },
    newDigest: () => rowDigest(identity.databaseId),
  }
}

/** When the entry was proposed, by the clock of who did; 0 if it does not say, or is void: perhaps since nobody can read it. */
export function wallMsOf({ bytes, voided }: Pick<LogEntry, 'bytes' | 'voided'>): number {
  const stamp = voided ? undefined : decodeEntry(bytes).headers.get(BASE)
  return stamp === undefined ? 0 : readStamp(stamp.bytes).wallMs
}

/** Digests as the servers of that database have them. */
export function rowDigest(databaseId: string): RowDigest {
  const digest = createContentDigest(Buffer.from(databaseId, 'hex'), createRowHasher)
  return {
    add: (key, value) => digest.change(keyToBytes(key), undefined, value),
    read: () => digest.read(),
  }
}
