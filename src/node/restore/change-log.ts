// Every change of one node of Zelos that backup and log still tell of: plays them into a scratch store, from a snapshot or from the
// beginning of the log, and notes what happens to the node.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DelosError } from '../../base/delos-error.ts'
import { LOG_START, type LogPos } from '../../log/position.ts'
import type { AppendOutcome, LogRead, SharedLog } from '../../log/shared-log.ts'
import { nodeRuntime } from '../../runtime/node-runtime.ts'
import { openRocksStore } from '../../store/rocks-store.ts'
import { entryOfJson, type LogAnswer } from '../log-routes.ts'
import { type BackupPlace, type OpenBlobs, openBlobs } from '../open-blob-store.ts'
import { ZELOS_PLAYED } from '../stacks.ts'
import { type BackupHistory, chooseHistory, readManifest, restorableRanges } from './backup-catalog.ts'
import { loadSnapshot } from './load-snapshot.ts'
import { playBackup } from './play-backup.ts'
import { type NodeChange, RecordingZelos } from './recording-zelos.ts'
import { ReplayLog } from './replay-log.ts'

const DATABASE = 'zelos'

export interface NodeHistoryOptions {
  readonly path: string
  readonly from?: BackupPlace | undefined
  readonly historyId?: string | undefined
  /** The log of the running server, from that position on; undefined without a server. */
  readonly live?: ((from: LogPos) => Promise<LogAnswer>) | undefined
  /** In the order in which they happened. */
  changed(change: NodeChange): void
}

export interface ToldRange {
  /** Positions, both included. */
  readonly first: number
  readonly last: number
}

/**
 * Resolves with what was looked at. NOT_FOUND if neither backup nor log reaches back to something to begin with, MISMATCH if they
 * are of two histories.
 */
export async function nodeHistory(options: NodeHistoryOptions): Promise<ToldRange> {
  const runtime = nodeRuntime()
  const scratch = await mkdtemp(join(tmpdir(), 'delos-history-'))
  const blobs = options.from === undefined ? undefined : await openBlobs(options.from, runtime)
  try {
    const history = blobs && (await chooseHistory(blobs, DATABASE, options.historyId))
    const store = await openRocksStore({ directory: scratch, runtime })
    try {
      const range = history && restorableRanges(history).at(-1)
      const start = range === undefined ? LOG_START : ((range.first + 1) as LogPos)
      if (blobs !== undefined && history !== undefined && range !== undefined) {
        const manifest = await readManifest(blobs, history.names, start)
        const { databaseId } = history.about
        await loadSnapshot({ blobs, names: history.names, manifest, databaseId, store, progress: () => undefined })
      }
      const log = await logOf(options, blobs, history, start)
      const applicator = new RecordingZelos(options.path, (change) => options.changed(change))
      await playBackup({
        runtime,
        log,
        store,
        database: DATABASE,
        engines: ZELOS_PLAYED,
        applicator,
        opened: ({ timerService }) => {
          if (timerService !== undefined) applicator.useTimers(timerService)
        },
        progress: () => undefined,
      })
      return { first: start, last: log.knownTail - 1 }
    } finally {
      await store.close()
    }
  } finally {
    await blobs?.store.close()
    await rm(scratch, { recursive: true, force: true })
  }
}

async function logOf(
  { live }: NodeHistoryOptions,
  blobs: OpenBlobs | undefined,
  history: BackupHistory | undefined,
  start: LogPos,
): Promise<SharedLog> {
  const range = history && restorableRanges(history).at(-1)
  const end = ((range?.last ?? -1) + 1) as LogPos
  const backup =
    blobs !== undefined && history !== undefined && range !== undefined
      ? new ReplayLog({ blobs, historyId: history.about.historyId, segments: history.segments, from: start, tail: end })
      : undefined
  const newest = await live?.(Math.max(end, start) as LogPos)
  if (newest !== undefined && history !== undefined && newest.historyId !== history.about.historyId) {
    throw new DelosError(
      'MISMATCH',
      `the server is in history ${newest.historyId}, the backup is of ${history.about.historyId}: ask each by itself`,
    )
  }
  if (newest !== undefined && newest.oldest <= Math.max(end, start)) return new HistoryLog(backup, live, start, newest)
  if (backup !== undefined) return backup
  const what = newest === undefined ? 'no server is there' : `the server's log begins at ${newest.oldest}`
  throw new DelosError('NOT_FOUND', `nothing to begin with: ${what}, and no backup (--from) reaches further back`)
}

/** A backup's log, and behind it that of the running server, as far as it reached when it was asked first. */
class HistoryLog implements SharedLog {
  readonly maxEntryBytes = 1
  readonly knownTail: LogPos
  private readonly backup: ReplayLog | undefined
  private readonly live: NonNullable<NodeHistoryOptions['live']> | undefined
  private readonly start: LogPos

  constructor(backup: ReplayLog | undefined, live: NodeHistoryOptions['live'], start: LogPos, newest: LogAnswer) {
    this.backup = backup
    this.live = live
    this.start = start
    this.knownTail = Math.max(newest.tail, backup?.knownTail ?? 0) as LogPos
  }

  async append(): Promise<AppendOutcome> {
    return { kind: 'refused', cause: new DelosError('UNSUPPORTED', 'the past takes no entries') }
  }

  async checkTail(): Promise<LogPos> {
    return this.knownTail
  }

  async readNext(from: LogPos, to: LogPos, maxBytes: number): Promise<LogRead> {
    const { backup, live } = this
    if (backup !== undefined && from < backup.knownTail) return backup.readNext(from, to, maxBytes)
    const end = Math.min(to, this.knownTail)
    if (from >= end || live === undefined) return { entries: [], next: from }
    const answer = await live(from)
    if (answer.oldest > from) throw new DelosError('TRIMMED', `the server's log begins at ${answer.oldest} now`)
    const entries = answer.entries.filter(({ pos }) => pos < end).map(entryOfJson)
    return { entries, next: Math.min(answer.next, end) as LogPos }
  }

  async prefixTrim(): Promise<void> {
    // Nothing to trim here.
  }

  onTailMoved(): () => void {
    return () => undefined
  }

  oldest(): { readonly pos: LogPos; readonly wallMs: number | undefined } {
    return { pos: this.start, wallMs: undefined }
  }

  async close(): Promise<void> {
    await this.backup?.close()
  }
}
