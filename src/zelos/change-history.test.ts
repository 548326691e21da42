// What is remembered of the newest changes, and how far back.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ChangeHistory } from './change-history.ts'
import { OPEN_ACL } from './tree/acl-rules.ts'
import type { TreeChange } from './tree/tree-updates.ts'
import type { Acl, Zxid } from './znode.ts'

/** Long before anything was applied. */
const EVER = -1

const SECRET: readonly Acl[] = [{ perms: 1, scheme: 'digest', id: 'a:b' }]

function changed(path: string, acl: readonly Acl[] = OPEN_ACL): TreeChange {
  return { type: 'dataChanged', path, acl, parentAcl: undefined }
}

function since(history: ChangeHistory, zxid: Zxid, prefix = '', ms = EVER): [TreeChange, Zxid][] {
  const found: [TreeChange, Zxid][] = []
  history.forEachSince(zxid, ms, prefix, (change, at) => found.push([change, at]))
  return found
}

describe('the remembered changes', () => {
  it('are as they were noted, from any zxid and time on and for any prefix', () => {
    const path = fc.oneof(fc.constantFrom('/', '/a', '/a/b', '/ä/\u{20ac}'), fc.string({ maxLength: 8 }))
    const acl = fc.constantFrom(OPEN_ACL, OPEN_ACL, SECRET, [...SECRET])
    const change: fc.Arbitrary<TreeChange> = fc.oneof(
      fc.record({ type: fc.constantFrom('created' as const, 'deleted' as const), path, acl, parentAcl: acl }),
      path.map((one) => changed(one)),
    )
    const noted = fc.array(fc.tuple(change, fc.integer({ min: 0, max: 2 })), { maxLength: 30 })
    fc.assert(
      fc.property(noted, fc.nat(60), fc.nat(400), path, (changes, from, fromMs, prefix) => {
        const history = new ChangeHistory()
        let zxid = 1
        const all = changes.map(([one, step]): [TreeChange, Zxid] => {
          zxid += step
          return [one, zxid]
        })
        for (const [one, at] of all) history.note(one, at, 10 * at)
        expect(since(history, from, prefix, fromMs)).toEqual(
          all.filter(([one, at]) => at > from && 10 * at > fromMs && one.path.startsWith(prefix)),
        )
      }),
    )
  })

  it('are bounded: the oldest go, and what they reach back to is known', () => {
    const history = new ChangeHistory(3)
    const last = 5 * 4096
    for (let zxid = 1; zxid <= last; zxid++) history.note(changed(`/${zxid}`), zxid, zxid)
    expect(history.count).toBe(3 * 4096)
    expect(since(history, 0).map(([, zxid]) => zxid)).toEqual(
      Array.from({ length: 3 * 4096 }, (_, i) => 2 * 4096 + i + 1),
    )
    expect([history.reaches(2 * 4096, EVER, last), history.reaches(2 * 4096 - 1, EVER, last)]).toEqual([true, false])
  })

  it('are bounded by the bytes of their paths too', () => {
    const history = new ChangeHistory(3)
    const path = `/${'x'.repeat(9000)}`
    for (let zxid = 1; zxid <= 100; zxid++) history.note(changed(path), zxid, zxid)
    expect(history.count).toBeLessThanOrEqual((3 * 24 * 4096) / 9001)
    expect(since(history, 99)).toEqual([[changed(path), 100]])
  })

  it('reach back to the start, but not before it, and after a gap not before that', () => {
    const history = new ChangeHistory()
    expect([history.reaches(5, EVER, 5), history.reaches(4, EVER, 5)]).toEqual([true, false])
    history.startAt(5, 50)
    history.note(changed('/a'), 9, 9)
    expect([history.reaches(5, EVER, 9), history.reaches(4, EVER, 9)]).toEqual([true, false])
    expect([history.reaches(0, 50, 9), history.reaches(0, 49, 9)]).toEqual([true, false])
    history.clear()
    expect(history.reaches(0, 1e9, 9)).toBe(false)
    expect(since(history, 0)).toEqual([])
    expect(history.reaches(8, EVER, 9)).toBe(false)
    history.note(changed('/a'), 12, 12)
    expect([history.reaches(11, EVER, 12), history.reaches(10, EVER, 12)]).toEqual([true, false])
  })

  it('with different access lists keep them', () => {
    const history = new ChangeHistory(2)
    const lists = Array.from({ length: 5000 }, (_, i): readonly Acl[] => [{ perms: 1, scheme: 'digest', id: `${i}:x` }])
    lists.forEach((acl, i) => {
      history.note({ type: 'created', path: '/a', acl, parentAcl: lists[0] }, i + 1, 0)
    })
    expect(since(history, 4990).map(([one]) => one.acl)).toEqual(lists.slice(4990))
    expect(since(history, 4990).every(([one]) => one.parentAcl === lists[0])).toBe(true)
  })
})
