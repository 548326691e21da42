// Backups and what comes back from them: any entry, any time, exactly; also after kills on both sides, and with clients that stay.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BackupOptions } from '../src/node/backup-options.ts'
import { openServer, type Server } from '../src/node/open-server.ts'
import { RESTORABLE_ZELOS } from '../src/node/restore/restorable-database.ts'
import { type RestoreResult, restore } from '../src/node/restore/restore.ts'
import type { RestorePoint } from '../src/node/restore/restore-point.ts'
import { SILENT_LOGGER } from '../src/runtime/logger.ts'
import { type Content, contentOf } from './support/content.ts'
import { describeWith, peers } from './support/peers.ts'
import { S3_BUCKET, S3_CREDENTIALS, S3Service } from './support/s3-service.ts'
import { DELOS_MAIN, TestServer } from './support/server.ts'
import { tempDir } from './support/temp-dir.ts'
import { delay, eventually } from './support/wait.ts'
import { ZkClient } from './support/zk-client.ts'

const SPEED: Partial<BackupOptions> = { tickMs: 20, intervalMs: 100, segmentBytes: 64 * 1024, partBytes: 32 * 1024 }
const PASSWORD_DIGITS = '0123456789abcdef'.repeat(4)

interface Moment {
  readonly position: number
  readonly wallMs: number
  readonly content: Content
}

/** What the whole content is now, and up to which entry. */
function momentOf(server: Server): Moment {
  const stack = server.database('zelos')
  return { position: stack.status().cursor - 1, wallMs: Date.now(), content: contentOf(stack.read()) }
}

/** Updates of all kinds from some clients, until it is told to stop. */
class Load {
  private readonly clients: ZkClient[] = []
  private readonly running: Promise<void>[] = []
  private stopped = false
  updates = 0

  static async begin(port: number): Promise<Load> {
    const load = new Load()
    for (let i = 0; i < 3; i++) load.clients.push(await ZkClient.connect(port))
    load.running.push(...load.clients.map((client, i) => load.run(client, i)))
    return load
  }

  async end(): Promise<void> {
    this.stopped = true
    await Promise.all(this.running)
    await Promise.all(this.clients.map((client) => client.close()))
  }

  private async run(client: ZkClient, number: number): Promise<void> {
    const root = `/load-${number}-${Date.now()}`
    await client.create(root)
    for (let i = 0; !this.stopped; i++) {
      const path = `${root}/${i % 50}`
      const updates = Array.from({ length: 20 }, (_, j) => client.setData(path, `value ${i} ${j}`))
      updates.push(client.setData(root, `${i}`))
      await Promise.all([
        client.create(path, Buffer.alloc((i * 37) % 900, i)),
        ...updates,
        client.delete(`${root}/${(i * 7) % 50}`),
      ])
      this.updates += updates.length + 2
    }
  }
}

function portOf(server: Server): number {
  return Number(server.addresses.zookeeper?.split(':')[1])
}

/** What was before the first one can't be restored. */
async function snapshotMade(server: Server): Promise<void> {
  const engine = () =>
    server
      .database('zelos')
      .status()
      .engines.find(({ name }) => name === 'log-backup')
  await eventually(() => Number(engine()?.details.snapshots) > 0 || undefined, 20_000, 'the first snapshot')
}

async function backedUp(server: Server, position: number): Promise<void> {
  const engine = () =>
    server
      .database('zelos')
      .status()
      .engines.find(({ name }) => name === 'log-backup')
  const reached = () => Number(engine()?.details.end) > position || undefined
  await eventually(reached, 20_000, `position ${position} is in the backup`)
}

async function restored(
  from: BackupOptions,
  to: RestorePoint,
): Promise<{ readonly result: RestoreResult; readonly content: Content; readonly dataDir: string }> {
  const dataDir = join(tempDir('restored'), 'data')
  let content: Content | undefined
  const inspect = (tx: Parameters<typeof contentOf>[0]): void => {
    content = contentOf(tx)
  }
  const result = await restore({
    from,
    to,
    dataDir,
    inspect,
    database: 'zelos',
    definition: RESTORABLE_ZELOS,
    logger: SILENT_LOGGER,
  })
  return { result, content: content as Content, dataDir }
}

