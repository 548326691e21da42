// ZooKeeper's numbers that the tests use, written down once more and apart from the product's: operations, errors, modes.

import type { Acl } from './jute.ts'

export const Op = {
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  getAcl: 6,
  setAcl: 7,
  getChildren: 8,
  sync: 9,
  ping: 11,
  getChildren2: 12,
  check: 13,
  multi: 14,
  create2: 15,
  auth: 100,
  setWatches: 101,
  checkWatches: 17,
  removeWatches: 18,
  setWatches2: 105,
  addWatch: 106,
  closeSession: -11,
} as const

export const Err = {
  ok: 0,
  runtimeInconsistency: -2,
  marshalling: -5,
  unimplemented: -6,
  badArguments: -8,
  noNode: -101,
  noAuth: -102,
  badVersion: -103,
  noChildrenForEphemerals: -108,
  nodeExists: -110,
  notEmpty: -111,
  sessionExpired: -112,
  invalidAcl: -114,
  authFailed: -115,
  noWatcher: -121,
  quotaExceeded: -125,
} as const

export const Flags = { persistent: 0, ephemeral: 1, sequential: 2, ephemeralSequential: 3 } as const

export const EventType = { none: -1, created: 1, deleted: 2, dataChanged: 3, childrenChanged: 4 } as const

export const Perm = { read: 1, write: 2, create: 4, delete: 8, admin: 16, all: 31 } as const

export const openAcl: readonly Acl[] = [{ perms: Perm.all, scheme: 'world', id: 'anyone' }]

export const WatchMode = { persistent: 0, recursive: 1 } as const

export const WatcherType = { children: 1, data: 2, any: 3, persistent: 4, recursive: 5 } as const
