// `delos stack` and `delos engine` as processes, beside a running server. Runs the build in dist, or the one that
// DELOS_TEST_MAIN names.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tempDir } from '../../test/support/temp-dir.ts'
import { eventually, within } from '../../test/support/wait.ts'
import { ZkClient } from '../../test/support/zk-client.ts'

const MAIN = process.env.DELOS_TEST_MAIN ?? fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const DATA = join(tempDir('engine-commands'), 'data')
const ELSEWHERE = tempDir('elsewhere')

let server: ChildProcess
let logged = ''
let api: string
let zookeeper: string

beforeAll(async () => {
  const args = ['serve', '--json', '--data-dir', DATA, '--log-level', 'debug', '--zookeeper-port', '0']
  server = spawn(process.execPath, [MAIN, ...args, '--metrics-port', 'off', '--api-port', '0', '--admin-port', 'off'])
  let out = ''
  server.stdout?.on('data', (chunk) => {
    out += chunk
  })
  server.stderr?.on('data', (chunk) => {
    logged += chunk
  })
  const line = await eventually(() => (out.includes('\n') ? out : undefined), 20_000, 'a start-up message')
  const { addresses } = JSON.parse(line) as { addresses: Record<string, string> }
  api = addresses.api as string
  zookeeper = addresses.zookeeper as string
})

afterAll(() => {
  server.kill('SIGKILL')
})

type Outcome = [code: number | null, out: string, err: string]

async function outcomeWith(env: Record<string, string>, ...args: readonly string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: ELSEWHERE, env: { ...process.env, ...env } })
  const printed = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk) => {
      printed[name] += chunk
    })
  }
  await within(once(child, 'close'), 20_000, 'end of the command')
  return [child.exitCode, printed.stdout, printed.stderr]
}

const delos = (...args: readonly string[]): Promise<Outcome> => outcomeWith({}, ...args, '--api', api)
const token = (): string => readFileSync(join(DATA, 'admin.token'), 'utf8').trim()

describe('delos stack', () => {
  it('prints the live stack top to bottom, with flags, levels and latencies', async () => {
    await using client = await ZkClient.connect(Number(zookeeper.split(':').at(-1)))
    await Promise.all(Array.from({ length: 100 }, (_, i) => client.create(`/${i}`)))
    const [code, out] = await delos('stack')
    expect(code).toBe(0)
    expect(out).toMatch(
      /^zelos: serving, applied \d+ of \d+, durable \d+, apply utilisation [\d.]+ %\nmembers: \w{16}\n/,
    )
    const [, layers = '', joints = ''] = out.split('\n\n')
    const names = layers.split('\n').map((line) => line.split(' ')[0])
    expect([names[0], names[1], names.at(-1)]).toEqual(['layer', 'zelos', 'base'])
    expect(layers).toMatch(/^batching +on +0\/0 +[\d.]+ [µm]s/m)
    expect(joints).toMatch(/^zelos \/ \w+ +\d+ +[\d.]+ [µm]s [\d.]+ [µm]s /m)
  })

  it('--json prints one line with every joint and layer, and --watch goes on', async () => {
    const [code, out] = await delos('stack', '--json', '--database', 'zelos')
    expect([code, out.trimEnd().split('\n').length]).toEqual([0, 1])
    const report = JSON.parse(out)
    expect(report.layers.length).toBe(report.joints.length + 1)
    expect(report.joints.at(-1)).toMatchObject({ above: 'zelos', apply: { p50Us: expect.any(Number) } })
    const child = spawn(process.execPath, [MAIN, 'stack', '--json', '--watch', '0.1', '--api', api])
    let lines = ''
    child.stdout.on('data', (chunk) => {
      lines += chunk
    })
    await eventually(() => (lines.split('\n').length > 3 ? true : undefined), 20_000, 'three lines')
    child.kill('SIGINT')
  })
})

