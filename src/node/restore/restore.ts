// Restore of a database from its backup to any entry, into an empty data directory: plan, snapshot, log, and then a new history that
// begins where the old one is left. Can be killed at any moment and run again. Not here: what a command prints of it.

import { DelosError } from '../../base/delos-error.ts'
import { flagsKey } from '../../engine/engine-flags.ts'
import type { EngineFactory } from '../../engine/stack.ts'
import { loadCursor } from '../../engines/base-engine/cursor.ts'
import type { LogPos } from '../../log/position.ts'
import type { Logger } from '../../runtime/logger.ts'
import { nodeRuntime } from '../../runtime/node-runtime.ts'
import type { Runtime } from '../../runtime/runtime.ts'
import type { DatabasePaths, DataDirectory } from '../../store/data-directory.ts'
import { drawId, type Identity, readIdentity, writeIdentity } from '../../store/identity.ts'
import type { ReadTx } from '../../store/local-store.ts'
import { openRocksStore } from '../../store/rocks-store.ts'
import { bindStore } from '../database-identity.ts'
import { type BackupPlace, type OpenBlobs, openBlobs } from '../open-blob-store.ts'
import { openDataDirectory } from '../open-data-directory.ts'
import { writeRestoredFrom } from '../restored-from.ts'
import {
  type BackupHistory,
  chooseHistory,
  describeRestorable,
  isReachable,
  listHistories,
  listHistory,
  readManifest,
  snapshotFor,
} from './backup-catalog.ts'
import { beginHistory } from './begin-history.ts'
import { givenOutUpTo } from './given-out.ts'
import { loadSnapshot } from './load-snapshot.ts'
import { playBackup } from './play-backup.ts'
import { ReplayLog } from './replay-log.ts'
import type { RestorableDatabase } from './restorable-database.ts'
import { type RestorePlan, readMarker, removeMarker, writeMarker } from './restore-marker.ts'
import { positionOf, type RestorePoint } from './restore-point.ts'

export interface RestoreOptions {
  readonly from: BackupPlace
  /** Its name, in the backup and in the data directory. */
  readonly database: string
  readonly definition: RestorableDatabase
  readonly to: RestorePoint
  /** Of several histories; the first digits will do. Default: the newest. */
  readonly historyId?: string | undefined
  readonly dataDir: string
  readonly progress?: (progress: RestoreProgress) => void
  /** Sees the restored content before the new history begins in it. Not in a restore that is resumed behind that point. */
  readonly inspect?: ((content: ReadTx) => void) | undefined
  readonly logger: Logger
}

export interface RestoreProgress {
  readonly phase: 'plan' | 'snapshot' | 'log' | 'history' | 'done'
  /** Of the phase: parts, positions. */
  readonly done: number
  readonly of: number
}

export interface RestoreResult extends RestorePlan {
  readonly resumed: boolean
}

/** Everything that a restore holds open. */
interface Opened {
  readonly runtime: Runtime
  readonly directory: DataDirectory
  readonly blobs: OpenBlobs
}

/**
 * Rejects with CONFLICT (the directory holds something else, or another restore), NOT_FOUND (no such backup or point), TRIMMED
 * (retention has removed meanwhile what it was reading: to be begun anew), CORRUPT, MISMATCH (the key), and as blob stores and disks do.
 * Whatever else it is, it may be run again.
 */
export async function restore(options: RestoreOptions): Promise<RestoreResult> {
  const runtime = nodeRuntime()
  const blobs = await openBlobs(options.from, runtime)
  try {
    const directory = await openDataDirectory(options.dataDir, runtime)
    try {
      return await restoreInto({ runtime, directory, blobs }, options)
    } finally {
      await directory.release()
    }
  } finally {
    await blobs.store.close()
  }
}

async function restoreInto(opened: Opened, options: RestoreOptions): Promise<RestoreResult> {
  const { blobs, directory, runtime } = opened
  const { disk } = runtime
  const { database, progress = () => undefined } = options
  progress({ phase: 'plan', done: 0, of: 1 })
  const begun = await readMarker(disk, directory.path)
  if (begun === undefined) await mustBeEmpty(opened)
  else mustBeSame(begun, options, blobs)
  const history = await chooseHistory(blobs, database, begun?.historyId ?? options.historyId).catch(
    (error: unknown) => {
      throw begun === undefined || !isNotFound(error) ? error : gone(begun, opened)
    },
  )
  const plan = begun ?? (await makePlan(opened, options, history))
  if (begun === undefined) await writeMarker(disk, directory.path, plan)
  progress({ phase: 'plan', done: 1, of: 1 })
  const paths = await directory.database(database)
  const { clusterId, databaseId } = history.about
  const identity: Identity = { clusterId, databaseId, historyId: plan.newHistoryId }
  if ((await readIdentity(disk, paths.directory)) === undefined) await writeIdentity(disk, paths.directory, identity)
  await writeRestoredFrom(disk, paths.directory, { historyId: plan.historyId, position: plan.position })
  const content = await restoreContent(opened, options, { history, identity, paths, plan }).catch(
    async (error: unknown) => {
      if (!isNotFound(error)) throw error
      const now = await listHistory(blobs, history.about)
      throw isReachable(now, plan.cursor, plan.position) ? error : gone(plan, opened, now)
    },
  )
  progress({ phase: 'history', done: 0, of: 1 })
  await beginHistory({ ...opened, ...options, ...content, paths, start: (plan.position + 1) as LogPos })
  await removeMarker(disk, directory.path)
  progress({ phase: 'done', done: 1, of: 1 })
  return { ...plan, resumed: begun !== undefined }
}

