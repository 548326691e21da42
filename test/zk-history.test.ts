// Who changed a node: told from the log of a running server, from a backup, and from both together.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { LogAnswer } from '../src/node/log-routes.ts'
import { openServer, type Server } from '../src/node/open-server.ts'
import { nodeHistory } from '../src/node/restore/change-log.ts'
import type { NodeChange } from '../src/node/restore/recording-zelos.ts'
import { tempDir } from './support/temp-dir.ts'
import { eventually } from './support/wait.ts'
import { succeeded, ZkClient } from './support/zk-client.ts'

function portOf(server: Server): number {
  return Number(server.addresses.zookeeper?.split(':')[1])
}

function liveOf(server: Server, dataDir: string) {
  const token = readFileSync(join(dataDir, 'admin.token'), 'utf8').trim()
  const headers = { authorization: `Bearer ${token}` }
  return async (from: number): Promise<LogAnswer> => {
    const response = await fetch(`http://${server.addresses.api}/v1/databases/zelos/log?from=${from}`, { headers })
    expect(response.status).toBe(200)
    return (await response.json()) as LogAnswer
  }
}

async function historyOf(options: Omit<Parameters<typeof nodeHistory>[0], 'changed'>): Promise<NodeChange[]> {
  const changes: NodeChange[] = []
  await nodeHistory({ ...options, changed: (change) => changes.push(change) })
  return changes
}

describe('the history of a node', () => {
  it('has every change with its author, from the log, from a backup, and from both', async () => {
    const dataDir = join(tempDir('history'), 'data')
    const from = { location: `dir:${tempDir('history-backup')}` }
    const backup = { ...from, tickMs: 20, intervalMs: 50 }
    const server = await openServer({ dataDir, zookeeper: { port: 0 }, api: { port: 0 }, backup })
    const live = liveOf(server, dataDir)
    const client = await ZkClient.connect(portOf(server))
    succeeded(await client.auth('digest', 'alice:secret'))
    const engine = () =>
      server
        .database('zelos')
        .status()
        .engines.find(({ name }) => name === 'log-backup')
    // Changes before the first snapshot are in the log alone.
    await eventually(() => engine()?.details.snapshots === 1 || undefined, 20_000, 'a snapshot')
    succeeded(await client.create('/a', 'x'))
    succeeded(await client.setData('/a', 'one'))
    await client.setData('/a', 'refused', 99)
    succeeded(await client.multi([{ op: 'setData', path: '/a', data: 'four', version: 1 }]))
    succeeded(await client.create('/a/b'))
    const position = server.database('zelos').status().cursor
    await eventually(() => Number(engine()?.details.end) >= position || undefined, 20_000, 'the backup')
    const told = await historyOf({ path: '/a', from })
    expect(told.map(({ newVersion, oldVersion, what }) => [what, oldVersion, newVersion])).toEqual([
      ['created', undefined, 0],
      ['data', 0, 1],
      ['data', 1, 2],
      ['children', 2, 2],
    ])
    const [created] = told
    expect(created).toMatchObject({ request: 'create', address: '127.0.0.1', dataLength: 1 })
    expect(created?.identities.join()).toMatch(/^digest:alice:/)
    expect(Date.parse(created?.at ?? '')).toBeGreaterThan(Date.now() - 60_000)
    expect(created?.session).toMatch(/^0x[1-9a-f]/)

    succeeded(await client.delete('/a/b'))
    succeeded(await client.delete('/a'))
    const both = await historyOf({ path: '/a', from, live })
    expect(both.slice(0, 4)).toEqual(told)
    expect(both.slice(4).map(({ what }) => what)).toEqual(['children', 'deleted'])
    expect(await historyOf({ path: '/a', live })).toEqual(both)
    // As if the server had been restored since: the same positions, other entries.
    const restored = async (position: number): Promise<LogAnswer> => ({
      ...(await live(position)),
      historyId: 'f'.repeat(32),
    })
    await expect(historyOf({ path: '/a', from, live: restored })).rejects.toMatchObject({ code: 'MISMATCH' })
    await client.close()
    await server.close()
  }, 60_000)

  it('is refused where nothing reaches back to a beginning, and the log to who has no token', async () => {
    const dataDir = join(tempDir('history'), 'data')
    const server = await openServer({ dataDir, zookeeper: { port: 'off' }, api: { port: 0 } })
    expect((await fetch(`http://${server.addresses.api}/v1/databases/zelos/log`)).status).toBe(401)
    await expect(historyOf({ path: '/a' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    const later = async (from: number): Promise<LogAnswer> => ({
      ...(await liveOf(server, dataDir)(from)),
      oldest: 1_000_000,
    })
    await expect(historyOf({ path: '/a', live: later })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await server.close()
  }, 60_000)
})