describe('delos engine', () => {
  it('lists, switches off and on again, with the token from a data directory, a file or the environment', async () => {
    const flag = async (): Promise<boolean> => {
      const [, out] = await delos('engine', 'list', '--json')
      const { engines } = JSON.parse(out) as { engines: { name: string; enabled: boolean }[] }
      return engines.find(({ name }) => name === 'batching')?.enabled as boolean
    }
    expect((await delos('engine', 'list'))[1]).toMatch(/^batching +on +0\/0$/m)
    const off = await delos('engine', 'disable', 'batching', '--data-dir', DATA)
    expect([...off, await flag()]).toEqual([0, 'zelos: batching is off, level 0\n', '', false])
    const file = join(ELSEWHERE, 'token')
    writeFileSync(file, `${token()}\n`)
    const on = await delos('engine', 'enable', 'batching', '--token-file', file, '--json')
    const answer = { database: 'zelos', engine: 'batching', outcome: 'switched', enabled: true, level: 0 }
    expect([on[0], JSON.parse(on[1]), await flag()]).toEqual([0, answer, true])
    const again = ['engine', 'enable', 'batching', '--database', 'zelos', '--api', api]
    expect((await outcomeWith({ DELOS_ADMIN_TOKEN: token() }, ...again))[0]).toBe(0)
  })

  it('ends with 1 if the server refuses, and says why', async () => {
    const data = ['--data-dir', DATA]
    const [code, out, err] = await delos('engine', 'level', 'batching', '7', ...data)
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/^delos: refused: batching at level 7 is not known to \w{16}\n$/)
    const [refused, json] = await delos('engine', 'level', 'batching', '7', '--json', ...data)
    expect([refused, JSON.parse(json)]).toEqual([1, expect.objectContaining({ outcome: 'refused' })])
    const unknown = await delos('engine', 'enable', 'warp', ...data)
    expect(unknown).toEqual([1, '', 'delos: database zelos has no engine warp in its stack\n'])
    const elsewhere = await delos('engine', 'enable', 'batching', '--database', 'mine', ...data)
    expect(elsewhere).toEqual([1, '', 'delos: this server does not run a database mine\n'])
    const wrong = await outcomeWith(
      { DELOS_ADMIN_TOKEN: 'x'.repeat(64) },
      'engine',
      'disable',
      'batching',
      '--api',
      api,
    )
    expect(wrong).toEqual([1, '', 'delos: the token is not the one in DATA_DIR/admin.token\n'])
  })

  it('ends with 2 if it is not used as it should be', async () => {
    for (const args of [
      ['engine'],
      ['engine', 'enable'],
      ['engine', 'level', 'batching', 'high', '--data-dir', DATA],
      ['engine', 'level', 'batching', '0', '--data-dir', DATA],
      ['stack', '--watch', 'often'],
    ]) {
      expect([args, (await delos(...args))[0]]).toEqual([args, 2])
    }
    const [code, out, err] = await delos('engine', 'enable', 'batching')
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(
      /^delos: no admin token \(.*data\/admin\.token.*\); --data-dir, --token-file or DELOS_ADMIN_TOKEN/,
    )
  })

  it('ends with 3 if no server is reachable', async () => {
    const holder = createServer().listen(0, '127.0.0.1')
    await once(holder, 'listening')
    const { port } = holder.address() as AddressInfo
    holder.close()
    for (const args of [['stack'], ['engine', 'list'], ['engine', 'enable', 'batching', '--data-dir', DATA]]) {
      const [code, out, err] = await outcomeWith({}, ...args, '--api', `127.0.0.1:${port}`)
      expect([code, out, err]).toEqual([3, '', expect.stringContaining(`no server reachable at 127.0.0.1:${port}`)])
    }
  })

  it('leaves no trace of the token in what the server logs', () => {
    expect(logged).toContain('the database serves')
    expect(logged).not.toContain(token())
  })
})
