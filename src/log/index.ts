// The public entry `delos/log`: the contracts of the log and the virtual log. Loglets and metastores come with `delos`, which
// alone names implementations.

export type { Chain, ChainSegment } from './chain/chain.ts'
export { decodeChain, encodeChain } from './chain/chain-codec.ts'
export type { LogEvent, VirtualLogOptions } from './log-options.ts'
export type {
  Loglet,
  LogletAppendOutcome,
  LogletConfig,
  LogletEntry,
  LogletMark,
  LogletProvider,
  LogletRead,
  LogletRecipe,
  LogletTail,
} from './loglet.ts'
export type { MetaRead, MetaStore, MetaWriteOutcome } from './metastore.ts'
export { LOG_START, LOGLET_START, type LogletOffset, type LogPos } from './position.ts'
export type { ExtendOutcome } from './reconfiguration.ts'
export { RETENTION_DEFAULT, type RetentionPolicy } from './retention.ts'
export type { AppendOutcome, LogEntry, LogRead, SharedLog } from './shared-log.ts'
export { VirtualLog } from './virtual-log.ts'
