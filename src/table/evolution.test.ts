import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openTableServer, type TableServer } from '../../test/support/table-server.ts'
import { ID_MAX } from './codec/table-keys.ts'
import { decodePageToken, encodePageToken } from './read/page-token.ts'
import { enumOf, int64, string, timestamp } from './schema/columns.ts'
import { defineTable } from './schema/define-table.ts'
import type { Tables } from './tables.ts'

const columns = { id: string(), name: string(), kind: enumOf('a', 'b') }
const first = defineTable({ name: 'things', columns, key: ['id'] })

let server: TableServer
let db: Tables

beforeEach(async () => {
  server = await openTableServer()
  db = server.db
  await db.migrate(first)
})

afterEach(() => server.close())

async function fill(count: number, name: (i: number) => string): Promise<void> {
  await db.batch((batch) => {
    for (let i = 0; i < count; i++) batch.insert(first, { id: `${i}`.padStart(5, '0'), name: name(i), kind: 'a' })
  })
}

describe('a schema', () => {
  it('is the same after the same definition', async () => {
    expect((await db.migrate(first)).version).toBe(1)
    expect(await db.schema.names()).toEqual(['things'])
  })

  it('gets columns, which old rows show with their defaults, loses and renames others', async () => {
    await fill(1, () => 'x')
    const second = defineTable({
      name: 'things',
      columns: {
        id: string(),
        title: string(),
        kind: enumOf('a', 'b', 'c'),
        size: int64().default(7n),
        note: string().nullable(),
      },
      key: ['id'],
    })
    await expect(db.migrate(second)).rejects.toMatchObject({
      code: 'SCHEMA_FORBIDDEN',
      message: expect.stringContaining('`rename`'),
    })
    expect((await db.migrate(second, { rename: { name: 'title' } })).version).toBe(2)
    expect((await db.migrate(second, { rename: { name: 'title' } })).version).toBe(2)
    expect(await db.get(second, { id: '00000' })).toEqual({ id: '00000', title: 'x', kind: 'a', size: 7n, note: null })
    await db.insert(second, { id: 'n', title: 'y', kind: 'c' })
    const third = defineTable({ name: 'things', columns: { id: string(), kind: enumOf('a', 'b', 'c') }, key: ['id'] })
    await db.migrate(third, { drop: ['title', 'size', 'note'] })
    expect((await db.scan(third)).rows).toEqual([
      { id: '00000', kind: 'a' },
      { id: 'n', kind: 'c' },
    ])
    const fourth = defineTable({ ...third, columns: { ...third.columns, title: string().default('again') } })
    await db.migrate(fourth)
    expect((await db.get(fourth, { id: 'n' }))?.title).toBe('again')
  })

  it('is named by page tokens, which are good for as long as their index is there', async () => {
    const withIndex = defineTable({ name: 'things', columns, key: ['id'], indexes: { byName: { columns: ['name'] } } })
    await db.migrate(withIndex)
    await db.schema.ready(withIndex)
    await fill(3, (i) => `n${i}`)
    const scan = { index: 'byName', limit: 1 } as const
    const { page } = await db.scan(withIndex, scan)
    expect(decodePageToken(page as string)).toMatchObject({ schema: 2 })
    // As builds before wrote it.
    const older = encodePageToken({ ...decodePageToken(page as string), schema: undefined })
    expect(Buffer.from(older, 'base64url')[0]).toBe(2)
    const wider = defineTable({ ...withIndex, columns: { ...columns, size: int64().default(7n) } })
    await db.migrate(wider)
    for (const token of [page, older]) {
      const { rows } = await db.scan(wider, { ...scan, page: token })
      expect(rows).toEqual([{ id: '00001', name: 'n1', kind: 'a', size: 7n }])
    }
    await db.migrate(defineTable({ ...wider, indexes: {} }))
    await db.migrate(wider)
    await db.schema.ready(wider)
    await expect(db.scan(wider, { ...scan, page })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('of schema version 2; now it is 5'),
    })
  })

  it('refuses what would lose or reinterpret data, and says what to do instead', async () => {
    await fill(1, () => 'x')
    const cases: [Parameters<typeof db.migrate>[0], string][] = [
      [defineTable({ name: 'things', columns: { ...columns, name: int64() }, key: ['id'] }), 'add a new column'],
      [
        defineTable({ name: 'things', columns: { ...columns, kind: enumOf('b', 'a') }, key: ['id'] }),
        'only be added at the end',
      ],
      [
        defineTable({ name: 'things', columns: { ...columns, size: int64() }, key: ['id'] }),
        'make it nullable or give it a default',
      ],
      [defineTable({ name: 'things', columns, key: ['name'] }), 'create another table'],
    ]
    for (const [table, message] of cases) {
      await expect(db.migrate(table)).rejects.toMatchObject({
        code: 'SCHEMA_FORBIDDEN',
        message: expect.stringContaining(message),
      })
    }
    expect((await db.schema.describe(first)).version).toBe(1)
  })

  it('refuses a change of a column that the filter of an index no longer fits, whoever asks for it', async () => {
    const dated = { ...columns, at: timestamp().nullable() }
    const recent = { recent: { columns: ['at'], where: { at: { gt: new Date(0) } } } } as const
    await db.migrate(defineTable({ name: 'dated', columns: dated, key: ['id'], indexes: recent }))
    const spec = timestamp({ as: 'bigint' }).nullable().spec
    const changes = [{ kind: 'changeColumn', name: 'at', spec }] as const
    const answer = await server.database.changeSchema({ table: 'dated', version: 1, changes })
    expect(answer).toMatchObject({ kind: 'forbidden', reason: expect.stringContaining('column at') })
    expect(await db.insert(first, { id: 'a', name: 'x', kind: 'a' })).toMatchObject({ ok: true })
  })

  it('keeps microseconds, and what rows from before a column was added show', async () => {
    const added = { at: timestamp({ as: 'bigint' }).default(0n), note: string().nullable() }
    const second = defineTable({ name: 'things', columns: { ...columns, ...added }, key: ['id'] })
    await db.migrate(second)
    for (const [changed, message] of [
      [{ at: timestamp().default(new Date(0)) }, 'a Date has no place for'],
      [{ note: string().nullable().default('null') }, 'show its default'],
    ] as const) {
      const third = defineTable({ ...second, columns: { ...second.columns, ...changed } })
      await expect(db.migrate(third)).rejects.toMatchObject({ message: expect.stringContaining(message) })
    }
  })

  it('changes under writers, who never notice', async () => {
    const wide = defineTable({ name: 'things', columns: { ...columns, size: int64().default(1n) }, key: ['id'] })
    const writes = Array.from({ length: 50 }, (_, i) => db.insert(first, { id: `w${i}`, name: 'x', kind: 'a' }))
    const migrated = db.migrate(wide)
    const later = Array.from({ length: 50 }, (_, i) => db.insert(first, { id: `v${i}`, name: 'x', kind: 'a' }))
    await migrated
    expect((await Promise.all([...writes, ...later])).every(({ ok }) => ok)).toBe(true)
    expect(await db.count(wide, { filter: { size: 1n } })).toBe(100)
  })

  it('goes away with all its rows, and comes back empty', async () => {
    await fill(700, () => 'x')
    await db.schema.drop(first)
    await expect(db.get(first, { id: '00000' })).rejects.toMatchObject({ code: 'UNKNOWN_TABLE' })
    await db.migrate(first)
    expect(await db.count(first)).toBe(0)
    await fill(3, () => 'y')
    while (server.content().some((line) => line.includes('r\\u0000\\u0001'))) await server.database.nextCommit()
    expect((await db.scan(first)).rows).toHaveLength(3)
  })
})

