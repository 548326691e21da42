// Update requests and their results: what goes through the log. The codec beside it (request-codec.ts) is a stored format.

import type { Acl, Identity, Lifetime, SessionId, ZCode, ZNode, Zxid } from './znode.ts'

/** Create modes, as bits: ZooKeeper's flags 0 to 3. Containers and TTL nodes have a lifetime, and are never ephemeral. */
export const CREATE_EPHEMERAL = 1
export const CREATE_SEQUENTIAL = 2

export type UpdateOperation =
  | {
      readonly op: 'create'
      readonly path: string
      readonly data: Uint8Array | null
      readonly acl: readonly Acl[]
      readonly flags: number
      readonly lifetime?: Lifetime
    }
  | { readonly op: 'delete'; readonly path: string; readonly version: number }
  | { readonly op: 'setData'; readonly path: string; readonly data: Uint8Array | null; readonly version: number }
  | { readonly op: 'setAcl'; readonly path: string; readonly acl: readonly Acl[]; readonly version: number }
  /** Only inside multi. */
  | { readonly op: 'check'; readonly path: string; readonly version: number }

/** Who asks: stamped into every entry, checked in apply, never from local state. */
export interface Requester {
  readonly session: SessionId
  /** Which move of the session this server owns; a write of an older owner is refused with SESSION_MOVED. */
  readonly ownerEpoch: number
  /** The client's address, an implicit `ip` identity. */
  readonly address: string
  /** Identities from `auth` requests; `world:anyone` is implicit. */
  readonly identities: readonly Identity[]
}

export type Update =
  | { readonly kind: 'write'; readonly requester: Requester; readonly operation: UpdateOperation }
  | { readonly kind: 'multi'; readonly requester: Requester; readonly operations: readonly UpdateOperation[] }
  /** password: 16 bytes drawn by the proposer; stored, so that every server can check it. */
  | {
      readonly kind: 'createSession'
      readonly password: Uint8Array
      readonly timeoutMs: number
      readonly address: string
    }
  /** A client came back to (or moved to) the proposing server: a new owner epoch and a renewed timeout. */
  | {
      readonly kind: 'moveSession'
      readonly session: SessionId
      readonly password: Uint8Array
      readonly timeoutMs: number
      readonly address: string
    }
  | { readonly kind: 'closeSession'; readonly requester: Requester }
  /** Its server has heard of these clients lately. Of another owner epoch it is void; of a session that is gone too. */
  | { readonly kind: 'renewSessions'; readonly sessions: readonly SessionRenewal[] }
  /**
   * What the timer of a session brings: its time is over. Void if the session was renewed or moved at a later position than
   * `heardAt`, the log position that armed the timer.
   */
  | { readonly kind: 'expireSession'; readonly session: SessionId; readonly heardAt: number }
  /**
   * What the timer of a container or TTL node brings. Void if the node has changed since: a TTL node's mzxid, a container's pzxid
   * is another than `since`. `leftMs`: of a long lifetime so much is yet to come.
   */
  | { readonly kind: 'expireNode'; readonly path: string; readonly since: Zxid; readonly leftMs: number }
  /**
   * The content was restored: all sessions end, and zxids go on above `zxidAbove`, past whatever the history that it was restored
   * from may have given out.
   */
  | { readonly kind: 'newHistory'; readonly zxidAbove: Zxid }
  /** Goes on with the end of a session that goes in pieces; void if that is over. */
  | { readonly kind: 'endSession'; readonly session: SessionId }
  /** Goes on arming timers after they were switched on; void if all are. */
  | { readonly kind: 'armTimers' }
  /** Goes on counting what a quota is about; void if that is at its end. */
  | { readonly kind: 'countQuota'; readonly quota: string }
  /**
   * A server says where clients reach it, `''` if it does not know, and who the members are as it sees them: whoever else has
   * announced itself and is none of them is forgotten.
   */
  | {
      readonly kind: 'announceMember'
      readonly server: string
      readonly address: string
      readonly members: readonly string[]
    }

/** What one operation of a request did. `node` is the node after the operation (create, setData, setAcl). */
export interface OperationResult {
  readonly err: ZCode
  /** create: the path with the sequence suffix. */
  readonly path?: string
  readonly node?: ZNode
}

/** The result of an update, made by apply, the same on every server. */
export interface UpdateResult {
  /** The zxid that the request took; failed ones take one too. */
  readonly zxid: Zxid
  readonly err: ZCode
  readonly path?: string
  readonly node?: ZNode
  /** multi: one per operation; on failure those before the failing one have err 0, those after RUNTIME_INCONSISTENCY. */
  readonly results?: readonly OperationResult[]
  /** createSession, moveSession: the session as stored now. */
  readonly session?: SessionRecord
}

/** A session and the move of it that the renewing server owns. */
export interface SessionRenewal {
  readonly session: SessionId
  readonly ownerEpoch: number
}

export interface SessionRecord {
  readonly id: SessionId
  readonly password: Uint8Array
  readonly timeoutMs: number
  readonly ownerEpoch: number
  /** Log position of its creation, last move or last logged renewal. */
  readonly renewedAt: number
}
