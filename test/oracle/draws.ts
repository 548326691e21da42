// One request of each kind, drawn from a round's tree as it is known, and how often each is drawn. Rounds, sessions and damage are
// the generator's.

import type { Acl } from '../support/jute.ts'
import type { KnownTree } from './known-tree.ts'
import type { Damage, OpName, Request } from './steps.ts'

/** What a draw is made from. */
export interface Chances {
  readonly tree: KnownTree
  below(bound: number): number
  chance(probability: number): boolean
  pick<T>(items: readonly T[]): T
  /** Of a node that is known, or near one. */
  path(): string
  anyPath(): string
  newPath(): string
  oldPath(): string
  version(path: string, of?: 'version' | 'aversion'): number
  data(): string | null
  acl(): readonly Acl[]
  isFull(): boolean
  some(path: () => string, max: number): string[]
}

export type Draw = (chances: Chances) => Request

export const USERS = ['amy:one', 'ben:two', 'cid:three']

export const BAD_PATHS = [
  '',
  'a',
  '$/',
  '$//a',
  '$/.',
  '$/..',
  '$/a/./b',
  '$/\u0001',
  '$/\u007f',
  '$/a\0',
  '/',
  '$/\ud7ff',
  '$/\ue000',
  '$/\ufff5',
  '/zookeeper',
  '/zookeeper/quota',
  '/zookeeper/config',
]

export const EMPTY_PATH: Damage = { kind: 'patch', at: 0, hex: '00000000' }

export const OPEN: readonly Acl[] = [{ perms: 31, scheme: 'world', id: 'anyone' }]

export function creation(g: Chances, op: 'create' | 'create2'): Request {
  if (g.isFull() && g.chance(0.8)) return deletion(g)
  const flags = g.chance(0.03) ? g.pick([-1, 7, 8, 99, 4, 5, 6]) : g.pick([0, 0, 0, 0, 1, 1, 2, 3])
  const path = g.newPath()
  // Nothing outside of the round may go later, with its session.
  return { op, path, data: g.data(), acl: g.acl(), flags: path.startsWith('$') ? flags : flags & 2 }
}

/** Not of the whole tree, in which nodes of earlier rounds still go with their sessions. */
function counted(g: Chances): Request {
  const path = g.path()
  return { op: 'getAllChildrenNumber', path: path === '/' || path === '' ? '$' : path }
}

function deletion(g: Chances): Request {
  const path = g.oldPath()
  return { op: 'delete', path, version: g.version(path) }
}

function change(g: Chances): Request {
  const path = g.path()
  return { op: 'setData', path, data: g.data(), version: g.version(path) }
}

function access(g: Chances): Request {
  const path = g.path()
  const acl = g.acl()
  // The round's own node stays open, and what all rounds share.
  if (!path.startsWith('$')) return { op: 'setACL', path, acl: OPEN, version: g.version(path, 'aversion') }
  return { op: 'setACL', path: path === '$' ? '$/a' : path, acl, version: g.version(path, 'aversion') }
}

function read(op: 'exists' | 'getData' | 'getChildren' | 'getChildren2'): Draw {
  return (g) => {
    const path = g.chance(0.8) ? g.path() : g.anyPath()
    // 3.8 sets a watch where 3.9.5 refuses to look: the round would end there.
    const isHidden = op === 'exists' && g.tree.get(path)?.isOpen === false
    return { op, path, watch: !isHidden && g.chance(0.4) }
  }
}

function check(g: Chances): Request {
  const path = g.path()
  return { op: 'check', path, version: g.version(path) }
}

function multi(g: Chances): Request {
  const draws: readonly Draw[] = [(h) => creation(h, 'create'), (h) => creation(h, 'create2'), deletion, change, check]
  const ops = Array.from({ length: g.below(5) }, () => g.pick(draws)(g))
  if (g.chance(0.02)) ops.push(read('getData')(g))
  return { op: 'multi', ops }
}

