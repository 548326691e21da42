import { describe, expect, expectTypeOf, it } from 'vitest'
import { bool, bytes, createdAt, double, enumOf, int64, json, list, string, timestamp, uuid } from './columns.ts'
import { defineTable, desc } from './define-table.ts'
import type { BoundOf, ConditionOf, KeyOf, NewRowOf, PatchOf, RowFilter, RowOf, ScanOf } from './row-types.ts'

const machines = defineTable({
  name: 'machines',
  columns: {
    rack: string(),
    slot: int64(),
    id: uuid(),
    state: enumOf('free', 'taken'),
    owner: string().nullable(),
    load: double().default(0),
    alive: bool(),
    secret: bytes(),
    seen: timestamp(),
    micros: timestamp({ as: 'bigint' }),
    made: createdAt(),
    labels: list(string()),
    extra: json<{ note?: string }>().nullable(),
  },
  key: ['rack', desc('slot')],
  indexes: {
    byOwner: { columns: ['owner', desc('seen')], include: ['state'], where: { state: 'taken' } },
    byId: { columns: ['id'], unique: true },
  },
})

type T = typeof machines

describe('types that follow from a table', () => {
  it('have a row with the type of each column', () => {
    expectTypeOf<RowOf<T>>().toEqualTypeOf<{
      rack: string
      slot: bigint
      id: string
      state: 'free' | 'taken'
      owner: string | null
      load: number
      alive: boolean
      secret: Uint8Array
      seen: Date
      micros: bigint
      made: Date
      labels: readonly string[]
      extra: { note?: string } | null
    }>()
  })

  it('let a new row leave out what has a default, and nothing else', () => {
    const row: NewRowOf<T> = {
      rack: 'a',
      slot: 1n,
      state: 'free',
      alive: true,
      secret: new Uint8Array(),
      seen: new Date(0),
      micros: 0n,
      labels: [],
    }
    expect(row.owner).toBeUndefined()
    // @ts-expect-error: the rack is missing
    const noRack: NewRowOf<T> = { slot: 1n, state: 'free', alive: true, secret: row.secret, seen: row.seen, micros: 0n }
    // @ts-expect-error: there is no such state
    const noState: NewRowOf<T> = { ...row, state: 'lost' }
    // @ts-expect-error: a number is no bigint
    const noNumber: NewRowOf<T> = { ...row, slot: 1 }
    // @ts-expect-error: there is no column of that name
    const noColumn: NewRowOf<T> = { ...row, nope: 1 }
    expect([noRack, noState, noNumber, noColumn]).toHaveLength(4)
  })

  it('ask for every part of a key', () => {
    expectTypeOf<KeyOf<T>>().toEqualTypeOf<{ rack: string; slot: bigint }>()
    // @ts-expect-error: the slot is missing
    const half: KeyOf<T> = { rack: 'a' }
    expect(half).toBeDefined()
  })

  it('take as a bound the columns of the index and of the key', () => {
    expectTypeOf<BoundOf<T, undefined>>().toEqualTypeOf<{ rack?: string; slot?: bigint }>()
    expectTypeOf<BoundOf<T, 'byId'>>().toEqualTypeOf<{ id?: string; rack?: string; slot?: bigint }>()
    const scan: ScanOf<T, 'byOwner'> = { index: 'byOwner', prefix: { owner: null }, from: { seen: new Date(0) } }
    // @ts-expect-error: not a column of the index
    const wrong: ScanOf<T, 'byOwner'> = { index: 'byOwner', prefix: { load: 1 } }
    // @ts-expect-error: not an index of the table
    const none: ScanOf<T, 'byLoad'> = {}
    expect([scan, wrong, none]).toHaveLength(3)
  })

  it('let a patch set what is not in the key, and change what its type allows', () => {
    const patch: PatchOf<T> = {
      set: { owner: null, state: 'taken' },
      increment: { load: 0.5, micros: 1n } as { load: number },
      append: { labels: ['x'], owner: 'y' },
      merge: { extra: { note: 'z' } },
    }
    // @ts-expect-error: the key stays
    const key: PatchOf<T> = { set: { rack: 'b' } }
    // @ts-expect-error: a text can't be incremented
    const text: PatchOf<T> = { increment: { owner: 1n } }
    // @ts-expect-error: a number has nothing to append to
    const number: PatchOf<T> = { append: { load: 1 } }
    // @ts-expect-error: only JSON can be merged
    const merge: PatchOf<T> = { merge: { owner: {} } }
    expect([patch, key, text, number, merge]).toHaveLength(5)
  })

  it('compare columns with values of their type', () => {
    const filter: RowFilter<T> = { owner: { prefix: 'a' }, slot: { gte: 1n, lt: 5n }, state: { in: ['free'] } }
    const either: RowFilter<T> = [{ owner: null }, { load: { gt: 1 } }, { extra: null }]
    // @ts-expect-error: a bigint is compared with a bigint
    const wrong: RowFilter<T> = { slot: { gte: 1 } }
    // @ts-expect-error: JSON is not compared
    const deep: RowFilter<T> = { extra: { note: 'a' } }
    const condition: ConditionOf<T> = { version: 3, where: { state: 'free' } }
    expect([filter, either, wrong, deep, condition]).toHaveLength(5)
  })

  it('refuse a definition that names what is not there, or what has no order', () => {
    const columns = { id: string(), data: json(), maybe: string().nullable() }
    // @ts-expect-error: no such column
    defineTable({ name: 't', columns, key: ['nope'] })
    // @ts-expect-error: JSON has no order
    defineTable({ name: 't', columns, key: ['data'] })
    // @ts-expect-error: a primary key is never null
    defineTable({ name: 't', columns, key: ['maybe'] })
    // @ts-expect-error: no such column in an index
    defineTable({ name: 't', columns, key: ['id'], indexes: { x: { columns: ['nope'] } } })
    expect(defineTable({ name: 't', columns, key: ['id'], indexes: { x: { columns: ['maybe'] } } }).name).toBe('t')
  })
})
