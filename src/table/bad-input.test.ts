// What the compiler would refuse, and what it can't see: each has an error of its own that says what to do, nothing is changed by
// it, and the database goes on. The values of columns: tables.test.ts.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openTableServer, type TableServer } from '../../test/support/table-server.ts'
import type { ErrorCode } from '../base/delos-error.ts'
import { bytes, double, enumOf, int64, json, list, string, timestamp } from './schema/columns.ts'
import { defineTable } from './schema/define-table.ts'
import { type TableLimits, tableLimits } from './table-limits.ts'
import type { Tables } from './tables.ts'
import type { WriteBatch } from './write-batch.ts'

const things = defineTable({
  name: 'things',
  columns: {
    id: string(),
    n: int64().default(0n),
    s: string().nullable(),
    kind: enumOf('a', 'b').default('a'),
    tags: list(string()).default([]),
    any: json().nullable(),
    doc: json().default({}),
    at: timestamp().nullable(),
  },
  key: ['id'],
  indexes: { byS: { columns: ['s'], where: { n: { gte: 0n } } } },
})

let server: TableServer
let db: Tables
/** The same without types. */
// biome-ignore lint/suspicious/noExplicitAny: what the compiler would refuse.
let bare: any

beforeEach(async () => {
  server = await openTableServer()
  db = server.db
  bare = db
  await db.migrate(things)
  await db.insert(things, { id: 'a' })
})

afterEach(() => server.close())

type Case = readonly [call: () => Promise<unknown>, code: ErrorCode, message: string]

async function expectRefused(cases: readonly Case[]): Promise<void> {
  const before = server.content()
  for (const [call, code, message] of cases) {
    await expect(call(), message).rejects.toMatchObject({ code, message: expect.stringContaining(message) })
  }
  expect(server.content()).toEqual(before)
}

const key = { id: 'a' }
const set = { set: { n: 1n } }

