import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openTableServer, type TableServer } from '../../test/support/table-server.ts'
import { bool, bytes, double, enumOf, int64, json, list, string, timestamp, uuid } from './schema/columns.ts'
import { defineTable, desc } from './schema/define-table.ts'
import type { IndexName, ScanOf } from './schema/row-types.ts'
import type { Tables } from './tables.ts'

const machines = defineTable({
  name: 'machines',
  columns: {
    rack: string(),
    slot: int64(),
    state: enumOf('free', 'taken').default('free'),
    owner: string().nullable(),
    load: double().default(0),
    serial: string().nullable(),
    labels: list(string()).default([]),
    extra: json<{ a?: number; b?: { c?: number } }>().nullable(),
  },
  key: ['rack', 'slot'],
  indexes: {
    byOwner: { columns: ['owner', desc('load')], include: ['state'] },
    bySerial: { columns: ['serial'], unique: true },
    taken: { columns: ['rack'], where: { state: 'taken' } },
  },
})

const everything = defineTable({
  name: 'everything',
  columns: {
    id: uuid(),
    text: string(),
    number: int64(),
    real: double(),
    flag: bool(),
    blob: bytes(),
    at: timestamp(),
    micros: timestamp({ as: 'bigint' }),
    days: list(timestamp()),
    any: json(),
    kind: enumOf('a', 'b'),
  },
  key: ['id'],
})

let server: TableServer
let db: Tables

beforeEach(async () => {
  server = await openTableServer()
  await server.stack.enable()
  db = server.db
  await db.migrate(machines)
})

afterEach(() => server.close())

const slots = async <I extends IndexName<typeof machines> | undefined = undefined>(
  scan: ScanOf<typeof machines, I>,
): Promise<string[]> =>
  (await db.scan<typeof machines, I>(machines, scan)).rows.map(({ rack, slot }) => `${rack}${slot}`)

