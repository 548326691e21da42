import { afterEach, beforeEach, expect, it } from 'vitest'
import { tempDir } from '../../test/support/temp-dir.ts'
import { int64, string } from '../table/schema/columns.ts'
import { defineTable } from '../table/schema/define-table.ts'
import { openServer, type Server } from './open-server.ts'

const counters = defineTable({ name: 'counters', columns: { id: string(), n: int64() }, key: ['id'] })

let dataDir: string
let server: Server

beforeEach(() => {
  dataDir = tempDir('tables')
})

afterEach(() => server.close())

it('serves tables beside Zelos in one process, each on a log of its own, and keeps them over a restart', async () => {
  const open = () => openServer({ dataDir, databases: ['zelos', 'table'], zookeeper: { port: 0 } })
  server = await open()
  await server.tables.migrate(counters)
  expect(await server.tables.insert(counters, { id: 'a', n: 1n })).toMatchObject({ ok: true, position: 1 })
  expect(Object.keys(server.status().databases)).toEqual(['zelos', 'table'])
  await server.close()
  server = await open()
  expect(await server.tables.get(counters, { id: 'a' })).toEqual({ id: 'a', n: 1n })
  expect(server.addresses.zookeeper).toMatch(/^127\.0\.0\.1:\d+$/)
})

it('serves tables alone where nothing but their options are given', async () => {
  server = await openServer({ dataDir, table: {} })
  expect(Object.keys(server.status().databases)).toEqual(['table'])
  expect(await server.tables.migrate(counters)).toMatchObject({ name: 'counters', version: 1 })
})

it('says so where no tables are served', async () => {
  server = await openServer({ dataDir, zookeeper: { port: 'off' } })
  expect(() => server.tables).toThrow('does not run the database table')
})
