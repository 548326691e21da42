// The settings of backups: where they go, how often, how long they are kept, and when the log is no longer kept for them.

import { z } from 'zod'
import { count, hours, milliseconds, optional, path, type Setting, text, whole, yesOrNo } from './setting-kinds.ts'

/** The largest segment: with the largest entry behind it, it still fits a blob. */
const SEGMENT_BYTES_MAX = 12 * 1024 * 1024

export const backupPlace = {
  schema: z.string().regex(/^(dir:.+|s3:\/\/[a-z0-9][a-z0-9.-]*(\/[^\s]*)?)$/),
  allowed: 'dir:PATH or s3://BUCKET/PREFIX',
}

const url = { schema: z.string().regex(/^https?:\/\/[^\s/]+\/?$/), allowed: 'http://HOST:PORT or https://HOST:PORT' }

/** In the order in which they are documented. */
export const BACKUP_SETTINGS = {
  backupTo: {
    name: 'backup-to',
    ...optional(backupPlace),
    fallback: undefined,
    unit: 'dir:PATH, s3://BUCKET/PREFIX',
    help: 'where the log and snapshots are backed up, and what the log is kept for until it is there',
  },
  backupEndpoint: {
    name: 'backup-endpoint',
    ...optional(url),
    fallback: undefined,
    unit: 'URL',
    help: "of an S3-compatible service; Amazon's own if not set",
  },
  backupRegion: {
    name: 'backup-region',
    ...text,
    fallback: 'us-east-1',
    unit: 'name',
    help: 'region of the bucket; credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or as for every client of Amazon',
  },
  backupKeyFile: {
    name: 'backup-key-file',
    ...optional(path),
    fallback: undefined,
    unit: 'path',
    help: 'a file of 64 hex digits: backups are encrypted with it (AES-256-GCM), and lost without it',
  },
  backupAcceptClear: {
    name: 'backup-accept-clear',
    ...yesOrNo,
    fallback: false,
    unit: 'true, false',
    help: 'with a key: also read what was backed up before there was one; otherwise it is refused, since anybody may have put it there',
  },
  backupIntervalMs: {
    name: 'backup-interval-ms',
    ...milliseconds(10),
    fallback: 10_000,
    unit: 'ms',
    help: 'an update is in the backup about this long after it was applied',
  },
  backupCloseMs: {
    name: 'backup-close-ms',
    ...milliseconds(0),
    fallback: 5_000,
    unit: 'ms',
    help: 'at an orderly end, what is waiting is still uploaded for so long at most; 0 = it waits for the next start',
  },
  backupSegmentBytes: {
    name: 'backup-segment-bytes',
    ...whole(1024, SEGMENT_BYTES_MAX),
    fallback: 8 * 1024 * 1024,
    unit: 'bytes',
    help: 'or sooner, when so much is waiting',
  },
  backupSnapshotBytes: {
    name: 'backup-snapshot-bytes',
    ...count(1),
    fallback: 512 * 1024 * 1024,
    unit: 'bytes',
    help: 'a snapshot is made when so much of the log was applied since the last one: what a restore has to replay',
  },
  backupSnapshotHours: {
    name: 'backup-snapshot-hours',
    ...hours,
    fallback: 24,
    unit: 'hours',
    help: 'or when the last one is so old',
  },
  backupKeepHours: {
    name: 'backup-keep-hours',
    ...hours,
    fallback: 168,
    unit: 'hours',
    help: 'every point of so much of the past can be restored; what is older goes; 0 = nothing goes',
  },
  backupHoldHours: {
    name: 'backup-hold-hours',
    ...hours,
    fallback: 24,
    unit: 'hours',
    help: 'the log is no longer kept for a backup that has not gone on for so long: what is then lost is told; 0 = it is kept',
  },
  backupFreeBytes: {
    name: 'backup-free-bytes',
    ...count(0),
    fallback: 1024 ** 3,
    unit: 'bytes',
    help: 'or when uploads fail and the disk has less than this free; 0 = never',
  },
} as const satisfies Record<string, Setting>
