// What earlier builds wrote stays readable: data directories kept in testdata/, one closed in order and one of a killed server,
// are opened by this build, replayed, and hold what they held then.
//
// UPDATE_DATA_DIRS=1 writes those of this version anew (only before its release).

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { serverKind, TestServer } from './support/server.ts'
import { succeeded, ZkClient } from './support/zk-client.ts'
import { Flags, Perm } from './support/zk-protocol.ts'

const KEPT = fileURLToPath(new URL('../testdata/data-dirs', import.meta.url))
const VERSION = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version as string

/** Everything a client can see below `path`, by path. */
async function contents(
  client: ZkClient,
  path = '/',
  found: Record<string, unknown> = {},
): Promise<Record<string, unknown>> {
  const { data, stat } = succeeded(await client.getData(path))
  const { acl } = succeeded(await client.getAcl(path))
  const shown = Object.fromEntries(Object.entries(stat).map(([name, value]) => [name, String(value)]))
  found[path] = { data: data === null ? null : data.toString('base64'), stat: shown, acl }
  for (const child of succeeded(await client.getChildren(path)).sort()) {
    await contents(client, path === '/' ? `/${child}` : `${path}/${child}`, found)
  }
  return found
}

/** A little of everything that is stored. */
async function fill(client: ZkClient): Promise<void> {
  for (const path of ['/app', '/app/config', '/app/locks', '/empty', '/größe'])
    succeeded(await client.create(path, path))
  for (let i = 0; i < 20; i++) succeeded(await client.setData('/app/config', `setting ${i}`))
  for (let i = 0; i < 5; i++) succeeded(await client.create('/app/locks/lock-', '', Flags.ephemeralSequential))
  succeeded(await client.create('/app/large', 'x'.repeat(20_000)))
  succeeded(await client.setData('/empty', null))
  succeeded(await client.auth('digest', 'user:password'))
  succeeded(
    await client.setAcl('/größe', [
      { perms: Perm.all, scheme: 'auth', id: '' },
      { perms: Perm.read, scheme: 'world', id: 'anyone' },
    ]),
  )
  succeeded(await client.create('/app/gone', ''))
  succeeded(await client.delete('/app/gone'))
  const multi = [
    { op: 'create', path: '/app/multi', data: 'a' },
    { op: 'setData', path: '/app/multi', data: 'b' },
    { op: 'check', path: '/app', version: 0 },
  ] as const
  succeeded(await client.multi(multi))
}

async function write(how: 'closed' | 'killed'): Promise<void> {
  await using server = await TestServer.start({ sessionTimeoutMaxMs: 600_000 })
  const client = await ZkClient.connect(server.port, { timeoutMs: 600_000 })
  await fill(client)
  const expected = await contents(client)
  client.drop()
  await server[how === 'closed' ? 'stop' : 'kill']()
  const kept = join(KEPT, `${VERSION}-${how}`)
  rmSync(kept, { recursive: true, force: true })
  mkdirSync(kept, { recursive: true })
  cpSync(join(server.dir, 'data'), join(kept, 'data'), { recursive: true })
  rmSync(join(kept, 'data', 'LOCK'), { force: true })
  writeFileSync(join(kept, 'contents.json'), `${JSON.stringify(expected, null, 1)}\n`)
}

if (process.env.UPDATE_DATA_DIRS === '1') {
  it('writes the data directories of this version', async () => {
    await write('closed')
    await write('killed')
  })
}

for (const name of existsSync(KEPT) ? readdirSync(KEPT).sort() : []) {
  it.skipIf(serverKind === 'zookeeper')(`opens and replays the data directory ${name}`, async () => {
    const expected = JSON.parse(readFileSync(join(KEPT, name, 'contents.json'), 'utf8'))
    await using server = await TestServer.start({ data: join(KEPT, name, 'data') })
    const client = await ZkClient.connect(server.port)
    succeeded(await client.auth('digest', 'user:password'))
    expect(await contents(client)).toEqual(expected)
    await client.close()
  })
}
