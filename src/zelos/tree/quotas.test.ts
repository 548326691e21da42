// Quotas as zkCli sets them: nodes below /zookeeper/quota.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OPEN, Outcome, ZelosHarness } from '../../../test/support/zelos-harness.ts'
import { entryOf } from '../../engine/entry.ts'
import { ManualTime } from '../../store/manual-time.ts'
import { openMemoryStore } from '../../store/memory-store.ts'
import { UpdateEncoder } from '../request-codec.ts'
import type { UpdateResult } from '../requests.ts'
import { ZCODE, type ZNode } from '../znode.ts'
import { PIECE_NODES } from './quota-counting.ts'
import { parseQuota } from './quota-limits.ts'
import type { QuotaNotice } from './quotas.ts'

const bytes = (length: number) => Buffer.alloc(length, 120)

function server(enforceQuotas = false) {
  const time = new ManualTime(queueMicrotask)
  const random = { uint32: () => 7, bytes: (length: number) => new Uint8Array(length) }
  const notices: QuotaNotice[] = []
  const harness = new ZelosHarness(openMemoryStore({ runtime: { clock: time, timers: time, random } }), {
    time,
    enforceQuotas,
    onQuotaExceeded: (notice) => notices.push(notice),
  })
  const alice = harness.client()
  const text = (path: string) => {
    const node = harness.zelos.getData(alice.requester, path, undefined) as ZNode
    return Buffer.from(node.data as Uint8Array).toString()
  }
  /** As zkCli does it. */
  const setQuota = (path: string, limits: string) => {
    let at = '/zookeeper/quota'
    for (const name of path.slice(1).split('/')) {
      at += `/${name}`
      alice.create(at)
    }
    alice.create(`${at}/zookeeper_limits`, { data: Buffer.from(limits) })
    alice.create(`${at}/zookeeper_stats`, { data: Buffer.from('count=0,bytes=0') })
  }
  const stats = (path: string) => text(`/zookeeper/quota${path}/zookeeper_stats`)
  return { harness, alice, setQuota, stats, notices }
}

