// Reads between two updates of a connection: few are answered as of the first while the second is in the log; where they would take
// long the second waits, so that others have their turns.

import { describe, expect, it } from 'vitest'
import {
  create,
  getData,
  OPEN_ACL,
  setData,
  type WireClient,
  ZooKeeperHarness,
} from '../../test/support/zookeeper-harness.ts'
import { OP } from './codec/opcodes.ts'
import type { MultiOperation, WireRequest } from './codec/wire-requests.ts'
import { readCostUs } from './read-cost.ts'

const LISTS = 100
const CHILDREN = 200
const list = (path: string): WireRequest => ({ op: OP.getChildren, path, watch: false })
const lists = (path: string): WireRequest[] => Array.from({ length: LISTS }, () => list(path))

function children(parent: string): WireRequest {
  const operations = Array.from({ length: CHILDREN }, (_, at): MultiOperation => {
    return { op: OP.create, path: `${parent}/${at}`, data: null, acl: OPEN_ACL, flags: 0, ttlMs: 0 }
  })
  return { op: OP.multi, operations }
}

/** A server whose clock goes on 1 ms whenever it is read: a turn is over after a few replies. */
async function start(): Promise<{ harness: ZooKeeperHarness; client: WireClient; other: WireClient }> {
  const harness = await ZooKeeperHarness.start()
  const [client, other] = [harness.client(), harness.client()]
  client.create('/a')
  client.take()
  let ms = harness.time.monotonicMs()
  harness.time.monotonicMs = () => ms++
  return { harness, client, other }
}

function lengths(client: WireClient): number[] {
  return client.take().flatMap((one) => (one.kind === 'reply' && one.body.children ? [one.body.children.length] : []))
}

describe('reads between two updates', () => {
  it('of long lists are answered a turn at a time, and show nothing of the second', async () => {
    const { harness, client, other } = await start()
    client.ask(children('/a'))
    harness.hold()
    client.send(setData('/a', '1'), ...lists('/a'), create('/a/late'), list('/a'))
    harness.zelos.log.held = false
    harness.zelos.log.release()
    expect(harness.server.outstanding).toBeGreaterThan(LISTS - 20)
    expect(String(other.ask(getData('/a')).body.data)).toBe('1')
    expect(harness.server.outstanding).toBe(0)
    expect(lengths(client)).toEqual([...lists('/a').map(() => CHILDREN), CHILDREN + 1])
  })

  it('the same if it is the first that makes them long', async () => {
    const { harness, client } = await start()
    harness.hold()
    client.send(children('/a'), ...lists('/a'), create('/a/late'))
    harness.zelos.log.held = false
    harness.zelos.log.release()
    expect(harness.server.outstanding).toBeGreaterThan(LISTS - 20)
    harness.turn()
    expect(lengths(client)).toEqual(lists('/a').map(() => CHILDREN))
    expect(other(harness)).toBe(CHILDREN + 1)
  })

  it('of little data are answered with the first, while the second is in the log', async () => {
    const { harness, client } = await start()
    harness.hold()
    client.send(setData('/a', '1'), ...Array.from({ length: 500 }, () => getData('/a')), setData('/a', '2'))
    harness.zelos.log.held = false
    harness.zelos.log.release()
    expect(harness.server.outstanding).toBe(0)
  })
})

function other(harness: ZooKeeperHarness): number {
  return harness.client().ask(list('/a')).body.children?.length ?? 0
}

describe('what a read is expected to take', () => {
  const sizes = { childCount: () => 1_000, dataBytes: () => 1_000_000 }
  const still = { children: 0, dataBytes: 0 }
  const getDataOf = (path: string): WireRequest => ({ op: OP.getData, path, watch: false })

  it('grows with names, with data, with the reads of a multiRead, and with updates before it', () => {
    expect(readCostUs(sizes, { op: OP.exists, path: '/a', watch: false }, still)).toBe(2)
    expect(readCostUs(sizes, list('/a'), still)).toBeCloseTo(602)
    expect(readCostUs(sizes, list('/a'), { ...still, children: 500 })).toBeCloseTo(902)
    expect(readCostUs(sizes, getDataOf('/a'), { ...still, dataBytes: 10 })).toBeCloseTo(502)
    expect(readCostUs({ ...sizes, dataBytes: () => 0 }, getDataOf('/a'), { ...still, dataBytes: 10_000 })).toBeCloseTo(
      7,
    )
    const reads = [
      { op: OP.getData, path: '/a' },
      { op: OP.getChildren, path: '/a' },
    ] as const
    expect(readCostUs(sizes, { op: OP.multiRead, reads: [...reads] }, still)).toBeCloseTo(1106)
    const many = Array.from({ length: 101 }, () => ({ op: OP.getData, path: '/a' }) as const)
    expect(readCostUs(sizes, { op: OP.multiRead, reads: many }, still)).toBeGreaterThan(50_000)
  })
})
