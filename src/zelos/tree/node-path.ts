// Paths of znodes: which are valid, their parents and names. Pure functions.

import { keyText } from '../../base/key.ts'

export const ROOT = '/'
export const ZOOKEEPER_NODE = '/zookeeper'
export const QUOTA_NODE = '/zookeeper/quota'
export const QUOTA_STATS = 'zookeeper_stats'
export const CONFIG_NODE = '/zookeeper/config'

const SLASH = 0x2f
const DOT = 0x2e

/** Nodes that are always there and can't be deleted. */
export function isSystemNode(path: string): boolean {
  return path === ROOT || path === ZOOKEEPER_NODE || path === QUOTA_NODE || path === CONFIG_NODE
}

/** The node with the numbers of a quota. */
export function isStatsOfQuota(path: string): boolean {
  return path.startsWith(`${QUOTA_NODE}/`) && nameOf(path) === QUOTA_STATS
}

/** The parent of a path that contains a slash. The parent of the root is the root. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash <= 0 ? ROOT : path.slice(0, slash)
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** How many names the path has: 0 for the root, one a slash otherwise. */
export function levelOf(path: string): number {
  if (path === ROOT) return 0
  let level = 0
  for (let i = 0; i < path.length; i++) if (path.charCodeAt(i) === SLASH) level++
  return level
}

/** The path of a child. */
export function childOf(parent: string, name: string): string {
  return parent === ROOT ? `/${name}` : `${parent}/${name}`
}

/**
 * ZooKeeper's rule for a whole path: absolute, no empty, `.` or `..` segment, no slash at the end, no control, surrogate
 * or private character. Hence also nothing outside the basic plane.
 */
export function isValidPath(path: string): boolean {
  const length = path.length
  if (length === 0 || path.charCodeAt(0) !== SLASH) return false
  if (length === 1) return true
  let segment = 1
  for (let i = 1; i <= length; i++) {
    const unit = i < length ? path.charCodeAt(i) : SLASH
    if (unit === SLASH) {
      if (!isValidSegment(path, segment, i)) return false
      segment = i + 1
    } else if (unit <= 0x1f || (unit >= 0x7f && isForbidden(unit))) return false
  }
  return true
}

function isValidSegment(path: string, from: number, to: number): boolean {
  const length = to - from
  if (length === 0) return false
  if (length > 2 || path.charCodeAt(from) !== DOT) return true
  return length === 2 && path.charCodeAt(from + 1) !== DOT
}

function isForbidden(unit: number): boolean {
  return unit <= 0x9f || (unit >= 0xd800 && unit <= 0xf8ff) || unit >= 0xfff0
}

/** Appends a sequence number as ZooKeeper does: ten digits, the sign included when the counter has overflowed. */
export function withSequence(path: string, counter: number): string {
  if (counter >= 0) return path + String(counter).padStart(10, '0')
  return `${path}-${String(-counter).padStart(9, '0')}`
}

/** A path as a key fragment. Valid paths hold no zero byte, so a zero byte may follow. */
export function pathKey(path: string): string {
  return keyText(path)
}
