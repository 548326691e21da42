import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { tempDir } from '../../test/support/temp-dir.ts'
import { succeeded, ZkClient } from '../../test/support/zk-client.ts'
import type { Applicator } from '../engine/engine.ts'
import type { RowsAnswer } from './doctor-routes.ts'
import { openServer, type Server } from './open-server.ts'

/** Adds up numbers. Can't apply `bug`; `spoil` breaks its row, so that it can't apply what comes after either. */
class Sum implements Applicator<number> {
  apply(...[tx, entry]: Parameters<Applicator<number>['apply']>): number {
    const said = Buffer.from(entry.payload as Uint8Array).toString()
    if (said === 'bug') throw new Error('a bug')
    const sum = Number(Buffer.from(tx.get('sum\x00row') ?? Buffer.from('0')).toString()) + Number(said)
    if (said !== 'spoil' && Number.isNaN(sum)) throw new Error('the sum is no number')
    tx.put('sum\x00row', Buffer.from(said === 'spoil' ? 'rubbish' : String(sum)))
    return sum
  }

  postApply(): void {
    // Nobody is told.
  }
}

/** Of what an answer may hold, what is looked at one by one. */
interface Answer {
  readonly rows: readonly { readonly key: string }[]
  readonly next: string
  readonly recordedAt: number
}

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
})

async function open(dataDir: string) {
  const server = await openServer({ dataDir, databases: [{ name: 'sum', applicator: new Sum() }], api: { port: 0 } })
  servers.push(server)
  const token = readFileSync(join(dataDir, 'admin.token'), 'utf8').trim()
  const base = `http://${server.addresses.api}/v1/databases/sum/doctor`
  const ask = async (path: string, body?: object, authorization = `Bearer ${token}`): Promise<[number, Answer]> => {
    const headers = { authorization, ...(body !== undefined && { 'content-type': 'application/json' }) }
    const init = body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) }
    const response = await fetch(`${base}/${path}`, init)
    return [response.status, (await response.json()) as Answer]
  }
  const propose = (text: string): Promise<number> => server.database<number>('sum').propose(Buffer.from(text))
  return { server, ask, propose }
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const signed = { who: 'ann', why: 'a test' }

