// What the oracle does to both servers, as plain data: it can be generated from a seed, printed, shortened and kept as a case.
// A path that begins with $ lies below the node of its round, so that a step can be repeated elsewhere.

import { OP } from '../../src/zookeeper/codec/opcodes.ts'
import type { Acl } from '../support/jute.ts'

const { error: _result, notification: _event, getAcl, setAcl, createTtl, ...others } = OP

/** Operations by the names that the oracle's tables use. */
export const OPCODES = { ...others, getACL: getAcl, setACL: setAcl, createTTL: createTtl }

export type OpName = keyof typeof OPCODES

/** Which zxid of the server a request speaks of: each server has its own numbers. */
export type ZxidOf = 'zero' | 'cut' | 'now'

/** A body that is not what its operation asks for. */
export type Damage =
  | { readonly kind: 'keep'; readonly bytes: number }
  | { readonly kind: 'append'; readonly hex: string }
  | { readonly kind: 'patch'; readonly at: number; readonly hex: string }

type Path = { readonly path: string }
type Creation = Path & { readonly data: string | null; readonly acl: readonly Acl[]; readonly flags: number }

type Body =
  | ({ readonly op: 'create' | 'create2' | 'createContainer' } & Creation)
  | ({ readonly op: 'createTTL'; readonly ttl: number } & Creation)
  | ({ readonly op: 'delete' | 'check'; readonly version: number } & Path)
  | ({ readonly op: 'exists' | 'getData' | 'getChildren' | 'getChildren2'; readonly watch: boolean } & Path)
  | ({ readonly op: 'setData'; readonly data: string | null; readonly version: number } & Path)
  | ({ readonly op: 'getACL' | 'sync' | 'getEphemerals' | 'getAllChildrenNumber' | 'deleteContainer' } & Path)
  | ({ readonly op: 'setACL'; readonly acl: readonly Acl[]; readonly version: number } & Path)
  | { readonly op: 'ping' | 'whoAmI' | 'closeSession' }
  | { readonly op: 'createSession'; readonly timeoutMs: number }
  | { readonly op: 'multi' | 'multiRead'; readonly ops: readonly Request[] }
  | {
      readonly op: 'reconfig'
      readonly joining: string
      readonly leaving: string
      readonly members: string
      readonly version: number
    }
  | ({ readonly op: 'checkWatches' | 'removeWatches'; readonly type: number } & Path)
  | ({ readonly op: 'addWatch'; readonly mode: number } & Path)
  | { readonly op: 'auth'; readonly scheme: string; readonly auth: string }
  | { readonly op: 'sasl'; readonly token: string }
  | ({ readonly op: 'setWatches' } & WatchLists)
  | ({
      readonly op: 'setWatches2'
      readonly persistent: readonly string[]
      readonly recursive: readonly string[]
    } & WatchLists)

interface WatchLists {
  readonly since: ZxidOf
  readonly data: readonly string[]
  readonly exist: readonly string[]
  readonly child: readonly string[]
}

export type Request = Body & {
  readonly damage?: Damage
  /** Sent instead of the operation's own number. */
  readonly opcode?: number
  readonly xid?: number
}

export type Step =
  /** A new session on a new connection. */
  | { readonly do: 'open'; readonly slot: number; readonly timeoutMs: number; readonly readOnly: boolean | 'omit' }
  /** The slot's session on a new connection; an old one may still be open. */
  | {
      readonly do: 'reopen'
      readonly slot: number
      readonly seen: 'zero' | 'cut' | 'future'
      readonly wrongPassword: boolean
    }
  | { readonly do: 'cut'; readonly slot: number }
  /** Sends the requests at once, then waits for their replies. */
  | { readonly do: 'ask'; readonly slot: number; readonly requests: readonly Request[] }
  /** Sends the requests of all these connections at once, then waits for all replies. */
  | { readonly do: 'burst'; readonly asks: readonly { readonly slot: number; readonly requests: readonly Request[] }[] }
  /** Bytes that are no frame of a request. */
  | { readonly do: 'bytes'; readonly slot: number; readonly hex: string }
  /** Cuts the connections and waits until `observer` sees that the sessions' nodes are gone. */
  | {
      readonly do: 'expire'
      readonly slots: readonly number[]
      readonly nodes: readonly string[]
      readonly observer: number
    }

/** The round's own node: of the same length in every round. */
export function roundPath(round: number): string {
  return `/r${String(round).padStart(6, '0')}`
}

/** % stands for the node below which the quotas of the round are. */
export function placed(path: string, root: string): string {
  if (path.startsWith('%')) return `/zookeeper/quota${root}${path.slice(1)}`
  return path.startsWith('$') ? root + path.slice(1) : path
}
