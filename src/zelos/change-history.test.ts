// What the store holds of the newest changes: what is read back, how far it reaches, and that it is the same however it came about.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LocalStore, Row } from '../store/local-store.ts'
import { ManualTime } from '../store/manual-time.ts'
import { openMemoryStore } from '../store/memory-store.ts'
import { ChangeHistory } from './change-history.ts'
import { BLOCK_BYTES, BLOCK_CHANGES_MAX, BLOCKS_KEPT, KeptChanges } from './kept-changes.ts'
import { OPEN_ACL } from './tree/acl-rules.ts'
import { ApplyState } from './tree/apply-state.ts'
import { changeBlockKey, changeRange } from './tree/key-space.ts'
import type { TreeChange } from './tree/tree-updates.ts'
import type { Acl, Zxid } from './znode.ts'

/** Long before anything was applied. */
const EVER = Number.NEGATIVE_INFINITY
const KEPT = BLOCKS_KEPT * BLOCK_CHANGES_MAX

const SECRET: readonly Acl[] = [{ perms: 1, scheme: 'digest', id: 'a:b' }]

function changed(path: string, acl: readonly Acl[] = OPEN_ACL): TreeChange {
  return { type: 'dataChanged', path, acl, parentAcl: undefined }
}

interface Moment {
  readonly zxid: Zxid
  readonly changes: readonly TreeChange[]
  readonly wallMs?: number
}

/** Apply of one server, as far as it notes changes. */
class Noting {
  readonly store: LocalStore
  private pos = 0

  constructor(store?: LocalStore) {
    const time = new ManualTime(queueMicrotask)
    const random = { uint32: () => 7, bytes: (length: number) => new Uint8Array(length) }
    this.store = store ?? openMemoryStore({ runtime: { clock: time, timers: time, random } })
    this.restart()
  }

  private state!: ApplyState
  private log!: KeptChanges

  restart(): this {
    this.state = new ApplyState()
    this.log = new KeptChanges(this.state)
    return this
  }

  /** In one transaction; it is dropped, and comes again, if `fails`. */
  apply(moments: readonly Moment[], fails = false): this {
    if (moments.length === 0) return this
    const from = this.pos
    const tx = this.store.begin()
    for (const { zxid, changes, wallMs = 0 } of moments) {
      this.in(tx, () => {
        this.log.begin(1, 0)
        this.log.note(changes, zxid, wallMs)
      })
    }
    if (fails) {
      tx.abort()
      this.pos = from
      return this.apply(moments)
    }
    tx.commit()
    this.state.commit()
    return this
  }

  breakOff(zxid: Zxid): this {
    const tx = this.store.begin()
    this.in(tx, () => this.log.breakOff(zxid))
    tx.commit()
    this.state.commit()
    return this
  }

  private in(tx: ReturnType<LocalStore['begin']>, step: () => void): void {
    this.state.begin(tx, this.pos++, 0)
    step()
    this.state.end()
  }

  get rows(): Row[] {
    return [...this.store.read().scan(changeRange())].map(([key, value]) => [key, Uint8Array.from(value)])
  }

  get history(): ChangeHistory {
    return new ChangeHistory(this.store)
  }

  /** The newest zxids up to this one are those of a change each. */
  upTo(last: Zxid, path = (zxid: Zxid) => `/${zxid}`): this {
    const moments = Array.from({ length: last }, (_, i) => ({ zxid: i + 1, changes: [changed(path(i + 1))] }))
    for (let from = 0; from < last; from += 997) this.apply(moments.slice(from, from + 997))
    return this
  }
}

function since(history: ChangeHistory, zxid: Zxid, prefix = '', ms = EVER): [TreeChange, Zxid][] | undefined {
  const found: [TreeChange, Zxid][] = []
  const changes = history.since(zxid, ms, Number.MAX_SAFE_INTEGER)
  while (changes?.visit(Buffer.from(prefix), Number.MAX_SAFE_INTEGER, 7, (change, at) => found.push([change, at])));
  return changes === undefined ? undefined : found
}

