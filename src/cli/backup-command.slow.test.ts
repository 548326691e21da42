// `delos backup` and `delos restore` as processes: what they tell of a running server and of its backup, and what damage comes to. Runs
// the build in dist, or the one that DELOS_TEST_MAIN names.

import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DELOS_MAIN } from '../../test/support/server.ts'
import { tempDir } from '../../test/support/temp-dir.ts'
import { eventually } from '../../test/support/wait.ts'
import { ZkClient } from '../../test/support/zk-client.ts'
import { openServer, type Server } from '../node/open-server.ts'

const DIRECTORY = tempDir('backup-command')
const PLACE = `dir:${DIRECTORY}/backup`
const DATA_DAMAGED = 4
let server: Server

type Outcome = { readonly code: number; readonly out: string; readonly err: string }

function delos(...args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [DELOS_MAIN, ...args], { timeout: 30_000 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err })
    })
  })
}

const details = () =>
  server
    .database('zelos')
    .status()
    .engines.find(({ name }) => name === 'log-backup')?.details

/** Files of the backup that end so. */
function blobs(ending: string): string[] {
  const all = readdirSync(`${DIRECTORY}/backup`, { recursive: true }).map(String)
  return all.filter((name) => name.endsWith(ending)).map((name) => join(DIRECTORY, 'backup', name))
}

async function damaged<T>(
  path: string,
  change: (bytes: Buffer) => Buffer | undefined,
  look: () => Promise<T>,
): Promise<T> {
  const whole = readFileSync(path)
  const bytes = change(Buffer.from(whole))
  if (bytes === undefined) rmSync(path)
  else writeFileSync(path, bytes)
  try {
    return await look()
  } finally {
    writeFileSync(path, whole)
  }
}

beforeAll(async () => {
  const backup = { location: PLACE, tickMs: 20, intervalMs: 50, partBytes: 2_000 }
  const dataDir = join(DIRECTORY, 'data')
  server = await openServer({ dataDir, zookeeper: { port: 0 }, api: { port: 0 }, backup })
  await eventually(() => Number(details()?.snapshots) > 0 || undefined, 10_000, 'the first snapshot')
  const client = await ZkClient.connect(Number(server.addresses.zookeeper?.split(':')[1]))
  for (let i = 0; i < 5; i++) await client.create(`/node-${i}`, 'content')
  const position = server.database('zelos').status().cursor - 1
  await eventually(() => Number(details()?.end) > position || undefined, 10_000, 'it is in the backup')
  await client.close()
}, 60_000)
afterAll(() => server.close())

describe('delos backup', () => {
  it('status tells of a server how far it is, and of a place what can be restored from it', async () => {
    const running = await delos('backup', 'status', '--api', server.addresses.api as string, '--json')
    expect(JSON.parse(running.out)).toMatchObject({
      database: 'zelos',
      enabled: true,
      begun: true,
      location: PLACE,
      gaps: 0,
    })
    const there = await delos('backup', 'status', '--from', PLACE, '--json')
    const { histories } = JSON.parse(there.out)
    const { historyId } = server.status().databases.zelos ?? {}
    expect(histories).toMatchObject([
      { historyId, restorable: [{ first: expect.any(Number), last: expect.any(Number) }] },
    ])
    expect(histories[0].restorable[0].last).toBeGreaterThan(histories[0].restorable[0].first + 5)
  }, 30_000)

  it('status tells why nothing is uploaded, as delos status does, once', async () => {
    const backup = { location: PLACE, tickMs: 20 }
    const other = await openServer({ dataDir: join(DIRECTORY, 'other'), api: { port: 0 }, backup })
    const api = ['--api', other.addresses.api as string]
    const alarms = () => other.database('zelos').status().alarms
    await eventually(
      () => alarms().some((alarm) => alarm.includes('another database')) || undefined,
      10_000,
      'it fails',
    )
    expect((await delos('backup', 'status', ...api)).out).toMatch(/FAILS.*another database/)
    expect((await delos('status', ...api)).out.match(/another database/g)).toHaveLength(1)
    await other.close()
  }, 30_000)

  it('verify finds a whole backup sound, and says what is damaged or missing', async () => {
    const verify = () => delos('backup', 'verify', '--from', PLACE)
    expect(await verify()).toMatchObject({ code: 0, out: expect.stringContaining('sound') })
    const flipped = (bytes: Buffer): Buffer => {
      bytes[20] = (bytes[20] as number) ^ 1
      return bytes
    }
    for (const ending of ['.segment', '.part', '.manifest']) {
      const [path] = blobs(ending) as [string]
      const name = path.split('/').at(-1) as string
      const found = await damaged(path, flipped, verify)
      expect(found).toMatchObject({ code: DATA_DAMAGED, out: expect.stringContaining('DAMAGED') })
      expect(found.out).toContain(name)
    }
    const [part] = blobs('.part') as [string]
    expect(await damaged(part, () => undefined, verify)).toMatchObject({ code: DATA_DAMAGED })
  }, 60_000)

  it('with a key refuses what is not encrypted, says how to take it all the same, and does so then', async () => {
    const keyFile = join(DIRECTORY, 'key')
    writeFileSync(keyFile, `${'0123456789abcdef'.repeat(4)}\n`)
    const verify = ['backup', 'verify', '--from', PLACE, '--key-file', keyFile]
    const refused = await delos(...verify)
    expect(refused).toMatchObject({ code: DATA_DAMAGED, err: expect.stringContaining('accept-clear') })
    expect(await delos(...verify, '--accept-clear')).toMatchObject({ code: 0 })
  }, 30_000)

  it('restore makes a directory that a server serves, tells how far it is, and takes no directory that holds something', async () => {
    const into = join(DIRECTORY, 'restored')
    const restore = ['restore', '--from', PLACE, '--data-dir', into, '--to-time', new Date().toISOString(), '--json']
    const done = await delos(...restore)
    expect(done).toMatchObject({ code: 0, err: expect.stringContaining('"phase":"snapshot"') })
    const again = await delos(...restore)
    expect(again.code).not.toBe(0)
    expect(again.err).toContain('not empty')
    const other = await openServer({ dataDir: into, zookeeper: { port: 0 } })
    const client = await ZkClient.connect(Number(other.addresses.zookeeper?.split(':')[1]))
    expect((await client.getData('/node-4')).value?.data?.toString()).toBe('content')
    await client.close()
    await other.close()
  }, 30_000)
})
