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
