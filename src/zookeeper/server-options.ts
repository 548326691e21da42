// What a ZooKeeper protocol server is told, and the limits of what clients may ask of it.

import type { HistogramSnapshot } from '../base/latency-histogram.ts'
import type { Logger } from '../runtime/logger.ts'

/** The version that clients and dashboards are told: the ZooKeeper whose behaviour this server has. */
export const ZOOKEEPER_VERSION = '3.9.5'

/**
 * Every limit of a connection, with its default. Past one the client gets what the comment says, and a counter named after it
 * moves. What one request may ask of the database (operations of a multi, watches, sessions, bytes) is in Zelos' limits.
 */
export interface ClientLimits {
  /** Open connections; past it a new one is closed at once. */
  readonly connectionsMax: number
  /** Open connections of one address, 0 = off; past it a new one is closed at once. */
  readonly connectionsPerIpMax: number
  /** Bytes of a request (`jute.maxbuffer`); a longer frame closes the connection. */
  readonly frameBytesMax: number
  /** Requests of one connection that wait for an answer; with so many the server stops reading from the connection. */
  readonly outstandingMax: number
  /** Bytes of such requests; with so many the server stops reading from the connection. */
  readonly outstandingBytesMax: number
  /** Bytes of replies and events that a connection has not taken; past it the connection is closed. */
  readonly unsentBytesMax: number
  /** The same over all connections; past it the one that is being written to is closed. */
  readonly allUnsentBytesMax: number
  /** Bytes of the names in one getChildren reply; past it the request fails with systemError. */
  readonly replyBytesMax: number
  /** Reads of one multiRead, which are answered in one piece; past it the request fails with systemError. */
  readonly multiReadsMax: number
  /** Bytes of the names of all children that one multiRead lists; past it the request fails with systemError. */
  readonly multiReadNamesMax: number
  /** Identities that one connection may add by `auth` requests; past it the request fails with authFailed. */
  readonly identitiesMax: number
  /** A connection without session is closed after this long. */
  readonly handshakeMs: number
}

export const DEFAULT_CLIENT_LIMITS: ClientLimits = {
  connectionsMax: 10_000,
  connectionsPerIpMax: 0,
  frameBytesMax: 0xfffff,
  outstandingMax: 1_000,
  outstandingBytesMax: 16 * 1024 * 1024,
  unsentBytesMax: 64 * 1024 * 1024,
  allUnsentBytesMax: 1024 * 1024 * 1024,
  replyBytesMax: 4 * 1024 * 1024,
  multiReadsMax: 5_000,
  multiReadNamesMax: 512 * 1024,
  identitiesMax: 100,
  handshakeMs: 10_000,
}

/** Names of the limits, also the label values of the counter of refusals. */
export type ClientLimitName = keyof ClientLimits

/** When the log batch that is being answered passed each layer; milliseconds of the monotonic clock. */
export interface BatchTimes {
  readonly proposedMs: number
  readonly appendedMs: number
  readonly applyStartMs: number
  readonly applyEndMs: number
}

/** What only the composition root can know of the process, for `envi` and `mntr`. */
export interface ProcessFacts {
  /** Lines `name=value` of `envi`. */
  readonly environment: readonly (readonly [name: string, value: string])[]
  /** Open file descriptors and their limit, if the system tells. */
  fileDescriptors(): { readonly open: number; readonly max: number } | undefined
}

/** What only the composition root can know of the log and the store below the database, for operators. */
export interface StorageFacts {
  /** Bytes on disk of the store, and of the log. */
  readonly storeBytes: number
  readonly logBytes: number
  readonly proposals: number
  readonly appliedEntries: number
  /** Entries written to the log. */
  readonly appends: number
  /** Databases that stopped at an error. */
  readonly failures: number
  /** From the proposal until it is applied; a sample. */
  readonly proposeTimes: HistogramSnapshot
  readonly syncTimes: HistogramSnapshot
  readonly flushTimes: HistogramSnapshot
  /** Times that the log moved to a new loglet, each as 0: how long that took is not known. */
  readonly reconfigurations: HistogramSnapshot
  /** Of the last start; undefined while it is under way. */
  readonly start: { readonly openMs: number; readonly replayMs: number; readonly replayedEntries: number } | undefined
}

/** What clients may ask for beyond ZooKeeper's oldest operations. */
export interface NodeRules {
  /** ZooKeeper's `extendedTypesEnabled`: false answers creates of TTL nodes UNIMPLEMENTED. */
  readonly ttlNodes: boolean
  /** How long after its last child has gone a container goes. */
  readonly containerCheckMs: number
  /** ZooKeeper's `reconfigEnabled`: reconfig is answered as by a standalone server, UNIMPLEMENTED, instead of RECONFIGDISABLED. */
  readonly reconfig: boolean
}

export const DEFAULT_NODE_RULES: NodeRules = { ttlNodes: true, containerCheckMs: 60_000, reconfig: false }

/** Waiting connections that the system is asked to hold. */
export const LISTEN_BACKLOG = 1024

/** Words that are answered unless the server is told others: what monitoring reads, and kazoo; none that changes something. */
export const DEFAULT_FOUR_LETTER_WORDS = ['ruok', 'isro', 'srvr', 'stat', 'cons', 'mntr', 'conf', 'envi'] as const

export interface ZooKeeperServerOptions {
  readonly host: string
  /** 0 picks a free port. */
  readonly port: number
  readonly tickMs: number
  /** Session timeouts asked for are clamped into this range; defaults are 2 and 20 ticks. */
  readonly sessionTimeoutMinMs?: number
  readonly sessionTimeoutMaxMs?: number
  readonly limits?: Partial<ClientLimits>
  readonly nodes?: Partial<NodeRules>
  /** A request that took longer is logged with its time per layer; 0 = off. */
  readonly slowMs: number
  /** Times of the batch whose results are being delivered, for the slow log. */
  readonly batchTimes?: () => BatchTimes | undefined
  readonly logger: Logger
  /** The product's own version, reported on a line of its own beside ZooKeeper's. */
  readonly productVersion: string
  /** Shown by the four-letter word `conf`. */
  readonly dataDir: string
  readonly process?: ProcessFacts
  readonly storage?: () => StorageFacts | undefined
  /** Words that are answered, `*` for all; srvr always is. Default: DEFAULT_FOUR_LETTER_WORDS. */
  readonly fourLetterWords?: readonly string[]
  /** Reads of all connections are linearizable, not only of those that come to the port for it. Default false. */
  readonly linearizableReads?: boolean
  /** The file that the server was configured by, as the AdminServer shows it. */
  readonly initialConfiguration?: string
}
