// The public entry `delos`: open a server in this process, with ZooKeeper's protocol, a database of your own, or both. Also the
// implementations that a stack of one's own is composed from; their contracts are in delos/log, delos/store, delos/engine.

export { DelosError, ERROR_CODES, type ErrorCode } from '../base/delos-error.ts'
export type { Stack } from '../engine/stack.ts'
export { BaseEngine, type BaseOptions } from '../engines/base-engine/base-engine.ts'
export { type BatchingLimits, batchingEngine } from '../engines/batching-engine.ts'
export { type ObserverOptions, ObserverSet, type ObserverSnapshot } from '../engines/observer-engine.ts'
export { type FileLogletOptions, FileLogletProvider } from '../loglets/file/file-loglet-provider.ts'
export { FileMetaStore } from '../metastores/file/file-metastore.ts'
export { type Logger, SILENT_LOGGER } from '../runtime/logger.ts'
export { nodeRuntime } from '../runtime/node-runtime.ts'
export type { Runtime } from '../runtime/runtime.ts'
export type { ZelosLimits } from '../zelos/limits.ts'
export type { ClientLimits } from '../zookeeper/server-options.ts'
export type { LogRetention } from './open-database.ts'
export type { DatabaseDefinition, HttpOptions, ServerOptions, ZooKeeperOptions } from './open-options.ts'
export { openServer, type Server, type ServerAddresses } from './open-server.ts'
export type { DatabaseStatus, ServerStatus } from './server-status.ts'
