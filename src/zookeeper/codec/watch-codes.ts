// The numbers in a watch notification: what happened to the node, and the state of the connection.

/** What a watch tells. 5 to 7 are made by clients for themselves and never sent. */
export const EVENT_TYPE = {
  none: -1,
  nodeCreated: 1,
  nodeDeleted: 2,
  nodeDataChanged: 3,
  nodeChildrenChanged: 4,
  dataWatchRemoved: 5,
  childWatchRemoved: 6,
  persistentWatchRemoved: 7,
} as const

export type EventType = (typeof EVENT_TYPE)[keyof typeof EVENT_TYPE]

/** States of a client's connection. A server sends only `syncConnected`. */
export const KEEPER_STATE = {
  disconnected: 0,
  syncConnected: 3,
  authFailed: 4,
  connectedReadOnly: 5,
  saslAuthenticated: 6,
  closed: 7,
  expired: -112,
} as const

export type KeeperState = (typeof KEEPER_STATE)[keyof typeof KEEPER_STATE]

/** Modes of addWatch. */
export const WATCH_MODE = { persistent: 0, persistentRecursive: 1 } as const

/** Which watches checkWatches and removeWatches mean; `children` and `data` are those that fire once. */
export const WATCHER_TYPE = { children: 1, data: 2, any: 3, persistent: 4, persistentRecursive: 5 } as const
