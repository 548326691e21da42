// The command `delos` as a process: what it prints where, what it refuses, how it ends. Runs the build in dist, or the one that
// DELOS_TEST_MAIN names.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { fourLetterWord } from '../../test/support/frame-connection.ts'
import { tempDir } from '../../test/support/temp-dir.ts'
import { eventually, within } from '../../test/support/wait.ts'
import { ZkClient } from '../../test/support/zk-client.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const MAIN = process.env.DELOS_TEST_MAIN ?? join(ROOT, 'dist/cli/main.js')
const NO_HTTP = ['--metrics-port', 'off', '--api-port', 'off', '--admin-port', 'off']

beforeAll(() => {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: npm run build`)
})

const running = new Set<Run>()
afterEach(async () => {
  for (const run of running) await run.end('SIGKILL')
})

/** One process, with all that it prints. */
class Run {
  readonly exited: Promise<number | null>
  out = ''
  err = ''
  readonly child: ChildProcess

  constructor(program: string, args: readonly string[], cwd: string) {
    this.child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
    this.child.stdout?.on('data', (chunk) => {
      this.out += chunk
    })
    this.child.stderr?.on('data', (chunk) => {
      this.err += chunk
    })
    this.exited = once(this.child, 'close').then(() => {
      running.delete(this)
      return this.child.exitCode
    })
    running.add(this)
  }

  /** The start-up message of `serve --json`. */
  async ready(): Promise<{ ready: boolean; version: string; addresses: Record<string, string> }> {
    const line = (): string | undefined => {
      if (this.child.exitCode !== null) throw new Error(`ended with ${this.child.exitCode}: ${this.err}`)
      return this.out.includes('\n') ? this.out : undefined
    }
    return JSON.parse(await eventually(line, 20_000, 'a start-up message'))
  }

  end(signal: NodeJS.Signals): Promise<number | null> {
    this.child.kill(signal)
    return within(this.exited, 20_000, `end after ${signal}`)
  }
}

function delos(...args: readonly string[]): Run {
  return new Run(process.execPath, [MAIN, ...args], tempDir('cli'))
}

/** The outcome of a command that ends by itself. */
async function outcome(...args: readonly string[]): Promise<[code: number | null, out: string, err: string]> {
  const run = delos(...args)
  const code = await within(run.exited, 20_000, 'end of the command')
  return [code, run.out, run.err]
}

function serve(...args: readonly string[]): Run {
  return delos('serve', '--json', '--zookeeper-port', '0', ...NO_HTTP, ...args)
}

const newDir = (): string => join(tempDir('cli'), 'data')
const portOf = (address: string | undefined): number => Number(/:(\d+)$/.exec(address ?? '')?.[1])

/** Listens on this port, unless somebody does already. */
async function occupy(port: number): Promise<{ port: number; free: () => void }> {
  const holder = createServer()
  const settled = new Promise((resolve) => {
    holder.once('listening', resolve)
    holder.once('error', resolve)
  })
  holder.listen(port, '127.0.0.1')
  await settled
  return { port: (holder.address() as AddressInfo | null)?.port ?? port, free: () => holder.close() }
}

describe('delos serve', () => {
  it('--zoo-cfg: known keys are settings, the others are named; flags win', async () => {
    const dir = newDir()
    const { port, free } = await occupy(0)
    const zooCfg = join(tempDir('cli'), 'zoo.cfg')
    writeFileSync(
      zooCfg,
      `dataDir=${dir}\nclientPort=1\nclientPortAddress=127.0.0.1\nserver.1=a:1:2\nfoo=bar\nadmin.serverPort=${port}\n4lw.commands.whitelist=ruok\n`,
    )
    const flags = ['--zookeeper-port', '0', '--metrics-port', 'off', '--api-port', 'off', '--zoo-cfg', zooCfg]
    const run = delos('serve', '--json', ...flags)
    const { addresses } = await run.ready()
    expect(Object.keys(addresses)).toEqual(['zookeeper'])
    expect(run.err).toMatch(/zoo\.cfg: server\.1: can't be honoured: .*\n.*zoo\.cfg: foo: no such key is known here\n/)
    expect(run.err).toContain(`port ${port} (admin) is in use: there is no AdminServer`)
    expect(existsSync(join(dir, 'FORMAT'))).toBe(true)
    const zookeeperPort = portOf(addresses.zookeeper)
    expect(await fourLetterWord(zookeeperPort, 'ruok')).toBe('imok')
    expect(await fourLetterWord(zookeeperPort, 'mntr')).toContain('not in the whitelist')
    free()
    const [, config, notes] = await outcome('serve', '--print-config', ...flags)
    expect(config).toMatch(/^data-dir: .* # zoo\.cfg$/m)
    expect(config).toMatch(/^zookeeper-port: 0 # flag$/m)
    expect(notes).toContain('zoo.cfg: foo: no such key is known here')
  })

  it('--zoo-cfg of an ensemble: refused, with what to do, unless it is said that this server is alone', async () => {
    const zooCfg = join(tempDir('cli'), 'zoo.cfg')
    writeFileSync(
      zooCfg,
      `dataDir=${newDir()}\nclientPort=0\nserver.1=a:1:2\nserver.2=b:1:2\nadmin.enableServer=false\n`,
    )
    const flags = ['serve', '--json', '--metrics-port', 'off', '--api-port', 'off', '--zoo-cfg', zooCfg]
    const [code, out, err] = await outcome(...flags)
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(/names 2 servers \(server\.1, server\.2\).*--zoo-cfg-alone true/)
    const run = delos(...flags, '--zoo-cfg-alone', 'true', '--linearizable-port', '0')
    const { addresses } = await run.ready()
    expect(Object.keys(addresses)).toEqual(['zookeeper', 'linearizable'])
    expect(await fourLetterWord(portOf(addresses.linearizable), 'ruok')).toBe('imok')
    expect(await run.end('SIGTERM')).toBe(0)
  })

  it('prints one line with --json, logs on stderr, and ends with 0 on SIGTERM and SIGINT', async () => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const run = serve('--log-format', 'json')
      const message = await run.ready()
      expect(message).toEqual({
        ready: true,
        version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
        addresses: { zookeeper: expect.stringMatching(/^127\.0\.0\.1:\d+$/) },
      })
      expect(await run.end(signal)).toBe(0)
      expect(run.out.trimEnd().split('\n')).toHaveLength(1)
      const messages = run.err
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).msg)
      // A new database switches its engines on, each with a line.
      expect(new Set(messages.slice(0, -1))).toEqual(new Set(['a switch of an engine was applied']))
      expect(messages.at(-1)).toBe('the database serves')
    }
  })

  it('prints for people without --json, with the data directory and every address', async () => {
    const dir = newDir()
    const ports = ['zookeeper', 'metrics', 'api', 'admin'].flatMap((name) => [`--${name}-port`, '0'])
    const run = delos('serve', '--data-dir', dir, ...ports)
    await eventually(() => (run.out.includes('/commands') ? true : undefined), 20_000, 'a start-up message')
    expect(run.out).toMatch(
      new RegExp(
        `^delos \\S+ is ready, data in ${dir}\\n.*127\\.0\\.0\\.1:\\d+.*\\n.*http://\\S+/metrics\\n.*http://\\S+/v1/status\\n.*http://\\S+/commands\\n$`,
      ),
    )
    expect(await run.end('SIGTERM')).toBe(0)
  })

  it('answers what is under way before it ends, and nothing acknowledged is lost', async () => {
    const dir = newDir()
    const run = serve('--data-dir', dir)
    const port = portOf((await run.ready()).addresses.zookeeper)
    const client = await ZkClient.connect(port)
    const writes = Array.from({ length: 2000 }, (_, i) =>
      client.create(`/${i}`).then(
        ({ err }) => err === 0,
        () => false,
      ),
    )
    await writes[0]
    expect(await run.end('SIGTERM')).toBe(0)
    const acknowledged = (await Promise.all(writes)).flatMap((done, i) => (done ? [String(i)] : []))
    const again = serve('--data-dir', dir)
    await using reader = await ZkClient.connect(portOf((await again.ready()).addresses.zookeeper))
    const children = new Set((await reader.getChildren('/')).value)
    expect(acknowledged.filter((name) => !children.has(name))).toEqual([])
    expect(acknowledged.length).toBeGreaterThan(0)
  })

  it('goes on when nobody reads what it prints any more', async () => {
    const run = serve('--log-level', 'debug')
    const port = portOf((await run.ready()).addresses.zookeeper)
    run.child.stdout?.destroy()
    run.child.stderr?.destroy()
    const closed = [1, 2, 3].map(async () => {
      await using client = await ZkClient.connect(port)
      await expect(client.request(999, Buffer.alloc(0), () => undefined)).resolves.toMatchObject({ err: -6 })
    })
    await Promise.all(closed)
    await using client = await ZkClient.connect(port)
    expect((await client.create('/a')).err).toBe(0)
  })

  it('logs a slow request with the time that each layer took', async () => {
    const run = serve('--slow-ms', '1')
    await using client = await ZkClient.connect(portOf((await run.ready()).addresses.zookeeper))
    await Promise.all(Array.from({ length: 300 }, (_, i) => client.create(`/${i}`, Buffer.alloc(20_000))))
    await eventually(() => (run.err.includes('slow request') ? true : undefined), 5000, 'a line about a slow request')
    expect(run.err).toMatch(
      /WARN +slow request client=127\.0\.0\.1:\d+ session=0x1\w+ operation=create xid=\d+ latencyMs=[\d.]+ batchingMs=[\d.]+ logMs=[\d.]+ playbackMs=-?[\d.]+ applyMs=[\d.]+ replyMs=[\d.]+/,
    )
  })

  it.runIf(process.platform === 'linux')(
    'keeps files for the log and the store when connections would take all',
    async () => {
      const command = 'ulimit -n 200; exec "$0" "$@"'
      const settings = ['--zookeeper-port', '0', ...NO_HTTP]
      const run = new Run('sh', ['-c', command, process.execPath, MAIN, 'serve', '--json', ...settings], tempDir('cli'))
      const { addresses } = await run.ready()
      expect(run.err).toContain('open files are limited connectionsMax=100 openFilesMax=200')
      const port = portOf(addresses.zookeeper)
      const clients = await Promise.all(Array.from({ length: 100 }, () => ZkClient.connect(port)))
      await expect(ZkClient.connect(port)).rejects.toThrow()
      // More than a segment of the log.
      const data = 'x'.repeat(1_000_000)
      for (let i = 0; i < 72; i++) expect((await (clients[0] as ZkClient).create(`/${i}`, data)).err).toBe(0)
      for (const client of clients) await client.close()
      expect(await run.end('SIGTERM')).toBe(0)
    },
  )

  it('takes settings from a file, and shows each with its origin in the form of that file', async () => {
    const file = join(tempDir('cli'), 'delos.yaml')
    writeFileSync(file, 'tick-ms: 500\nhost: "::1"\ndata-dir: "./with # and: colon"\nzookeeper-port: off\n')
    const [code, out] = await outcome('serve', '--config', file, '--tick-ms', '700', '--print-config')
    expect(code).toBe(0)
    expect(out).toContain('tick-ms: 700 # flag\n')
    expect(out).toContain('host: ::1 # file\n')
    expect(out).toContain('data-dir: "./with # and: colon" # file\n')
    expect(out).toContain('zookeeper-port: off # file\n')
    expect(out).toContain('session-timeout-min-ms:  # default\n')
    writeFileSync(file, out)
    const [, again] = await outcome('serve', '--config', file, '--print-config', '--json')
    const rows = JSON.parse(again) as { name: string; value: unknown; origin: string }[]
    expect(rows.find(({ name }) => name === 'tick-ms')).toEqual({ name: 'tick-ms', value: 700, origin: 'file' })
    expect(rows.find(({ name }) => name === 'data-dir')?.value).toBe('./with # and: colon')
    // What has no value is not in the file.
    for (const { name, origin, value } of rows) {
      expect(`${name}: ${origin}`).toBe(`${name}: ${value === undefined || value === null ? 'default' : 'file'}`)
    }
  })
})

