// What a server says of itself: the shape of `/v1/status`, of `delos status` and of `server.status()`.

export interface DatabaseStatus {
  readonly state: 'catching up' | 'serving' | 'stopped' | 'closed'
  /** First position not applied yet. */
  readonly appliedPos: number
  /** First position whose effects may be lost in a power failure (the log replays them). */
  readonly durablePos: number
  /** The log's tail as known here. */
  readonly tail: number
  /** Oldest readable position of the log. */
  readonly oldestPos: number
  /** ISO time of the oldest readable entries, if known. */
  readonly oldestAt?: string
  readonly databaseId: string
  readonly historyId: string
  /** True while writes are refused because the log's disk has no room; reads go on, and it ends by itself. */
  readonly diskFull: boolean
  /** Why it stopped: position, entry and reason. */
  readonly failure?: string
  /** Engines of the stack, bottom to top. */
  readonly stack: readonly string[]
  /** What an operator must look at now, one sentence each. */
  readonly alarms: readonly string[]
}

export interface ServerStatus {
  readonly version: string
  readonly ready: boolean
  readonly uptimeMs: number
  readonly serverId: string
  /** `host:port` by listener name; a listener that is off is absent. */
  readonly addresses: Readonly<Record<string, string>>
  readonly databases: Readonly<Record<string, DatabaseStatus>>
}
