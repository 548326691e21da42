// What operators and their tools are answered, beside a real ZooKeeper: every four-letter word line by line, every command of the
// AdminServer key by key. Numbers, ids and dates are compared by their form.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { fourLetterWord } from './support/frame-connection.ts'
import { describeWith, peers, ZOOKEEPER_JAR } from './support/peers.ts'
import { freePort, serverKind, TestServer } from './support/server.ts'
import { tempDir } from './support/temp-dir.ts'
import { eventually } from './support/wait.ts'
import { succeeded, ZkClient } from './support/zk-client.ts'
import { Flags } from './support/zk-protocol.ts'

interface Side {
  readonly port: number
  readonly adminPort: number
  readonly close: () => Promise<void> | void
}

async function delos(): Promise<Side> {
  const adminPort = await freePort()
  const server = await TestServer.start({ flags: ['--admin-port', String(adminPort), '--four-letter-words', '*'] })
  return { port: server.port, adminPort, close: () => server[Symbol.asyncDispose]() }
}

async function zookeeper(): Promise<Side> {
  const [port, adminPort] = [await freePort(), await freePort()]
  const dir = tempDir('zookeeper')
  mkdirSync(dir, { recursive: true })
  const settings = [
    'tickTime=2000',
    `dataDir=${join(dir, 'data')}`,
    `clientPort=${port}`,
    'clientPortAddress=127.0.0.1',
    `admin.serverPort=${adminPort}`,
    'admin.serverAddress=127.0.0.1',
    '4lw.commands.whitelist=*',
  ]
  writeFileSync(join(dir, 'zoo.cfg'), `${settings.join('\n')}\n`)
  const classes = [ZOOKEEPER_JAR, '/usr/share/java/servlet-api.jar', '/usr/share/java/jetty9-util-ajax.jar'].join(':')
  const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain'
  const child: ChildProcess = spawn('/usr/bin/java', ['-Xmx256m', '-cp', classes, main, join(dir, 'zoo.cfg')], {
    stdio: 'ignore',
  })
  const answers = async (): Promise<true | undefined> =>
    (await fourLetterWord(port, 'srvr', 500).catch(() => '')).includes('Mode: standalone') ? true : undefined
  await eventually(answers, 30_000, 'a ZooKeeper that answers')
  return { port, adminPort, close: () => void child.kill('SIGKILL') }
}

/** Two sessions that own and watch something. */
async function live(port: number): Promise<ZkClient[]> {
  const [a, b] = [
    await ZkClient.connect(port, { timeoutMs: 8000 }),
    await ZkClient.connect(port, { timeoutMs: 12_000 }),
  ]
  for (const path of ['/w', '/w/x']) succeeded(await a.create(path, 'x'))
  for (const path of ['/e1', '/w/e2']) succeeded(await a.create(path, '', Flags.ephemeral))
  succeeded(await b.create('/e3', '', Flags.ephemeral))
  succeeded(await a.getData('/w', true))
  succeeded(await a.getData('/w/x', true))
  succeeded(await a.getChildren('/w', true))
  succeeded(await b.getData('/w', true))
  await b.exists('/nope', true)
  return [a, b]
}

const WORDS = 'conf cons crst dirs dump gtmk hash isro ruok srst srvr stat stmk wchc wchp wchs'.split(' ')

/** Lines of ours: last, or with a name of their own. */
const OURS = /^(Delos version: |maxCnxns=|Zookeeper version: )/

function formOf(text: string): string[] {
  const lines = text.split('\n').filter((line) => !OURS.test(line))
  const forms = lines.map((line) =>
    line
      .replace(/\w{3} \w{3} \d\d [\d:]{8} UTC \d{4}/, 'DATE')
      .replace(/0x[0-9a-f]+/g, 'HEX')
      .replace(/=\/\S+/, '=PATH')
      .replace(/-?\d+(\.\d+)?/g, '#'),
  )
  // Neither keeps an order among nodes and sessions.
  return [...new Set(forms)].sort()
}

