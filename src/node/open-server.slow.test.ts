// openServer as an embedding program sees it. The command line around it is in cli/.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server as NetServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { tempDir } from '../../test/support/temp-dir.ts'
import { ZkClient } from '../../test/support/zk-client.ts'
import type { Applicator } from '../engine/engine.ts'
import type { ServerOptions } from './open-options.ts'
import { openServer, type Server } from './open-server.ts'

const opened: Server[] = []
afterEach(async () => {
  for (const server of opened.splice(0)) await server.close().catch(() => undefined)
})

async function open(options: Partial<ServerOptions> = {}): Promise<Server> {
  const server = await openServer({ dataDir: newDir(), zookeeper: { port: 0 }, ...options })
  opened.push(server)
  return server
}

const newDir = (): string => join(tempDir('node'), 'data')
const portOf = (address: string | undefined): number => Number(/:(\d+)$/.exec(address ?? '')?.[1])
const failure = (options: Partial<ServerOptions>): Promise<unknown> =>
  open(options).then(
    () => 'opened',
    (error) => error,
  )

/** A server makes a node in the directory and ends. */
async function keepANode(dataDir: string): Promise<void> {
  const server = await open({ dataDir })
  await using client = await ZkClient.connect(portOf(server.addresses.zookeeper))
  await client.create('/kept')
  await server.close()
}

async function expectKept(dataDir: string): Promise<void> {
  const server = await open({ dataDir })
  await using client = await ZkClient.connect(portOf(server.addresses.zookeeper))
  expect((await client.exists('/kept')).err).toBe(0)
}

async function taken(): Promise<{ port: number; holder: NetServer }> {
  const holder = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => holder.once('listening', resolve))
  return { port: (holder.address() as { port: number }).port, holder }
}

/** Counts bytes; stops at a payload `poison`. */
class Sizes implements Applicator<number> {
  apply(_tx: unknown, entry: { payload?: Uint8Array | undefined }): number {
    const payload = Buffer.from(entry.payload ?? [])
    if (payload.toString() === 'poison') throw new TypeError('this entry is poison')
    return payload.length
  }
  postApply(): void {
    // It has no soft state.
  }
}

