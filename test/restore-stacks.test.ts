// What comes back from a backup where the server ran something else than Zelos on its usual stack.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openServer } from '../src/node/open-server.ts'
import { RESTORABLE, RESTORABLE_ZELOS } from '../src/node/restore/restorable-database.ts'
import { restore } from '../src/node/restore/restore.ts'
import type { RestorePoint } from '../src/node/restore/restore-point.ts'
import { SILENT_LOGGER } from '../src/runtime/logger.ts'
import { int64, string } from '../src/table/schema/columns.ts'
import { defineTable } from '../src/table/schema/define-table.ts'
import { type Content, contentOf } from './support/content.ts'
import { tempDir } from './support/temp-dir.ts'
import { eventually } from './support/wait.ts'
import { ZkClient } from './support/zk-client.ts'

it('a backup of a server that holds a lease is restored, and the new history is served', async () => {
  const backup = { location: `dir:${tempDir('leased-backup')}`, tickMs: 20, intervalMs: 50 }
  const dataDir = join(tempDir('leased'), 'data')
  const server = await openServer({ dataDir, zookeeper: { port: 0 }, lease: true, backup })
  const stack = server.database('zelos')
  const details = (name: string) => stack.status().engines.find((engine) => engine.name === name)?.details
  await eventually(() => details('lease')?.held === true || undefined, 10_000, 'the lease is held')
  const bound = server.addresses.zookeeper
  await eventually(() => details('lease')?.address === bound || undefined, 10_000, 'its address is told')
  await eventually(() => Number(details('log-backup')?.snapshots) > 0 || undefined, 10_000, 'the first snapshot')
  const client = await ZkClient.connect(Number(server.addresses.zookeeper?.split(':')[1]))
  await client.create('/leased', 'by a holder')
  const position = stack.status().cursor - 1
  const content = contentOf(stack.read())
  await eventually(() => Number(details('log-backup')?.end) > position || undefined, 10_000, 'it is in the backup')
  await client.close()
  await server.close()

  const into = join(tempDir('leased-restored'), 'data')
  let found: Content | undefined
  await restore({
    from: backup,
    to: { kind: 'position', position: position as never },
    dataDir: into,
    inspect: (tx) => {
      found = contentOf(tx)
    },
    database: 'zelos',
    definition: RESTORABLE_ZELOS,
    logger: SILENT_LOGGER,
  })
  expect(found).toEqual(content)
  const zookeeper = { port: 0, advertiseHost: 'zk1.example' }
  const again = await openServer({ dataDir: into, zookeeper, lease: true })
  const port = Number(again.addresses.zookeeper?.split(':')[1])
  const other = await ZkClient.connect(port)
  const told = () => again.database('zelos').status().engines.at(-1)?.details.address
  await eventually(() => told() === `zk1.example:${port}` || undefined, 10_000, 'what an operator says is told')
  expect((await other.getData('/leased')).value?.data?.toString()).toBe('by a holder')
  expect((await other.create('/after', 'the restore')).err).toBe(0)
  await other.close()
  await again.close()
}, 60_000)

it('what a lease held back at the restored point happens in the new history, also where nobody has Lease', async () => {
  const backup = { location: `dir:${tempDir('held-back-backup')}`, tickMs: 20, intervalMs: 3_600_000 }
  const server = await openServer({
    dataDir: join(tempDir('held-back'), 'data'),
    zookeeper: { port: 0, tickMs: 100 },
    lease: true,
    backup,
  })
  const stack = server.database('zelos')
  const details = (name: string) => stack.status().engines.find((engine) => engine.name === name)?.details
  await eventually(() => details('lease')?.held === true || undefined, 10_000, 'the lease is held')
  await eventually(() => Number(details('log-backup')?.snapshots) > 0 || undefined, 10_000, 'the first snapshot')
  const client = await ZkClient.connect(Number(server.addresses.zookeeper?.split(':')[1]), { timeoutMs: 300 })
  await client.create('/before', 'it')
  client.drop()
  await eventually(() => Number(details('time')?.fired) > 0 || undefined, 10_000, 'the session runs out')
  const last = stack.status().cursor - 1
  await server.close()

  const heldBack = (tx: Parameters<typeof contentOf>[0]): number =>
    [...tx.scan({ from: 'lease\x00f', to: 'lease\x00g' })].length
  // A timer that fires waits for the next entry of the holder: in front of that one a restore has to find it.
  for (let position = last; ; position--) {
    const dataDir = join(tempDir('held-back-restored'), 'data')
    let waiting = 0
    const inspect = (tx: Parameters<typeof contentOf>[0]): void => {
      waiting = heldBack(tx)
    }
    const to = { kind: 'position', position: position as never } as const
    const parts = { from: backup, to, dataDir, inspect, database: 'zelos', logger: SILENT_LOGGER }
    await restore({ ...parts, definition: RESTORABLE_ZELOS })
    expect(position, 'a firing was held back somewhere').toBeGreaterThan(last - 15)
    if (waiting === 0) continue
    const again = await openServer({ dataDir, zookeeper: { port: 0 } })
    expect(again.status().databases.zelos?.state).toBe('serving')
    expect(heldBack(again.database('zelos').read())).toBe(0)
    const other = await ZkClient.connect(Number(again.addresses.zookeeper?.split(':')[1]))
    expect((await other.create('/after', 'the restore')).err).toBe(0)
    await other.close()
    await again.close()
    return
  }
}, 60_000)