describe('an index', () => {
  const indexed = defineTable({
    name: 'things',
    columns,
    key: ['id'],
    indexes: { byName: { columns: ['name'], unique: true } },
  })

  it('is built from what is there, in steps, while rows change, and is readable then', async () => {
    const plain = defineTable({ name: 'things', columns, key: ['id'], indexes: { byName: { columns: ['name'] } } })
    await fill(1000, (i) => `n${i % 7}`)
    await db.batch((batch) => {
      for (let i = 1000; i < 1900; i++)
        batch.insert(first, { id: `${i}`.padStart(5, '0'), name: `n${i % 7}`, kind: 'a' })
    })
    const description = await db.migrate(plain)
    expect(description.indexes[0]?.state).toBe('building')
    await expect(db.scan(plain, { index: 'byName' })).rejects.toMatchObject({ code: 'INDEX_NOT_READY' })
    await db.delete(plain, { id: '01899' })
    await db.update(plain, { id: '00000' }, { set: { name: 'other' } })
    await db.insert(plain, { id: '00000x', name: 'n1', kind: 'b' })
    expect((await db.schema.ready(plain)).indexes[0]?.state).toBe('ready')
    const found: string[] = []
    for await (const { id } of db.rows(plain, { index: 'byName' })) found.push(id)
    const expected = (await db.scan(plain, { limit: 5000 })).rows
    expect(found).toEqual(expected.toSorted((a, b) => (a.name + a.id < b.name + b.id ? -1 : 1)).map(({ id }) => id))
  })

  it('goes on being built after a restart', async () => {
    await fill(1000, (i) => `n${i}`)
    const { backend, shared } = server
    await db.migrate(indexed)
    await server.close()
    server = await openTableServer({ backend, shared })
    db = server.db
    expect((await db.schema.ready(indexed)).indexes[0]?.state).toBe('ready')
    expect((await db.scan(indexed, { index: 'byName', prefix: { name: 'n999' } })).rows).toHaveLength(1)
  })

  it('is built by another server when the one that was asked for it is gone', async () => {
    const other = await openTableServer({ shared: server.shared, serverId: 'b' })
    await fill(1000, (i) => `n${i}`)
    server.database.stopServing()
    await db.migrate(indexed)
    expect((await other.db.schema.ready(indexed)).indexes[0]?.state).toBe('ready')
    await other.close()
  })

  it('finds duplicates also where one of them is written meanwhile', async () => {
    await fill(999, (i) => `n${i}`)
    await db.insert(first, { id: '99999', name: 'n0', kind: 'a' })
    const including = { columns: ['name'], unique: true, include: ['kind'] } as const
    const both = defineTable({ ...first, indexes: { byName: including } })
    await db.migrate(both)
    while (server.database.describe('things').indexes[0]?.rowsDone === 0) await server.database.nextCommit()
    expect(server.database.describe('things').indexes).toMatchObject([{ state: 'building', rowsDone: 500 }])
    await db.update(both, { id: '99999' }, { set: { kind: 'b' } })
    await expect(db.schema.ready(both)).rejects.toMatchObject({ code: 'INDEX_NOT_READY' })
  })

  it('that finds duplicates lists them, and is built again when they are mended', async () => {
    await fill(10, (i) => `n${i % 9}`)
    await db.migrate(indexed)
    await expect(db.schema.ready(indexed)).rejects.toMatchObject({ code: 'INDEX_NOT_READY' })
    const [failed] = (await db.schema.describe(indexed)).indexes
    expect(failed).toMatchObject({ state: 'failed', violations: [{ id: '00009' }] })
    await db.delete(indexed, { id: '00000' })
    await db.schema.rebuildIndex(indexed, 'byName')
    expect((await db.schema.ready(indexed)).indexes[0]).toMatchObject({ state: 'ready', violations: [] })
    expect((await db.scan(indexed, { index: 'byName', prefix: { name: 'n0' } })).rows).toMatchObject([{ id: '00009' }])
    expect(await db.insert(indexed, { id: 'z', name: 'n0', kind: 'a' })).toMatchObject({ ok: false, reason: 'unique' })
  })
})

