// Clients that run on while their server is destroyed and comes back from its backup, at an earlier entry: they work again within one
// session timeout, with new sessions, and nobody mixes two histories.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it } from 'vitest'
import { RESTORABLE_ZELOS } from '../src/node/restore/restorable-database.ts'
import { restore } from '../src/node/restore/restore.ts'
import { SILENT_LOGGER } from '../src/runtime/logger.ts'
import { describeWith, JAVA_CLIENT_DIR, KAZOO_CLIENT_DIR, peers, ZOOKEEPER_JAR } from './support/peers.ts'
import { TestServer } from './support/server.ts'
import { tempDir } from './support/temp-dir.ts'
import { eventually } from './support/wait.ts'
import { ZkClient } from './support/zk-client.ts'

const TIMEOUT_MS = 4_000
/** What the client's process and this machine take besides. */
const SLACK_MS = 6_000

/** A client program, and what it has said. */
class Program {
  readonly said: string[] = []
  private readonly child: ChildProcess

  constructor(command: string, args: readonly string[]) {
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] })
    createInterface({ input: this.child.stdout as NodeJS.ReadableStream }).on('line', (line) => this.said.push(line))
  }

  /** Lines from the `from`th on, when one of them is so. */
  async says(what: RegExp, from: number, ms: number): Promise<string[]> {
    const found = (): true | undefined => this.said.slice(from).some((line) => what.test(line)) || undefined
    await eventually(found, ms, `${what} in ${JSON.stringify(this.said.slice(-8))}`)
    return this.said.slice(from)
  }

  [Symbol.dispose](): void {
    this.child.kill('SIGKILL')
  }
}

async function staysThrough(start: (port: number) => Program, root: string): Promise<void> {
  const place = `dir:${tempDir('stays')}/backup`
  const flags = ['--backup-to', place, '--backup-interval-ms', '50', '--max-connections', '100']
  await using server = await TestServer.start({ flags })
  await using client = await ZkClient.connect(server.port)
  using program = start(server.port)
  await program.says(/^ephemeral/, 0, 30_000)
  await program.says(/^version 20/, 0, 30_000)
  const then = Number(((await client.getData(root)).value?.stat.version ?? 0) as number)
  const before = await client.getData(root)
  await program.says(new RegExp(`^version ${then + 20}$`), 0, 30_000)
  // So far into the backup, at least.
  const data = join(server.dir, 'data')
  await eventually(async () => (await positions(place)) > 0 || undefined, 20_000, 'a backup')
  await server.kill()
  rmSync(data, { recursive: true })
  const lines = program.said.length
  const last = Number(/\d+/.exec(program.said.findLast((line) => line.startsWith('version')) ?? '')?.[0])
  const result = await restore({
    from: { location: place },
    database: 'zelos',
    definition: RESTORABLE_ZELOS,
    to: { kind: 'newest' },
    dataDir: data,
    logger: SILENT_LOGGER,
  })
  expect(result.position).toBeGreaterThan(0)
  await server.restart()
  const after = await program.says(/^version/, lines, TIMEOUT_MS + SLACK_MS)
  await program.says(/^ephemeral/, lines, TIMEOUT_MS + SLACK_MS)
  const first = Number(/\d+/.exec(after.find((line) => line.startsWith('version')) ?? '')?.[0])
  // It goes on where the backup ended, not where the client was.
  expect(first).toBeLessThanOrEqual(last + 1)
  await using other = await ZkClient.connect(server.port)
  const now = await other.getData(root)
  expect(now.zxid - before.zxid).toBeGreaterThan(2n ** 32n)
  const stat = (await other.exists(`${root}/me`)).value
  expect(stat?.ephemeralOwner).toBeGreaterThan(2n ** 32n)
}

async function positions(place: string): Promise<number> {
  const { listHistories, restorableRanges } = await import('../src/node/restore/backup-catalog.ts')
  const { openBlobsHere } = await import('../src/node/open-blob-store.ts')
  const blobs = await openBlobsHere({ location: place })
  const [history] = await listHistories(blobs, 'zelos')
  const range = history && restorableRanges(history).at(-1)
  return range === undefined ? 0 : range.last - range.first
}

describeWith(peers.kazoo, 'a kazoo client', () => {
  it('works again within one session timeout after a restore', async () => {
    const script = join(KAZOO_CLIENT_DIR, 'stays.py')
    await staysThrough(
      (port) => new Program('/usr/bin/python3', [script, `127.0.0.1:${port}`, String(TIMEOUT_MS / 1000)]),
      '/alive',
    )
  }, 120_000)
})

describeWith(peers.javaClient, 'a Java client', () => {
  it('works again within one session timeout after a restore', async () => {
    const classes = tempDir('stays-java')
    const source = join(JAVA_CLIENT_DIR, 'StaysThrough.java')
    execFileSync('/usr/bin/javac', ['-nowarn', '-cp', ZOOKEEPER_JAR, '-d', classes, source])
    const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=off'
    const args = ['-Xmx128m', quiet, '-cp', `${classes}:${ZOOKEEPER_JAR}`, 'StaysThrough']
    await staysThrough(
      (port) => new Program('/usr/bin/java', [...args, `127.0.0.1:${port}`, String(TIMEOUT_MS)]),
      '/java',
    )
  }, 120_000)
})