interface Restoring {
  readonly history: BackupHistory
  readonly identity: Identity
  readonly paths: DatabasePaths
  readonly plan: RestorePlan
}

interface RestoredContent {
  /** Of the entry that the new history begins with. */
  readonly payload: Uint8Array | undefined
  /** That it begins with. */
  readonly engines: readonly EngineFactory[]
}

async function restoreContent(
  { blobs, runtime }: Opened,
  { database, definition, inspect, progress = () => undefined }: RestoreOptions,
  { history, identity, paths, plan }: Restoring,
): Promise<RestoredContent> {
  const { about, names, segments } = history
  const digestKey = Buffer.from(identity.databaseId, 'hex')
  const store = await openRocksStore({ directory: paths.store, runtime, digestKey })
  try {
    await bindStore(store, identity, paths.store)
    const tail = (plan.position + 1) as LogPos
    // Of one that had come to its last step, the content has gone on. A snapshot has its cursor before it is complete.
    const cursor = loadCursor(store.read())
    if (cursor < tail || cursor === plan.cursor) {
      const manifest = await readManifest(blobs, names, plan.cursor)
      const parts = (done: number): void => progress({ phase: 'snapshot', done, of: manifest.parts })
      await loadSnapshot({ blobs, names, manifest, databaseId: identity.databaseId, store, progress: parts })
    }
    if (loadCursor(store.read()) < tail) {
      const log = new ReplayLog({ blobs, historyId: about.historyId, segments, from: plan.cursor, tail })
      const { applicator, opened } = definition.makeApplicator()
      const positions = (cursor: LogPos): void =>
        progress({ phase: 'log', done: cursor - plan.cursor, of: tail - plan.cursor })
      const { engines } = definition
      await playBackup({ runtime, log, store, database, engines, applicator, opened, progress: positions })
    }
    const isThere = loadCursor(store.read()) === tail
    if (isThere) inspect?.(store.read())
    const had = ({ name }: EngineFactory): boolean =>
      definition.optional?.has(name) !== true || store.read().get(flagsKey(name)) !== undefined
    const engines = definition.engines.filter(had)
    const { newHistory } = definition
    if (newHistory === undefined) return { payload: undefined, engines }
    const number = newHistory.read(store.read().get(newHistory.key))
    // One that had come to its last step has a number of the new history.
    const restored = isThere ? { historyId: about.historyId, at: tail, number } : undefined
    const givenOut = await givenOutUpTo(blobs, await listHistories(blobs, database), newHistory, restored)
    return { payload: newHistory.encode(givenOut), engines }
  } finally {
    await store.close()
  }
}

async function makePlan(opened: Opened, options: RestoreOptions, history: BackupHistory): Promise<RestorePlan> {
  const { blobs, runtime } = opened
  const position = await positionOf(options.to, history, blobs)
  const newHistoryId = drawId(runtime.random)
  const { historyId } = history.about
  const cursor = snapshotFor(history, position)
  const { database, to } = options
  return { location: blobs.store.location, database, historyId, cursor, position, to, newHistoryId }
}

function isNotFound(error: unknown): boolean {
  return error instanceof DelosError && error.code === 'NOT_FOUND'
}

/** Retention has let go of what a restore that was begun still needs. */
function gone(plan: RestorePlan, { blobs, directory }: Opened, history?: BackupHistory): DelosError {
  const { cursor, database, historyId, position } = plan
  const what =
    history === undefined
      ? `${blobs.store.location} holds nothing of history ${historyId} of ${database} any more; if that is the right place`
      : `${blobs.store.location} no longer has all of history ${historyId} of ${database} from the snapshot at ${cursor} to position ${position}`
  const left = history === undefined ? '' : `; ${describeRestorable(history)}`
  return new DelosError('TRIMMED', `${what}: remove ${directory.path} and restore anew${left}`)
}

/** FORMAT and the like may lie there: traces of a restore that was killed before it had a plan. */
async function mustBeEmpty({ directory, runtime }: Opened): Promise<void> {
  const names = await runtime.disk.list(directory.path)
  const found = names.find((name) => !/^(FORMAT|LOCK(\..*)?|server-id|RESTORE\.new|lost\+found)$/.test(name))
  if (found === undefined) return
  throw new DelosError('CONFLICT', `${directory.path} is not empty: it holds ${found}`)
}

function mustBeSame(begun: RestorePlan, { database, historyId, to }: RestoreOptions, { store }: OpenBlobs): void {
  const otherPoint = to.kind === 'position' ? to.position !== begun.position : !isSame(to, begun.to)
  const otherHistory = historyId !== undefined && !begun.historyId.startsWith(historyId)
  if (begun.database === database && begun.location === store.location && !otherPoint && !otherHistory) return
  const what = `${begun.database} from ${begun.location} to position ${begun.position}`
  throw new DelosError(
    'CONFLICT',
    `the directory holds a restore of ${what} that has not ended: go on with it, or remove it`,
  )
}

/** Of the same time, or both the newest at their time; of a restore that does not say any is. */
function isSame(to: RestorePoint, begun: RestorePoint | undefined): boolean {
  if (begun === undefined) return true
  return to.kind === 'time' && begun.kind === 'time' ? to.wallMs === begun.wallMs : to.kind === begun.kind
}
