import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openTableServer, SharedLog, type TableServer } from '../../test/support/table-server.ts'
import { encodeNewHistory } from './codec/transaction-codec.ts'
import type { Change } from './messages.ts'
import { decodePageToken, encodePageToken } from './read/page-token.ts'
import { int64, string } from './schema/columns.ts'
import { defineTable } from './schema/define-table.ts'

const counters = defineTable({ name: 'counters', columns: { id: string(), n: int64() }, key: ['id'] })
const JUMP = 2 ** 32

let server: TableServer
let shared: SharedLog

beforeEach(async () => {
  shared = new SharedLog()
  server = await openTableServer({ shared })
  await server.stack.enable()
  await server.db.migrate(counters)
  for (const id of ['a', 'b', 'c']) await server.db.insert(counters, { id, n: 1n })
})

afterEach(() => server.close())

/** What a restore writes: this server's content goes on as another history. */
async function restored(): Promise<{ readonly last: number; readonly behind: number }> {
  const last = server.db.position
  await server.stack.propose(encodeNewHistory(last + JUMP))
  return { last, behind: last + JUMP }
}

async function feed(after: number, count: number): Promise<Change[]> {
  const found: Change[] = []
  for await (const change of server.db.changes(counters, { after })) {
    found.push(change as unknown as Change)
    if (found.length === count) break
  }
  return found
}

describe('a history that a restore has begun', () => {
  it('gives no position a second time, and refuses those of the lost one wherever they are named', async () => {
    const { behind, last } = await restored()
    const inserted = await server.db.insert(counters, { id: 'd', n: 1n })
    expect(inserted.position).toBe(behind + 1)
    const lost = { code: 'MISMATCH', message: expect.stringContaining(`went back to position ${last}`) }
    for (const position of [last + 1, last + 1_000, behind - 1]) {
      await expect(server.db.get(counters, { id: 'a' }, { level: { session: position } })).rejects.toMatchObject(lost)
      await expect(server.db.get(counters, { id: 'a' }, { level: { snapshot: position } })).rejects.toMatchObject(lost)
      await expect(feed(position, 1)).rejects.toMatchObject(lost)
    }
    // What both histories share is no loss: whoever has seen it goes on.
    expect(await server.db.get(counters, { id: 'd' }, { level: { session: last } })).toMatchObject({ id: 'd' })
    expect((await feed(last - 1, 2)).map(({ key }) => key)).toEqual([{ id: 'c' }, { id: 'd' }])
    // The past before it is not read, rather than walked to over all that was skipped.
    const before = server.db.get(counters, { id: 'a' }, { level: { snapshot: last } })
    await expect(before).rejects.toMatchObject({ code: 'SNAPSHOT_GONE' })
    expect(await server.db.get(counters, { id: 'd' }, { level: { snapshot: behind } })).toBeUndefined()
  })

  it('ends no feed, also while nothing has been written in it yet', async () => {
    const { behind, last } = await restored()
    const request = { after: last - 1, table: 'counters' }
    expect(server.database.changes(request)).toMatchObject({ position: behind, caughtUp: true })
    expect(server.database.changes({ ...request, limit: 1 })).toMatchObject({ position: last, caughtUp: false })
    const seen = feed(last, 1)
    await server.db.insert(counters, { id: 'd', n: 1n })
    expect((await seen).map(({ key, position }) => [key, position])).toEqual([[{ id: 'd' }, behind + 1]])
  })

  it('takes no page token of the lost one', async () => {
    const { page } = await server.db.scan(counters, { limit: 1 })
    const { behind, last } = await restored()
    const token = decodePageToken(page as string)
    expect(token.position).toBe(last)
    expect((await server.db.scan(counters, { page: page as string })).rows).toHaveLength(2)
    for (const position of [last + 1, behind - 1]) {
      const scan = { page: encodePageToken({ ...token, position }) }
      await expect(server.db.scan(counters, scan)).rejects.toMatchObject({ code: 'MISMATCH' })
      const run = server.db.transaction(async (tx) => {
        tx.delete(counters, { id: 'c' })
        await tx.scan(counters, scan)
      })
      await expect(run).rejects.toMatchObject({ code: 'MISMATCH' })
    }
  })

  it('begins once, however often the restore is run, and is there after a restart and on every server', async () => {
    const { behind, last } = await restored()
    await server.stack.propose(encodeNewHistory(behind))
    expect(server.db.position).toBe(behind)
    const other = await openTableServer({ shared, serverId: 'b' })
    const lost = { level: { session: last + 1 } }
    await expect(other.db.get(counters, { id: 'a' }, lost)).rejects.toMatchObject({ code: 'MISMATCH' })
    expect((await other.db.insert(counters, { id: 'd', n: 1n })).position).toBe(behind + 1)
    await other.close()
  })

  it('has a stored format', () => {
    expect(Buffer.from(encodeNewHistory(2 ** 32 + 5)).toString('hex')).toBe('01058580808010')
  })
})