const COMMANDS = [
  'connections configuration connection_stat_reset dirs dump get_trace_mask hash is_read_only last_snapshot leader',
  'observer_connection_stat_reset observers ruok server_stats set_trace_mask stat_reset stats voting_view watch_summary',
  'watches watches_by_path zabstate nope set_trace_mask?traceMask=306 set_trace_mask?traceMask=x',
]
  .join(' ')
  .split(' ')

/** Keys and types, texts by their form; what hangs on different ids is put together. */
function shapeOf(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(/^\/tmp\/.*|^[0-9a-f]{16}$/, '#').replace(/\d+/g, '#')
  if (value === null || typeof value !== 'object') return typeof value
  if (Array.isArray(value)) return [...new Set(value.map((one) => JSON.stringify(shapeOf(one))))].sort()
  const shape: Record<string, unknown> = {}
  for (const [key, one] of Object.entries(value)) {
    if (/^\d+$/.test(key)) shape.ids = [...((shape.ids as unknown[]) ?? []), ...(shapeOf(one) as unknown[])].sort()
    else shape[key] = shapeOf(one)
  }
  return shape
}

const ours = async (side: Side, path: string): Promise<{ status: number; type: string | null; body: string }> => {
  const answer = await fetch(`http://127.0.0.1:${side.adminPort}/commands${path}`)
  return { status: answer.status, type: answer.headers.get('content-type'), body: await answer.text() }
}

const both: Side[] = []
const clients: ZkClient[] = []

describeWith(peers.zookeeper, 'beside a real ZooKeeper', () => {
  beforeAll(async () => {
    if (serverKind === 'zookeeper') return
    both.push(await delos(), await zookeeper())
    for (const { port } of both) clients.push(...(await live(port)))
  })
  afterAll(async () => {
    for (const client of clients) await client.close().catch(() => undefined)
    for (const side of both) await side.close()
  })

  it.skipIf(serverKind === 'zookeeper').each(WORDS)('%s has the same lines', async (word) => {
    const [mine, theirs] = await Promise.all(both.map(({ port }) => fourLetterWord(port, word)))
    expect(formOf(mine as string)).toEqual(formOf(theirs as string))
  })

  it.skipIf(serverKind === 'zookeeper')(
    'mntr has only names that ZooKeeper has, and all gauges of a server of its own',
    async () => {
      const [mine, theirs] = await Promise.all(
        both.map(async ({ port }) =>
          (await fourLetterWord(port, 'mntr'))
            .trimEnd()
            .split('\n')
            .map((line) => line.split('\t')[0]),
        ),
      )
      // Since 3.9.
      const newer = /^zk_(delos_version|(snapshot|restore)_(error|rate_limited)_count)$/
      expect(mine?.filter((name) => !newer.test(name as string) && !theirs?.includes(name))).toEqual([])
      const absent = theirs?.slice(0, theirs.indexOf('zk_proposal_count')).filter((name) => !mine?.includes(name))
      expect(absent?.sort()).toEqual(
        ['non_mtls_local_conn_count', 'non_mtls_remote_conn_count', 'outstanding_tls_handshake'].map(
          (name) => `zk_${name}`,
        ),
      )
    },
  )

  it.skipIf(serverKind === 'zookeeper').each(COMMANDS)(
    '/commands/%s has the same keys in the same order',
    async (command) => {
      const [mine, theirs] = await Promise.all(both.map((side) => ours(side, `/${command}`)))
      expect([mine?.status, mine?.type]).toEqual([theirs?.status, theirs?.type])
      const [one, other] = [mine, theirs].map((answer) => JSON.parse(answer?.body as string) as object)
      expect(shapeOf({ ...one, version: '' })).toEqual(shapeOf({ ...other, version: '' }))
      expect(Object.keys(one as object)).toEqual(Object.keys(other as object))
    },
  )

  it.skipIf(serverKind === 'zookeeper')('/commands lists what ZooKeeper lists, and what 3.9 has', async () => {
    const names = await Promise.all(
      both.map(async (side) =>
        [...(await ours(side, '')).body.matchAll(/^<a href="\/commands\/(\w+)">\1<\/a>\n<br\/>$/gm)].map(
          ([, name]) => name,
        ),
      ),
    )
    expect(names[0]).toEqual([...(names[1] as string[]), 'restore', 'snapshot'].sort())
  })
})
