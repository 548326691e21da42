// The npm package `zookeeper`, which is the C client: every operation of it that this server has, watches across a
// restart of the server, and taking a session over.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeWith, NPM_ZOOKEEPER_DIR, peers } from './support/peers.ts'
import { TestServer } from './support/server.ts'
import { within } from './support/wait.ts'
import { succeeded, ZkClient } from './support/zk-client.ts'
import { Err, EventType } from './support/zk-protocol.ts'

const SYNC_CONNECTED = 3

/** A stat as the script prints it. */
const stat = (version: number, cversion: number, dataLength: number, numChildren: number, ephemeral = false) => ({
  version,
  cversion,
  aversion: 0,
  dataLength,
  numChildren,
  ephemeral,
})

/** What client-script.cjs prints, in its order. The C client reports a missing path as the text null. */
const EXPECTED: [step: string, result: unknown][] = [
  ['connect', [SYNC_CONNECTED, 10_000]],
  ['create', [Err.ok, '/npm']],
  ['create again', [Err.nodeExists, 'null']],
  ['create below nothing', [Err.noNode, 'null']],
  ['create sequential', [Err.ok, '/npm/s-0000000000']],
  ['create ephemeral', [Err.ok, '/npm/e']],
  ['create ephemeral sequential', [Err.ok, '/npm/es-0000000002']],
  ['create below ephemeral', [Err.noChildrenForEphemerals, 'null']],
  ['get', [Err.ok, stat(0, 3, 5, 3), 'first']],
  ['get nothing', Err.noNode],
  ['exists ephemeral', stat(0, 0, 1, 0, true)],
  ['set', [Err.ok, stat(1, 3, 6, 3)]],
  ['set old version', Err.badVersion],
  ['children', [Err.ok, ['e', 'es-0000000002', 's-0000000000']]],
  ['children2', [Err.ok, ['e', 'es-0000000002', 's-0000000000'], stat(1, 3, 6, 3)]],
  ['sync', Err.ok],
  ['get acl', [Err.ok, [{ perms: 31, scheme: 'world', auth: 'anyone' }]]],
  ['delete non-empty', Err.notEmpty],
  ['delete old version', Err.badVersion],
  ['delete', Err.ok],
  ['exists nothing', Err.noNode],
  ['created event', [EventType.created, SYNC_CONNECTED, '/npm/w']],
  ['child event', [EventType.childrenChanged, SYNC_CONNECTED, '/npm']],
  ['changed event', [EventType.dataChanged, SYNC_CONNECTED, '/npm/w']],
  ['ready for restart', true],
  ['missed event', [EventType.dataChanged, SYNC_CONNECTED, '/npm/w']],
  ['create after restart', [Err.ok, '/npm/later']],
  ['lasting event', [EventType.created, SYNC_CONNECTED, '/npm/later']],
  ['same session', true],
  ['taken over', [true, Err.ok]],
  ['after close', Err.noNode],
]

describeWith(peers.npmZookeeper, "the npm package 'zookeeper'", () => {
  let server: TestServer
  beforeAll(async () => {
    server = await TestServer.start()
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  it('does everything that its script asks for, also across a restart of the server', async () => {
    const script = join(NPM_ZOOKEEPER_DIR, 'client-script.cjs')
    const child = spawn(process.execPath, [script, `127.0.0.1:${server.port}`], { stdio: ['pipe', 'pipe', 'inherit'] })
    const closed = once(child, 'close')
    const steps: unknown[] = []
    const reading = (async () => {
      for await (const line of createInterface({ input: child.stdout })) {
        // The client itself sometimes prints a line of its own.
        if (!line.startsWith('[')) continue
        const step = JSON.parse(line) as [string, unknown]
        steps.push(step)
        if (step[0] === 'ready for restart') {
          await restartWithChange()
          child.stdin.write('go on\n')
        }
      }
    })()
    try {
      await within(Promise.all([closed, reading]), 60_000, 'end of the script')
    } finally {
      child.kill('SIGKILL')
    }
    expect(steps).toEqual(EXPECTED)
    expect(child.exitCode).toBe(0)
  })

  async function restartWithChange(): Promise<void> {
    await server.kill()
    await server.restart()
    await using other = await ZkClient.connect(server.port)
    succeeded(await other.setData('/npm/w', 'changed meanwhile'))
    await other.close()
  }
})
