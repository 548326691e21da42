// What holds of everything that Zelos has stored, whatever was asked of it: found by one look at all of its records, with none of
// the product's own indexes taken on trust.

import { strict as assert } from 'node:assert'
import { type Key, textOfKey } from '../../src/base/key.ts'
import type { Row } from '../../src/store/local-store.ts'
import {
  COUNTERS_KEY,
  dataKey,
  ephemeralPath,
  sessionOfEphemeral,
  TIMED_COUNT_KEY,
  timedPath,
  ZELOS_PREFIX,
} from '../../src/zelos/tree/key-space.ts'
import { decodeNode } from '../../src/zelos/tree/node-codec.ts'
import { parentOf } from '../../src/zelos/tree/node-path.ts'
import { parseQuota } from '../../src/zelos/tree/quota-limits.ts'
import { decodeCounters } from '../../src/zelos/tree/tree-counters.ts'
import { readUint64 } from '../../src/zelos/tree/uint64.ts'
import type { ZNode } from '../../src/zelos/znode.ts'

const SYSTEM = new Set(['/', '/zookeeper', '/zookeeper/quota', '/zookeeper/config'])

/** Throws if a record contradicts another. `quotas`: paths whose quota nobody has tampered with. */
export function checkZelos(rows: readonly Row[], quotas: readonly string[] = []): void {
  const byKey = new Map<Key, Uint8Array>(rows)
  const of = (letter: string): [Key, Uint8Array][] =>
    rows.filter(([key]) => key.startsWith(ZELOS_PREFIX + letter)) as [Key, Uint8Array][]
  const nodes = new Map<string, ZNode>()
  for (const [key, record] of of('n')) {
    const path = textOfKey(key.slice(key.indexOf('/')))
    nodes.set(
      path,
      decodeNode(record, () => byKey.get(dataKey(path))),
    )
  }
  checkChildren(nodes)
  checkAccess(nodes, of('a'), of('h').length)
  const stored = byKey.get(COUNTERS_KEY)
  assert(stored !== undefined, 'no counters')
  const counters = decodeCounters(stored)

  const owned = [...nodes].filter(([, { ephemeralOwner }]) => ephemeralOwner !== 0)
  const indexed = of('e').map(([key]) => `${sessionOfEphemeral(key)} ${ephemeralPath(key)}`)
  assert.deepEqual(
    indexed.sort(),
    owned.map(([path, { ephemeralOwner }]) => `${ephemeralOwner} ${path}`).sort(),
    'the index of ephemerals',
  )
  const timed = [...nodes].filter(([, { lifetime }]) => lifetime !== undefined).map(([path]) => path)
  assert.deepEqual(
    of('t')
      .map(([key]) => timedPath(key))
      .sort(),
    timed.sort(),
    'the list of nodes with a lifetime',
  )
  const count = byKey.get(TIMED_COUNT_KEY)
  if (count !== undefined) assert.equal(readUint64(Buffer.from(count), 0), timed.length, 'the count of these')
  const apart = [...nodes].filter(([, { data }]) => (data?.length ?? 0) > 4096)
  assert.equal(of('d').length, apart.length, 'records of large data')

  let dataBytes = 0
  for (const [path, { data }] of nodes) dataBytes += path.length + (data?.length ?? 0)
  assert.deepEqual(
    {
      nodes: counters.nodes,
      ephemerals: counters.ephemerals,
      sessions: counters.sessions,
      dataBytes: counters.dataBytes,
    },
    { nodes: nodes.size, ephemerals: owned.length, sessions: of('s').length, dataBytes },
    'the counters',
  )
  for (const path of quotas) checkQuota(path, nodes)
}

function checkChildren(nodes: ReadonlyMap<string, ZNode>): void {
  const children = new Map<string, number>()
  for (const path of nodes.keys()) {
    if (path === '/') continue
    const parent = parentOf(path)
    assert(nodes.has(parent), `${path.slice(0, 100)} has no parent`)
    children.set(parent, (children.get(parent) ?? 0) + 1)
  }
  for (const [path, node] of nodes) {
    assert.equal(node.numChildren, children.get(path) ?? 0, `children of ${path.slice(0, 100)}`)
    if (node.ephemeralOwner !== 0) assert.equal(node.numChildren, 0, `children of the ephemeral ${path.slice(0, 100)}`)
    assert(
      SYSTEM.has(path) || (node.czxid > 0 && node.mzxid >= node.czxid && node.pzxid >= node.czxid),
      `zxids of ${path.slice(0, 100)}`,
    )
  }
}

function checkAccess(nodes: ReadonlyMap<string, ZNode>, lists: readonly [Key, Uint8Array][], contents: number): void {
  const used = new Map<number, number>()
  for (const { aclId } of nodes.values()) if (aclId !== 0) used.set(aclId, (used.get(aclId) ?? 0) + 1)
  const counted = new Map<number, number>()
  for (const [key, record] of lists) {
    const id = Number(Buffer.from(key.slice(ZELOS_PREFIX.length + 1), 'latin1').readBigUInt64BE(0))
    counted.set(id, readUint64(Buffer.from(record), 1))
  }
  assert.deepEqual(new Map([...counted].sort()), new Map([...used].sort()), 'nodes of each access list')
  assert.equal(contents, lists.length, 'access lists by their content')
}

function checkQuota(path: string, nodes: ReadonlyMap<string, ZNode>): void {
  const below = [...nodes].filter(([one]) => one === path || one.startsWith(`${path}/`))
  const bytes = below.reduce((sum, [, { data }]) => sum + (data?.length ?? 0), 0)
  const stats = parseQuota(nodes.get(`/zookeeper/quota${path}/zookeeper_stats`)?.data ?? null)
  assert.deepEqual({ count: stats.count, bytes: stats.bytes }, { count: below.length, bytes }, `the quota of ${path}`)
}
