import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { readGolden } from '../../test/support/golden.ts'
import { openTableServer, type TableServer } from '../../test/support/table-server.ts'
import { changeKey, descriptorKey } from './codec/table-keys.ts'
import { int64, string } from './schema/columns.ts'
import { defineTable } from './schema/define-table.ts'

const rooms = defineTable({
  name: 'rooms',
  columns: { id: string(), beds: int64() },
  key: ['id'],
  indexes: { byBeds: { columns: ['beds'], include: ['id'] } },
})
const halls = defineTable({ ...rooms, name: 'halls' })

let server: TableServer
let db: TableServer['db']
/** There was a table `rooms` with two rows then. */
let before: number
/** The next page of a scan of that. */
let page: string | undefined

beforeEach(async () => {
  server = await openTableServer()
  await server.stack.enable()
  db = server.db
  await db.migrate(rooms)
  for (const id of ['a', 'b']) await db.insert(rooms, { id, beds: 1n })
  before = db.position
  page = (await db.scan(rooms, { limit: 1 })).page
})

afterEach(() => server.close())

const gone = { code: 'SNAPSHOT_GONE', message: expect.stringContaining('since position 3') }

/** Reads of `rooms` as it was when it was another table. */
async function expectNoPast(): Promise<void> {
  const level = { snapshot: before }
  for (const read of [
    () => db.get(rooms, { id: 'a' }, { level }),
    () => db.getMany(rooms, [{ id: 'a' }, { id: 'c' }], { level }),
    () => db.scan(rooms, {}, { level }),
    () => db.scan(rooms, { index: 'byBeds' }, { level }),
    () => db.count(rooms, {}, { level }),
    () => db.count(rooms, { filter: { beds: 1n } }, { level }),
  ]) {
    await expect(read()).rejects.toMatchObject(gone)
  }
}

describe('a table that was dropped, and made anew under the same name', () => {
  it('has no past: a snapshot of before is gone, even if nothing was written since, and none of its rows come back', async () => {
    await db.schema.drop(rooms)
    await db.migrate(rooms)
    await expectNoPast()
    const level = { snapshot: db.position }
    expect(await db.scan(rooms, {}, { level })).toMatchObject({ rows: [] })
    await db.insert(rooms, { id: 'a', beds: 5n })
    await expectNoPast()
    expect(await db.get(rooms, { id: 'a' }, { level })).toBeUndefined()
    expect((await db.scan(rooms, { index: 'byBeds' }, { level })).rows).toEqual([])
    expect((await db.scan(rooms)).rows).toEqual([{ id: 'a', beds: 5n }])
    // Pages of the old one lead nowhere.
    await expect(db.scan(rooms, { page })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  it('has a feed of its own: one that followed the old one ends where that did, with the position to go on from', async () => {
    const feed = db.changes(rooms, { after: 1 })
    expect(await feed.next()).toMatchObject({ value: { key: { id: 'b' } } })
    await db.schema.drop(rooms)
    await db.migrate(rooms)
    await db.insert(rooms, { id: 'c', beds: 5n })
    const ended = { code: 'TRIMMED', message: expect.stringContaining('position to go on from is 3') }
    await expect(feed.next()).rejects.toMatchObject(ended)
    await expect(db.changes(rooms, { after: 0 }).next()).rejects.toMatchObject(ended)
    const next = db.changes(rooms, { after: 3 })
    expect(await next.next()).toMatchObject({ value: { position: 4, key: { id: 'c' } } })
    await next.return()
  })
})

describe('a table that was renamed', () => {
  it('keeps rows, pages and feed, and can be read at positions since it has its name', async () => {
    await db.migrate(halls, { renamedFrom: 'rooms' })
    expect((await db.scan(halls, { page })).rows).toEqual([{ id: 'b', beds: 1n }])
    const feed = db.changes(halls, { after: 0 })
    expect(await feed.next()).toMatchObject({ value: { position: 1, table: 'halls', key: { id: 'a' } } })
    await feed.return()
    const level = { snapshot: db.position }
    await db.delete(halls, { id: 'a' })
    expect((await db.scan(halls, {}, { level })).rows).toHaveLength(2)
    // Nobody who asked for halls then has got this.
    await expect(db.scan(halls, {}, { level: { snapshot: before } })).rejects.toMatchObject(gone)
  })

  it('leaves nothing of it to the table that takes its name', async () => {
    await db.migrate(halls, { renamedFrom: 'rooms' })
    await db.migrate(rooms)
    await expectNoPast()
    await expect(db.changes(rooms, { after: before }).next()).rejects.toMatchObject({ code: 'TRIMMED' })
    await expect(db.scan(rooms, { page })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect((await db.scan(halls)).rows).toHaveLength(2)
  })
})

describe('an index that was dropped, and made anew under the same name', () => {
  it('shows the past in its own order, and takes no page of the old one', async () => {
    const first = await db.scan(rooms, { index: 'byBeds', limit: 1 })
    const { indexes: _, ...bare } = rooms
    await db.migrate(defineTable({ ...bare, indexes: {} }))
    const turned = defineTable({ ...rooms, indexes: { byBeds: { columns: ['id'] } } })
    await db.migrate(turned)
    await db.schema.ready(turned)
    await db.delete(turned, { id: 'a' })
    await db.update(turned, { id: 'b' }, { set: { beds: 7n } })
    const { rows } = await db.scan(turned, { index: 'byBeds' }, { level: { snapshot: before } })
    expect(rows).toEqual([
      { id: 'a', beds: 1n },
      { id: 'b', beds: 1n },
    ])
    const { page: old } = first
    await expect(db.scan(turned, { index: 'byBeds', page: old })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})

it('what builds before have written takes no position: their entries are applied as they were', async () => {
  const { applicator, stack } = server
  const old = (request: unknown): Promise<unknown> => {
    const text = Buffer.from(JSON.stringify(request))
    return stack.propose(Buffer.concat([Buffer.from([1, 2, text.length]), text]))
  }
  await old({ table: 'rooms', version: 1, changes: [{ kind: 'renameTable', to: 'halls' }] })
  expect(db.position).toBe(before)
  expect(applicator.state.catalog.table('halls').namedAt).toBe(0)
  expect((await db.scan(halls, {}, { level: { snapshot: before - 1 } })).rows).toHaveLength(1)
})

it('a name that is lost is written as in testdata/table/names.hex: the entry, the change, and the descriptor', async () => {
  const entries = vi.spyOn(server.stack, 'submit')
  await db.migrate(halls, { renamedFrom: 'rooms' })
  const payload = entries.mock.calls[0]?.[0].payload as Uint8Array
  const reader = server.stack.read()
  const stored = [payload, reader.get(changeKey(3)), reader.get(descriptorKey(1))]
  expect(stored.map((bytes) => Buffer.from(bytes ?? []).toString('hex')).join('')).toBe(readGolden('table/names.hex'))
})