const path = fc.oneof(
  fc.constantFrom('/', '/a', '/a/b', '/ä/\u{20ac}', `/${'x'.repeat(200)}`, `/${'ü'.repeat(2500)}`),
  fc.string({ maxLength: 8 }),
)
const acl = fc.constantFrom(OPEN_ACL, OPEN_ACL, OPEN_ACL, [...OPEN_ACL], SECRET, [...SECRET], [...SECRET, ...OPEN_ACL])
const change: fc.Arbitrary<TreeChange> = fc.oneof(
  fc.record({ type: fc.constantFrom('created' as const, 'deleted' as const), path, acl, parentAcl: acl }),
  path.map((one) => changed(one)),
)
/** Transactions of updates of changes. */
const transactions = fc
  .array(
    fc.record({
      updates: fc.array(
        fc.tuple(fc.array(change, { maxLength: 30 }), fc.integer({ min: 1, max: 300 }), fc.nat(20_000)),
        {
          maxLength: 5,
        },
      ),
      restarts: fc.boolean(),
      fails: fc.boolean(),
    }),
    { maxLength: 12 },
  )
  .map((some) => {
    let zxid = 1
    return some.map(({ updates, ...how }) => {
      const moments = updates.map(([changes, step, wallMs]): Moment => {
        zxid += step
        return { zxid, changes, wallMs }
      })
      return { moments, ...how }
    })
  })

