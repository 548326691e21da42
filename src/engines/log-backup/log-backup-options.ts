// How often, how much, how long: what an operator may set about backups, with the defaults. Local, not replicated: it decides what
// a server proposes, never what apply does.

import type { BlobStore } from '../../blobs/blob-store.ts'
import type { Envelope } from '../../blobs/envelope.ts'

export interface LogBackupOptions {
  /** Where backups go. Undefined: this server uploads nothing. */
  readonly target: BackupTarget | undefined
  /** How often it is looked what is due. */
  readonly tickMs: number
  /** A segment is uploaded when so much has been applied since the last one, */
  readonly segmentBytes: number
  /** or when something that was applied so long ago is in none. */
  readonly intervalMs: number
  /** A snapshot is made when so much of the log was applied since the last one, */
  readonly snapshotBytes: number
  /** or when the last one is so old, if anything was applied since. */
  readonly snapshotMs: number
  /** Longest time that the view of the store stays open for a snapshot. */
  readonly snapshotDeadlineMs: number
  /** Rows of a snapshot's part, in bytes. */
  readonly partBytes: number
  /** At an orderly end: for how long what is waiting is still uploaded. */
  readonly closeMs: number
  /** A claim whose holder was not heard of for so long is taken over. */
  readonly silentMs: number
  /** Every point of so much of the past stays restorable; 0: everything. */
  readonly keepMs: number
  /** The newest snapshots that stay, however old. */
  readonly snapshotsMin: number
  /** The escape hatch: the log is no longer kept for a backup that has not gone on for so long; 0: it is. */
  readonly holdMs: number
  /** The escape hatch, when the disk has less than this free; 0: never. */
  readonly freeBytesMin: number
}

export interface BackupTarget {
  readonly store: BlobStore
  readonly envelope: Envelope
  /** Free bytes where the log lies. */
  readonly freeBytes?: (() => Promise<number>) | undefined
}

const HOUR_MS = 3_600_000

export const LOG_BACKUP_OPTIONS: LogBackupOptions = {
  target: undefined,
  tickMs: 1_000,
  segmentBytes: 8 * 1024 * 1024,
  intervalMs: 10_000,
  snapshotBytes: 512 * 1024 * 1024,
  snapshotMs: 24 * HOUR_MS,
  snapshotDeadlineMs: 4 * HOUR_MS,
  partBytes: 4 * 1024 * 1024,
  closeMs: 5_000,
  silentMs: 60_000,
  keepMs: 7 * 24 * HOUR_MS,
  snapshotsMin: 2,
  holdMs: 24 * HOUR_MS,
  freeBytesMin: 0,
}