describe('openServer', () => {
  it('serves ZooKeeper clients, tells its status, and keeps what they wrote', async () => {
    const dataDir = newDir()
    const first = await open({ dataDir })
    expect(first.status()).toMatchObject({
      ready: true,
      addresses: { zookeeper: first.addresses.zookeeper },
      databases: {
        zelos: {
          state: 'serving',
          stack: ['base', 'log-backup', 'brain-doctor', 'view-tracking', 'session-order', 'batching', 'time'],
        },
      },
    })
    const client = await ZkClient.connect(portOf(first.addresses.zookeeper))
    expect((await client.create('/kept', 'data')).err).toBe(0)
    await client.close()
    await first.close()
    expect(first.status().ready).toBe(false)
    const second = await open({ dataDir })
    expect(second.status().serverId).toBe(first.status().serverId)
    await using again = await ZkClient.connect(portOf(second.addresses.zookeeper))
    expect((await again.getData('/kept')).value?.data?.toString()).toBe('data')
  })

  it('logs the trace id of one of so many proposals at every layer, if asked to', async () => {
    const lines: { trace: string; above: string; position: number }[] = []
    const ignore = (): void => undefined
    const info = (fields: object, message: string): void => {
      if (message === 'a traced entry is applied') lines.push(fields as (typeof lines)[0])
    }
    const logger = { debug: ignore, info, warn: ignore, error: ignore }
    const server = await open({ logger, traceSample: 1 })
    await using client = await ZkClient.connect(portOf(server.addresses.zookeeper))
    lines.length = 0
    expect((await client.create('/traced')).err).toBe(0)
    const { trace, position } = lines.find(({ above }) => above === 'zelos') ?? {}
    expect(trace).toMatch(/^[0-9a-f]{16}$/)
    expect(lines.filter((line) => line.trace === trace).map((line) => line.position)).toContain(position)
    await server.close()
    const count = lines.length
    const untraced = await open({ logger })
    await using other = await ZkClient.connect(portOf(untraced.addresses.zookeeper))
    expect((await other.create('/untraced')).err).toBe(0)
    expect(lines).toHaveLength(count)
  })

  it('runs two servers in one process, each on its directory', async () => {
    const [one, other] = [await open(), await open()]
    expect(one.status().serverId).not.toBe(other.status().serverId)
    await using client = await ZkClient.connect(portOf(one.addresses.zookeeper))
    expect((await client.create('/here')).err).toBe(0)
    await one.close()
    await using guest = await ZkClient.connect(portOf(other.addresses.zookeeper))
    expect((await guest.exists('/here')).err).toBe(-101)
  })

  it('opens no listener that is off, and no other unless asked', async () => {
    const server = await open({ zookeeper: { port: 'off' } })
    expect(server.addresses).toEqual({})
    expect(server.status().ready).toBe(true)
  })

  it('listens on IPv6, with addresses in brackets', async () => {
    const server = await open({ host: '::1', api: { port: 0 } })
    expect(server.addresses.zookeeper).toMatch(/^\[::1\]:\d+$/)
    expect((await fetch(`http://${server.addresses.api}/livez`)).status).toBe(200)
    const socket = connect({ host: '::1', port: portOf(server.addresses.zookeeper) })
    socket.write('ruok')
    const [answer] = await new Promise<[Buffer]>((resolve) => socket.once('data', (data) => resolve([data])))
    expect(String(answer)).toBe('imok')
  })

  it('close is idempotent, also while it runs and while clients send', async () => {
    const server = await open()
    const client = await ZkClient.connect(portOf(server.addresses.zookeeper))
    const writes = Array.from({ length: 200 }, (_, i) =>
      client.create(`/${i}`).then(
        (reply) => reply.err,
        () => 'lost',
      ),
    )
    await writes[0]
    await Promise.all([server.close(), server.close()])
    await server.close()
    const outcomes = await Promise.all(writes)
    expect(outcomes.every((outcome) => outcome === 0 || outcome === 'lost')).toBe(true)
    expect(client.isClosed).toBe(true)
  })

  it('takes limits for connections and for the database in one place', async () => {
    const server = await open({ zookeeper: { port: 0, limits: { connectionsMax: 1, multiOperationsMax: 1 } } })
    const port = portOf(server.addresses.zookeeper)
    await using client = await ZkClient.connect(port)
    await expect(ZkClient.connect(port)).rejects.toThrow()
    const check = { op: 'check', path: '/' } as const
    expect((await client.multi([check])).err).toBe(0)
    expect((await client.multi([check, check])).err).toBe(-8)
  })

  it('a relative directory is that of the moment of the call', async () => {
    const before = process.cwd()
    process.chdir(tempDir('cwd'))
    try {
      const server = await open({ dataDir: './data' })
      process.chdir('/')
      await using client = await ZkClient.connect(portOf(server.addresses.zookeeper))
      expect((await client.create('/a')).err).toBe(0)
      await server.close()
    } finally {
      process.chdir(before)
    }
  })

  it('everything in the data directory is for its owner only', async () => {
    const dataDir = newDir()
    await open({ dataDir })
    const { statSync } = await import('node:fs')
    for (const name of ['.', 'FORMAT', 'LOCK', 'server-id', 'zelos', 'zelos/log', 'zelos/meta']) {
      expect([name, statSync(join(dataDir, name)).mode & 0o077]).toEqual([name, 0])
    }
  })
})