describe('bad input', () => {
  it('that has the wrong form is refused', async () => {
    await expectRefused([
      [() => bare.get(undefined, key), 'INVALID_ARGUMENT', 'the first argument is a table'],
      [() => bare.scan(undefined), 'INVALID_ARGUMENT', 'the first argument is a table'],
      [() => bare.insert(undefined, { id: 'b' }), 'INVALID_ARGUMENT', 'the first argument is a table'],
      [() => bare.changes(undefined).next(), 'INVALID_ARGUMENT', 'the first argument is a table'],
      [() => bare.get(things), 'INVALID_ARGUMENT', 'a key is an object, not of type undefined'],
      [() => bare.get(things, 'a'), 'INVALID_ARGUMENT', 'a key is an object, not of type string'],
      [() => bare.getMany(things, key), 'INVALID_ARGUMENT', 'keys is an array'],
      [() => bare.getMany(things, [null]), 'INVALID_ARGUMENT', 'a key is an object, not null'],
      [() => bare.insert(things, null), 'INVALID_ARGUMENT', 'a row is an object'],
      [() => bare.insert(things, ['a']), 'INVALID_ARGUMENT', 'a row is an object, not an array'],
      [() => bare.update(things, key), 'INVALID_ARGUMENT', 'a patch is an object'],
      [() => bare.update(things, key, { set: null }), 'INVALID_ARGUMENT', 'part of a patch is an object, not null'],
      [() => bare.update(things, key, set, { if: null }), 'INVALID_ARGUMENT', 'a condition is an object'],
      [() => bare.scan(things, { filter: null }), 'INVALID_ARGUMENT', 'a filter is an object'],
      [() => bare.scan(things, { prefix: 'a' }), 'INVALID_ARGUMENT', 'prefix is an object'],
      [() => bare.scan(things, { select: 'id' }), 'INVALID_ARGUMENT', 'select is an array'],
      [() => bare.scan(things, { limit: Number.NaN }), 'INVALID_ARGUMENT', 'limit'],
      [() => bare.insert(things, { id: 'b' }, { token: 5 }), 'INVALID_ARGUMENT', 'token is a text'],
      [() => bare.insert(things, { id: 'b' }, { token: '' }), 'LIMIT_EXCEEDED', 'tokenCharsMax'],
      [() => db.transaction(() => 1, { attempts: 0 }), 'INVALID_ARGUMENT', 'attempts'],
      [() => db.changes(things, { after: -1 }).next(), 'INVALID_ARGUMENT', 'no position'],
      [() => db.changes(things, { after: 1000 }).next(), 'MISMATCH', 'position 1000 is not of this history'],
    ])
  })

  it('that is misspelt is refused, and not ignored', async () => {
    await expectRefused([
      [() => bare.update(things, key, { n: 1n }), 'INVALID_ARGUMENT', 'a patch has no n; there are set, increment'],
      [() => bare.update(things, key, set, { if: { vresion: 7 } }), 'INVALID_ARGUMENT', 'a condition has no vresion'],
      [() => bare.update(things, key, set, { if: { exists: 'no' } }), 'INVALID_ARGUMENT', 'true or false'],
      [() => bare.update(things, key, set, { if: { where: { m: 1n } } }), 'UNKNOWN_COLUMN', 'there are id, n'],
      [() => bare.scan(things, { filtr: { n: 1n } }), 'INVALID_ARGUMENT', 'a scan has no filtr'],
      [() => bare.count(things, { filtr: { n: 1n } }), 'INVALID_ARGUMENT', 'a count has no filtr'],
      [() => bare.scan(things, { select: ['m'] }), 'UNKNOWN_COLUMN', 'no column m'],
      [() => bare.scan(things, { prefix: { m: 1 } }), 'UNKNOWN_COLUMN', 'no column m'],
      [() => bare.get(things, { id: 'a', n: 1n }), 'UNKNOWN_COLUMN', 'no key column n'],
      [() => bare.get(things, key, { levle: 'local' }), 'INVALID_ARGUMENT', 'a read has no levle; there are level'],
      [() => bare.scan(things, {}, { levle: 'local' }), 'INVALID_ARGUMENT', 'a scan has no levle'],
      [() => bare.insert(things, { id: 'b' }, { tokne: 'x' }), 'INVALID_ARGUMENT', 'a write has no tokne'],
      [() => bare.insert(things, { id: 'b' }, { if: { version: 0 } }), 'INVALID_ARGUMENT', 'a write has no if'],
      [() => bare.delete(things, key, { fi: { version: 7 } }), 'INVALID_ARGUMENT', 'a write has no fi'],
      [() => bare.batch(() => 1, { tokne: 'x' }), 'INVALID_ARGUMENT', 'a batch has no tokne'],
      [
        () => bare.batch((batch: WriteBatch) => batch.delete(things, key, { token: 'x' } as never)),
        'INVALID_ARGUMENT',
        'a write in a batch has no token',
      ],
      [() => bare.transaction(() => 1, { atempts: 2 }), 'INVALID_ARGUMENT', 'a transaction has no atempts'],
      [() => bare.changes(things, { form: 1 }).next(), 'INVALID_ARGUMENT', 'a change feed has no form'],
    ])
  })

  it('that is another thing by the time it is applied is refused before', async () => {
    const where: unknown[] = []
    where[1] = { n: 0n }
    await expectRefused([
      [() => bare.update(things, key, set, { if: { where } }), 'INVALID_ARGUMENT', 'a filter is an object, not null'],
      [() => bare.update(things, key, { merge: { doc: null } }), 'WRONG_TYPE', 'column doc of table things holds JSON'],
    ])
  })

  it('of a level is refused', async () => {
    const levels = [
      'fresh',
      {},
      { staleMs: Number.NaN },
      { session: -1 },
      { snapshot: 0.5 },
      { session: 1, staleMs: 1 },
    ]
    await expectRefused(
      levels.map(
        (level): Case => [() => bare.get(things, key, { level }), 'INVALID_ARGUMENT', 'there are linearizable'],
      ),
    )
  })

  it('without UTF-8 is refused wherever a text can be', async () => {
    const lone = 'x\udc00'
    const calls = [
      () => db.get(things, { id: lone }),
      () => db.scan(things, { prefix: { id: lone } }),
      () => db.scan(things, { filter: { s: lone } }),
      () => db.update(things, key, { set: { s: lone } }),
      () => db.update(things, key, { append: { s: lone } }),
      () => db.update(things, key, { set: { tags: [lone] } }),
      () => db.update(things, key, { merge: { any: { a: [lone] } } }),
      () => db.insert(things, { id: 'b', any: { [lone]: 1 } }),
      () => db.insert(things, { id: 'b' }, { token: lone }),
    ]
    await expectRefused(calls.map((call): Case => [call, 'INVALID_TEXT', 'column of bytes']))
  })

  it('larger than a limit is refused with its name', async () => {
    const limits = { keysMax: 2, pageRowsMax: 2, countedMax: 1, operationsMax: 2 }
    const small = await openTableServer({ shared: server.shared, serverId: 'small', limits })
    const tables = small.db
    await tables.insert(things, { id: 'b' })
    await expectRefused([
      [() => tables.getMany(things, [key, key, key]), 'LIMIT_EXCEEDED', 'keysMax is 2, this would be 3'],
      [() => tables.scan(things, { limit: 3 }), 'LIMIT_EXCEEDED', 'pageRowsMax'],
      [() => tables.count(things, { prefix: {} }), 'LIMIT_EXCEEDED', 'countedMax'],
      [
        () => tables.batch((batch) => [1, 2, 3].map(() => batch.delete(things, key))),
        'LIMIT_EXCEEDED',
        'operationsMax',
      ],
    ])
    await small.close()
  })

  it('to a server that has too much under way is OVERLOADED, and can be tried again', async () => {
    const busy = await openTableServer({ shared: server.shared, serverId: 'busy', limits: { pendingMax: 1 } })
    const [first, second] = await Promise.allSettled([
      busy.db.insert(things, { id: 'b' }),
      busy.db.insert(things, { id: 'c' }),
    ])
    expect(first.status).toBe('fulfilled')
    expect(second).toMatchObject({ reason: { code: 'OVERLOADED', retryable: true } })
    expect(await busy.db.insert(things, { id: 'c' })).toMatchObject({ ok: true })
    await busy.close()
  })

  it('of a schema is refused by the one who asks or by all servers, and never stops them', async () => {
    const columns = { ...things.columns }
    const { s: _, ...withoutS } = columns
    const { id: _id, ...withoutId } = columns
    await expectRefused([
      [
        () => db.migrate(things, { rename: { s: 'bad name' }, drop: ['bad name'] }),
        'SCHEMA_FORBIDDEN',
        'no name of a column',
      ],
      [() => db.migrate(things, { rename: { s: 'n' } }), 'SCHEMA_FORBIDDEN', 'there is a column n already'],
      [() => db.migrate(defineTable({ ...things, name: 'not good' })), 'INVALID_ARGUMENT', 'no name of a table'],
      [() => bare.migrate({ ...things, columns: withoutS }), 'UNKNOWN_COLUMN', 'index byS names s'],
      [
        () => bare.migrate({ ...things, columns: withoutId }),
        'UNKNOWN_COLUMN',
        'the primary key of table things names id',
      ],
      [() => bare.migrate({ ...things, key: ['n'] }, { drop: ['id'] }), 'SCHEMA_FORBIDDEN', 'create another table'],
      [() => bare.migrate({ ...things, ttl: { column: 's' } }), 'INVALID_ARGUMENT', 'no timestamp'],
      [() => bare.migrate({ ...things, ttl: { afterMs: -1 } }), 'INVALID_ARGUMENT', 'ttl.afterMs'],
      [
        () => bare.migrate({ ...things, columns: { ...columns, toString: string().nullable() } }),
        'INVALID_ARGUMENT',
        'every object has that',
      ],
      [
        () => bare.migrate({ ...things, columns: { ...columns, m: int64().default('x' as never) } }),
        'WRONG_TYPE',
        'the default of column m',
      ],
      [() => bare.migrate({ ...things, indexes: { byAny: { columns: ['any'] } } }), 'INVALID_ARGUMENT', 'has no order'],
      [
        () => bare.migrate({ ...things, indexes: { byS: { columns: ['s'], uniqe: true } as never } }),
        'INVALID_ARGUMENT',
        'index byS has no uniqe; there are columns, include, unique, where',
      ],
      [
        () => bare.migrate({ ...things, indexes: { byS: { columns: [{ column: 's', ordr: 'desc' } as never] } } }),
        'INVALID_ARGUMENT',
        'has no ordr',
      ],
      [() => db.migrate(things, { drops: ['s'] } as never), 'INVALID_ARGUMENT', 'a migration has no drops'],
      [() => db.schema.rebuildIndex(things, 'byS'), 'SCHEMA_FORBIDDEN', 'has not failed'],
      [() => db.schema.drop('thinks'), 'UNKNOWN_TABLE', 'there are things'],
    ])
    // What a client that checks nothing would send.
    const index = { name: 'x', parts: [{ column: 'nope', descending: false }], unique: false, include: [] }
    for (const change of [
      { kind: 'addIndex', index },
      {
        kind: 'addIndex',
        index: { ...index, parts: [{ column: 's', descending: false }], where: { s: { like: 'x' } } },
      },
      { kind: 'addColumn', name: 'm', spec: { kind: 'enum', nullable: true, values: [] } },
      { kind: 'addColumn', name: 'm', spec: { kind: 'int64', nullable: false, fallback: 'x' } },
      { kind: 'renameTable', to: '' },
      { kind: 'setTtl', ttl: { column: 'nope' } },
    ] as const) {
      const request = { table: 'things', version: 1, changes: [change as never] }
      expect(await server.database.changeSchema(request), JSON.stringify(change)).toMatchObject({ kind: 'forbidden' })
    }
    expect(await db.insert(things, { id: 'b' })).toMatchObject({ ok: true })
    expect((await db.schema.describe(things)).version).toBe(1)
  })

  it('is not JSON with a member of any name, which merges keep too', async () => {
    const any = JSON.parse('{"__proto__":{"x":1},"constructor":2}')
    await db.update(things, key, { merge: { any } })
    await db.update(things, key, { merge: { any: JSON.parse('{"__proto__":{"y":3}}') } })
    const row = await db.get(things, key)
    expect(JSON.stringify(row?.any)).toBe('{"__proto__":{"x":1,"y":3},"constructor":2}')
  })
})