describe('rows', () => {
  it('come back as they were written, of every type', async () => {
    await db.migrate(everything)
    const row = {
      text: 'ü \u0000 😀',
      number: -(2n ** 63n),
      real: -0.5,
      flag: true,
      blob: new Uint8Array([0, 255]),
      at: new Date(1234),
      micros: 1234567n,
      days: [new Date(1)],
      any: { deep: [1, null, 'x'] },
      kind: 'b' as const,
    }
    const inserted = await db.insert(everything, row)
    expect(inserted).toMatchObject({ ok: true, repeated: false })
    const id = inserted.ok ? (inserted.row?.id ?? '') : ''
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(await db.get(everything, { id })).toEqual({ id, ...row })
    const read = await db.get(everything, { id })
    if (read !== undefined) read.days[0]?.setTime(5)
    expect((await db.get(everything, { id }))?.days).toEqual([new Date(1)])
  })

  it('are inserted once, upserted, updated in four ways, and deleted', async () => {
    const key = { rack: 'a', slot: 1n }
    expect(await db.insert(machines, { ...key, extra: { a: 1, b: { c: 2 } } })).toMatchObject({ ok: true, position: 1 })
    expect(await db.insert(machines, key)).toMatchObject({ ok: false, reason: 'exists', version: 1, current: key })
    const updated = await db.update(machines, key, {
      set: { owner: 'x' },
      increment: { load: 1.5 },
      append: { labels: ['l'], owner: 'y' },
      merge: { extra: { a: null, b: { c: 3 } } },
    })
    expect(updated.ok && updated.row).toEqual({
      ...key,
      state: 'free',
      owner: 'xy',
      load: 1.5,
      serial: null,
      labels: ['l'],
      extra: { b: { c: 3 } },
    })
    expect(await db.read(machines, key)).toMatchObject({ version: 2, row: { owner: 'xy' } })
    expect((await db.upsert(machines, key)).ok).toBe(true)
    expect(await db.get(machines, key)).toMatchObject({ owner: null, labels: [] })
    expect(await db.count(machines)).toBe(1)
    expect(await db.delete(machines, key)).toMatchObject({ ok: true, row: key })
    expect(await db.get(machines, key)).toBeUndefined()
    expect(await db.update(machines, key, { set: { owner: null } })).toMatchObject({ ok: false, reason: 'missing' })
    expect(await db.delete(machines, key)).toMatchObject({ ok: true, row: undefined })
    expect(await db.count(machines)).toBe(0)
  })

  it('are written only if a condition holds, and are shown if it does not', async () => {
    const key = { rack: 'a', slot: 1n }
    await db.insert(machines, { ...key, load: 2 })
    const patch = { set: { owner: 'me' } }
    expect(await db.update(machines, key, patch, { if: { version: 7 } })).toMatchObject({
      ok: false,
      reason: 'condition',
      version: 1,
      current: { load: 2 },
    })
    expect(await db.update(machines, key, patch, { if: { where: { load: { gt: 2 } } } })).toMatchObject({ ok: false })
    expect(await db.update(machines, key, patch, { if: { version: 1, where: { owner: null } } })).toMatchObject({
      ok: true,
    })
    expect(await db.upsert(machines, key, { if: { exists: false } })).toMatchObject({ ok: false, reason: 'condition' })
    expect(await db.delete(machines, key, { if: { version: 1 } })).toMatchObject({ ok: false, version: 2 })
    expect(await db.delete(machines, key, { if: { version: 2 } })).toMatchObject({ ok: true })
  })

  it('keep a unique index unique, null aside, and name the row that is in the way', async () => {
    await db.insert(machines, { rack: 'a', slot: 1n, serial: 's' })
    await db.insert(machines, { rack: 'a', slot: 2n })
    expect(await db.insert(machines, { rack: 'a', slot: 3n })).toMatchObject({ ok: true })
    expect(await db.upsert(machines, { rack: 'b', slot: 1n, serial: 's' })).toMatchObject({
      ok: false,
      reason: 'unique',
      index: 'bySerial',
      current: { rack: 'a', slot: 1n },
    })
    expect(await db.upsert(machines, { rack: 'a', slot: 1n, serial: 's', load: 3 })).toMatchObject({ ok: true })
    expect(await slots({ index: 'bySerial', prefix: { serial: 's' } })).toEqual(['a1'])
  })
})