describe('delos serve refuses', () => {
  const file = (content: string): string => {
    const path = join(tempDir('cli'), 'delos.yaml')
    writeFileSync(path, content)
    return path
  }

  it.each<[string, string[], RegExp]>([
    ['a flag that does not exist', ['--nonsense'], /unknown option '--nonsense'/],
    [
      'a value out of range',
      ['--tick-ms', '1'],
      /^delos: --tick-ms: 1 must be a whole number from 10 to 2147483647\n$/,
    ],
    ['an argument', ['please'], /too many arguments/],
    ['a setting that does not exist', ['--config', file('tick-msec: 5')], /delos: tick-msec: no such setting/],
    ['a file that is no map', ['--config', file('- a\n- b')], /a map of setting names/],
    ['a file that is no YAML', ['--config', file('a: [')], /delos: can't read .*delos\.yaml/],
    ['a file that is not there', ['--config', '/nowhere/delos.yaml'], /delos: can't read \/nowhere\/delos\.yaml/],
    ['a file as data directory', ['--data-dir', file('')], /can't use .* as data directory/],
    [
      'a host that is none',
      ['--host', 'no-such-host.invalid'],
      /^delos: host: no-such-host\.invalid must be an address /m,
    ],
  ])('%s with 2', async (_what, args, message) => {
    const [code, out, err] = await outcome('serve', '--zookeeper-port', '0', ...NO_HTTP, ...args)
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(message)
    expect(err).not.toMatch(/\n\s+at /)
  })

  it('a zoo.cfg with a value that can not be with 2, and where it came from', async () => {
    const [code, out, err] = await outcome('serve', ...NO_HTTP, '--zoo-cfg', file('tickTime=soon\n'))
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain('tick-ms (of zoo.cfg): soon must be a whole number')
    const [missing, , why] = await outcome('serve', ...NO_HTTP, '--zoo-cfg', '/nowhere/zoo.cfg')
    expect([missing, why]).toEqual([2, expect.stringContaining("can't read /nowhere/zoo.cfg")])
  })

  it('a directory in use with 3, naming the process', async () => {
    const dir = newDir()
    const first = serve('--data-dir', dir)
    await first.ready()
    const second = serve('--data-dir', dir)
    expect(await second.exited).toBe(3)
    expect(second.err).toBe(`delos: ${dir} is in use by process ${first.child.pid}\n`)
  })

  it('a taken port with 3 if it was named or is for ZooKeeper clients', async () => {
    const { port, free } = await occupy(0)
    const flags = ['--zookeeper-port', '--metrics-port', '--api-port']
    for (const flag of flags) {
      const [code, , err] = await outcome('serve', ...NO_HTTP, '--zookeeper-port', '0', flag, String(port))
      expect([flag, code]).toEqual([flag, 3])
      expect(err).toMatch(new RegExp(`delos: port ${port} \\(\\w+\\) is in use`))
    }
    const config = file(`api-port: ${port}\n`)
    const [code] = await outcome('serve', '--zookeeper-port', '0', '--metrics-port', 'off', '--config', config)
    expect(code).toBe(3)
    free()
  })

  it('the taken default port for ZooKeeper clients with 3; takes others for metrics and API, with a warning', async () => {
    const held = await Promise.all([2181, 7000, 7800].map(occupy))
    const [code, , err] = await outcome('serve', ...NO_HTTP)
    expect([code, err]).toEqual([3, expect.stringContaining('port 2181 (zookeeper) is in use')])
    const run = delos('serve', '--json', '--zookeeper-port', '0')
    const { addresses } = await run.ready()
    expect([7000, 7800]).not.toContain(portOf(addresses.metrics))
    expect((await fetch(`http://${addresses.api}/readyz`)).status).toBe(200)
    expect(run.err).toContain('port 7000 is taken: metrics gets another one')
    expect(run.err).toContain('port 7800 is taken: api gets another one')
    for (const { free } of held) free()
  })

  it('data of a newer version, and a directory that is not its own, with 4', async () => {
    const newer = newDir()
    mkdirSync(newer)
    writeFileSync(join(newer, 'FORMAT'), 'delos 999\n')
    const foreign = tempDir('cli')
    writeFileSync(join(foreign, 'thesis.txt'), '')
    for (const dir of [newer, foreign]) {
      const run = serve('--data-dir', dir)
      expect(await run.exited).toBe(4)
      expect(run.err).toContain(dir)
    }
  })

  it('a damaged log with 4, naming file and offset', async () => {
    const dir = newDir()
    const first = serve('--data-dir', dir)
    const client = await ZkClient.connect(portOf((await first.ready()).addresses.zookeeper))
    for (let i = 0; i < 10; i++) await client.create(`/${i}`, 'data to be damaged')
    client.drop()
    await first.end('SIGTERM')
    const segment = filesIn(join(dir, 'zelos/log')).find((path) => readFileSync(path).includes('to be damaged'))
    const bytes = readFileSync(segment as string)
    bytes.write('TO', bytes.indexOf('to be damaged'))
    writeFileSync(segment as string, bytes)
    const second = serve('--data-dir', dir)
    expect(await second.exited).toBe(4)
    expect(second.err).toContain(segment)
    expect(second.err).toMatch(/offset \d+/)
    expect(second.out).toBe('')
  })
})

describe.runIf(canMount())('delos serve on a full disk', () => {
  const disk = tempDir('full-disk')
  const fill = join(disk, 'fill')
  const free = (): number => {
    const { bavail, bsize } = statfsSync(disk)
    return bavail * bsize
  }
  const leaveFree = (bytes: number): void => {
    rmSync(fill, { force: true })
    writeFileSync(fill, Buffer.alloc(free() - bytes))
  }

  beforeAll(() => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=400m', 'none', disk])
  })
  afterAll(() => {
    execFileSync('umount', ['--lazy', disk])
  })

  it('ends with 1 and says what to do, and starts once there is space', async () => {
    const dir = join(disk, 'data')
    const refused = async (bytes: number): Promise<void> => {
      leaveFree(bytes)
      const run = serve('--data-dir', dir)
      expect([bytes, await within(run.exited, 20_000, 'end of the command')]).toEqual([bytes, 1])
      expect(run.out).toBe('')
      expect(run.err).toMatch(
        /^delos: the disk that holds .*full-disk.* is full \(.+\): free space on it and start again/,
      )
    }
    // A new directory: no space for a lock, then for the reserve of the log.
    await refused(0)
    await refused(1_000_000)
    rmSync(fill)
    const first = serve('--data-dir', dir)
    const client = await ZkClient.connect(portOf((await first.ready()).addresses.zookeeper))
    expect((await client.create('/kept')).err).toBe(0)
    client.drop()
    await first.end('SIGKILL')
    // One that holds data: no space for the lock, then for what RocksDB writes as it opens.
    await refused(0)
    await refused(4096)
    rmSync(fill)
    const second = serve('--data-dir', dir)
    await using again = await ZkClient.connect(portOf((await second.ready()).addresses.zookeeper))
    expect((await again.exists('/kept')).err).toBe(0)
  })
})

describe('other commands', () => {
  it('status shows a running server, with 0', async () => {
    const run = delos('serve', '--json', '--zookeeper-port', '0', '--metrics-port', 'off', '--api-port', '0')
    const { addresses, version } = await run.ready()
    const [code, out] = await outcome('status', '--api', addresses.api as string)
    expect(code).toBe(0)
    expect(out).toMatch(new RegExp(`^delos ${version}, ready, up \\d+ s\\n  zookeeper +${addresses.zookeeper}\\n`))
    expect(out).toMatch(/^zelos: serving\n {2}applied +\d+ of \d+, durable \d+$/m)
    const [, json] = await outcome('status', '--api', addresses.api as string, '--json')
    expect(JSON.parse(json)).toMatchObject({ ready: true, addresses, databases: { zelos: { state: 'serving' } } })
  })

  it('status of a server that is not ready ends with 1 and says why', async () => {
    const stopped = {
      state: 'stopped',
      failure: 'STOPPED at position 7: poison',
      appliedPos: 7,
      tail: 9,
      durablePos: 7,
      alarms: ['view-tracking: the content of b differs'],
    }
    const status = { version: '1.0.0', ready: false, uptimeMs: 1000, addresses: {}, databases: { zelos: stopped } }
    const api = createHttpServer((_, response) => response.end(JSON.stringify(status))).listen(0, '127.0.0.1')
    await once(api, 'listening')
    const [code, out] = await outcome('status', '--api', `127.0.0.1:${(api.address() as AddressInfo).port}`)
    api.close()
    expect([code, out]).toEqual([1, expect.stringContaining('stopped    STOPPED at position 7: poison')])
    expect(out).toContain('  ALARM      view-tracking: the content of b differs\n')
  })

  it('status without a server ends with 3', async () => {
    const { port, free } = await occupy(0)
    free()
    const [code, out, err] = await outcome('status', '--api', `127.0.0.1:${port}`)
    expect([code, out]).toEqual([3, ''])
    expect(err).toMatch(/^delos: no server reachable at 127\.0\.0\.1:\d+ \(.*ECONNREFUSED.*\); --api names another/)
  })

  it('version, --version and help', async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    expect(await outcome('--version')).toEqual([0, `${version}\n`, ''])
    const [code, out] = await outcome('version', '--json')
    expect([code, JSON.parse(out)]).toEqual([0, { delos: version, zookeeper: '3.9.5', node: process.versions.node }])
    const [helped, help] = await outcome('serve', '--help')
    expect([helped, help]).toEqual([0, expect.stringContaining('--log-retention-hours <value>')])
  })

  it('end with 0 and without a word when nobody reads their output to the end', async () => {
    for (const args of [['serve', '--print-config'], ['serve', '--print-config', '--json'], ['version'], ['--help']]) {
      const run = delos(...args)
      run.child.stdout?.destroy()
      expect([await within(run.exited, 20_000, 'end of the command'), run.err]).toEqual([0, ''])
    }
  })

  it('no command, or one that there is not, is a usage error', async () => {
    expect((await outcome())[0]).toBe(2)
    const [code, out, err] = await outcome('frobnicate')
    expect([code, out, err]).toEqual([2, '', expect.stringContaining("unknown command 'frobnicate'")])
  })
})

describe('in a clone', () => {
  it.each([
    ['npm start -- FLAGS', 'npm', ['start', '--']],
    ['npx delos serve FLAGS', 'npx', ['delos', 'serve']],
  ])('%s starts a server', async (_what, program, args) => {
    const dir = newDir()
    const flags = ['--data-dir', dir, '--zookeeper-port', '0', ...NO_HTTP]
    const clone = dirname(dirname(dirname(MAIN)))
    const run = new Run(program, [...args, ...flags], clone)
    const ready = (): true | undefined => (run.out.includes('is ready, data in') ? true : undefined)
    await eventually(ready, 60_000, 'a start-up message')
    expect(existsSync(join(dir, 'FORMAT'))).toBe(true)
    const pid = (JSON.parse(readFileSync(join(dir, 'LOCK'), 'utf8')) as { pid: number }).pid
    process.kill(pid, 'SIGTERM')
    await within(run.exited, 20_000, 'end of the server')
  })
})

describe('a program that embeds a server', () => {
  it('keeps stdout, signals and its end to itself', async () => {
    const index = join(dirname(dirname(MAIN)), 'node/index.js')
    const program = `
      import { openServer } from ${JSON.stringify(index)}
      const dataDir = ${JSON.stringify(newDir())}
      const options = { dataDir, zookeeper: { port: 0 }, api: { port: 0 }, metrics: { port: 0 } }
      const server = await openServer(options)
      await fetch('http://' + server.addresses.metrics + '/metrics').then((response) => response.text())
      await openServer(options).catch((error) => process.stderr.write(error.code + '\\n'))
      const listeners = ['SIGTERM', 'SIGINT', 'uncaughtException'].map((name) => process.listenerCount(name))
      await server.close()
      process.stderr.write(JSON.stringify(listeners) + '\\n')`
    const run = new Run(process.execPath, ['--input-type=module', '-e', program], tempDir('cli'))
    expect(await within(run.exited, 20_000, 'end of the program')).toBe(0)
    expect([run.out, run.err]).toEqual(['', 'IN_USE\n[0,0,0]\n'])
  })
})

/** Only root can. */
function canMount(): boolean {
  const probe = tempDir('mount')
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', probe], { stdio: 'ignore' })
    execFileSync('umount', [probe])
    return true
  } catch {
    return false
  }
}

function filesIn(directory: string): string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}
