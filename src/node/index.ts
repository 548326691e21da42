// The public entry `delos`: open a server in this process, with ZooKeeper's protocol, a database of your own, or both.

export { DelosError, type ErrorCode } from '../base/delos-error.ts'
export type { Stack } from '../engine/stack.ts'
export { type Logger, SILENT_LOGGER } from '../runtime/logger.ts'
export type { ClientLimits } from '../zookeeper/server-options.ts'
export type { LogRetention } from './open-database.ts'
export {
  type DatabaseDefinition,
  type HttpOptions,
  openServer,
  type Server,
  type ServerAddresses,
  type ServerOptions,
  type ZooKeeperOptions,
} from './open-server.ts'
export type { DatabaseStatus, ServerStatus } from './server-status.ts'