it('tables are restored by their own rules, from a snapshot and what an orderly end has uploaded', async () => {
  const counters = defineTable({ name: 'counters', columns: { id: string(), n: int64() }, key: ['id'] })
  const backup = { location: `dir:${tempDir('tables-backup')}`, tickMs: 20, intervalMs: 3_600_000 }
  const dataDir = join(tempDir('tables'), 'data')
  const server = await openServer({ dataDir, databases: ['table'], backup })
  const stack = server.database('table')
  const details = () => stack.status().engines.find((engine) => engine.name === 'log-backup')?.details
  await eventually(() => Number(details()?.snapshots) > 0 || undefined, 10_000, 'the first snapshot')
  await server.tables.migrate(counters)
  const { position: last } = await server.tables.insert(counters, { id: 'a', n: 1n })
  const position = stack.status().cursor - 1
  expect(Number(details()?.end)).toBeLessThanOrEqual(position)
  await server.close()

  const into = join(tempDir('tables-restored'), 'data')
  const to = { kind: 'position', position: position as never } as const
  const parts = { from: backup, to, dataDir: into, database: 'table', logger: SILENT_LOGGER }
  await restore({ ...parts, definition: RESTORABLE.table })
  const again = await openServer({ dataDir: into, databases: ['table'] })
  expect(await again.tables.get(counters, { id: 'a' })).toEqual({ id: 'a', n: 1n })
  const lost = again.tables.get(counters, { id: 'a' }, { level: { session: last + 1 } })
  await expect(lost).rejects.toMatchObject({ code: 'MISMATCH' })
  expect((await again.tables.insert(counters, { id: 'b', n: 2n })).position).toBeGreaterThan(last + 2 ** 32)
  await again.close()
}, 60_000)

it('a restore that was cut off goes on to the point that it began with, and to no other', async () => {
  const location = `dir:${tempDir('no-backup')}`
  const dataDir = join(tempDir('cut-off'), 'data')
  const parts = { from: { location }, dataDir, database: 'zelos', definition: RESTORABLE_ZELOS, logger: SILENT_LOGGER }
  const into = (to: RestorePoint): Promise<unknown> => restore({ ...parts, to })
  const time = (wallMs: number): RestorePoint => ({ kind: 'time', wallMs })
  await expect(into(time(1_000))).rejects.toMatchObject({ code: 'NOT_FOUND' })
  const plan = { location, database: 'zelos', historyId: 'a'.repeat(32), cursor: 1, position: 5, to: time(1_000) }
  writeFileSync(join(dataDir, 'RESTORE'), JSON.stringify({ format: 1, ...plan, newHistoryId: 'b'.repeat(32) }))
  for (const to of [time(2_000), { kind: 'newest' }, { kind: 'position', position: 6 }] as RestorePoint[]) {
    await expect(into(to)).rejects.toMatchObject({ code: 'CONFLICT' })
  }
  for (const to of [time(1_000), { kind: 'position', position: 5 }] as RestorePoint[]) {
    await expect(into(to)).rejects.toMatchObject({ code: 'TRIMMED' })
  }
})