describe('scans', () => {
  beforeEach(async () => {
    await db.batch((batch) => {
      for (const rack of ['a', 'b', 'c']) {
        for (let slot = 0n; slot < 5n; slot++) {
          const load = Number(slot)
          batch.insert(machines, {
            rack,
            slot,
            load,
            owner: slot % 2n === 0n ? 'even' : null,
            state: slot > 2n ? 'taken' : 'free',
          })
        }
      }
    })
  })

  it('go over the primary key both ways, between bounds', async () => {
    expect(await slots({ prefix: { rack: 'b' } })).toEqual(['b0', 'b1', 'b2', 'b3', 'b4'])
    expect(await slots({ prefix: { rack: 'b' }, from: { slot: 1n }, before: { slot: 3n } })).toEqual(['b1', 'b2'])
    expect(await slots({ prefix: { rack: 'b' }, after: { slot: 1n }, to: { slot: 3n }, reverse: true })).toEqual([
      'b3',
      'b2',
    ])
    expect(await slots({ from: { rack: 'b', slot: 4n }, limit: 3 })).toEqual(['b4', 'c0', 'c1'])
  })

  it('go over an index in its order, null first, descending where it says so', async () => {
    expect(await slots({ index: 'byOwner', prefix: { owner: 'even' }, to: { load: 2 } })).toEqual([
      'a4',
      'b4',
      'c4',
      'a2',
      'b2',
      'c2',
    ])
    expect(await slots({ index: 'byOwner', limit: 2 })).toEqual(['a3', 'b3'])
    expect(await slots({ index: 'taken', prefix: { rack: 'c' } })).toEqual(['c3', 'c4'])
  })

  it('show some columns, of rows that match, from the index alone where it has them', async () => {
    const scan = {
      index: 'byOwner',
      prefix: { owner: 'even' },
      filter: { state: 'taken' },
      select: ['slot', 'state'],
    } as const
    const { rows } = await db.scan(machines, scan)
    expect(rows).toEqual([4n, 4n, 4n].map((slot) => ({ slot, state: 'taken' })))
    const either = await db.scan(machines, {
      filter: [
        { slot: 0n, rack: 'a' },
        { load: { gte: 4 }, rack: { in: ['b'] } },
      ],
    })
    expect(either.rows.map(({ rack }) => rack)).toEqual(['a', 'b'])
  })

  it('go on where a page ended, over writes, both ways', async () => {
    for (const reverse of [false, true]) {
      const seen: string[] = []
      let page: string | undefined
      do {
        const answer = await db.scan(machines, { index: 'byOwner', limit: 4, page, reverse })
        seen.push(...answer.rows.map(({ rack, slot }) => `${rack}${slot}`))
        page = answer.page
        await db.update(machines, { rack: 'a', slot: 0n }, { set: { state: 'taken' } })
      } while (page !== undefined)
      expect(seen).toHaveLength(15)
      expect(new Set(seen).size).toBe(15)
    }
    const { page } = await db.scan(machines, { limit: 2 })
    await expect(db.scan(machines, { index: 'taken', page })).rejects.toThrow('belongs to another scan')
    await expect(db.scan(machines, { page: 'x' })).rejects.toThrow('not a page token')
  })

  it('fetch what is not in memory ahead, and are the same if that fails', async () => {
    const asked: number[] = []
    const prefetch = (keys: readonly string[]): Promise<void> => {
      asked.push(keys.length)
      return asked.length > 1 ? Promise.reject(new Error('the disk failed')) : Promise.resolve()
    }
    const cold = await openTableServer({ prefetch })
    await cold.db.migrate(machines)
    await cold.db.batch((batch) => {
      for (let slot = 0n; slot < 40n; slot++) batch.insert(machines, { rack: 'a', slot, owner: 'ann' })
    })
    const scan = { index: 'byOwner', prefix: { owner: 'ann' } } as const
    const warm = await cold.db.scan(machines, scan)
    expect(asked).toEqual([])
    for (let i = 0; i < 2; i++) {
      cold.applicator.state.rows.clear()
      expect((await cold.db.scan(machines, scan)).rows).toEqual(warm.rows)
    }
    await cold.db.scan(machines, { ...scan, select: ['state'] })
    await cold.db.scan(machines, { ...scan, limit: 5 })
    expect(asked).toEqual([40, 40])
    await cold.close()
  })

  it('count ranges, and a whole table at no cost', async () => {
    expect(await db.count(machines)).toBe(15)
    expect(await db.count(machines, { prefix: { rack: 'a' } })).toBe(5)
    expect(await db.count(machines, { index: 'byOwner', prefix: { owner: 'even' } })).toBe(9)
    expect(await db.count(machines, { filter: { load: { lt: 2 } } })).toBe(6)
  })

  it('count with a filter as many keys as without', async () => {
    const limits = { pageRowsMax: 2, countedMax: 16 }
    const small = await openTableServer({ shared: server.shared, serverId: 'small', limits })
    expect(await small.db.count(machines, { filter: { rack: { gte: '' } } })).toBe(15)
    for (let slot = 1n; slot <= 4n; slot++) await db.insert(machines, { rack: 'z', slot })
    const none = { filter: { rack: 'none' } }
    await expect(small.db.count(machines, none)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
    const level = { snapshot: small.db.position }
    await db.insert(machines, { rack: 'z', slot: 5n })
    await small.db.get(machines, { rack: 'z', slot: 5n })
    await expect(small.db.count(machines, none, { level })).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
    expect(await small.db.count(machines, { ...none, prefix: { rack: 'z' } }, { level })).toBe(0)
    expect(small.database.stats().requests.count).toEqual({ answered: 2, refused: 2 })
    await small.close()
  })

  it('page by page let others have their turn, also where the log is asked nothing', async () => {
    const scan = vi.spyOn(server.database, 'scan')
    const all = (async () => {
      let count = 0
      for await (const _ of db.rows(machines, { limit: 1 }, { level: 'local' })) count++
      return count
    })()
    await new Promise((resolve) => setImmediate(resolve))
    expect(scan.mock.calls.length).toBeLessThan(4)
    expect(await all).toBe(15)
  })
})

describe('bad input', () => {
  const key = { rack: 'a', slot: 1n }
  // biome-ignore lint/suspicious/noExplicitAny: what the compiler would refuse.
  const any = (value: unknown): any => value

  it('is an error of its own that says what to do', async () => {
    const cases: [Promise<unknown>, string, string][] = [
      [
        db.get(defineTable({ name: 'nope', columns: { id: string() }, key: ['id'] }), { id: '' }),
        'UNKNOWN_TABLE',
        'there are machines',
      ],
      [db.insert(machines, any({ ...key, nope: 1 })), 'UNKNOWN_COLUMN', 'no column nope'],
      [db.insert(machines, any({ ...key, load: 'x' })), 'WRONG_TYPE', 'column load of table machines'],
      [db.insert(machines, any({ rack: 'a' })), 'WRONG_TYPE', 'column slot'],
      [db.insert(machines, any({ rack: 'a', slot: 2n ** 63n })), 'OUT_OF_RANGE', 'column slot'],
      [db.insert(machines, { ...key, owner: '\ud800' }), 'INVALID_TEXT', 'column of bytes'],
      [db.insert(machines, { ...key, owner: 'x'.repeat(1 << 20) }), 'LIMIT_EXCEEDED', 'rowBytesMax'],
      [db.insert(machines, { rack: 'x'.repeat(3000), slot: 1n }), 'LIMIT_EXCEEDED', 'keyBytesMax'],
      [
        db.batch((batch) => {
          for (let i = 0; i < 1001; i++) batch.delete(machines, key)
        }),
        'LIMIT_EXCEEDED',
        'operationsMax',
      ],
      [
        db.batch((batch) => {
          for (let i = 0; i < 5; i++) batch.upsert(machines, { ...key, owner: 'x'.repeat(900_000) })
        }),
        'LIMIT_EXCEEDED',
        'transactionBytesMax',
      ],
      [db.scan(machines, any({ index: 'nope' })), 'UNKNOWN_COLUMN', 'no index nope'],
      [db.scan(machines, any({ filter: { load: { like: 1 } } })), 'INVALID_ARGUMENT', 'there are eq'],
      [db.scan(machines, { prefix: any({ slot: 1n }) }), 'INVALID_ARGUMENT', 'leading columns'],
      [db.get(machines, key, { level: 'lease' }), 'UNSUPPORTED', 'linearizable instead'],
      [db.update(machines, key, { set: any({ rack: 'b' }) }), 'INVALID_ARGUMENT', 'delete the row'],
    ]
    for (const [call, code, message] of cases) {
      await expect(call, message).rejects.toMatchObject({ code, message: expect.stringContaining(message) })
    }
    expect(await db.count(machines)).toBe(0)
  })

  it('of an increment beyond a column, or an index entry that is too long, is a rejection', async () => {
    const counters = defineTable({
      name: 'counters',
      columns: { id: string(), n: int64(), s: string().default('') },
      key: ['id'],
      indexes: { s: { columns: ['s'] } },
    })
    await db.migrate(counters)
    await db.insert(counters, { id: 'a', n: 2n ** 63n - 1n })
    expect(await db.update(counters, { id: 'a' }, { increment: { n: 1n } })).toMatchObject({
      ok: false,
      reason: 'range',
    })
    const long = await db.update(counters, { id: 'a' }, { set: { s: 'x'.repeat(9000) } })
    expect(long).toMatchObject({ ok: false, reason: 'size' })
  })
})