function multiRead(g: Chances): Request {
  const ops = Array.from(
    { length: g.below(5) },
    () => ({ ...read(g.pick(['getData', 'getChildren']))(g), watch: false }) as Request,
  )
  if (g.chance(0.05)) ops.push(g.pick([read('exists'), change, check])(g))
  return { op: 'multiRead', ops }
}

/** What can be added to a node that was made with it, and some that can't. */
function lifetime(op: 'createContainer' | 'createTTL'): Draw {
  return (g) => {
    const base = { path: g.newPath(), data: g.data(), acl: g.acl() }
    if (op === 'createContainer') return { op, ...base, flags: g.chance(0.1) ? g.pick([0, 1, 2, 3, 5, 6, 7]) : 4 }
    // No other mode with a TTL below 0: ZooKeeper logs that, and can't apply it.
    const ttl = g.chance(0.2) ? g.pick([0, -1, 2 ** 40, 2 ** 40 - 1]) : 3_600_000
    return { op, ...base, flags: ttl >= 0 && g.chance(0.1) ? g.pick([0, 1, 4, 7]) : g.pick([5, 5, 6]), ttl }
  }
}

function watches(op: 'setWatches' | 'setWatches2'): Draw {
  return (g) => {
    const any = (): string => {
      const path = g.chance(0.7) ? g.path() : g.anyPath()
      // What happened to a node that the connection may not read is told by ZooKeeper alone.
      return g.tree.get(path)?.isOpen === false ? '$' : path
    }
    const lists = {
      since: g.pick(['zero', 'cut', 'now', 'now'] as const),
      data: g.some(any, 3),
      exist: g.some(any, 3),
      child: g.some(any, 3),
    }
    if (op === 'setWatches') return { op, ...lists }
    return { op, ...lists, persistent: g.some(any, 2), recursive: g.some(any, 1) }
  }
}

export const DRAWS: readonly (readonly [weight: number, op: OpName, draw: Draw])[] = [
  [14, 'create', (g) => creation(g, 'create')],
  [10, 'create2', (g) => creation(g, 'create2')],
  [12, 'delete', deletion],
  [12, 'setData', change],
  [5, 'setACL', access],
  [5, 'getACL', (g) => ({ op: 'getACL', path: g.path() })],
  [9, 'exists', read('exists')],
  [9, 'getData', read('getData')],
  [7, 'getChildren', read('getChildren')],
  [7, 'getChildren2', read('getChildren2')],
  [2, 'sync', (g) => ({ op: 'sync', path: g.path() })],
  [1, 'ping', () => ({ op: 'ping' })],
  [8, 'multi', multi],
  [4, 'multiRead', multiRead],
  [3, 'createContainer', lifetime('createContainer')],
  [3, 'createTTL', lifetime('createTTL')],
  [3, 'addWatch', (g) => ({ op: 'addWatch', path: g.path(), mode: g.chance(0.05) ? g.pick([-1, 2]) : g.below(2) })],
  [2, 'checkWatches', (g) => ({ op: 'checkWatches', path: g.path(), type: g.pick([1, 2, 3, 3, 3, 0, 7]) })],
  [3, 'removeWatches', (g) => ({ op: 'removeWatches', path: g.path(), type: g.pick([1, 2, 3, 3, 3, 0, 7]) })],
  [0.4, 'setWatches', watches('setWatches')],
  [0.8, 'setWatches2', watches('setWatches2')],
  [1, 'getEphemerals', (g) => ({ op: 'getEphemerals', path: g.chance(0.5) ? g.path() : g.pick(['', '/', '$', '$/']) })],
  [1, 'getAllChildrenNumber', counted],
  [1, 'whoAmI', () => ({ op: 'whoAmI' })],
  [
    1,
    'reconfig',
    (g) => ({
      op: 'reconfig',
      joining: g.pick(['', 'server.1=x:1:2;3']),
      leaving: '',
      members: '',
      version: g.pick([-1, 0, 7]),
    }),
  ],
]
