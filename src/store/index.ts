// The public entry `delos/store`: an ordered byte map with transactions, in memory or on RocksDB.

export { DelosError, type ErrorCode } from '../base/delos-error.ts'
export {
  type Key,
  keyAfterPrefix,
  keyOfBytes,
  keyText,
  keyToBytes,
  keyUint,
  packTuple,
  type TupleField,
  textOfKey,
  uintOfKey,
  unpackTuple,
} from '../base/key.ts'
export { type DatabasePaths, DataDirectory, type DataDirectoryRuntime, isDatabaseName } from './data-directory.ts'
export { checkIdentity, drawIdentity, type Identity, openIdentity, readIdentity, writeIdentity } from './identity.ts'
export type {
  KeyRange,
  LocalRange,
  LocalStore,
  ReadTx,
  ReadWriteTx,
  Row,
  Savepoint,
  ScanOptions,
  StoreDigest,
  StoreStats,
  StoreView,
  Transaction,
} from './local-store.ts'
export {
  MemoryBackend,
  type MemoryBackendOptions,
  type MemoryStore,
  type MemoryStoreOptions,
  type MemoryStoreRuntime,
  openMemoryStore,
} from './memory-store.ts'
export { openRocksStore, type RocksStoreOptions, type RocksStoreRuntime } from './rocks-store.ts'
export type { BackendReads, BackendSnapshot, RangeChunk, StoreBackend, WriteBatch } from './store-backend.ts'
export type { StoreOptions } from './store-core.ts'
export { rangeOfPrefix, subStorePrefix } from './sub-store.ts'
export type { Written } from './write-table.ts'