describe('what openServer refuses, leaving nothing open', () => {
  it.each<[string, Partial<ServerOptions>, RegExp]>([
    ['no directory', { dataDir: '' }, /^dataDir: a path is expected$/],
    ['no database', { databases: [] }, /^databases: /],
    ['a port that there is not', { zookeeper: { port: 70_000 } }, /^zookeeper.port: 70000 is not a whole number/],
    ['a tick of nothing', { zookeeper: { tickMs: 0 } }, /^zookeeper.tickMs: /],
    ['a time that is none', { drainMs: Number.NaN }, /^drainMs: NaN/],
    ['timeouts the wrong way round', { zookeeper: { sessionTimeoutMinMs: 50_000 } }, /50000 is above the largest/],
    ['a limit that there is not', { zookeeper: { limits: { wishes: 3 } as object } }, /limits.wishes: no such limit/],
    ['a limit of nothing', { zookeeper: { limits: { frameBytesMax: 0 } } }, /^zookeeper.limits.frameBytesMax: 0/],
    ['a host that there is not', { host: '1.2.3.4.5' }, /1\.2\.3\.4\.5/],
    ['a database twice', { databases: ['zelos', 'zelos'] }, /^databases: zelos is given twice$/],
    ['a bad name', { databases: [{ name: 'A b', applicator: new Sizes() }] }, /not a database name/],
  ])('%s', async (_what, options, message) => {
    const dataDir = newDir()
    expect(await failure({ dataDir, ...options })).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    })
    if (options.dataDir === undefined) await open({ dataDir })
  })

  it('a directory that a server uses', async () => {
    const dataDir = newDir()
    await open({ dataDir })
    expect(await failure({ dataDir })).toMatchObject({ code: 'IN_USE' })
  })

  it('a file in its place, and a directory that holds something else', async () => {
    const file = join(tempDir('node'), 'file')
    writeFileSync(file, 'x')
    expect(await failure({ dataDir: file })).toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(await failure({ dataDir: join(file, 'below') })).toMatchObject({ code: 'INVALID_ARGUMENT' })
    const foreign = tempDir('node')
    writeFileSync(join(foreign, 'thesis.txt'), 'x')
    expect(await failure({ dataDir: foreign })).toMatchObject({ code: 'FORMAT' })
    expect(readdirSync(foreign)).toEqual(['thesis.txt'])
  })

  it('a newer format', async () => {
    const dataDir = newDir()
    mkdirSync(dataDir)
    writeFileSync(join(dataDir, 'FORMAT'), 'delos 999\n')
    expect(await failure({ dataDir })).toMatchObject({ code: 'FORMAT', message: expect.stringContaining('999') })
  })

  it('a damaged log, naming file and offset', async () => {
    const dataDir = newDir()
    const server = await open({ dataDir })
    await using client = await ZkClient.connect(portOf(server.addresses.zookeeper))
    for (let i = 0; i < 20; i++) await client.create(`/${i}`, 'some data that can be found again')
    await server.close()
    const log = join(dataDir, 'zelos/log')
    const segment = readdirSync(log, { recursive: true, encoding: 'utf8' })
      .map((name) => join(log, name))
      .find((path) => existsSync(path) && /\d/.test(path) && isFileWith(path, 'some data')) as string
    const bytes = readFileSync(segment)
    bytes.write('SOME', bytes.indexOf('some data'))
    writeFileSync(segment, bytes)
    expect(await failure({ dataDir })).toMatchObject({
      code: 'CORRUPT',
      message: expect.stringMatching(/zelos\/log\/.*offset \d+|offset \d+.*zelos\/log\//),
    })
  })

  it('a lost register, and leaves the log alone that it named', async () => {
    const dataDir = newDir()
    await keepANode(dataDir)
    const register = join(dataDir, 'zelos/meta/register')
    const bytes = readFileSync(register)
    rmSync(register)
    expect(await failure({ dataDir })).toMatchObject({
      code: 'CORRUPT',
      message: expect.stringContaining('zelos/meta'),
    })
    writeFileSync(register, bytes)
    await expectKept(dataDir)
  })

  it('a register and a store that are both lost, and leaves the log alone that is there', async () => {
    const dataDir = newDir()
    await keepANode(dataDir)
    const register = join(dataDir, 'zelos/meta/register')
    const bytes = readFileSync(register)
    rmSync(register)
    rmSync(join(dataDir, 'zelos/store'), { recursive: true })
    for (let start = 0; start < 2; start++) {
      expect(await failure({ dataDir })).toMatchObject({
        code: 'CORRUPT',
        message: expect.stringMatching(/the file loglet [0-9a-f]+ holds entries/),
      })
    }
    writeFileSync(register, bytes)
    await expectKept(dataDir)
  })

  it('a taken port for ZooKeeper clients; a taken wish gets another port and a warning', async () => {
    const { port, holder } = await taken()
    const dataDir = newDir()
    expect(await failure({ dataDir, zookeeper: { port } })).toMatchObject({ code: 'IN_USE' })
    expect(await failure({ dataDir, api: { port } })).toMatchObject({ code: 'IN_USE' })
    const warnings: string[] = []
    const say = (): void => undefined
    const logger = { debug: say, info: say, error: say, warn: (_: object, line: string) => warnings.push(line) }
    const server = await open({ dataDir, logger, api: { port, fallback: true }, metrics: { port, fallback: true } })
    expect(portOf(server.addresses.api)).not.toBe(port)
    expect(warnings).toEqual([
      `port ${port} is taken: metrics gets another one`,
      `port ${port} is taken: api gets another one`,
    ])
    holder.close()
  })
})

describe('a database that stops', () => {
  it('leaves the server up: status has position and reason, clients and readiness are gone, others go on', async () => {
    const dataDir = newDir()
    const databases = ['zelos', { name: 'sizes', applicator: new Sizes() }] as const
    const server = await open({ dataDir, databases, api: { port: 0 } })
    const sizes = server.database<number>('sizes')
    expect(await sizes.propose(Buffer.from('four'))).toBe(4)
    await expect(sizes.propose(Buffer.from('poison'))).rejects.toMatchObject({ code: 'INDETERMINATE' })
    expect(await server.failed).toMatchObject({
      message: expect.stringMatching(/^database sizes stopped at position \d/),
    })
    const failed = server.status().databases.sizes
    expect(failed).toMatchObject({ state: 'stopped', failure: expect.stringContaining('this entry is poison, entry ') })
    expect(server.status()).toMatchObject({ ready: false, databases: { zelos: { state: 'serving' } } })
    const api = `http://${server.addresses.api}`
    expect((await fetch(`${api}/livez`)).status).toBe(200)
    const readiness = await fetch(`${api}/readyz`)
    expect([readiness.status, await readiness.json()]).toEqual([
      503,
      { ready: false, databases: { zelos: 'serving', sizes: 'stopped' } },
    ])
    await using client = await ZkClient.connect(portOf(server.addresses.zookeeper))
    expect((await client.create('/a')).err).toBe(0)
    await server.close()

    const again = await open({ dataDir, databases })
    expect(again.status().databases.sizes).toMatchObject({ state: 'stopped', failure: failed?.failure })
    expect(again.status().ready).toBe(false)
    await again.failed
  })
})

