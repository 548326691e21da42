// Every difference between the real ZooKeeper 3.8 and Zelos that the oracle accepts, with its reason. Nothing else is accepted.

import type { Seen } from './side.ts'
import type { Request } from './steps.ts'

/** One difference at one place of what a connection saw; `path` names the field, `field[3].stat.czxid` for example. */
export interface Difference {
  readonly path: string
  readonly reference: unknown
  readonly ours: unknown
  /** The step's operations. */
  readonly ops: ReadonlySet<string>
  /** What was seen as a whole, if the same kind of thing was seen on both sides. */
  readonly seen: { readonly reference: Seen | undefined; readonly ours: Seen | undefined }
}

export interface AllowedDifference {
  readonly name: string
  readonly reason: string
  readonly applies: (difference: Difference) => boolean
  /** Whether the servers' states differ from there on, so that the round ends. */
  readonly diverges?: (difference: Difference) => boolean
}

const opOf = (seen: Seen | undefined): string | undefined => (seen?.kind === 'reply' ? seen.request.op : undefined)

export const ALLOWED: readonly AllowedDifference[] = [
  {
    name: 'deleteContainer and createSession are refused',
    reason:
      'ZooKeeper deletes any empty node for any client that sends the one, without a look at its ACL, and shakes hands again for the other',
    applies: ({ path, ours, ops }) =>
      (ops.has('deleteContainer') && ((path === 'err' && ours === -6) || path === 'kind')) || ops.has('createSession'),
  },
  {
    name: 'check is refused outside of multi',
    reason: 'ZOOKEEPER-2623, since 3.8.5 and 3.9.3: it corrupts the log of an ensemble',
    applies: ({ path, ours, ops }) => ops.has('check') && ((path === 'err' && ours === -6) || path === 'kind'),
  },
  {
    name: 'exists needs READ',
    reason: 'ZOOKEEPER-2590, since 3.8.4 and 3.9.2: the Stat of a node is for those who may read it',
    applies: ({ path, ours, reference, seen }) =>
      opOf(seen.ours) === 'exists' &&
      seen.ours?.kind === 'reply' &&
      seen.ours.err === -102 &&
      (path === 'err' ? reference === 0 && ours === -102 : path === 'stat'),
    diverges: ({ seen }) => seen.ours?.kind === 'reply' && seen.ours.request.op === 'exists' && seen.ours.request.watch,
  },
  {
    name: 'checkWatches finds only watches of its own connection',
    reason: 'ZOOKEEPER-4466, since 3.9.0: before, the watch of any connection at the path counts',
    applies: ({ path, ours, reference, seen }) =>
      path === 'err' && opOf(seen.ours) === 'checkWatches' && reference === 0 && ours === -121,
  },
  {
    name: 'watches are looked for at any path',
    reason:
      'ZOOKEEPER-4466, since 3.9.0: before, a path that is none ends the search with an exception, also where the connection watches it',
    applies: ({ path, ours, reference, seen }) =>
      path === 'err' && opOf(seen.ours) === 'checkWatches' && reference === -5 && (ours === -121 || ours === 0),
  },
  {
    name: 'a watch at the path of no characters is found',
    reason: 'ZOOKEEPER-4466, since 3.9.0: before, the search begins at a parent, and this path has none',
    applies: ({ path, ours, reference, seen }) =>
      path === 'err' &&
      opOf(seen.ours) === 'checkWatches' &&
      reference === -121 &&
      ours === 0 &&
      isEmptyPath(seen.ours),
  },
  {
    name: 'a multi with a TTL mode in an operation without a TTL is refused as a whole',
    reason: 'ZooKeeper does so too, unless an operation before it fails',
    applies: ({ seen }) => seen.ours?.kind === 'reply' && seen.ours.err === -5 && hasModeWithoutTtl(seen.ours.request),
  },
  {
    name: 'an error has no record',
    reason: 'ZooKeeper adds an empty list of results to a multiRead that it could not read; no client looks at it',
    applies: ({ path, ours, seen }) => path === 'bytesLeft' && opOf(seen.ours) === 'multiRead' && ours === 0,
  },
  {
    name: 'setWatches2 tells what persistent watches have missed',
    reason: 'ZooKeeper forgets it; Zelos replays it from its log, before the reply',
    applies: ({ path }) => path === 'replayed',
  },
]

function isEmptyPath(seen: Seen | undefined): boolean {
  return seen?.kind === 'reply' && seen.request.op === 'checkWatches' && seen.request.path === ''
}

/** A multi that ZooKeeper can't read to its end. */
export function hasModeWithoutTtl(request: Request): boolean {
  return (
    request.op === 'multi' && request.ops.some((op) => op.op !== 'createTTL' && 'flags' in op && isTtlMode(op.flags))
  )
}

function isTtlMode(flags: number): boolean {
  return flags === 5 || flags === 6
}

/** The line that allows the difference. */
export function allowedBy(difference: Difference): AllowedDifference | undefined {
  return ALLOWED.find((line) => line.applies(difference))
}