describe('the HTTP API about rows', () => {
  it('shows rows, edits them on what they held, and tells who did: all of it to who shows the token alone', async () => {
    const { ask, propose } = await open(join(tempDir('doctor'), 'data'))
    await propose('7')
    expect(await ask('row?key=sum%5C0row')).toEqual([200, { database: 'sum', key: 'sum\\0row', value: base64('7') }])
    expect(await ask('row?key=none')).toEqual([200, { database: 'sum', key: 'none', value: null }])
    const edits = [{ key: 'sum\\0row', value: base64('40') }]
    const edit = { key: 'sum\\0row', old: base64('7'), value: base64('40') }
    expect(await ask('edits', { ...signed, edits, dryRun: true })).toEqual([
      200,
      { database: 'sum', outcome: 'would edit', edits: [edit] },
    ])
    const [status, answer] = await ask('edits', { ...signed, edits })
    expect([status, answer]).toEqual([
      200,
      { database: 'sum', outcome: 'edited', position: expect.any(Number), shown: true, edits: [edit] },
    ])
    expect(await propose('2')).toBe(42)
    expect(await ask('edits', { ...signed, edits: [{ ...edits[0], old: base64('7') }] })).toMatchObject([
      409,
      { outcome: 'conflict', conflicts: [{ key: 'sum\\0row', expected: base64('7'), found: base64('42') }] },
    ])
    expect(await ask('edits', { ...signed, edits: [{ key: 'base\\0x', value: '' }] })).toMatchObject([
      409,
      { outcome: 'refused', error: 'the range of base is edited by force only' },
    ])
    expect(await ask('history')).toMatchObject([200, { records: [{ number: 1, ...signed, edits: [edit] }] }])
    expect(await ask('rows?prefix=sum')).toEqual([
      200,
      { database: 'sum', rows: [{ key: 'sum\\0row', value: base64('42') }] },
    ])
    const page = (await ask('rows?limit=1'))[1]
    expect((await ask(`rows?limit=1&from=${encodeURIComponent(page.next)}`))[1].rows[0]?.key).toBe(page.next)
    for (const [path, body] of [
      ['row?key=a', undefined],
      ['rows', undefined],
      ['history', undefined],
      ['edits', { ...signed, edits }],
      ['voids', { ...signed, position: 3 }],
    ] as const) {
      expect((await ask(path, body, ''))[0], path).toBe(401)
      expect((await ask(path, body, 'Bearer nonsense'))[0], path).toBe(403)
    }
  })

  it.each<[string, string, object | undefined, number]>([
    ['a key with a wrong escape', 'row?key=%5Cq', undefined, 400],
    ['no key', 'row', undefined, 400],
    ['too large a limit', 'rows?limit=10001', undefined, 400],
    ['a prefix with an end', 'rows?prefix=a&to=b', undefined, 400],
    ['a value that is no base64', 'edits', { ...signed, edits: [{ key: 'a', value: '?' }] }, 400],
    ['an edit without a reason', 'edits', { who: 'ann', edits: [{ key: 'a', value: '' }] }, 400],
    ['an edit of nothing', 'edits', { ...signed, edits: [] }, 400],
    ['a void while the database serves', 'voids', { ...signed, position: 1 }, 409],
  ])('refuses %s', async (_what, path, body, status) => {
    const { ask, server } = await open(join(tempDir('doctor'), 'data'))
    expect(await ask(path, body)).toEqual([status, { code: expect.any(String), error: expect.any(String) }])
    expect(server.status().databases.sum?.state).toBe('serving')
  })

  it('repairs a row that no entry could be applied to, and passes an entry that nobody can apply: nothing else is lost', async () => {
    const dataDir = join(tempDir('doctor'), 'data')
    const first = await open(dataDir)
    await first.propose('1')
    await first.propose('spoil')
    await expect(first.propose('20')).rejects.toMatchObject({ code: 'INDETERMINATE' })
    const { position } = (await first.server.failed.then(() => first.server.database('sum').status())).failure ?? {}
    expect(await first.ask('row?key=sum%5C0row')).toMatchObject([200, { value: base64('rubbish') }])
    const edits = [{ key: 'sum\\0row', value: base64('1') }]
    expect(await first.ask('edits', { ...signed, edits })).toMatchObject([200, { outcome: 'recorded', position }])
    // Who has not met that repair yet can't judge another one.
    expect(await first.ask('voids', { ...signed, position })).toMatchObject([409, { code: 'CONFLICT' }])
    await first.server.close()

    const second = await open(dataDir)
    expect(await second.propose('300')).toBe(321)
    await expect(second.propose('bug')).rejects.toMatchObject({ code: 'INDETERMINATE' })
    await second.server.failed
    const at = second.server.database('sum').status().failure?.position as number
    expect(await second.ask('voids', { ...signed, position: at + 1 })).toMatchObject([409, { code: 'CONFLICT' }])
    const voided = { database: 'sum', position: at, changed: true, audited: true }
    expect(await second.ask('voids', { ...signed, position: at })).toEqual([200, voided])
    expect(await second.ask('voids', { ...signed, position: at })).toEqual([200, { ...voided, changed: false }])
    await second.server.close()

    const third = await open(dataDir)
    expect(await third.propose('4000')).toBe(4321)
    expect(await third.ask('history')).toMatchObject([
      200,
      {
        records: [
          { position: at, voids: true, repair: true, edits: [] },
          { position, voids: false, repair: true, edits: [{ old: base64('rubbish'), value: base64('1') }] },
        ],
      },
    ])
  })

  it('of nodes that Zelos has in memory are read anew', async () => {
    const dataDir = join(tempDir('doctor'), 'data')
    const server = await openServer({ dataDir, zookeeper: { port: 0 }, api: { port: 0 } })
    servers.push(server)
    const token = readFileSync(join(dataDir, 'admin.token'), 'utf8').trim()
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const base = `http://${server.addresses.api}/v1/databases/zelos/doctor`
    await using client = await ZkClient.connect(Number(server.addresses.zookeeper?.split(':').at(-1)))
    for (const path of ['/a', '/b']) succeeded(await client.create(path, `data of ${path}`))
    const { rows } = (await (await fetch(`${base}/rows?prefix=zelos%5C0n`, { headers })).json()) as RowsAnswer
    const [a, b] = ['/a', '/b'].map((path) => rows.find(({ key }) => key.endsWith(path)))
    const edits = [{ key: a?.key, old: a?.value, value: b?.value }]
    const edited = await fetch(`${base}/edits`, { method: 'POST', headers, body: JSON.stringify({ ...signed, edits }) })
    expect(edited.status).toBe(200)
    expect(String(succeeded(await client.getData('/a')).data)).toBe('data of /b')
    succeeded(await client.setData('/a', 'again'))
    expect(String(succeeded(await client.getData('/a')).data)).toBe('again')
    expect(server.status().databases.zelos?.state).toBe('serving')
  })

  it('takes back a repair that is itself what no server can apply', async () => {
    const dataDir = join(tempDir('doctor'), 'data')
    const first = await open(dataDir)
    await expect(first.propose('bug')).rejects.toMatchObject({ code: 'INDETERMINATE' })
    await first.server.failed
    const at = first.server.database('sum').status().failure?.position as number
    // An engine reads its row anew, and does not know that format.
    const edits = [{ key: 'view-tracking\\0r', value: base64('\x63') }]
    const [, { recordedAt }] = await first.ask('edits', { ...signed, edits })
    await first.server.close()

    const second = await open(dataDir)
    expect(second.server.database('sum').status()).toMatchObject({ state: 'stopped', failure: { position: at } })
    expect(await second.ask('voids', { ...signed, position: recordedAt })).toMatchObject([200, { changed: true }])
    await second.server.close()

    const third = await open(dataDir)
    expect(await third.ask('voids', { ...signed, position: at })).toMatchObject([200, { changed: true }])
    await third.server.close()
    expect(await (await open(dataDir)).propose('5')).toBe(5)
  })
})