describe('HTTP', () => {
  it('tells status and metrics of every layer, and refuses a foreign page', async () => {
    const server = await open({ api: { port: 0 }, metrics: { port: 0 }, admin: { port: 0 } })
    await using client = await ZkClient.connect(portOf(server.addresses.zookeeper))
    for (let i = 0; i < 50; i++) await client.create(`/${i}`)
    const status = await (await fetch(`http://${server.addresses.api}/v1/status`)).json()
    expect(status).toEqual({ ...server.status(), uptimeMs: expect.any(Number) })
    const metrics = await (await fetch(`http://${server.addresses.metrics}/metrics`)).text()
    for (const line of [
      /^delos_build_info\{version="\d+\.\d+\.\d+"\} 1$/m,
      /^delos_serving\{database="zelos"\} 1$/m,
      /^delos_apply_utilisation\{database="zelos"\} [\d.e-]+$/m,
      /^delos_apply_seconds_total\{database="zelos"\} 0\.\d+$/m,
      /^delos_layer_propose_seconds_total\{database="zelos",below="base",above="log-backup"\} 0\.\d+$/m,
      /^delos_layer_apply_seconds_total\{database="zelos",below="time",above="zelos"\} 0\.\d+$/m,
      /^delos_loglet_syncs_total\{database="zelos"\} \d+$/m,
      /^delos_zelos_znodes 5\d$/m,
      /^delos_zelos_limit_exceeded_total\{limit="watchesMax"\} 0$/m,
      /^delos_zookeeper_limit_exceeded_total\{limit="connectionsMax"\} 0$/m,
      /^delos_zookeeper_closed_connections_total\{reason="client"\} 0$/m,
      /^delos_zookeeper_requests_total 50$/m,
      /^process_cpu_seconds_total /m,
    ]) {
      expect(metrics).toMatch(line)
    }
    // Under ZooKeeper's names, of the log and the store below.
    for (const name of ['readlatency', 'updatelatency', 'fsynctime', 'dbinittime', 'startup_snap_load_time']) {
      expect(Number(new RegExp(`^${name}_count (\\d+)$`, 'm').exec(metrics)?.[1] ?? -1)).toBeGreaterThanOrEqual(
        name === 'readlatency' ? 0 : 1,
      )
    }
    for (const name of ['proposal_count', 'commit_count', 'sync_processor_request_queued', 'znode_count']) {
      expect(Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(metrics)?.[1])).toBeGreaterThan(0)
    }
    const dirs = await (await fetch(`http://${server.addresses.admin}/commands/dirs`)).json()
    expect(dirs).toEqual({
      datadir_size: expect.any(Number),
      logdir_size: expect.any(Number),
      command: 'dirs',
      error: null,
    })
    expect((dirs as { logdir_size: number }).logdir_size).toBeGreaterThan(0)
    const foreign = await fetch(`http://${server.addresses.api}/v1/status`, {
      headers: { origin: 'http://evil.example' },
    })
    expect(foreign.status).toBe(403)
    const own = await fetch(`http://${server.addresses.api}/v1/status`, {
      headers: { origin: `http://${server.addresses.api}` },
    })
    expect(own.status).toBe(200)
    expect((await fetch(`http://${server.addresses.api}/nothing`)).status).toBe(404)
  })

  it('answers while databases are not open yet, and not ready', async () => {
    const { port, holder } = await taken()
    holder.close()
    let seen: unknown
    class Watched extends Sizes {
      override apply(): number {
        return 1
      }
    }
    const applicator = new Watched()
    const opening = open({ databases: [{ name: 'slow', applicator }], api: { port } })
    while (seen === undefined) {
      seen = await fetch(`http://127.0.0.1:${port}/readyz`).then(
        async (response) => [response.status, await response.json()],
        () => undefined,
      )
    }
    expect(seen).toEqual([503, { ready: false, databases: expect.any(Object) }])
    expect((await opening).status().ready).toBe(true)
  })
})

function isFileWith(path: string, text: string): boolean {
  try {
    return readFileSync(path).includes(text)
  } catch {
    return false // a directory
  }
}
