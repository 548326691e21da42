import { describe, expect, it } from 'vitest'
import { DelosError } from '../../base/delos-error.ts'
import { decodeSession, encodeSession } from '../sessions/session-codec.ts'
import type { ZNode } from '../znode.ts'
import { childRange, nodeKey } from './key-space.ts'
import { decodeNode, encodeNode, INLINE_DATA_BYTES_MAX } from './node-codec.ts'
import { childOf, parentOf } from './node-path.ts'
import { decodeCounters, encodeCounters } from './tree-counters.ts'

const node: ZNode = {
  data: Buffer.from('data'),
  czxid: 2 ** 33 + 1,
  mzxid: 2 ** 52 + 1,
  pzxid: 3,
  ctime: 1_700_000_000_001,
  mtime: 1_700_000_000_002,
  version: -5,
  createdChildren: -(2 ** 31),
  aversion: -1,
  ephemeralOwner: 2 ** 32,
  aclId: 2 ** 32 - 1,
  numChildren: 77,
  lifetime: undefined,
}
const counters = { zxid: 2 ** 40, nodes: 5, ephemerals: 1, sessions: 2, dataBytes: 2 ** 33, nextAclId: 9 }
const session = {
  id: 8,
  password: Uint8Array.from({ length: 16 }, (_, i) => i),
  timeoutMs: 30_000,
  ownerEpoch: 2,
  renewedAt: 2 ** 34,
  address: '10.0.0.1',
}
const none = () => undefined

const hexOf = (key: string) => Buffer.from(key, 'latin1').toString('hex')

describe('stored records', () => {
  it('have the stored format', async () => {
    const lines = [
      `node ${encodeNode(node).toString('hex')}`,
      `node-null ${encodeNode({ ...node, data: null }).toString('hex')}`,
      `node-empty ${encodeNode({ ...node, data: Buffer.alloc(0) }).toString('hex')}`,
      `node-data-apart ${encodeNode({ ...node, data: Buffer.alloc(INLINE_DATA_BYTES_MAX + 1) }).toString('hex')}`,
      `node-ttl ${encodeNode({ ...node, ephemeralOwner: 0, lifetime: { kind: 'ttl', ms: 2 ** 40 - 1 } }).toString('hex')}`,
      `node-container ${encodeNode({ ...node, ephemeralOwner: 0, lifetime: { kind: 'container', ms: 60_000 } }).toString('hex')}`,
      `counters ${encodeCounters(counters).toString('hex')}`,
      `session ${encodeSession(session).toString('hex')}`,
      ...['/', '/a', '/größe/b', '/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17'].map(
        (path) => `key ${hexOf(nodeKey(path))}`,
      ),
    ]
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('../../../testdata/zelos/records.hex')
  })

  it('of the children of a node are one range, in the order of their names, with nothing else in it', () => {
    const deep = `/${Array.from({ length: 20 }, (_, i) => i).join('/')}`
    const parents = ['/', '/a', '/a-', '/a/b', '/ä', deep]
    const names = ['B', 'a', 'a-', 'b', 'b\u0020', '\u00e4', '\u20ac']
    const keys = parents.flatMap((parent) => [parent, ...names.map((name) => childOf(parent, name))].map(nodeKey))
    for (const parent of parents) {
      const { from, to } = childRange(parent)
      const inside = [...new Set(keys)].filter((key) => key >= from && key < (to as string))
      const children = names.map((name) => childOf(parent, name))
      for (const other of parents) if (other !== '/' && parentOf(other) === parent) children.push(other)
      const byBytes = [...new Set(children)].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      expect(inside.sort()).toEqual(byBytes.map(nodeKey))
    }
  })

  it('read back as they were written', () => {
    expect(decodeNode(encodeNode(node), none)).toEqual(node)
    for (const kind of ['ttl', 'container'] as const) {
      const timed: ZNode = { ...node, ephemeralOwner: 0, lifetime: { kind, ms: 5 } }
      expect(decodeNode(encodeNode(timed), none)).toEqual(timed)
    }
    expect(decodeNode(encodeNode({ ...node, data: null }), none).data).toBeNull()
    expect(decodeNode(encodeNode({ ...node, data: Buffer.alloc(0) }), none).data).toHaveLength(0)
    expect(decodeCounters(encodeCounters(counters))).toEqual(counters)
    expect(decodeSession(8, encodeSession(session))).toEqual(session)
  })

  it('keep large data apart', () => {
    const data = Buffer.alloc(INLINE_DATA_BYTES_MAX + 1, 7)
    const record = encodeNode({ ...node, data })
    expect(record.length).toBeLessThan(100)
    expect(decodeNode(record, () => data).data).toBe(data)
    expect(() => decodeNode(record, none)).toThrow(DelosError)
    expect(encodeNode({ ...node, data: data.subarray(1) }).length).toBeGreaterThan(INLINE_DATA_BYTES_MAX)
  })

  it('of a newer format are refused, not guessed', () => {
    for (const [record, decode] of [
      [encodeNode(node), (bytes: Uint8Array) => decodeNode(bytes, none)],
      [encodeCounters(counters), decodeCounters],
      [encodeSession(session), (bytes: Uint8Array) => decodeSession(8, bytes)],
    ] as const) {
      record[0] = 99
      expect(() => decode(record)).toThrow(expect.objectContaining({ code: 'FORMAT' }))
    }
  })
})