describe('rows with a time to live', () => {
  it('end after it, through the log, with their index entries', { timeout: 20_000 }, async () => {
    await server.stack.enable()
    const leases = defineTable({
      name: 'leases',
      columns: { id: string(), holder: string() },
      key: ['id'],
      indexes: { byHolder: { columns: ['holder'] } },
      ttl: { afterMs: 100 },
    })
    await db.migrate(leases)
    await db.insert(leases, { id: 'a', holder: 'x' })
    await db.insert(leases, { id: 'b', holder: 'x' })
    const ended: string[] = []
    for await (const { after, key } of db.changes(leases, { after: 2 })) {
      if (after === undefined) ended.push(key.id)
      if (ended.length === 2) break
    }
    expect(ended).toEqual(['a', 'b'])
    expect(await db.count(leases)).toBe(0)
    expect(await db.count(leases, { index: 'byHolder', prefix: { holder: 'x' } })).toBe(0)
  })
})

it('rows stay that were to end when their table lost its ttl', { timeout: 20_000 }, async () => {
  await server.stack.enable()
  const notes = defineTable({ name: 'notes', columns: { id: string() }, key: ['id'], ttl: { afterMs: 100 } })
  const leases = defineTable({ name: 'leases', columns: { id: string() }, key: ['id'], ttl: { afterMs: 100 } })
  for (const table of [notes, leases]) {
    await db.migrate(table)
    await db.insert(table, { id: 'a' })
  }
  await db.migrate(defineTable({ ...notes, ttl: undefined }))
  for await (const { after } of db.changes(leases, { after: 0 })) if (after === undefined) break
  expect([await db.count(notes), await db.count(leases)]).toEqual([1, 0])
})

it('gives no id twice: when they run out, tables and indexes are refused', async () => {
  const keyed = { columns: { id: int64(), name: string() }, key: ['id'] } as const
  server.applicator.state.counters.lastTableId = ID_MAX - 1
  await db.migrate(defineTable({ name: 'last', ...keyed }))
  await expect(db.migrate(defineTable({ name: 'more', ...keyed }))).rejects.toMatchObject({
    code: 'SCHEMA_FORBIDDEN',
    message: expect.stringContaining(`${ID_MAX} tables were made here`),
  })
  const { descriptor } = server.database.table('last') as { descriptor: { nextIndexId: number } }
  descriptor.nextIndexId = ID_MAX
  const one = { ...keyed, name: 'last', indexes: { a: { columns: ['name'] } } } as const
  await db.migrate(defineTable(one))
  const two = defineTable({ ...one, indexes: { ...one.indexes, b: { columns: ['name'], unique: true } } })
  await expect(db.migrate(two)).rejects.toMatchObject({
    code: 'SCHEMA_FORBIDDEN',
    message: expect.stringContaining(`${ID_MAX} indexes were made of last`),
  })
})