describe('limits', () => {
  it('are not raised beyond what apply goes by and what an entry may be', () => {
    const cases: [Partial<TableLimits>, string][] = [
      [{ rowBytesMax: (1 << 20) + 1 }, 'rowBytesMax of tables is at most 1048576'],
      [{ scannedRowsMax: 10_001 }, 'scannedRowsMax of tables is at most 10000'],
      [{ transactionBytesMax: 17 << 20 }, 'transactionBytesMax of tables is at most 16777216'],
      [{ pendingMax: 0 }, 'whole number from 1 on'],
      [{ keysMax: 1.5 }, 'whole number from 1 on'],
      [{ rowsMax: 1 } as never, 'no limit rowsMax'],
    ]
    for (const [limits, message] of cases) expect(() => tableLimits(limits), message).toThrow(message)
    expect(tableLimits({ pageRowsMax: 50_000, rowBytesMax: 100 })).toMatchObject({
      pageRowsMax: 50_000,
      rowBytesMax: 100,
    })
  })

  it('hold for all ranges of a transaction together', async () => {
    const few = await openTableServer({ limits: { scannedRowsMax: 5 } })
    const rows = defineTable({ name: 'rows', columns: { id: int64() }, key: ['id'] })
    await few.db.migrate(rows)
    await few.db.batch((batch) => [1n, 2n, 3n].map((id) => batch.insert(rows, { id })))
    const twice = few.db.transaction(async (tx) => {
      await tx.scan(rows)
      await tx.scan(rows, { reverse: true })
      tx.insert(rows, { id: 4n })
    })
    await expect(twice).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      message: expect.stringContaining('scannedRowsMax is 5, this would be 6'),
    })
    await few.close()
  })

  it('hold for the rows that the writes of a transaction hide from its own scans', async () => {
    const few = await openTableServer({ limits: { scannedRowsMax: 5 } })
    const rows = defineTable({ name: 'rows', columns: { id: int64() }, key: ['id'] })
    await few.db.migrate(rows)
    await few.db.batch((batch) => {
      for (let id = 0n; id < 20n; id++) batch.insert(rows, { id })
    })
    const emptied = await few.db.transaction(async (tx) => {
      for (let id = 0n; id < 20n; id++) tx.delete(rows, { id })
      tx.insert(rows, { id: -1n })
      return await tx.scan(rows)
    })
    expect(emptied).toMatchObject({ ok: true, value: { rows: [{ id: -1n }], page: expect.any(String) } })
    await few.close()
  })

  it('hold for the bytes of one answer: pages end there, a multi-get is refused', async () => {
    const large = await openTableServer({ limits: { answerBytesMax: 1000 } })
    const rows = defineTable({
      name: 'rows',
      columns: { id: int64(), text: string() },
      key: ['id'],
      indexes: { byText: { columns: ['text'] }, covering: { columns: ['id'], include: ['text'] } },
    })
    await large.db.migrate(rows)
    for (let id = 0n; id < 8n; id++) await large.db.insert(rows, { id, text: 'x'.repeat(300) })
    const { position } = large.db
    await large.db.delete(rows, { id: 7n })
    for (const scan of [{}, { index: 'byText' }, { index: 'covering' }] as const) {
      expect((await large.db.scan(rows, scan)).rows, JSON.stringify(scan)).toHaveLength(4)
      expect((await large.db.scan(rows, scan, { level: { snapshot: position } })).rows).toHaveLength(4)
      const seen: bigint[] = []
      for await (const { id } of large.db.rows(rows, scan)) seen.push(id)
      expect(seen).toEqual([0n, 1n, 2n, 3n, 4n, 5n, 6n])
    }
    const ids = (count: number) => Array.from({ length: count }, (_, i) => ({ id: BigInt(i) }))
    expect(await large.db.getMany(rows, ids(3))).toHaveLength(3)
    await expect(large.db.getMany(rows, ids(4))).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      message: expect.stringContaining('answerBytesMax is 1000'),
    })
    await large.close()
  })

  it('hold for what one answer of the feed has: bytes, whatever the number of transactions', async () => {
    const large = await openTableServer()
    const rows = defineTable({ name: 'rows', columns: { id: int64(), text: string() }, key: ['id'] })
    await large.db.migrate(rows)
    for (let id = 0n; id < 6n; id++) await large.db.insert(rows, { id, text: 'x'.repeat(400_000) })
    const first = large.database.changes({ after: 0 })
    expect([first.changes.length, first.position, first.caughtUp]).toEqual([3, 3, false])
    expect(large.database.changes({ after: 3 })).toMatchObject({ position: 6, caughtUp: true })
    expect(() => large.database.changes({ after: 3, prefix: { id: 1n } })).toThrow('no table is named')
    await large.close()
  })
})

it('a definition with bytes, times and endless numbers in it is the same when it is asked for again', async () => {
  const server = await openTableServer()
  const odd = () =>
    defineTable({
      name: 'odd',
      columns: {
        id: int64(),
        raw: bytes().default(Buffer.from('abc')),
        limit: double().default(Number.POSITIVE_INFINITY),
        since: timestamp().default(new Date(0)),
      },
      key: ['id'],
      indexes: { far: { columns: ['id'], where: { limit: Number.POSITIVE_INFINITY } } },
    })
  await server.db.migrate(odd())
  expect((await server.db.migrate(odd())).version).toBe(1)
  const other = odd()
  const changed = { ...other, columns: { ...other.columns, limit: double().default(Number.NEGATIVE_INFINITY) } }
  expect((await server.db.migrate(changed)).version).toBe(2)
  await server.close()
})
