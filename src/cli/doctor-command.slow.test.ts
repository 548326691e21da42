// `delos doctor` as a process, beside a running server. Runs the build in dist, or the one that DELOS_TEST_MAIN names.

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DELOS_MAIN } from '../../test/support/server.ts'
import { tempDir } from '../../test/support/temp-dir.ts'
import { openServer, type Server } from '../node/open-server.ts'

const DATA = join(tempDir('doctor-command'), 'data')
let server: Server

beforeAll(async () => {
  server = await openServer({ dataDir: DATA, zookeeper: { port: 'off' }, api: { port: 0 } })
})
afterAll(() => server.close())

type Outcome = { readonly code: number; readonly out: string; readonly err: string }

function doctor(...args: readonly string[]): Promise<Outcome> {
  const api = args.includes('--api') ? [] : ['--api', server.addresses.api as string]
  return new Promise((resolve) => {
    execFile(process.execPath, [DELOS_MAIN, 'doctor', ...args, ...api], { timeout: 30_000 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err })
    })
  })
}

const edit = (...args: readonly string[]): Promise<Outcome> =>
  doctor(...args, '--data-dir', DATA, '--why', 'a test', '--who', 'ann')
const look = (...args: readonly string[]): Promise<Outcome> => doctor(...args, '--data-dir', DATA)

describe('delos doctor', () => {
  it('puts, shows, changes and deletes a row, and keeps who did', async () => {
    expect(await edit('put', 'my\\0key', 'größe', '--absent', '--dry-run')).toMatchObject({
      code: 0,
      out: '+ my\\0key\tgr\\xc3\\xb6\\xc3\\x9fe\nzelos: nothing was changed (dry run)\n',
    })
    expect(await look('get', 'my\\0key')).toMatchObject({ code: 1, err: 'delos: there is no row my\\0key\n' })
    expect(await edit('put', 'my\\0key', 'größe', '--absent')).toMatchObject({ code: 0 })
    expect(await look('get', 'my\\0key')).toMatchObject({ code: 0, out: 'gr\\xc3\\xb6\\xc3\\x9fe\n' })
    expect(await look('get', 'my\\0key', '--format', 'hex')).toMatchObject({ out: '6772c3b6c39f65\n' })
    expect(await edit('put', 'my\\0key', 'AQI=', '--format', 'base64')).toMatchObject({ code: 0 })
    expect(await look('scan', 'my')).toMatchObject({ code: 0, out: 'my\\0key\t\\x01\\x02\n' })
    const refused = await edit('delete', 'my\\0key', '--old', 'ff', '--format', 'hex')
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('my\\0key holds 0102, not ff') })
    expect(await edit('delete', 'my\\0key')).toMatchObject({ code: 0 })
    const { out } = await look('history', '--json')
    expect(JSON.parse(out).records).toMatchObject([
      { number: 3, who: 'ann', why: 'a test', edits: [{ key: 'my\\0key', old: 'AQI=', value: null }] },
      { number: 2, edits: [{ old: 'Z3LDtsOfZQ==', value: 'AQI=' }] },
      { number: 1, edits: [{ old: null, value: 'Z3LDtsOfZQ==' }] },
    ])
    expect((await look('history')).out).toMatch(/^#3 position \d+, \S+Z, ann: a test\n- my\\0key\t\\x01\\x02\n#2 /)
  }, 60_000)

  it.each<[string, readonly string[], number, string]>([
    ['a protected range', ['put', 'base\\0x', '1', '--why', 'x', '--data-dir', DATA], 1, 'by force only'],
    ['a void where nothing stopped', ['void', '3', '--why', 'x', '--data-dir', DATA], 1, 'the database is serving'],
    ['an edit without a reason', ['put', 'a', 'b', '--data-dir', DATA], 2, '--why'],
    ['a key with a wrong escape', ['get', 'a\\q', '--data-dir', DATA], 2, 'after a backslash'],
    ['a value that is no hex', ['put', 'a', 'xyz', '--format', 'hex', '--why', 'x', '--data-dir', DATA], 2, 'not hex'],
    ['two expectations', ['put', 'a', 'b', '--old', 'c', '--absent', '--why', 'x', '--data-dir', DATA], 2, '--absent'],
    ['a reader without the token', ['scan', '--data-dir', join(DATA, 'none')], 2, 'no admin token'],
    ['a server that is not there', ['get', 'a', '--data-dir', DATA, '--api', '127.0.0.1:1'], 3, 'no server reachable'],
  ])(
    'refuses %s, with the exit code for it',
    async (_what, args, code, reason) => {
      expect(await doctor(...args)).toMatchObject({ code, err: expect.stringContaining(reason) })
    },
    60_000,
  )
})
