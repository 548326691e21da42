// The one file that knows the native RocksDB module: where it runs, the calls of it that we use, and how its failures are
// told. Only its synchronous primitives and open and close are used; the JavaScript around them is not.

import { closeSync, openSync, readSync } from 'node:fs'
import { createRequire } from 'node:module'
import { DelosError } from '../base/delos-error.ts'

declare const opaque: unique symbol
/** An open (or opening) database, an iterator, a write batch: pointers that only the module understands. */
export type RocksDb = { readonly [opaque]: 'db' }
export type RocksIterator = { readonly [opaque]: 'iterator' }
export type RocksBatch = { readonly [opaque]: 'batch' }

/** Strings are passed and returned as UTF-8. */
export interface RocksIteratorOptions {
  readonly gte?: string
  readonly lt?: string
  readonly reverse: boolean
  readonly keyEncoding: 'utf8' | 'buffer'
  readonly valueEncoding: 'buffer'
  /** False: rows hold undefined for values, which are not read. */
  readonly values?: boolean
  /** A chunk ends with the row that passes this. */
  readonly highWaterMarkBytes: number
  readonly fillCache: boolean
}

export interface RocksOpenOptions {
  readonly createIfMissing: boolean
  /** Leveled: no compression in the two lowest levels, zstd above. */
  readonly compaction: 'level'
  /** Bytes; a memtable is a quarter of it. */
  readonly memtableMemoryBudget: number
  /** Bytes of the block cache. */
  readonly cacheSize: number
  readonly blockSize: number
  readonly walCompression: boolean
  readonly parallelism: number
}

/** The native calls, by their names in the module. Every one throws or passes an error whose `code` starts with LEVEL_. */
export interface RocksModule {
  db_init(pathOrHandle: string | bigint): RocksDb
  db_open(db: RocksDb, options: RocksOpenOptions, callback: (error: unknown) => void): void
  /** A number that another thread of this process gives to `db_init` to use the same open database. */
  db_get_handle(db: RocksDb): bigint
  /** Closes for all threads; closes iterators first. Nothing may be called on the database afterwards: it would crash. */
  db_close(db: RocksDb, callback: (error: unknown) => void): void
  /** Each value is a buffer with memory of its own; null past 2 GiB in one call. The options stay undefined: reading them costs more than the get. */
  db_get_many_sync(db: RocksDb, keys: readonly Buffer[], options: undefined): (Buffer | undefined)[]
  /** On a thread of the pool. Keys that are strings are copied before it returns. */
  db_get_many(db: RocksDb, keys: readonly string[], options: object, callback: (error: unknown) => void): void
  db_get_property(db: RocksDb, name: string): string
  /** Pins the current state. */
  iterator_init(db: RocksDb, options: RocksIteratorOptions): RocksIterator
  iterator_seek(iterator: RocksIterator, target: string): void
  iterator_nextv_sync(iterator: RocksIterator, rowsMax: number): { rows: (string | Buffer)[]; finished: boolean }
  iterator_close(iterator: RocksIterator): void
  batch_init(): RocksBatch
  batch_put(batch: RocksBatch, key: Buffer, value: Buffer, options: undefined): void
  batch_del(batch: RocksBatch, key: Buffer, options: undefined): void
  batch_clear(batch: RocksBatch): void
  batch_write(db: RocksDb, batch: RocksBatch, options: { readonly sync: boolean }): void
}

const PLATFORMS = ['linux-x64', 'darwin-arm64']
const require = createRequire(import.meta.url)
let loaded: RocksModule | undefined

/** Path of the module, for the worker thread, which loads it on its own. */
export function rocksModulePath(): string {
  return require.resolve('@nxtedition/rocksdb/binding.js')
}

/** Loads the native module. Throws UNSUPPORTED with one clear line where there is no build for this machine. */
export function loadRocks(platform = `${process.platform}-${process.arch}`): RocksModule {
  if (loaded && platform === `${process.platform}-${process.arch}`) return loaded
  if (!PLATFORMS.includes(platform)) {
    throw new DelosError('UNSUPPORTED', `no RocksDB build for ${platform}: use one of ${PLATFORMS.join(', ')}`)
  }
  if (platform === 'linux-x64' && lacksAvx2()) {
    throw new DelosError(
      'UNSUPPORTED',
      'the RocksDB build needs a CPU with AVX2 and BMI2, which this machine does not offer',
    )
  }
  try {
    loaded = require('@nxtedition/rocksdb/binding.js') as RocksModule
  } catch (thrown) {
    const message = 'the RocksDB build could not be loaded: it needs glibc (not musl) on Linux and macOS 13.4 or later'
    throw new DelosError('UNSUPPORTED', message, { cause: thrown })
  }
  return loaded
}

/** What a failure of the module means, as one DelosError. */
export function rocksError(thrown: unknown, context: string): DelosError {
  const code = (thrown as { code?: unknown } | undefined)?.code
  const reason = thrown instanceof Error ? thrown.message : String(thrown)
  if (code === 'LEVEL_CORRUPTION') return DelosError.from(thrown, 'CORRUPT', context)
  if (code === 'LEVEL_LOCKED') return DelosError.from(thrown, 'IN_USE', context)
  if (/^(Not implemented|Invalid argument)/.test(reason)) return DelosError.from(thrown, 'FORMAT', context)
  return DelosError.from(thrown, 'IO_ERROR', context)
}

// The prebuilt module is compiled for such CPUs and would end the process with an illegal instruction elsewhere (emulated
// machines, mostly). The first page of cpuinfo holds the flags of the first CPU.
function lacksAvx2(): boolean {
  try {
    const page = Buffer.alloc(4096)
    const file = openSync('/proc/cpuinfo', 'r')
    try {
      const flags = page.latin1Slice(0, readSync(file, page)).match(/^flags\s*:.*$/m)?.[0]
      return flags !== undefined && !(/\bavx2\b/.test(flags) && /\bbmi2\b/.test(flags))
    } finally {
      closeSync(file)
    }
  } catch {
    return false // No cpuinfo to look at: let loading the module decide.
  }
}