describe('a quota', () => {
  it('counts what is there when it is set, and every change from then on, large data too', () => {
    const { alice, setQuota, stats } = server()
    alice.create('/a', { data: bytes(10) })
    alice.create('/a/b', { data: bytes(6000) })
    alice.create('/a/b/c')
    alice.create('/ab', { data: bytes(100) })
    setQuota('/a', 'count=-1,bytes=-1')
    expect(stats('/a')).toBe('count=3,bytes=6010')
    alice.create('/a/d', { data: bytes(5), flags: 1 })
    alice.setData('/a/b', bytes(2))
    alice.create('/ab/x', { data: bytes(5) })
    expect(stats('/a')).toBe('count=4,bytes=17')
    alice.delete('/a/b/c')
    alice.setData('/a', null)
    expect(stats('/a')).toBe('count=3,bytes=7')
    alice.close()
    expect(stats('/a')).toBe('count=2,bytes=2')
  })

  it('changes its numbers without a version, an event or a zxid, and takes back those of a failed multi', () => {
    const { harness, alice, setQuota, stats } = server()
    setQuota('/a', 'count=-1,bytes=-1')
    expect(stats('/a')).toBe('count=0,bytes=0')
    const path = '/zookeeper/quota/a/zookeeper_stats'
    const before = harness.zelos.getData(alice.requester, path, alice) as ZNode
    alice.create('/a')
    expect(stats('/a')).toBe('count=1,bytes=0')
    const { version, mzxid, mtime } = harness.zelos.getData(alice.requester, path, undefined) as ZNode
    expect({ version, mzxid, mtime }).toEqual({ version: 0, mzxid: before.mzxid, mtime: before.mtime })
    alice.multi(
      { op: 'create', path: '/a/x', data: null, acl: OPEN, flags: 0 },
      { op: 'check', path: '/none', version: 0 },
    )
    expect(stats('/a')).toBe('count=1,bytes=0')
    expect(alice.takeEvents()).toEqual([])
  })

  it('is that of the nearest ancestor that has limits, never that of the root, and ends with its limits', () => {
    const { alice, setQuota, stats } = server()
    for (const path of ['/a', '/a/b', '/a/b/c']) alice.create(path)
    alice.create('/zookeeper/quota/zookeeper_limits', { data: Buffer.from('count=0,bytes=0') })
    setQuota('/a', 'count=-1,bytes=-1')
    setQuota('/a/b/c', 'count=-1,bytes=-1')
    alice.create('/a/b/x')
    alice.create('/a/b/c/x')
    expect([stats('/a'), stats('/a/b/c')]).toEqual(['count=4,bytes=0', 'count=2,bytes=0'])
    alice.delete('/zookeeper/quota/a/b/c/zookeeper_limits')
    alice.create('/a/b/c/y')
    expect([stats('/a'), stats('/a/b/c')]).toEqual(['count=5,bytes=0', 'count=2,bytes=0'])
  })

  it('with soft limits warns, with hard ones that are not enforced too', () => {
    const { harness, alice, setQuota, notices } = server()
    alice.create('/a')
    setQuota('/a', 'count=2,bytes=-1;byteHardLimit=3')
    alice.create('/a/x')
    expect(notices).toEqual([])
    alice.create('/a/y', { data: bytes(4) })
    expect(notices).toEqual([
      { path: '/a', what: 'count', isHard: false, limit: 2, value: 3, refused: false },
      { path: '/a', what: 'bytes', isHard: true, limit: 3, value: 4, refused: false },
    ])
    expect(harness.zelos.stats).toMatchObject({ quotaWarnings: 2, quotaRefusals: 0 })
  })

  it('with hard limits refuses if they are enforced: creates behind all other checks, setData before the version', () => {
    const { harness, alice, setQuota, stats, notices } = server(true)
    alice.create('/a', { data: bytes(8) })
    setQuota('/a', 'count=1,bytes=-1;byteHardLimit=10;countHardLimit=2')
    expect(alice.create('/a/x').err).toBe(ZCODE.OK)
    expect(alice.create('/a/y').err).toBe(ZCODE.QUOTA_EXCEEDED)
    expect(alice.create('/a/x').err).toBe(ZCODE.NODE_EXISTS)
    expect(alice.setData('/a', bytes(11), 99).err).toBe(ZCODE.QUOTA_EXCEEDED)
    expect(alice.setData('/a', bytes(10), 99).err).toBe(ZCODE.BAD_VERSION)
    expect(alice.setData('/a', bytes(10)).err).toBe(ZCODE.OK)
    const child = (path: string) => ({ op: 'create', path, data: null, acl: OPEN, flags: 0 }) as const
    alice.delete('/a/x')
    expect(alice.multi(child('/a/1'), child('/a/2')).map(({ err }) => err)).toEqual([ZCODE.OK, ZCODE.QUOTA_EXCEEDED])
    expect(stats('/a')).toBe('count=1,bytes=10')
    expect(notices.every(({ refused }) => refused)).toBe(true)
    expect(harness.zelos.stats).toMatchObject({ quotaWarnings: 0, quotaRefusals: 3 })
  })

  it('is enforced as the server says that logs the update', () => {
    const { harness, alice, setQuota } = server()
    alice.create('/a')
    setQuota('/a', 'count=-1,bytes=-1;countHardLimit=1')
    const create = (encoder: UpdateEncoder) => {
      const operation = { op: 'create', path: '/a/x', data: null, acl: OPEN, flags: 0 } as const
      const outcome = new Outcome<UpdateResult>()
      harness.engine.propose(entryOf(encoder.encodeWrite(alice.requester, operation, 1)), outcome)
      return outcome.value.err
    }
    expect(create(new UpdateEncoder(true))).toBe(ZCODE.QUOTA_EXCEEDED)
    expect(create(new UpdateEncoder(false))).toBe(ZCODE.OK)
  })

  it('of text that says nothing has no limits', () => {
    for (const text of [
      '',
      'rubbish',
      'count',
      '=',
      'count=x,bytes=',
      ';;,',
      'count=1e3',
      'count=99999999999999999999',
    ]) {
      expect(parseQuota(Buffer.from(text))).toEqual({ count: -1, bytes: -1, countHardLimit: -1, byteHardLimit: -1 })
    }
    expect(parseQuota(null).count).toBe(-1)
    // As zkCli writes it, with an equals sign too many.
    expect(parseQuota(Buffer.from('count=4,bytes=-1=;byteHardLimit=200;countHardLimit=8'))).toEqual({
      count: 4,
      bytes: -1,
      countHardLimit: 8,
      byteHardLimit: 200,
    })
  })

  it('says what there is, whatever updates there were', () => {
    const path = fc
      .array(fc.constantFrom('q', 'a', 'b'), { minLength: 1, maxLength: 3 })
      .map((names) => `/${names.join('/')}`)
    const step = fc.record({ what: fc.constantFrom('create', 'create', 'set', 'delete'), path, length: fc.nat(9) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { harness, alice, setQuota, stats } = server()
        setQuota('/q', 'count=-1,bytes=-1')
        for (const one of steps) {
          if (one.what === 'create') alice.create(one.path, { data: bytes(one.length) })
          else if (one.what === 'set') alice.setData(one.path, bytes(one.length))
          else alice.delete(one.path)
        }
        const tx = harness.store.read()
        const { tree } = harness.applicator
        const top = tree.read(tx, '/q')
        const below = tree.sizeBelow(tx, '/q')
        const expected = { count: below.nodes, bytes: below.bytes + (top?.data?.length ?? 0) }
        if (top !== undefined) expected.count++
        expect(stats('/q')).toBe(`count=${expected.count},bytes=${expected.bytes}`)
      }),
      { numRuns: 60 },
    )
  })
})

