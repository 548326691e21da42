// The keys of Zelos in the LocalStore. One letter says what a record is; docs of the values are with their codecs.
//
//   n level path               node: stat and small data (node-codec.ts); level: names in the path, as decimal digits
//   d path                     data too large for the node's record
//   e session path             ephemeral nodes of a session, empty value
//   t path                     containers and TTL nodes (node-lifetimes.ts)
//   u                          how many of these there are
//   m server                   a member that has announced itself (config-node.ts)
//   q path                     a quota that is being counted (quota-counting.ts)
//   s session                  session record (session-codec.ts)
//   g session                  a session that is ending in pieces (divided-ends.ts)
//   r                          how far timers are armed after they were switched on (timers-anew.ts)
//   a acl                      interned access control list with its reference count (acl-store.ts)
//   h list                     the id of an interned list, by its content
//   c block                    a block of the newest changes of the tree (change-block.ts)
//   x                          zxid of the last applied update, and counts (tree-counters.ts)
//   z zxid                     log position of every 1000th update, the newest 10 000 of them
//
// With the level before the path, the children of a node are one range without anything in between, and a create needs no
// index beside the node: `n2/a/x` and `n2/a/y` are next to each other, `n3/a/x/z` is elsewhere.

import { type Key, keyText, keyUint, textOfKey, uintOfKey } from '../../base/key.ts'
import type { KeyRange } from '../../store/local-store.ts'
import { rangeOfPrefix, subStorePrefix } from '../../store/sub-store.ts'
import type { SessionId, Zxid } from '../znode.ts'
import { levelOf, pathKey, ROOT } from './node-path.ts'

/** Everything that Zelos keeps is under this prefix. */
export const ZELOS_PREFIX = subStorePrefix('zelos')

const NODE = `${ZELOS_PREFIX}n`
const DATA = `${ZELOS_PREFIX}d`
const EPHEMERAL = `${ZELOS_PREFIX}e`
const TIMED = `${ZELOS_PREFIX}t`
const SESSION = `${ZELOS_PREFIX}s`
const ENDING = `${ZELOS_PREFIX}g`
const MEMBER = `${ZELOS_PREFIX}m`
const COUNTING = `${ZELOS_PREFIX}q`
const ACL = `${ZELOS_PREFIX}a`
const ACL_CONTENT = `${ZELOS_PREFIX}h`
const CHANGES = `${ZELOS_PREFIX}c`
const POSITION = `${ZELOS_PREFIX}z`

export const TIMED_COUNT_KEY: Key = `${ZELOS_PREFIX}u`
export const ANEW_KEY: Key = `${ZELOS_PREFIX}r`
export const COUNTERS_KEY: Key = `${ZELOS_PREFIX}x`

/** Ready prefixes, so that the key of a node is one concatenation. */
const NODES_OF_LEVEL: readonly Key[] = Array.from({ length: 16 }, (_, level) => NODE + level)

function nodesOfLevel(level: number): Key {
  return NODES_OF_LEVEL[level] ?? NODE + level
}

export function nodeKey(path: string): Key {
  return nodesOfLevel(levelOf(path)) + pathKey(path)
}

export function dataKey(path: string): Key {
  return DATA + pathKey(path)
}

/** The same, of the node with this key at this level. */
export function dataKeyOf(node: Key, level: number): Key {
  return DATA + node.slice(nodesOfLevel(level).length)
}

/** The nodes that are children of `parent`. */
export function childRange(parent: string): KeyRange {
  return rangeOfPrefix(nodesOfLevel(levelOf(parent) + 1) + (parent === ROOT ? ROOT : `${pathKey(parent)}/`))
}

/** The nodes below `top`, which is not the root, whose path has `level` names. */
export function descendantRange(top: string, level: number): KeyRange {
  return rangeOfPrefix(`${nodesOfLevel(level) + pathKey(top)}/`)
}

/** The name in a key of `childRange(parent)`, as a key fragment: one unit a UTF-8 byte. */
export function childNameKey(key: Key, range: KeyRange): Key {
  return key.slice(range.from.length)
}

export function ephemeralKey(session: SessionId, path: string): Key {
  return EPHEMERAL + keyUint(session) + pathKey(path)
}

export function ephemeralRange(session: SessionId): KeyRange {
  return rangeOfPrefix(EPHEMERAL + keyUint(session))
}

/** Those of all sessions, session by session. */
export function allEphemeralsRange(): KeyRange {
  return rangeOfPrefix(EPHEMERAL)
}

export function sessionOfEphemeral(key: Key): SessionId {
  return uintOfKey(key, EPHEMERAL.length)
}

export function ephemeralPath(key: Key): string {
  return textOfKey(key.slice(EPHEMERAL.length + 8))
}

/** A container or TTL node, in the list of all of them. */
export function timedKey(path: string): Key {
  return TIMED + pathKey(path)
}

export function timedRange(): KeyRange {
  return rangeOfPrefix(TIMED)
}

export function timedPath(key: Key): string {
  return textOfKey(key.slice(TIMED.length))
}

/** A server by its id. */
export function memberKey(server: string): Key {
  return MEMBER + keyText(server)
}

export function memberRange(): KeyRange {
  return rangeOfPrefix(MEMBER)
}

export function memberOfKey(key: Key): string {
  return textOfKey(key.slice(MEMBER.length))
}

/** By the path of the quota's node. */
export function countingKey(quota: string): Key {
  return COUNTING + pathKey(quota)
}

export function countingRange(): KeyRange {
  return rangeOfPrefix(COUNTING)
}

export function countingPath(key: Key): string {
  return textOfKey(key.slice(COUNTING.length))
}

export function sessionKey(session: SessionId): Key {
  return SESSION + keyUint(session)
}

export function sessionRange(): KeyRange {
  return rangeOfPrefix(SESSION)
}

export function sessionOfKey(key: Key): SessionId {
  return uintOfKey(key, SESSION.length)
}

export function endingKey(session: SessionId): Key {
  return ENDING + keyUint(session)
}

export function endingRange(): KeyRange {
  return rangeOfPrefix(ENDING)
}

export function endingOfKey(key: Key): SessionId {
  return uintOfKey(key, ENDING.length)
}

export function aclKey(aclId: number): Key {
  return ACL + keyUint(aclId)
}

export function aclContentKey(content: Key): Key {
  return ACL_CONTENT + content
}

export function positionKey(zxid: Zxid): Key {
  return POSITION + keyUint(zxid)
}

export function changeBlockKey(block: number): Key {
  return CHANGES + keyUint(block)
}

/** All blocks, the oldest first. */
export function changeRange(): KeyRange {
  return rangeOfPrefix(CHANGES)
}

export function changeBlockOfKey(key: Key): number {
  return uintOfKey(key, CHANGES.length)
}