describe('the changes that are kept', () => {
  it('are as they were noted, from any zxid on and for any prefix', () => {
    fc.assert(
      fc.property(transactions, fc.nat(3000), path, (all, from, prefix) => {
        const noting = new Noting()
        for (const { moments } of all) noting.apply(moments)
        const expected = all.flatMap(({ moments }) =>
          moments.flatMap(({ changes, zxid }) => changes.map((one): [TreeChange, Zxid] => [one, zxid])),
        )
        if (noting.rows.length === 0) return
        expect(since(noting.history, from, prefix)).toEqual(
          expected.filter(([one, at]) => at > from && one.path.startsWith(prefix)),
        )
      }),
    )
  })

  it('are the same rows, whatever the transactions were, whether they failed, and when the server was started anew', () => {
    fc.assert(
      fc.property(transactions, (all) => {
        const [smooth, rough] = [new Noting(), new Noting()]
        smooth.apply(all.flatMap(({ moments }) => moments))
        for (const { moments, restarts, fails } of all) {
          if (restarts) rough.restart()
          rough.apply(moments, fails)
        }
        expect(rough.rows).toEqual(smooth.rows)
      }),
    )
  })

  it('are bounded: the oldest go, and how far the others reach back is known', () => {
    const noting = new Noting().upTo(KEPT + 3 * BLOCK_CHANGES_MAX)
    const oldest = 3 * BLOCK_CHANGES_MAX
    expect(noting.rows).toHaveLength(BLOCKS_KEPT)
    expect(since(noting.history, oldest)?.map(([, zxid]) => zxid)).toEqual(
      Array.from({ length: KEPT }, (_, i) => oldest + i + 1),
    )
    expect(since(noting.history, oldest - 1)).toBeUndefined()
  })

  it('are bounded by their bytes too', () => {
    const noting = new Noting().upTo(80, () => `/${'x'.repeat(200_000)}`)
    const bytes = noting.rows.reduce((sum, [, value]) => sum + value.length, 0)
    expect(bytes).toBeLessThan(BLOCKS_KEPT * BLOCK_BYTES + 200_100)
    expect(bytes).toBeGreaterThan(0.9 * BLOCKS_KEPT * BLOCK_BYTES)
    expect(since(noting.history, 79)).toEqual([[changed(`/${'x'.repeat(200_000)}`), 80]])
    noting.restart().apply([{ zxid: 81, changes: [changed('/a')] }])
    expect(since(noting.history, 79)?.map(([, zxid]) => zxid)).toEqual([80, 81])
  })

  it('of one update in many blocks are all there, or none is', () => {
    const changes = Array.from({ length: 3 * BLOCK_CHANGES_MAX }, (_, i) => changed(`/${i}`))
    const noting = new Noting().apply([{ zxid: 5, changes }])
    expect(since(noting.history, 4)?.map(([one]) => one)).toEqual(changes)
    expect(since(noting.history, 5)).toEqual([])
    noting.upTo(KEPT)
    expect(since(noting.history, 4)).toBeUndefined()
  })

  it('begin with the first update that asks for it, and anew in another history', () => {
    const noting = new Noting()
    expect(since(noting.history, 0)).toBeUndefined()
    noting.upTo(5)
    expect(since(noting.history, 0)).toHaveLength(5)
    noting.breakOff(100)
    expect(since(noting.history, 100)).toEqual([])
    expect(since(noting.history, 99)).toBeUndefined()
    noting.restart().apply([{ zxid: 101, changes: [changed('/a')] }])
    expect(since(noting.history, 100)).toEqual([[changed('/a'), 101]])
    expect(since(noting.history, 99)).toBeUndefined()
  })

  it('that somebody has taken out are missed', () => {
    const noting = new Noting().upTo(4 * BLOCK_CHANGES_MAX)
    const tx = noting.store.begin()
    tx.delete(changeBlockKey(2))
    tx.commit()
    expect(since(noting.history, 2 * BLOCK_CHANGES_MAX)).toHaveLength(2 * BLOCK_CHANGES_MAX)
    expect(since(noting.history, 2 * BLOCK_CHANGES_MAX - 1)).toBeUndefined()
    expect(since(noting.history, 0)).toBeUndefined()
  })

  it('of another format are refused, not guessed', () => {
    const noting = new Noting().upTo(1)
    const tx = noting.store.begin()
    tx.put(changeBlockKey(1), Buffer.alloc(100, 9))
    tx.commit()
    expect(() => since(noting.history, 0)).toThrow(expect.objectContaining({ code: 'FORMAT' }))
    const again = noting.store.begin()
    again.put(changeBlockKey(1), Buffer.alloc(5, 1))
    again.commit()
    expect(() => since(noting.history, 0)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  })

  it('have the stored format', async () => {
    const lists = [SECRET, [...SECRET, ...OPEN_ACL]]
    const noting = new Noting()
    noting.apply([
      { zxid: 2 ** 33 + 1, wallMs: 1000, changes: [changed('/größe')] },
      {
        zxid: 2 ** 33 + 300,
        wallMs: 1500,
        changes: [
          { type: 'created', path: '/a', acl: OPEN_ACL, parentAcl: OPEN_ACL },
          { type: 'deleted', path: '/a', acl: lists[1] as readonly Acl[], parentAcl: SECRET },
          changed('/b', SECRET),
        ],
      },
    ])
    const lines = noting.rows.map(([key, value]) => {
      const used = Buffer.from(value)
        .toString('hex')
        .replace(/(00)+$/, '')
      return `${Buffer.from(key, 'latin1').toString('hex')} ${used} of ${value.length}\n`
    })
    await expect(lines.join('')).toMatchFileSnapshot('../../testdata/zelos/changes.hex')
  })
})

describe('what connections were told of', () => {
  it('since the server serves is known by its own clock', () => {
    const noting = new Noting().upTo(5)
    const { history } = noting
    history.startAt(5, 1000)
    for (const [zxid, ms] of [
      [6, 1010],
      [7, 1010],
      [8, 1020],
    ] as const) {
      noting.apply([{ zxid, changes: [changed('/a')] }])
      history.told(zxid, ms)
    }
    const zxids = (ms: number) => since(history, 2, '', ms)?.map(([, zxid]) => zxid)
    expect([zxids(1000), zxids(1009), zxids(1010), zxids(1019), zxids(1020)]).toEqual([
      [6, 7, 8],
      [6, 7, 8],
      [8],
      [8],
      [],
    ])
    expect(zxids(EVER)).toEqual([3, 4, 5, 6, 7, 8])
  })

  it('before it served is known by the wall clocks of the updates, and minutes more are told', () => {
    const noting = new Noting()
    // A change each second for an hour, then two hours nothing, and a clock that is set back.
    for (let zxid = 1; zxid <= 3600; zxid++) noting.apply([{ zxid, wallMs: 1000 * zxid, changes: [changed('/a')] }])
    const { history } = noting
    history.startAt(3600, 50_000)
    const told = (one: ChangeHistory, ms: number) => since(one, 0, '', ms)?.[0]?.[1]
    expect(told(history, 50_000 - 60_000)).toBe(3600 - 60 - 600 + 1)
    expect(told(history, EVER)).toBe(1)
    for (const wallMs of [9_000_000, 5_000_000, 9_000_001]) {
      noting.apply([{ zxid: 9000 + (wallMs % 10), wallMs, changes: [changed('/a')] }])
    }
    const later = noting.history
    later.startAt(9001, 0)
    expect(told(later, -60_000)).toBe(3600 - 60 - 600 + 10 + 1)
  })

  it('reaches further back than what is kept, if a client was told of the rest', () => {
    const noting = new Noting().upTo(KEPT + 100)
    const { history } = noting
    expect(since(history, 0, '', 0)).toBeUndefined()
    history.startAt(KEPT + 100, 10)
    expect(since(history, 0, '', 10)).toEqual([])
    expect(since(history, 0, '', 9)).toBeUndefined()
  })
})