describe('a quota of more nodes than one update counts', () => {
  const MANY = 4 * PIECE_NODES + 300
  const grown = (enforceQuotas = false) => {
    const one = server(enforceQuotas)
    one.alice.create('/a', { data: bytes(3) })
    one.alice.create('/a/x')
    for (let i = 0; i < MANY; i++) one.alice.create(`/a/x/${i}`, { data: bytes(i % 2 === 0 ? 1 : 2) })
    one.alice.create('/a/x/0/deep', { data: bytes(5000) })
    return one
  }
  const all = MANY + 3
  const allBytes = 3 + MANY * 1.5 + 5000

  it('is counted in pieces, by the server itself', () => {
    const { harness, setQuota, stats } = grown()
    setQuota('/a', 'count=-1,bytes=-1')
    expect(stats('/a')).toMatch(/^count=501,/)
    const { length } = harness.log.entries
    harness.pass(2_000)
    expect(stats('/a')).toBe(`count=${all},bytes=${allBytes}`)
    expect(harness.log.entries.length - length).toBeLessThan(10)
  })

  it('follows every change meanwhile, of what was counted and of what was not', () => {
    const { harness, alice, setQuota, stats } = grown()
    setQuota('/a', 'count=-1,bytes=-1')
    const changes: (() => void)[] = [
      () => alice.setData('/a/x/1', bytes(12)),
      () => alice.setData(`/a/x/${MANY - 1}`, bytes(12)),
      () => alice.delete('/a/x/2'),
      () => alice.delete('/a/x/998'),
      () => alice.create('/a/x/00', { data: bytes(7) }),
      () => alice.create('/a/x/zz', { data: bytes(7) }),
      () => alice.create('/a/x/4/y', { data: bytes(7) }),
      () => alice.setData('/a', bytes(4)),
    ]
    for (const change of changes) change()
    harness.pass(1_050)
    for (const change of changes.slice(0, 2)) change()
    alice.delete('/a/x/zz')
    harness.pass(2_000)
    let count = 1
    let sum = 4
    const look = (path: string): void => {
      const found = harness.zelos.getChildren(alice.requester, path, undefined, 1 << 30)
      if (typeof found === 'number') throw new Error(`${found}`)
      for (const name of found.children) {
        const node = harness.zelos.getData(alice.requester, `${path}/${name}`, undefined) as ZNode
        count++
        sum += node.data?.length ?? 0
        if (node.numChildren > 0) look(`${path}/${name}`)
      }
    }
    look('/a')
    expect(stats('/a')).toBe(`count=${count},bytes=${sum}`)
  })

  it('that is deleted and set again while it is counted is counted from the beginning', () => {
    const { harness, alice, setQuota, stats } = grown()
    setQuota('/a', 'count=-1,bytes=-1')
    alice.delete('/zookeeper/quota/a/zookeeper_stats')
    harness.pass(2_000)
    expect(harness.applicator.chore(harness.store.read(), undefined)).toBeUndefined()
    setQuota('/a', 'count=-1,bytes=-1')
    harness.pass(2_000)
    expect(stats('/a')).toBe(`count=${all},bytes=${allBytes}`)
  })

  it('goes on after a restart', () => {
    const { harness, setQuota } = grown()
    setQuota('/a', 'count=-1,bytes=-1')
    harness.close()
    const again = new ZelosHarness(harness.store, { time: new ManualTime(queueMicrotask) })
    again.pass(2_000)
    const node = again.zelos.getData(again.client().requester, '/zookeeper/quota/a/zookeeper_stats', undefined) as ZNode
    expect(String(node.data)).toBe(`count=${all},bytes=${allBytes}`)
  })

  it('is counted at once where an older build has logged it', () => {
    const { harness, alice, stats } = grown()
    alice.create('/zookeeper/quota/a')
    alice.create('/zookeeper/quota/a/zookeeper_limits', { data: Buffer.from('count=-1,bytes=-1') })
    const payload = new UpdateEncoder().encodeWrite(
      alice.requester,
      { op: 'create', path: '/zookeeper/quota/a/zookeeper_stats', data: null, acl: OPEN, flags: 0 },
      0,
    )
    expect(payload[0]).toBe(3)
    payload[0] = 1
    harness.engine.propose(entryOf(payload), new Outcome<UpdateResult>())
    expect(stats('/a')).toBe(`count=${all},bytes=${allBytes}`)
  })
})