function restoresAnyEntry(where: () => BackupOptions): void {
  it('gives back any entry and any time, exactly', async () => {
    const backup: BackupOptions = { ...where(), ...SPEED, snapshotBytes: 40_000 }
    const dataDir = join(tempDir('backed-up'), 'data')
    const server = await openServer({ dataDir, zookeeper: { port: 0 }, backup })
    await snapshotMade(server)
    const load = await Load.begin(portOf(server))
    const moments: Moment[] = []
    for (let i = 0; i < 5; i++) {
      await delay(250 + Math.random() * 200)
      moments.push(momentOf(server))
      await delay(30) // For the time: no entry is proposed in the millisecond of another moment.
    }
    await load.end()
    expect(load.updates).toBeGreaterThan(500)
    await backedUp(server, (moments.at(-1) as Moment).position)
    const details = server
      .database('zelos')
      .status()
      .engines.find(({ name }) => name === 'log-backup')?.details
    expect(details?.snapshots).toBeGreaterThan(1)
    expect(details?.gaps).toBe(0)
    await server.close()
    rmSync(dataDir, { recursive: true })

    for (const { content, position } of moments.slice(1, 4)) {
      const back = await restored(backup, { kind: 'position', position: position as never })
      expect(back.content).toEqual(content)
      expect(back.result.position).toBe(position)
    }
    const timed = moments[4] as Moment
    const back = await restored(backup, { kind: 'time', wallMs: timed.wallMs })
    // Between the moment and its reading of the clock an entry may have come.
    expect(back.result.position).toBeGreaterThanOrEqual(timed.position)
    expect(back.result.position).toBeLessThanOrEqual(timed.position + 3)
    if (back.result.position === timed.position) expect(back.content).toEqual(timed.content)

    const again = await openServer({ dataDir: back.dataDir, zookeeper: { port: 0 }, backup })
    const status = again.status().databases.zelos
    expect(status?.historyId).toBe(back.result.newHistoryId)
    const client = await ZkClient.connect(portOf(again))
    expect((await client.getChildren('/')).err).toBe(0)
    await client.close()
    await again.close()
  }, 120_000)
}

