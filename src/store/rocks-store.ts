// Opens a LocalStore in a directory of RocksDB files: refuses what is foreign, newer, damaged or in use, and chooses the
// options of the database. Reading and writing are RocksBackend's and StoreCore's.

import { DelosError } from '../base/delos-error.ts'
import type { Disk } from '../runtime/disk.ts'
import { makeDirDurably } from '../runtime/durable-file.ts'
import type { Clock, Timers } from '../runtime/runtime.ts'
import { Deferred } from './deferred.ts'
import type { LocalStore } from './local-store.ts'
import { META_FORMAT_KEY, RocksBackend, STORE_FORMATS } from './rocks-backend.ts'
import { loadRocks, type RocksDb, type RocksModule, type RocksOpenOptions, rocksError } from './rocks-binding.ts'
import { digestKeyOf } from './row-hash.ts'
import { StoreCore, type StoreOptions } from './store-core.ts'

/** A get of a row that is nowhere in memory unpacks one block: 9 us with 4 KiB, 18 us with 8, at the same size on disk. */
const BLOCK_BYTES = 4 * 1024

/** What a RocksDB store needs of the runtime. */
export interface RocksStoreRuntime {
  readonly clock: Clock
  readonly timers: Timers
  readonly disk: Disk
}

export interface RocksStoreOptions extends StoreOptions {
  /** Created if it does not exist. */
  readonly directory: string
  readonly runtime: RocksStoreRuntime
  /** Memory for blocks read from disk. Default 64 MiB. */
  readonly cacheBytes?: number
  /** Memory that RocksDB's own write buffers may take, roughly; half as much again while the disk lags. Default 64 MiB. */
  readonly memtableBytes?: number
}

/**
 * Opens the store in `directory`. Rejects with UNSUPPORTED (no RocksDB for this machine), IN_USE (held by another process,
 * or by another store of this one), CORRUPT (damaged), FORMAT (newer, or not a store of ours), IO_ERROR.
 */
export async function openRocksStore(options: RocksStoreOptions): Promise<LocalStore> {
  const { directory, runtime } = options
  const rocks = loadRocks()
  await checkDirectory(runtime.disk, directory)
  const db = await openDatabase(rocks, directory, {
    createIfMissing: true,
    compaction: 'level',
    memtableMemoryBudget: options.memtableBytes ?? 64 * 1024 * 1024,
    cacheSize: options.cacheBytes ?? 64 * 1024 * 1024,
    blockSize: BLOCK_BYTES,
    walCompression: false,
    parallelism: 2,
  })
  try {
    checkFormat(rocks, db, directory)
    return new StoreCore(new RocksBackend(rocks, db, runtime.timers, digestKeyOf(options.digestKey)), runtime, options)
  } catch (thrown) {
    await closeDatabase(rocks, db)
    throw rocksError(thrown, `opening the store in ${directory}`)
  }
}

// A database without its CURRENT file would silently be created anew over the rest of it.
async function checkDirectory(disk: Disk, directory: string): Promise<void> {
  await makeDirDurably(disk, directory)
  const names = await disk.list(directory)
  if (names.length === 0 || names.includes('CURRENT')) return
  const foreign = names.find(
    (name) => !/^(LOCK|IDENTITY|LOG.*|MANIFEST-\d+|OPTIONS-\d+.*|\d+\.(sst|log|dbtmp))$/.test(name),
  )
  if (foreign !== undefined) {
    throw new DelosError('FORMAT', `${directory} is not a store directory: it holds ${foreign}`)
  }
  if (names.some((name) => /^\d+\.(sst|log)$/.test(name))) {
    throw new DelosError('CORRUPT', `the store in ${directory} has lost its CURRENT file`)
  }
}

async function openDatabase(rocks: RocksModule, directory: string, options: RocksOpenOptions): Promise<RocksDb> {
  const db = rocks.db_init(directory)
  const opened = new Deferred<void>()
  rocks.db_open(db, options, (error) => {
    if (error) opened.reject(rocksError(error, `opening the store in ${directory}`))
    else opened.resolve()
  })
  await opened.promise
  return db
}

async function closeDatabase(rocks: RocksModule, db: RocksDb): Promise<void> {
  const closed = new Deferred<void>()
  // The failure that led here is what gets reported.
  rocks.db_close(db, () => closed.resolve())
  await closed.promise
}

// The format version is written with sync into an empty database before anything else.
function checkFormat(rocks: RocksModule, db: RocksDb, directory: string): void {
  const key = Buffer.from(META_FORMAT_KEY, 'utf8')
  const stored = rocks.db_get_many_sync(db, [key], undefined)[0]
  if (stored === undefined) {
    if (!isEmpty(rocks, db))
      throw new DelosError('FORMAT', `the RocksDB database in ${directory} is not a store of ours`)
    const batch = rocks.batch_init()
    rocks.batch_put(batch, key, Buffer.from(String(STORE_FORMATS.first)), undefined)
    rocks.batch_write(db, batch, { sync: true })
    return
  }
  const version = Number(stored.toString('latin1'))
  if (!Number.isInteger(version))
    throw new DelosError('CORRUPT', `the store in ${directory} has no readable format version`)
  if (version > STORE_FORMATS.digests) {
    const message = `the store in ${directory} has format ${version}, this version reads up to ${STORE_FORMATS.digests}`
    throw new DelosError('FORMAT', message)
  }
}

function isEmpty(rocks: RocksModule, db: RocksDb): boolean {
  const iterator = rocks.iterator_init(db, {
    reverse: false,
    keyEncoding: 'utf8',
    valueEncoding: 'buffer',
    highWaterMarkBytes: 1,
    fillCache: false,
  })
  try {
    return rocks.iterator_nextv_sync(iterator, 1).rows.length === 0
  } finally {
    rocks.iterator_close(iterator)
  }
}
