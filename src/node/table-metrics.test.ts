// Each metric of tables moves with what it is about.

import { Registry } from 'prom-client'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openTableServer, type TableServer } from '../../test/support/table-server.ts'
import { DelosError } from '../base/delos-error.ts'
import { int64, string } from '../table/schema/columns.ts'
import { defineTable } from '../table/schema/define-table.ts'
import { registerTableMetrics } from './table-metrics.ts'

const things = defineTable({ name: 'things', columns: { id: int64(), note: string().default('') }, key: ['id'] })
const mortal = defineTable({ name: 'mortal', columns: { id: int64() }, key: ['id'], ttl: { afterMs: 1 } })

let server: TableServer
let registry: Registry

beforeEach(async () => {
  server = await openTableServer()
  await server.stack.enable()
  registry = new Registry()
  registerTableMetrics(registry, () => server.database.stats())
})

afterEach(() => server.close())

/** As of one scrape. */
async function values(...metrics: string[]): Promise<(number | undefined)[]> {
  const lines = (await registry.metrics()).split('\n')
  return metrics.map((metric) => {
    const line = lines.find((one) => one.startsWith(`delos_table_${metric} `))
    return line === undefined ? undefined : Number(line.split(' ').at(-1))
  })
}

async function value(metric: string): Promise<number | undefined> {
  return (await values(metric))[0]
}

it('counts requests by kind and outcome, conflicts, and times', async () => {
  const { database, db } = server
  await db.migrate(things)
  await db.insert(things, { id: 1n })
  await db.insert(things, { id: 1n })
  await db.insert(things, { id: 2n }, { token: 't' })
  await db.insert(things, { id: 2n }, { token: 't' })
  await database.transact({ operations: [], reads: [{ table: 'things', key: { id: 1n }, version: 7 }] })
  await expect(db.insert(things, { id: 'x' as never })).rejects.toBeInstanceOf(DelosError)
  await db.get(things, { id: 1n })
  await expect(db.get(things, { id: 1n }, { level: { staleMs: -1 } })).rejects.toBeInstanceOf(DelosError)
  await expect(db.get(things, { id: 'x' as never })).rejects.toBeInstanceOf(DelosError)
  await db.getMany(things, [{ id: 1n }])
  await db.scan(things)
  await db.count(things)
  database.changes({ after: 0 })
  expect(() => database.changes({ after: -1 })).toThrow(DelosError)
  const requests = (kind: string, outcome: string) => `requests_total{kind="${kind}",outcome="${outcome}"}`
  expect(
    await values(
      requests('schema', 'changed'),
      requests('transaction', 'committed'),
      requests('transaction', 'rejected'),
      requests('transaction', 'repeated'),
      requests('transaction', 'conflict'),
      requests('transaction', 'refused'),
      requests('transaction', 'indeterminate'),
      requests('get', 'answered'),
      requests('get', 'refused'),
      requests('get_many', 'answered'),
      requests('scan', 'answered'),
      requests('count', 'answered'),
      requests('changes', 'answered'),
      requests('changes', 'refused'),
      'conflicts_total',
      'request_seconds_count{kind="transaction"}',
    ),
  ).toEqual([1, 2, 1, 1, 1, 1, 0, 1, 2, 1, 1, 1, 1, 1, 1, 1])
})

it('tells of the change log, rows, caches, snapshots, and of what is under way', async () => {
  const { db } = server
  await db.migrate(things)
  const before = await values('position', 'change_log_bytes', 'tokens', 'cached_rows', 'cached_bytes')
  expect(before).toEqual([0, 0, 0, 0, 0])
  const writing = db.insert(things, { id: 1n }, { token: 't' })
  const [pending = 0, bytes = 0] = await values('pending_transactions', 'pending_transaction_bytes')
  await writing
  expect([pending, bytes > 0]).toEqual([1, true])
  for (let i = 0; i < 1200; i += 400) {
    await Promise.all(Array.from({ length: 400 }, () => db.update(things, { id: 1n }, { set: { note: 'x' } })))
  }
  expect(await values('position', 'pending_transactions', 'tokens', 'cached_rows', 'rows{table="things"}')).toEqual([
    1201, 0, 1, 1, 1,
  ])
  expect((await value('change_log_bytes')) ?? 0).toBeGreaterThan(1201 * 20)
  expect((await value('cached_bytes')) ?? 0).toBeGreaterThan(0)
  expect(await value('change_log_oldest_position')).toBe(1)
  server.applicator.state.counters.oldestChange = 5
  expect(await value('change_log_oldest_position')).toBe(5)
  expect(await values('snapshot_walks_total', 'snapshot_transactions_total')).toEqual([0, 0])
  await db.scan(things, {}, { level: { snapshot: 10 } })
  expect(await values('snapshot_walks_total', 'snapshot_transactions_total')).toEqual([1, 1191])
})

it('tells how far indexes are, and how many rows have ended', { timeout: 20_000 }, async () => {
  const { db } = server
  await db.migrate(things)
  for (let at = 0; at < 1200; at += 600) {
    await db.batch((batch) => {
      for (let i = at; i < at + 600; i++) batch.insert(things, { id: BigInt(i) })
    })
  }
  await db.migrate(defineTable({ ...things, indexes: { byNote: { columns: ['note'] } } }))
  expect(await value('indexes{state="building"}')).toBe(1)
  const seen: (number | undefined)[] = []
  while ((await value('indexes{state="ready"}')) === 0) {
    seen.push(await value('index_build_rows{table="things",index="byNote"}'))
    await server.database.nextCommit()
  }
  expect(seen).toEqual(expect.arrayContaining([0, 500, 1000]))
  expect(await value('index_build_rows{table="things",index="byNote"}')).toBeUndefined()
  await db.migrate(mortal)
  await db.insert(mortal, { id: 1n })
  expect(await value('expired_rows_total')).toBe(0)
  for await (const { after } of db.changes(mortal, { after: 0 })) if (after === undefined) break
  expect(await value('expired_rows_total')).toBe(1)
})
