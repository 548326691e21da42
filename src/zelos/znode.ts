// The data model: one record per znode, ACLs, identities, and ZooKeeper's result codes as Zelos returns them. No behaviour.

/**
 * A session, as the zxid of the request that created it: a safe integer, never 0 (0 = none). At the wire it becomes a
 * 64-bit id with a constant top byte (zookeeper/ does that).
 */
export type SessionId = number

/** A counter of applied update requests, failed ones included; safe integer, never wraps at 2^32. */
export type Zxid = number

/** An authenticated or named identity: `world:anyone`, `digest:user:hash`, `ip:10.0.0.1`. */
export interface Identity {
  readonly scheme: string
  readonly id: string
}

/** One entry of an access control list. `perms` is the bit sum of READ 1, WRITE 2, CREATE 4, DELETE 8, ADMIN 16. */
export interface Acl {
  readonly perms: number
  readonly scheme: string
  readonly id: string
}

export const PERM = { READ: 1, WRITE: 2, CREATE: 4, DELETE: 8, ADMIN: 16, ALL: 31 } as const

/**
 * Of a node that goes by itself once it has no children: a TTL node when it was not changed for `ms`, a container `ms` after its
 * last child has gone (one that never had a child stays).
 */
export interface Lifetime {
  readonly kind: 'ttl' | 'container'
  readonly ms: number
}

/** The longest time to live, 40 bits of milliseconds as in ZooKeeper: some 34 years. */
export const TTL_MS_MAX = 0xffffffffff

/** A znode's record. What an update made is immutable; what a read gave is the node as committed, until the next commit. */
export interface ZNode {
  /** null is what a client that sent a null buffer gets back; not the same as empty. */
  readonly data: Uint8Array | null
  readonly czxid: Zxid
  readonly mzxid: Zxid
  readonly pzxid: Zxid
  /** Milliseconds since 1970, as stamped into the entries by their proposer. */
  readonly ctime: number
  readonly mtime: number
  /** int32; wraps as ZooKeeper's does. */
  readonly version: number
  /** Counts creates of children only. The Stat shows `createdChildren * 2 - numChildren`. */
  readonly createdChildren: number
  readonly aversion: number
  /** 0 = not ephemeral. */
  readonly ephemeralOwner: SessionId
  /** Index of the interned access control list. */
  readonly aclId: number
  readonly numChildren: number
  /** Undefined: it stays, or is ephemeral. */
  readonly lifetime: Lifetime | undefined
}

/** What the client is told; ZooKeeper's numbers, so that they go on the wire unchanged. */
export const ZCODE = {
  OK: 0,
  RUNTIME_INCONSISTENCY: -2,
  MARSHALLING_ERROR: -5,
  UNIMPLEMENTED: -6,
  BAD_ARGUMENTS: -8,
  UNKNOWN_SESSION: -12,
  NO_NODE: -101,
  NO_AUTH: -102,
  BAD_VERSION: -103,
  NO_CHILDREN_FOR_EPHEMERALS: -108,
  NODE_EXISTS: -110,
  NOT_EMPTY: -111,
  SESSION_EXPIRED: -112,
  INVALID_ACL: -114,
  SESSION_MOVED: -118,
  QUOTA_EXCEEDED: -125,
} as const

export type ZCode = (typeof ZCODE)[keyof typeof ZCODE]
