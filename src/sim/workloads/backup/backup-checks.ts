// What must hold of backups: what the log no longer has is in the blob store or was given up aloud, recorded snapshots are whole, and
// what is restored from them is what the servers had at that very entry.

import { createHash } from 'node:crypto'
import { assert } from '../../../base/assert.ts'
import { loadCursor } from '../../../engines/base-engine/cursor.ts'
import { type BackupNames, type SegmentRange, segmentOf } from '../../../engines/log-backup/backup-names.ts'
import type { BackupState } from '../../../engines/log-backup/backup-state.ts'
import type { LogPos } from '../../../log/position.ts'
import { logRanges } from '../../../node/restore/backup-catalog.ts'
import type { ReadTx } from '../../../store/local-store.ts'
import { check } from '../../workload.ts'

/** Of all snapshots. */
export const PART_BYTES = 300

export class BackupChecks {
  /** Hash of the whole content by cursor. */
  private readonly contents = new Map<LogPos, string>()
  /** Below it some server has let everything go; others may not have heard of it yet. */
  private forgotten = 0
  private readonly names: BackupNames
  private readonly blobs: ReadonlyMap<string, Uint8Array>
  compared = 0

  constructor(names: BackupNames, blobs: ReadonlyMap<string, Uint8Array>) {
    this.names = names
    this.blobs = blobs
  }

  /** All servers that have applied as much have the same content. */
  content(tx: ReadTx): void {
    const cursor = loadCursor(tx)
    const hash = hashOf(tx)
    const known = this.contents.get(cursor)
    if (known !== undefined) this.compared++
    check(known === undefined || known === hash, `two servers differ at ${cursor}`)
    this.contents.set(cursor, hash)
  }

  /** Cursors whose content is known, ascending. */
  get cursors(): LogPos[] {
    return [...this.contents.keys()].sort((a, b) => a - b)
  }

  restored(tx: ReadTx): void {
    const cursor = loadCursor(tx)
    assert(this.contents.has(cursor), 'the content at a restored position is known')
    check(this.contents.get(cursor) === hashOf(tx), `what was restored up to ${cursor} differs from what was there`)
  }

  /** A server that is at that state may have deleted what is below. */
  forgot({ first }: BackupState): void {
    this.forgotten = Math.max(this.forgotten, first)
  }

  /** Everything in [first, to) is in a segment or was given up. */
  covered(state: BackupState, to: LogPos, what: string): void {
    if (state.history === undefined) return
    const ranges: SegmentRange[] = [...state.gaps]
    for (const name of this.blobs.keys()) {
      const range = name.startsWith(this.names.log) ? segmentOf(name) : undefined
      if (range !== undefined) ranges.push(range)
    }
    const first = Math.max(state.first, state.history.start, this.forgotten)
    if (to <= first) return
    const whole = logRanges(ranges).some((range) => range.from <= first && to <= range.to)
    check(whole, `${what} ${to}, and not all from ${first} on is in the backup or was given up`)
  }

  /** What is recorded as a snapshot is there. */
  snapshots(state: BackupState): void {
    for (const { cursor } of state.snapshots.filter((one) => one.cursor >= this.forgotten)) {
      check(this.blobs.has(this.names.manifest(cursor)), `the snapshot at ${cursor} is recorded and not there`)
      const first = this.names.part({ cursor, partBytes: PART_BYTES }, 0)
      check(this.blobs.has(first), `the snapshot at ${cursor} is recorded and has no part`)
    }
  }
}

/** Without Base's range, which remembers who proposed what. */
function hashOf(tx: ReadTx): string {
  const hash = createHash('sha256')
  for (const [key, value] of tx.scan({ from: '' })) {
    if (!key.startsWith('base\x00')) hash.update(`${key.length} ${value.length} `).update(key, 'latin1').update(value)
  }
  return hash.digest('hex')
}