describe('a backup in a directory', () => {
  restoresAnyEntry(() => ({ location: `dir:${tempDir('backup')}` }))

  it('that is encrypted is nothing to who lacks the key', async () => {
    const dir = tempDir('sealed')
    const keyFile = join(dir, 'key')
    writeFileSync(keyFile, `${PASSWORD_DIGITS}\n`)
    const backup: BackupOptions = { location: `dir:${dir}/backup`, keyFile, ...SPEED }
    const server = await openServer({ dataDir: join(dir, 'data'), zookeeper: { port: 0 }, backup })
    await snapshotMade(server)
    const client = await ZkClient.connect(portOf(server))
    await client.create('/secret', 'nobody must read this')
    const moment = momentOf(server)
    await backedUp(server, moment.position)
    await client.close()
    await server.close()
    const point: RestorePoint = { kind: 'position', position: moment.position as never }
    await expect(restored({ location: backup.location }, point)).rejects.toMatchObject({ code: 'MISMATCH' })
    expect((await restored(backup, point)).content).toEqual(moment.content)
  }, 60_000)

  it('is whole, and comes back whole, also if server and restore are killed at random', async () => {
    const dir = tempDir('killed')
    const place = `dir:${dir}/backup`
    const flags = ['--backup-to', place, '--backup-interval-ms', '50', '--backup-segment-bytes', '20000']
    const killable = await TestServer.start({ flags: [...flags, '--backup-snapshot-bytes', '50000'] })
    for (let life = 0; life < 5; life++) {
      if (life > 0) await killable.restart()
      const client = await ZkClient.connect(killable.port)
      const endMs = performance.now() + 200 + Math.random() * 600
      for (let i = 0; performance.now() < endMs; i++) {
        const updates = Array.from({ length: 20 }, (_, j) => client.setData('/n0-0', `${i} ${j}`))
        await Promise.all([client.create(`/n${life}-${i}`, Buffer.alloc(300, i)), ...updates])
      }
      await killable.kill()
    }
    const backup: BackupOptions = { location: place, ...SPEED }
    const server = await openServer({ dataDir: `${killable.dir}/data`, zookeeper: { port: 'off' }, backup })
    const moment = momentOf(server)
    await backedUp(server, moment.position)
    await server.close()
    const into = `${dir}/new`
    const command = ['restore', '--from', place, '--data-dir', into, '--to-position', String(moment.position)]
    let kills = 0
    for (;;) {
      const child = spawn(process.execPath, [DELOS_MAIN, ...command, '--json'], { stdio: 'ignore' })
      const ended = once(child, 'exit') as Promise<[number | null]>
      // Later each time, so that it ends at last.
      const timer = delay(200 + kills * 150 + Math.random() * 200).then(() => killed(child))
      const [code] = await ended
      if (code !== null) {
        expect(code).toBe(0)
        break
      }
      await timer
      kills++
      // The kill came between the end of the restore and the end of its process.
      if (existsSync(`${into}/zelos`) && !existsSync(`${into}/RESTORE`)) break
    }
    expect(kills).toBeGreaterThan(1)
    expect(existsSync(`${into}/RESTORE`)).toBe(false)
    const whole = await restored(backup, { kind: 'position', position: moment.position as never })
    expect(whole.content).toEqual(moment.content)
    const [one, other] = [await contentOfTree(into), await contentOfTree(whole.dataDir)]
    expect(one).toEqual(other)
  }, 120_000)

  it('says what to do where retention has removed what a restore that was cut off needs', async () => {
    const dir = tempDir('removed')
    const backup: BackupOptions = { location: `dir:${dir}/backup`, ...SPEED }
    const server = await openServer({ dataDir: join(dir, 'data'), zookeeper: { port: 0 }, backup })
    await snapshotMade(server)
    const client = await ZkClient.connect(portOf(server))
    await client.create('/a', 'b')
    await backedUp(server, momentOf(server).position)
    await client.close()
    await server.close()
    const into = (dataDir: string, until?: string): Promise<RestoreResult> =>
      restore({
        from: backup,
        to: { kind: 'newest' },
        dataDir: join(dir, dataDir),
        database: 'zelos',
        definition: RESTORABLE_ZELOS,
        logger: SILENT_LOGGER,
        progress: ({ phase }) => {
          if (phase === until) throw new Error('cut off')
        },
      })
    for (const [cut, until] of ['snapshot', 'log', 'history'].entries()) {
      await expect(into(String(cut), until)).rejects.toThrow('cut off')
    }
    const history = join(
      dir,
      'backup/zelos',
      readdirSync(join(dir, 'backup/zelos')).find((name) => name !== 'histories') as string,
    )
    rmSync(join(history, 'snapshot'), { recursive: true })
    const gone = {
      code: 'TRIMMED',
      message: expect.stringMatching(/remove .*\/0 and restore anew; there is no complete snapshot/),
    }
    await expect(into('0')).rejects.toMatchObject(gone)
    // That one has read all that it needs.
    expect(await into('2')).toMatchObject({ resumed: true })
    rmSync(join(dir, 'backup/zelos'), { recursive: true })
    await expect(into('1')).rejects.toMatchObject({
      code: 'TRIMMED',
      message: expect.stringMatching(/\/1 and restore anew$/),
    })
  }, 60_000)

  it('is not restored over something else, and nobody serves from half of it', async () => {
    const dir = tempDir('occupied')
    writeFileSync(join(dir, 'letter.txt'), 'dear')
    const backup = { location: `dir:${tempDir('nothing')}` }
    const into = (dataDir: string): Promise<unknown> =>
      restore({
        from: backup,
        to: { kind: 'newest' },
        dataDir,
        database: 'zelos',
        definition: RESTORABLE_ZELOS,
        logger: SILENT_LOGGER,
      })
    await expect(into(dir)).rejects.toMatchObject({ code: 'FORMAT' })
    const used = join(tempDir('used'), 'data')
    await (await openServer({ dataDir: used, zookeeper: { port: 'off' } })).close()
    await expect(into(used)).rejects.toMatchObject({ code: 'CONFLICT' })
    await expect(into(join(dir, 'new'))).rejects.toMatchObject({ code: 'NOT_FOUND' })
    writeFileSync(join(used, 'RESTORE'), '{"format":1}\n')
    await expect(openServer({ dataDir: used })).rejects.toMatchObject({ code: 'FORMAT' })
    expect(readFileSync(join(dir, 'letter.txt'), 'utf8')).toBe('dear')
  }, 60_000)
})

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

/** What clients see: every node with its data and version. */
async function contentOfTree(dataDir: string): Promise<string[]> {
  const server = await openServer({ dataDir, zookeeper: { port: 0 } })
  const client = await ZkClient.connect(portOf(server))
  const names = ((await client.getChildren('/')).value ?? []).sort()
  const nodes = await Promise.all(names.map(async (name) => ({ name, node: (await client.getData(`/${name}`)).value })))
  await client.close()
  await server.close()
  return nodes.map(
    ({ name, node }) => `${name} ${node?.data?.toString('hex')} ${node?.stat.version} ${node?.stat.mzxid}`,
  )
}

describeWith(peers.s3rver, 'a backup in S3', () => {
  let service: S3Service
  beforeAll(async () => {
    service = await S3Service.start()
    let request = 0
    // One in nine requests fails, each in another way.
    const faults = ['slowDown', 'resetBeforeAnswer', 'serverError', 'resetInBody', 'truncated', 'damaged'] as const
    service.fault = () => (request++ % 9 === 0 ? (faults[((request / 9) % faults.length) | 0] ?? 'none') : 'none')
  })
  afterAll(() => service[Symbol.asyncDispose]())

  restoresAnyEntry(() => ({
    location: `s3://${S3_BUCKET}/some/prefix`,
    endpoint: service.endpoint,
    credentials: S3_CREDENTIALS,
  }))
})
